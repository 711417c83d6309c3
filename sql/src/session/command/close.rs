//! `CLOSE {name | ALL}`.

use super::Command;
use crate::SqlError;
use crate::dialect::Cursor;
use crate::session::{Outcome, Session};

/// The statement; `None` is all cursors.
#[derive(Clone, Debug)]
pub(crate) struct Close(Option<String>);

pub(super) fn parse(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let name = if cursor.accept(&["all"]) { None } else { Some(cursor.identifier()?) };
    Ok(Command::Close(Close(name)))
}

impl Session {
    pub(super) fn run_close(&mut self, close: &Close) -> Result<Outcome, SqlError> {
        match &close.0 {
            Some(name) => {
                self.cursors.close(name)?;
                Ok(Outcome::done("CLOSE CURSOR", []))
            }
            None => {
                self.cursors.close_all();
                Ok(Outcome::done("CLOSE CURSOR ALL", []))
            }
        }
    }
}
