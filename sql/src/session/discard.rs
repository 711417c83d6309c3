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
        if !self.transaction.is_alone() {
            return Err(SqlError::Invalid {
                sqlstate: "25001",
                message: "DISCARD ALL cannot run inside a transaction block".into(),
                hint: None,
                position: None,
            });
        }
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
