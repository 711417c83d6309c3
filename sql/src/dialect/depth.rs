//! How deep a statement is, before anybody reads it recursively.
//!
//! sqlparser counts parentheses and prefixes itself. A chain such as `1 + 1 + 1 + …` or `… UNION …`
//! is read in a loop and becomes a tree as deep as the chain is long, which planning then descends.
//! A list is not deep, however long it is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArguments, GroupByExpr, OrderByKind, Query, Select, SetExpr,
    Visit, Visitor,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Word};

use crate::SqlError;

/// Operators in a chain, those of the chains around it included.
const MAX_DEPTH: usize = 1000;

/// Tables that one `SELECT` joins.
const MAX_TABLES: usize = 200;

/// Parentheses in one another; sqlparser reads far fewer, but it wants to have all of them first.
const MAX_PARENTHESES: usize = 10_000;

/// Columns of a `SELECT` or of a row of `VALUES`, and expressions of an `ORDER BY` or `GROUP BY`:
/// PostgreSQL's bound. DataFusion's time to plan them grows with the square of their number.
const MAX_COLUMNS: usize = 1664;

/// Queries of a `WITH`: the time to plan them grows with the square of their number as well.
const MAX_WITH: usize = 1000;

/// Arguments of a function, PostgreSQL's bound.
const MAX_ARGUMENTS: usize = 100;

/// How deep and how wide a statement is so far.
#[derive(Debug)]
pub(super) struct Depth {
    /// Of each open parenthesis.
    open: Vec<Level>,
    depth: usize,
}

#[derive(Debug, Default)]
struct Level {
    /// Operators since the last comma.
    operators: usize,
    set_operations: usize,
    /// Columns of the `SELECT` that is being listed.
    columns: Option<usize>,
    brackets: usize,
}

impl Default for Depth {
    fn default() -> Self {
        Self { open: vec![Level::default()], depth: 0 }
    }
}

impl Depth {
    /// Takes the next token.
    ///
    /// # Errors
    /// SQLSTATE 54001 for chains that are too long, 54011 for a `SELECT` of too many columns.
    pub(super) fn enter(&mut self, token: &Token) -> Result<(), SqlError> {
        let is_outermost = self.open.len() == 1;
        let Some(current) = self.open.last_mut() else { return Ok(()) };
        match token {
            Token::LParen => self.open.push(Level::default()),
            Token::RParen if !is_outermost => {
                let closed = self.open.pop().unwrap_or_default();
                self.depth -= closed.operators + closed.set_operations;
            }
            Token::RParen => {}
            Token::Comma => {
                self.depth -= current.operators;
                current.operators = 0;
                if let Some(columns) = &mut current.columns
                    && current.brackets == 0
                {
                    *columns += 1;
                    if *columns > MAX_COLUMNS {
                        return Err(too_wide());
                    }
                }
            }
            Token::Word(Word { keyword: Keyword::SELECT, .. }) => current.columns = Some(1),
            Token::Word(word) if ends_columns(word.keyword) => current.columns = None,
            _ => {}
        }
        let Some(current) = self.open.last_mut() else { return Ok(()) };
        match token {
            Token::LBracket => current.brackets += 1,
            Token::RBracket => current.brackets = current.brackets.saturating_sub(1),
            _ => {}
        }
        if is_set_operation(token) {
            current.set_operations += 1;
            self.depth += 1;
        } else if is_operator(token) {
            current.operators += 1;
            self.depth += 1;
        }
        if self.depth > MAX_DEPTH || self.open.len() > MAX_PARENTHESES {
            return Err(too_deep());
        }
        Ok(())
    }
}

/// Whether a word may come after the columns of a `SELECT`. One that is a part of a column leaves the
/// rest to [`check`].
fn ends_columns(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::FROM
            | Keyword::INTO
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::WINDOW
            | Keyword::UNION
            | Keyword::INTERSECT
            | Keyword::EXCEPT
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::FETCH
            | Keyword::FOR
    )
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
        | Token::LParen
        | Token::RParen
        | Token::Comma
        | Token::SemiColon
        | Token::RBracket
        | Token::Whitespace(_)
        | Token::EOF => false,
        _ => true,
    }
}

/// Refuses a `SELECT` from too many tables, whose joins are a chain as well, and lists that are too
/// long.
///
/// # Errors
/// SQLSTATE 54001, 54011 and 54023.
pub(super) fn check(statement: &ast::Statement) -> Result<(), SqlError> {
    struct Bounds;
    impl Visitor for Bounds {
        type Break = SqlError;

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
            if query.with.as_ref().is_some_and(|with| with.cte_tables.len() > MAX_WITH) {
                return ControlFlow::Break(too_many("WITH can have at most 1000 queries", "54000"));
            }
            let mut bodies = vec![query.body.as_ref()];
            while let Some(body) = bodies.pop() {
                match body {
                    SetExpr::Select(select) => check_select(select)?,
                    SetExpr::Values(values)
                        if values.rows.iter().any(|row| row.len() > MAX_COLUMNS) =>
                    {
                        return ControlFlow::Break(too_wide());
                    }
                    SetExpr::SetOperation { left, right, .. } => {
                        bodies.extend([left.as_ref(), right.as_ref()])
                    }
                    _ => {}
                }
            }
            match query.order_by.as_ref().map(|order| &order.kind) {
                Some(OrderByKind::Expressions(keys)) if keys.len() > MAX_COLUMNS => {
                    ControlFlow::Break(too_wide())
                }
                _ => ControlFlow::Continue(()),
            }
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
            match expr {
                Expr::Function(function) => check_arguments(function),
                Expr::Tuple(fields) if fields.len() > MAX_COLUMNS => ControlFlow::Break(too_many(
                    "ROW expressions can have at most 1664 entries",
                    "54011",
                )),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match statement.visit(&mut Bounds) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn check_select(select: &Select) -> ControlFlow<SqlError> {
    if select.from.iter().map(|from| 1 + from.joins.len()).sum::<usize>() > MAX_TABLES {
        return ControlFlow::Break(too_deep());
    }
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, _) => keys.len(),
        GroupByExpr::All(_) => 0,
    };
    if select.projection.len().max(grouped) > MAX_COLUMNS {
        return ControlFlow::Break(too_wide());
    }
    ControlFlow::Continue(())
}

/// `coalesce` and its like are no functions for PostgreSQL.
fn check_arguments(function: &Function) -> ControlFlow<SqlError> {
    let FunctionArguments::List(list) = &function.args else { return ControlFlow::Continue(()) };
    let is_grammar = || {
        let name = function.name.to_string().to_ascii_lowercase();
        matches!(name.as_str(), "coalesce" | "greatest" | "least")
    };
    if list.args.len() <= MAX_ARGUMENTS || (is_grammar() && list.args.len() <= MAX_COLUMNS) {
        return ControlFlow::Continue(());
    }
    ControlFlow::Break(too_many("cannot pass more than 100 arguments to a function", "54023"))
}

fn too_many(message: &str, sqlstate: &'static str) -> SqlError {
    SqlError::Invalid { sqlstate, message: message.into(), hint: None, position: None }
}

fn too_wide() -> SqlError {
    too_many("target lists can have at most 1664 entries", "54011")
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
        assert!(is_too_deep(&format!("SELECT {}", "(".repeat(1_000_000))));
    }

    #[test]
    fn lists_have_postgresqls_bounds() {
        let state = |sql: &str| parse(sql).err().map(|error| error.sqlstate().to_owned());
        let list = |part: &str, count: usize| vec![part; count].join(", ");
        for (columns, refused) in [(MAX_COLUMNS, None), (MAX_COLUMNS + 1, Some("54011"))] {
            let refused = refused.map(str::to_owned);
            let columns = list("1", columns);
            for sql in [
                format!("SELECT {columns}"),
                format!("SELECT 1 FROM (SELECT {columns}) t"),
                format!("WITH t AS (SELECT DISTINCT ON (1, 2) {columns}) SELECT 1 FROM t"),
                format!("SELECT a IS DISTINCT FROM b, {}", columns.replacen("1, ", "", 1)),
                format!("VALUES ({columns})"),
                format!("SELECT 1 UNION SELECT {columns}"),
                format!("SELECT 1 FROM t GROUP BY {columns}"),
                format!("SELECT 1 FROM t ORDER BY {columns}"),
            ] {
                assert_eq!(state(&sql), refused, "{}", &sql[..60]);
            }
        }
        let with = (0..=MAX_WITH).map(|at| format!("c{at} AS (SELECT 1)")).collect::<Vec<_>>();
        assert_eq!(state(&format!("WITH {} SELECT 1", with.join(", "))), Some("54000".into()));
        assert_eq!(state(&format!("WITH {} SELECT 1", with[1..].join(", "))), None);
        assert_eq!(state(&format!("SELECT ARRAY[{}]", list("1", 5000))), None);
        assert_eq!(state(&format!("SELECT 1 FROM t WHERE a IN ({})", list("1", 5000))), None);
        assert_eq!(state(&format!("SELECT concat({})", list("'a'", 100))), None);
        assert_eq!(state(&format!("SELECT concat({})", list("'a'", 101))), Some("54023".into()));
        assert_eq!(state(&format!("SELECT coalesce({})", list("a", 101))), None);
    }
}
