//! `FETCH [direction] [FROM | IN] cursor` and `MOVE`, which goes the same way without rows.

use std::sync::Arc;

use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::Command;
use crate::SqlError;
use crate::dialect::Cursor;
use crate::session::{Outcome, Session};

/// The statement.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    pub(crate) cursor: String,
    pub(crate) direction: Direction,
    pub(crate) only_moves: bool,
}

/// Where a cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// So many rows on, or back when it is negative; 0 is the row that it is on.
    By(i64),
    /// To the end, with all rows on the way.
    ToEnd,
    /// To the beginning, with all rows on the way.
    ToStart,
    /// To this row, from 1, or from the end when it is negative.
    Absolute(i64),
    /// To the row so many on.
    Relative(i64),
}

pub(super) fn parse_fetch(cursor: &mut Cursor) -> Result<Command, SqlError> {
    parse(cursor, false)
}

pub(super) fn parse_move(cursor: &mut Cursor) -> Result<Command, SqlError> {
    parse(cursor, true)
}

fn parse(cursor: &mut Cursor, only_moves: bool) -> Result<Command, SqlError> {
    let direction = direction(cursor)?;
    if !cursor.accept(&["from"]) {
        cursor.accept(&["in"]);
    }
    let name = cursor.identifier()?;
    Ok(Command::Fetch(Fetch { cursor: name, direction, only_moves }))
}

fn direction(cursor: &mut Cursor) -> Result<Direction, SqlError> {
    let all_or_count = |cursor: &mut Cursor| -> Result<Option<i64>, SqlError> {
        if cursor.accept(&["all"]) {
            Ok(None)
        } else {
            Ok(Some(cursor.accept_integer()?.unwrap_or(1)))
        }
    };
    let count = |cursor: &mut Cursor| -> Result<i64, SqlError> {
        let count = cursor.accept_integer()?;
        count.ok_or_else(|| cursor.unexpected())
    };
    Ok(if cursor.accept(&["next"]) {
        Direction::By(1)
    } else if cursor.accept(&["prior"]) {
        Direction::By(-1)
    } else if cursor.accept(&["first"]) {
        Direction::Absolute(1)
    } else if cursor.accept(&["last"]) {
        Direction::Absolute(-1)
    } else if cursor.accept(&["absolute"]) {
        Direction::Absolute(count(cursor)?)
    } else if cursor.accept(&["relative"]) {
        Direction::Relative(count(cursor)?)
    } else if cursor.accept(&["forward"]) {
        all_or_count(cursor)?.map_or(Direction::ToEnd, Direction::By)
    } else if cursor.accept(&["backward"]) {
        all_or_count(cursor)?.map_or(Direction::ToStart, |count| Direction::By(-count))
    } else {
        all_or_count(cursor)?.map_or(Direction::ToEnd, Direction::By)
    })
}

impl Session {
    pub(super) async fn run_fetch(&mut self, fetch: &Fetch) -> Result<Outcome, SqlError> {
        let deadline = self.deadline();
        let cursor = self.cursors.get_mut(&fetch.cursor)?;
        let going = cursor.go(fetch.direction);
        let batches = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), going)
                .await
                .map_err(|_| SqlError::Timeout)??,
            None => going.await?,
        };
        if fetch.only_moves {
            let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
            return Ok(Outcome::done(&format!("MOVE {rows}"), []));
        }
        let schema = cursor.schema();
        let stream = futures::stream::iter(batches.into_iter().map(Ok));
        let batches = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream));
        Ok(Outcome::Rows { schema, batches, tag: "FETCH".into() })
    }
}
