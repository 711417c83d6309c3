//! Statements that are not ours: sqlparser reads them, and a few rewrites give DataFusion what it
//! can plan.
//!
//! The queries that drivers and psql send to `pg_catalog` are far from DataFusion's dialect; those
//! go through all rewrites of datafusion-pg-catalog. Every other statement goes through the few
//! of them that do not change what a query means.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::datafusion_pg_catalog::sql::rules::{
    FixArrayLiteral, FixVersionColumnName, RewriteArrayAnyAllOperation, RewritePgCatalogOperator,
    SqlStatementRewriteRule, StripCollate,
};

use super::array_subquery::ArraySubqueryToNull;
use super::{
    Lines, Postgres, array_literal, array_of, base64, bits, bytea, calls, chains, composite_field,
    depth, distinct_from, exists, expansion, fetch, inner_names, like_escape, named_arguments,
    quantified, row_values, sample, series, sets, symmetric, templates, using, values, whole_row,
};
use crate::{SqlError, intervals};

static CATALOG_PARSER: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

static RULES: LazyLock<Vec<Arc<dyn SqlStatementRewriteRule>>> = LazyLock::new(|| {
    vec![
        Arc::new(RewriteArrayAnyAllOperation),
        Arc::new(FixArrayLiteral),
        Arc::new(StripCollate),
        Arc::new(RewritePgCatalogOperator),
        Arc::new(FixVersionColumnName),
    ]
});

/// A statement that is not ours.
pub(super) struct Ordinary {
    /// What DataFusion is given.
    pub(super) planned: ast::Statement,
    /// As written, if it asks the catalog.
    pub(super) written: Option<ast::Statement>,
}

/// Reads `tokens`, whose text is `text`.
pub(super) fn parse(
    tokens: &[TokenWithSpan],
    text: &str,
    lines: &Lines,
) -> Result<Ordinary, SqlError> {
    let mut statement = parse_as_written(tokens, lines)?;
    depth::check(&statement)?;
    expansion::check(&statement)?;
    distinct_from::rewrite(&mut statement);
    symmetric::rewrite(&mut statement);
    let written = asks_the_catalog(tokens).then(|| statement.clone());
    inner_names::rewrite(&mut statement);
    array_literal::rewrite(&mut statement)?;
    sample::refuse(&statement)?;
    quantified::rewrite(&mut statement);
    row_values::rewrite(&mut statement);
    let mut planned = rewritten(statement, text, written.is_some());
    bits::rewrite(&mut planned);
    bytea::read_literals(&mut planned)?;
    like_escape::rewrite(&mut planned);
    array_of::rewrite(&mut planned);
    exists::rewrite(&mut planned);
    composite_field::rewrite(&mut planned);
    base64::rewrite(&mut planned);
    templates::rewrite(&mut planned)?;
    using::rewrite(&mut planned);
    fetch::rewrite(&mut planned);
    named_arguments::rewrite(&mut planned)?;
    series::rewrite(&mut planned);
    sets::rewrite(&mut planned);
    whole_row::rewrite(&mut planned);
    values::rewrite(&mut planned);
    calls::rewrite(&mut planned)?;
    intervals::rewrite_texts(&mut planned);
    chains::rewrite(&mut planned);
    Ok(Ordinary { planned, written })
}

fn rewritten(statement: ast::Statement, text: &str, asks_the_catalog: bool) -> ast::Statement {
    if asks_the_catalog
        && let Ok(mut rewritten) = CATALOG_PARSER.parse(text)
        && rewritten.len() == 1
        && let Some(rewritten) = rewritten.pop()
    {
        return qualify(ArraySubqueryToNull.rewrite(rewritten));
    }
    RULES.iter().fold(statement, |statement, rule| rule.rewrite(statement))
}

/// Tables of the catalog that datafusion-pg-catalog does not know.
const OURS: [&str; 3] = ["pg_stat_activity", "pg_indexes", "pg_stat_progress_create_index"];

/// The catalog's tables that datafusion-pg-catalog does not know, with their schema: it writes the
/// schema of its own ones.
fn qualify(mut statement: ast::Statement) -> ast::Statement {
    let _: ControlFlow<()> = ast::visit_relations_mut(&mut statement, |name| {
        if let [ast::ObjectNamePart::Identifier(table)] = name.0.as_slice()
            && OURS.iter().any(|name| table.value.eq_ignore_ascii_case(name))
        {
            name.0.insert(0, ast::ObjectNamePart::Identifier(ast::Ident::new("pg_catalog")));
        }
        ControlFlow::Continue(())
    });
    statement
}

fn parse_as_written(tokens: &[TokenWithSpan], lines: &Lines) -> Result<ast::Statement, SqlError> {
    // sqlparser does not know ABORT, PostgreSQL's other word for ROLLBACK.
    let written = tokens;
    let mut tokens = tokens.to_vec();
    if let Some(TokenWithSpan { token: Token::Word(word), .. }) = tokens.first_mut()
        && word.quote_style.is_none()
        && word.value.eq_ignore_ascii_case("abort")
        && let Token::Word(rollback) = Token::make_keyword("ROLLBACK")
    {
        *word = rollback;
    }
    // Nor two words after RESET.
    if let [reset, session, authorization] = tokens.as_slice()
        && [(reset, "reset"), (session, "session"), (authorization, "authorization")]
            .iter()
            .all(|(token, word)| is_word(token, word))
    {
        tokens.remove(1);
        tokens[1].token = Token::make_word("session_authorization", None);
    }
    // Nor DEFERRABLE, which says when a snapshot is taken: here it is at once and waits for nobody.
    if tokens
        .first()
        .is_some_and(|first| ["begin", "start", "set"].iter().any(|word| is_word(first, word)))
        && let Some(at) = tokens.iter().position(|token| is_word(token, "deferrable"))
    {
        let first = if at > 0 && is_word(&tokens[at - 1], "not") { at - 1 } else { at };
        tokens.drain(first..=at);
        // With the comma before it, or behind it.
        let is_comma = |at: usize| tokens.get(at).is_some_and(|token| token.token == Token::Comma);
        if first > 0 && is_comma(first - 1) {
            tokens.remove(first - 1);
        } else if is_comma(first) {
            tokens.remove(first);
        }
    }
    // Nor `TABLE name`, which is all of a table.
    if let [table, rest, ..] = tokens.as_slice()
        && is_word(table, "table")
        && matches!(rest.token, Token::Word(_))
    {
        let span = table.span;
        let all = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
        tokens.splice(..1, all.map(|token| TokenWithSpan { token, span }));
    }
    symmetric::mark(&mut tokens);
    let dialect = Postgres::for_tokens(tokens.len());
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| {
        let next = parser.peek_token();
        syntax_error(&error, written, &next, lines)
    })?;
    let rest = parser.peek_token();
    if rest.token == Token::EOF {
        return Ok(statement);
    }
    let found = written.iter().position(|token| token.span.start == rest.span.start);
    let end = TokenWithSpan::new_eof();
    let token = found.map_or(&rest, |found| culprit(written, found).unwrap_or(&end));
    Err(at(token, written, lines))
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none()
        && found.value.eq_ignore_ascii_case(word))
}

/// True when the statement names something of PostgreSQL's catalog.
fn asks_the_catalog(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().any(|token| match &token.token {
        Token::Word(word) => {
            let word = word.value.to_ascii_lowercase();
            word.starts_with("pg_")
                || word == "information_schema"
                || matches!(word.as_str(), "regclass" | "regtype" | "regproc" | "regnamespace")
                || matches!(
                    word.as_str(),
                    "set_config" | "current_schemas" | "has_schema_privilege"
                )
        }
        _ => false,
    })
}

/// sqlparser says where it gave up only in its message: `… at Line: 1, Column: 8`.
fn syntax_error(
    error: &ParserError,
    tokens: &[TokenWithSpan],
    next: &TokenWithSpan,
    lines: &Lines,
) -> SqlError {
    let text = match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return depth::too_deep();
        }
    };
    let found = location_in(text)
        .and_then(|location| tokens.iter().position(|token| token.span.start == location));
    match found.map(|found| culprit(tokens, found)) {
        Some(Some(token)) => at(token, tokens, lines),
        Some(None) => at(&TokenWithSpan::new_eof(), tokens, lines),
        None => at(next, tokens, lines),
    }
}

/// The token that PostgreSQL would point at where sqlparser points at the one numbered `found`; `None` for the
/// end. A word behind `*` is an alias of everything for sqlparser, and it goes back to `ORDER` for want of `BY`.
fn culprit(tokens: &[TokenWithSpan], found: usize) -> Option<&TokenWithSpan> {
    if found >= 2
        && tokens[found - 2].token == Token::Mul
        && matches!(tokens[found - 1].token, Token::Word(_))
        && tokens[..found - 2].last().is_some_and(|before| {
            is_word(before, "select") || matches!(before.token, Token::Comma | Token::Period)
        })
    {
        return tokens.get(found - 1);
    }
    let awaits_by = is_word(&tokens[found], "order") || is_word(&tokens[found], "group");
    if awaits_by && !tokens.get(found + 1).is_some_and(|next| is_word(next, "by")) {
        return tokens.get(found + 1);
    }
    tokens.get(found)
}

fn at(token: &TokenWithSpan, tokens: &[TokenWithSpan], lines: &Lines) -> SqlError {
    if token.token == Token::EOF {
        let position = tokens.last().map_or(lines.end(), |last| lines.character(last.span.end));
        return SqlError::Syntax { near: None, position };
    }
    SqlError::Syntax {
        near: Some(lines.text(token.span.start, token.span.end).to_owned()),
        position: lines.character(token.span.start),
    }
}

fn location_in(text: &str) -> Option<Location> {
    let (_, place) = text.rsplit_once("at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}
