//! How deep a statement is, before anybody reads it recursively.
//!
//! sqlparser counts parentheses and prefixes itself. A chain such as `1 + 1 + 1 + …` or `… UNION …`
//! is read in a loop and becomes a tree as deep as the chain is long, which planning then descends.
//! A list is not deep, however long it is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Query, SetExpr, Visit, Visitor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::SqlError;

/// Operators in a chain, those of the chains around it included.
const MAX_DEPTH: usize = 1000;

/// Tables that one `SELECT` joins.
const MAX_TABLES: usize = 200;

/// Refuses chains that are too long.
///
/// # Errors
/// SQLSTATE 54001.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    // Of each open parenthesis: operators since the last comma, and set operations.
    let mut open = vec![(0_usize, 0_usize)];
    let mut depth = 0;
    for token in tokens {
        let is_outermost = open.len() == 1;
        let Some(current) = open.last_mut() else { break };
        match &token.token {
            Token::LParen => open.push((0, 0)),
            Token::RParen if !is_outermost => {
                let (operators, sets) = open.pop().unwrap_or_default();
                depth -= operators + sets;
            }
            Token::RParen => {}
            Token::Comma => {
                depth -= current.0;
                current.0 = 0;
            }
            token if is_set_operation(token) => {
                current.1 += 1;
                depth += 1;
            }
            token if is_operator(token) => {
                current.0 += 1;
                depth += 1;
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn is_set_operation(token: &Token) -> bool {
    let Token::Word(word) = token else { return false };
    matches!(word.keyword, Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN)
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Period
        | Token::SemiColon
        | Token::RBracket
        | Token::Whitespace(_)
        | Token::EOF => false,
        _ => true,
    }
}

/// Refuses a `SELECT` from too many tables: their joins are a chain as well.
///
/// # Errors
/// SQLSTATE 54001.
pub(super) fn check_tables(statement: &ast::Statement) -> Result<(), SqlError> {
    struct Tables;
    impl Visitor for Tables {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if let SetExpr::Select(select) = query.body.as_ref()
                && select.from.iter().map(|from| 1 + from.joins.len()).sum::<usize>() > MAX_TABLES
            {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    match statement.visit(&mut Tables) {
        ControlFlow::Break(()) => Err(too_deep()),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// PostgreSQL's words for it.
pub(super) fn too_deep() -> SqlError {
    SqlError::Invalid {
        sqlstate: "54001",
        message: "stack depth limit exceeded".into(),
        hint: Some("Write the statement with fewer nested or chained parts; a list such as IN (…) may be long.".into()),
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::parse;

    fn is_too_deep(sql: &str) -> bool {
        parse(sql).is_err_and(|error| error.sqlstate() == "54001")
    }

    #[test]
    fn chains_are_deep_and_lists_are_not() {
        let repeated = |part: &str, count: usize| part.repeat(count);
        assert!(is_too_deep(&format!("SELECT 1{}", repeated(" + 1", MAX_DEPTH + 1))));
        assert!(is_too_deep(&format!("SELECT 1{}", repeated(" UNION SELECT 1, 2", MAX_DEPTH + 1))));
        assert!(is_too_deep(&format!("SELECT 1 FROM a{}", repeated(", a", MAX_TABLES))));
        let nested = format!("SELECT 1{} + (1{})", repeated(" + 1", 600), repeated(" + 1", 600));
        assert!(is_too_deep(&nested));
        let side_by_side = format!("SELECT 1{}, 1{}", repeated(" + 1", 600), repeated(" + 1", 600));
        assert!(!is_too_deep(&side_by_side));
        assert!(!is_too_deep(&format!("SELECT 1 IN (1{})", repeated(", -1", 5000))));
    }
}
