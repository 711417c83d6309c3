//! Text goes in, [`Statement`]s come out: ours by [`crate::statement`], all others by sqlparser in
//! PostgreSQL's dialect.
//!
//! A string may hold several statements of both kinds. It is read as a whole before anything
//! runs, as PostgreSQL does: a syntax error in the last statement keeps the first from running.
//! Nothing is planned here, no table and no function is looked up.

mod array_literal;
mod array_of;
mod array_subquery;
mod base64;
mod bits;
pub(crate) mod bytea;
mod calls;
mod chains;
mod composite_field;
mod constraints;
mod cursor;
mod depth;
mod distinct_from;
mod exists;
mod expansion;
mod fetch;
mod forms;
mod identifier;
mod inner_names;
mod lengths;
mod like_escape;
mod lines;
mod named_arguments;
mod numbers;
mod ordinary;
mod postgres;
mod quantified;
mod row_values;
mod sample;
mod series;
mod sets;
mod symmetric;
mod templates;
mod tokens;
mod using;
mod values;
mod whole_row;

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

pub(crate) use self::array_literal::elements as array_elements;
pub(crate) use self::calls::call;
pub(crate) use self::constraints::{Side, constraint, constraint_mut};
pub(crate) use self::cursor::Cursor;
pub(crate) use self::forms::{VECTOR, declare as declare_forms};
pub use self::identifier::quote_identifier;
pub(crate) use self::lines::Lines;
use self::ordinary::Ordinary;
pub(crate) use self::postgres::Postgres;
pub(crate) use self::using::rewrite as tell_joined_columns;
use crate::SqlError;
use crate::session::command::{self, Command};
use crate::statement::{self, OwnStatement};

/// One statement, read but not planned.
#[derive(Clone, Debug)]
pub struct Statement {
    text: String,
    /// Characters before it in the text that was sent.
    before: usize,
    kind: StatementKind,
    forms: Vec<Option<&'static str>>,
}

/// Whose grammar a statement follows.
#[derive(Clone, Debug)]
pub(crate) enum StatementKind {
    /// One of ours.
    Own(Arc<dyn OwnStatement>),
    /// PostgreSQL's, about prepared statements, cursors, `COPY` and channels.
    Command(Command),
    /// PostgreSQL's.
    Ordinary(Box<ast::Statement>),
    /// PostgreSQL's, about its catalog: as written, and as DataFusion may plan it.
    Catalog { written: Box<ast::Statement>, planned: Box<ast::Statement> },
}

impl Statement {
    /// The statement as written, without the semicolon.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What parameters were declared to be.
    pub(crate) fn forms(&self) -> &[Option<&'static str>] {
        &self.forms
    }

    pub(crate) fn kind(&self) -> &StatementKind {
        &self.kind
    }

    /// Reads parameters as what a client has declared them to be, where that is a text of a form: `json`,
    /// `jsonb` or `uuid`, by their numbers from 1.
    pub(crate) fn declare_forms(&mut self, declared: &[Option<&'static str>]) {
        if declared.iter().all(Option::is_none) {
            return;
        }
        self.forms = declared.to_vec();
        match &mut self.kind {
            StatementKind::Ordinary(statement)
            | StatementKind::Catalog { planned: statement, .. } => {
                with_deep_stack(|| forms::declare(statement, declared));
            }
            StatementKind::Own(_) | StatementKind::Command(_) => {}
        }
    }

    /// An error of this statement with its place in the text that was sent, if that can be told.
    pub(crate) fn located(&self, error: SqlError) -> SqlError {
        with_deep_stack(|| error.located(&self.text, self.before))
    }
}

/// The statements of `sql`, in order; empty ones are left out.
///
/// # Errors
/// [`SqlError::Syntax`] or [`SqlError::Token`] with a position in `sql`, and what our statements
/// refuse.
pub fn parse(sql: &str) -> Result<Vec<Statement>, SqlError> {
    with_deep_stack(|| parse_all(sql))
}

/// Runs what descends a statement's tree; whoever calls may have a small stack. Statements are as
/// deep as `depth` and sqlparser's own limit let them be.
pub(crate) fn with_deep_stack<T>(work: impl FnOnce() -> T) -> T {
    const NEEDED_BYTES: usize = 24 << 20;
    stacker::maybe_grow(NEEDED_BYTES, 2 * NEEDED_BYTES, work)
}

fn parse_all(sql: &str) -> Result<Vec<Statement>, SqlError> {
    let lines = Lines::new(sql);
    tokens::statements(sql, &lines)?.into_iter().map(|tokens| parse_one(&tokens, &lines)).collect()
}

/// The statement of `tokens`, of which there is one at least.
fn parse_one(written: &[TokenWithSpan], lines: &Lines) -> Result<Statement, SqlError> {
    let text = match (written.first(), written.last()) {
        (Some(first), Some(last)) => lines.text(first.span.start, last.span.end),
        _ => "",
    };
    let is_zero =
        |token: &&TokenWithSpan| matches!(&token.token, Token::Placeholder(name) if name == "$0");
    if let Some(token) = written.iter().find(is_zero) {
        return Err(SqlError::Invalid {
            sqlstate: "42P02",
            message: "there is no parameter $0".into(),
            hint: None,
            position: Some(lines.character(token.span.start)),
        });
    }
    let before = written.first().map_or(0, |first| lines.character(first.span.start) - 1);
    let mut cursor = Cursor::new(written, lines);
    let kind = match statement::parse(&mut cursor)? {
        Some(own) => StatementKind::Own(own),
        None => match command::parse(&mut cursor)? {
            Some(command) => StatementKind::Command(command),
            None => match ordinary::parse(written, text, lines)
                .map_err(|error| error.located(text, before))?
            {
                Ordinary { planned, written: None } => StatementKind::Ordinary(Box::new(planned)),
                Ordinary { planned, written: Some(written) } => StatementKind::Catalog {
                    written: Box::new(written),
                    planned: Box::new(planned),
                },
            },
        },
    };
    Ok(Statement { text: text.to_owned(), before, kind, forms: Vec::new() })
}

/// The one statement of PostgreSQL in `tokens`, which are a part of another statement.
pub(crate) fn parse_part(
    tokens: &[TokenWithSpan],
    lines: &Lines,
) -> Result<Box<ast::Statement>, SqlError> {
    let text = match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => lines.text(first.span.start, last.span.end),
        _ => return Err(SqlError::Syntax { near: None, position: lines.end() }),
    };
    Ok(Box::new(ordinary::parse(tokens, text, lines)?.planned))
}

/// The one statement of PostgreSQL in `sql`, a text that Vigil has put together.
pub(crate) fn parse_made(sql: &str) -> Result<Box<ast::Statement>, SqlError> {
    let mut statements = parse(sql)?;
    match (statements.pop().map(|statement| statement.kind), statements.is_empty()) {
        (
            Some(
                StatementKind::Ordinary(statement)
                | StatementKind::Catalog { planned: statement, .. },
            ),
            true,
        ) => Ok(statement),
        _ => Err(SqlError::Syntax { near: None, position: 1 }),
    }
}

/// What sqlparser's tokenizer says, in PostgreSQL's words.
fn token_error(message: &str, position: usize) -> SqlError {
    let message = match message {
        "Unterminated string literal" | "Unterminated encoded string literal" => {
            "unterminated quoted string"
        }
        "Unexpected EOF while in a multi-line comment" => "unterminated /* comment",
        text if text.starts_with("Expected close delimiter") => "unterminated quoted identifier",
        text if text.starts_with("Unterminated dollar") => "unterminated dollar-quoted string",
        text => return SqlError::Token { message: text.to_lowercase(), position },
    };
    SqlError::Token { message: message.into(), position }
}

/// What DataFusion is given of a statement, as a text.
#[cfg(test)]
fn planned(sql: &str) -> String {
    let statements = parse(sql).expect(sql);
    match statements[0].kind() {
        StatementKind::Ordinary(statement) => statement.to_string(),
        other => panic!("{sql}: {other:?}"),
    }
}
