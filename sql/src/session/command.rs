//! Statements of PostgreSQL that work on others or on the session's own objects: one file each,
//! with its grammar and what it does.
//!
//! | file | statements |
//! | --- | --- |
//! | `prepare` | `PREPARE` |
//! | `execute` | `EXECUTE` |
//! | `declare` | `DECLARE … CURSOR` |
//! | `fetch` | `FETCH`, `MOVE` |
//! | `close` | `CLOSE` |
//! | `copy` | `COPY … TO STDOUT` |
//! | `view` | `CREATE VIEW`, `DROP VIEW`, `ALTER VIEW … RENAME TO` |
//! | `channels` | `LISTEN`, `UNLISTEN`, `NOTIFY` |
//!
//! A query within a statement is one of PostgreSQL's, never one of these again.

pub(crate) mod channels;
pub(crate) mod close;
pub(crate) mod copy;
pub(crate) mod declare;
pub(crate) mod execute;
pub(crate) mod fetch;
pub(crate) mod prepare;
pub(crate) mod view;

use arrow::datatypes::SchemaRef;

use super::{Outcome, Session};
use crate::SqlError;
use crate::dialect::Cursor;

/// One of these statements, read but not planned.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Prepare(prepare::Prepare),
    Execute(execute::Execute),
    Declare(declare::Declare),
    Fetch(fetch::Fetch),
    Close(close::Close),
    Copy(Box<copy::Copy>),
    Channel(channels::Channel),
    View(view::ViewCommand),
}

/// The words that a statement begins with, and its grammar behind them.
type Definition = (&'static [&'static str], fn(&mut Cursor) -> Result<Command, SqlError>);

const ALL: [Definition; 19] = [
    (&["prepare"], prepare::parse),
    (&["execute"], execute::parse),
    (&["declare"], declare::parse),
    (&["fetch"], fetch::parse_fetch),
    (&["move"], fetch::parse_move),
    (&["close"], close::parse),
    (&["copy"], copy::parse),
    (&["listen"], channels::parse_listen),
    (&["unlisten"], channels::parse_unlisten),
    (&["notify"], channels::parse_notify),
    (&["create", "view"], view::parse_create),
    (&["create", "or", "replace", "view"], view::parse_replace),
    (&["create", "temporary", "view"], view::parse_temporary),
    (&["create", "temp", "view"], view::parse_temporary),
    (&["create", "or", "replace", "temporary", "view"], view::parse_replace_temporary),
    (&["create", "or", "replace", "temp", "view"], view::parse_replace_temporary),
    (&["drop", "view"], view::parse_drop),
    (&["alter", "view"], view::parse_alter_view),
    (&["alter", "table"], view::parse_alter_table),
];

/// The statement at the cursor if it is one of these.
pub(crate) fn parse(cursor: &mut Cursor) -> Result<Option<Command>, SqlError> {
    let Some((_, parse)) = ALL.iter().find(|(words, _)| cursor.accept(words)) else {
        return Ok(None);
    };
    let command = parse(cursor)?;
    cursor.expect_end()?;
    Ok(Some(command))
}

impl Session {
    /// The columns of the answer of a command without a plan of its own.
    pub(super) fn command_schema(&self, command: &Command) -> Result<Option<SchemaRef>, SqlError> {
        match command {
            Command::Execute(execute) => Ok(self.find_prepared(&execute.name)?.schema.clone()),
            Command::Fetch(fetch) if !fetch.only_moves => {
                Ok(Some(self.cursors.get(&fetch.cursor)?.schema()))
            }
            _ => Ok(None),
        }
    }

    /// Does what a command without a plan of its own says.
    pub(super) async fn run_command(&mut self, command: &Command) -> Result<Outcome, SqlError> {
        match command {
            Command::Prepare(prepare) => self.run_prepare(prepare).await,
            Command::Execute(execute) => self.run_execute(execute).await,
            Command::Fetch(fetch) => self.run_fetch(fetch).await,
            Command::Close(close) => self.run_close(close),
            Command::Channel(channel) => self.run_channel(channel),
            Command::View(view) => Box::pin(self.run_view(view)).await,
            // `prepare` plans these, and makes another action of them.
            Command::Declare(_) | Command::Copy(_) => Err(SqlError::Unsupported {
                what: "this statement without a plan".into(),
                hint: None,
            }),
        }
    }
}
