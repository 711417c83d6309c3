//! `DISCARD`: what a session has made and set is gone, as poolers want it before the next client.

use super::undo::Change;
use super::{Outcome, Session};
use crate::SqlError;

impl Session {
    /// `DISCARD ALL`.
    ///
    /// # Errors
    /// SQLSTATE 25001 in a transaction block.
    pub(super) fn discard_all(&mut self) -> Result<Outcome, SqlError> {
        self.refuse_in_block(Some("DISCARD ALL"))?;
        self.set_authorization(None)?;
        self.settings.reset_all();
        self.prepared.clear();
        self.named.clear();
        self.cursors.close_all();
        self.mailbox.unlisten(None);
        self.database.activity().locks().give_back_all(self.backend.pid());
        self.deallocated.push(None);
        self.discard_temporary()?;
        Ok(Outcome::done("DISCARD ALL", []))
    }

    /// Refuses a statement that cannot be part of a transaction where it would be; `None` is one that can.
    ///
    /// # Errors
    /// SQLSTATE 25001 in a transaction block.
    pub(super) fn refuse_in_block(&self, statement: Option<&str>) -> Result<(), SqlError> {
        match statement {
            Some(statement) if !self.transaction.is_alone() => Err(SqlError::Invalid {
                sqlstate: "25001",
                message: format!("{statement} cannot run inside a transaction block"),
                hint: None,
                position: None,
            }),
            _ => Ok(()),
        }
    }

    /// `DISCARD TEMP`: the session's temporary views are gone.
    ///
    /// # Errors
    /// None that is known, as these views are in no file.
    pub(super) fn discard_temporary(&mut self) -> Result<Outcome, SqlError> {
        let session = Some(self.backend.pid());
        let views = self.database.views();
        if views.all().keys().any(|name| name.session == session) {
            let mut change = Change::default();
            views.change(|all| {
                change.views(all, |all| {
                    all.retain(|name, _| name.session != session);
                    Ok(())
                })
            })?;
            self.note(change);
        }
        Ok(Outcome::done("DISCARD TEMP", []))
    }
}
