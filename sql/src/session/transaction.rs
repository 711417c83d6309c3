//! Transaction blocks, as far as a database that only reads has them.
//!
//! `BEGIN`, `COMMIT` and `ROLLBACK` bracket statements; an error in a block makes the others fail
//! until its end, and a rollback takes back what `SET` did. All queries of a block read one cut,
//! taken by the first of them. `CREATE SOURCE` and its like take effect at once; as a transaction
//! sees its own changes, the next query behind one takes a new cut, unless the block's isolation
//! is `repeatable read` or `serializable`.
//!
//! The statements of one string belong together too, as in PostgreSQL: outside of a block they are one, without
//! the cut and the savepoints, and its end commits it.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};

use super::settings::Settings;
use crate::{Cut, Notice, SqlError};

/// What the wire tells a client after each statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Outside a transaction block.
    #[default]
    Idle,
    /// In a transaction block.
    InBlock,
    /// In a transaction block in which a statement has failed.
    Failed,
}

/// The state of a session's transaction block.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    status: TransactionStatus,
    /// The settings as they were before the block.
    before: Option<Settings>,
    /// The settings as they were before the statements of a string, outside of a block.
    before_string: Option<Settings>,
    /// Names that `SET LOCAL` changed, with the value to give back; `None` is the default.
    local: Vec<(String, Option<String>)>,
    /// Savepoints and the settings at each, oldest first.
    savepoints: Vec<(String, Settings)>,
    /// What the block's queries read, once there was one.
    cut: Option<Arc<Cut>>,
}

impl Transaction {
    pub(crate) fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether what is done now is kept at once.
    pub(crate) fn is_alone(&self) -> bool {
        self.status == TransactionStatus::Idle && self.before_string.is_none()
    }

    /// A statement of a string of several begins.
    pub(crate) fn join_string(&mut self, settings: &Settings) {
        if self.is_alone() {
            self.before_string = Some(settings.clone());
        }
    }

    /// The statements of a string are kept; whether there were any that belonged together.
    pub(crate) fn keep_string(&mut self, settings: &mut Settings) -> bool {
        let is_one = self.before_string.take().is_some();
        if is_one {
            self.leave_local(settings);
        }
        is_one
    }

    /// The same when they are taken back.
    pub(crate) fn take_back_string(&mut self, settings: &mut Settings) -> bool {
        let Some(before) = self.before_string.take() else { return false };
        *settings = before;
        self.local.clear();
        true
    }

    /// What `SET LOCAL` changed is as it was.
    fn leave_local(&mut self, settings: &mut Settings) {
        for (name, value) in std::mem::take(&mut self.local).into_iter().rev() {
            // Both were valid when they were noted.
            let _ = match value {
                Some(value) => settings.set(&name, &value),
                None => settings.reset(&name),
            };
        }
    }

    /// The cut that queries read now, if the block has one.
    pub(crate) fn cut(&self) -> Option<Arc<Cut>> {
        self.cut.clone()
    }

    /// A query is about to read: the first one of a block takes the block's cut.
    pub(crate) fn take_cut(&mut self, take: impl FnOnce() -> Cut) {
        if self.status == TransactionStatus::InBlock && self.cut.is_none() {
            self.cut = Some(Arc::new(take()));
        }
    }

    /// A statement about sources has taken effect.
    pub(crate) fn own_statement_ran(&mut self, settings: &Settings) {
        let isolation = settings.show("transaction_isolation").map(|(_, value)| value);
        if !matches!(isolation.as_deref(), Ok("repeatable read" | "serializable")) {
            self.cut = None;
        }
    }

    /// Savepoints of the block.
    pub(crate) fn depth(&self) -> usize {
        self.savepoints.len()
    }

    /// The modes of `BEGIN` and `SET TRANSACTION`, which last to the end of the block.
    ///
    /// # Errors
    /// SQLSTATE 25001 for another isolation level when a query has read already.
    pub(crate) fn set_modes(
        &mut self,
        modes: &[TransactionMode],
        settings: &mut Settings,
    ) -> Result<(), SqlError> {
        for mode in modes {
            if self.cut.is_some() && matches!(mode, TransactionMode::IsolationLevel(_)) {
                return Err(SqlError::Invalid {
                    sqlstate: "25001",
                    message: "SET TRANSACTION ISOLATION LEVEL must be called before any query"
                        .into(),
                    hint: None,
                    position: None,
                });
            }
            let (name, value) = setting(mode);
            self.set_mode(name, value, settings)?;
        }
        Ok(())
    }

    /// `AND CHAIN`: a block that has just begun is as the one before it was.
    ///
    /// # Errors
    /// What the settings say; they have had these values.
    pub(crate) fn go_on_with(
        &mut self,
        modes: Vec<(&'static str, String)>,
        settings: &mut Settings,
    ) -> Result<(), SqlError> {
        for (name, value) in modes {
            if settings.show(name)?.1 != value {
                self.set_mode(name, &value, settings)?;
            }
        }
        Ok(())
    }

    fn set_mode(
        &mut self,
        name: &str,
        value: &str,
        settings: &mut Settings,
    ) -> Result<(), SqlError> {
        if self.set_local(name, settings).is_ok() {
            settings.set(name, value)?;
        }
        Ok(())
    }

    /// A statement failed.
    pub(crate) fn fail(&mut self) {
        if self.status == TransactionStatus::InBlock {
            self.status = TransactionStatus::Failed;
        }
    }

    /// `BEGIN`.
    pub(crate) fn begin(&mut self, settings: &Settings) -> Option<Notice> {
        if self.status != TransactionStatus::Idle {
            let message = "there is already a transaction in progress";
            return Some(Notice::warning("25001", message));
        }
        self.status = TransactionStatus::InBlock;
        // What came before it in its string is of the block too.
        self.before = Some(self.before_string.take().unwrap_or_else(|| settings.clone()));
        None
    }

    /// `COMMIT`: the command tag, which says `ROLLBACK` after a failure as PostgreSQL's does.
    pub(crate) fn commit(&mut self, settings: &mut Settings) -> (&'static str, Option<Notice>) {
        match self.status {
            TransactionStatus::Idle => ("COMMIT", Some(no_transaction())),
            TransactionStatus::Failed => ("ROLLBACK", self.rollback(settings)),
            TransactionStatus::InBlock => {
                self.leave_local(settings);
                *self = Self::default();
                ("COMMIT", None)
            }
        }
    }

    /// `ROLLBACK`.
    pub(crate) fn rollback(&mut self, settings: &mut Settings) -> Option<Notice> {
        if self.status == TransactionStatus::Idle {
            return Some(no_transaction());
        }
        if let Some(before) = self.before.take() {
            *settings = before;
        }
        *self = Self::default();
        None
    }

    /// `SET LOCAL` is about to change `name`; outside a block it has no effect.
    pub(crate) fn set_local(&mut self, name: &str, settings: &Settings) -> Result<(), Notice> {
        if self.is_alone() {
            return Err(Notice::warning(
                "25P01",
                "SET LOCAL can only be used in transaction blocks",
            ));
        }
        self.local.push((name.to_owned(), settings.own(name)));
        Ok(())
    }

    /// `SAVEPOINT`.
    pub(crate) fn savepoint(&mut self, name: &str, settings: &Settings) -> Result<(), SqlError> {
        self.in_block("SAVEPOINT")?;
        self.savepoints.push((name.to_owned(), settings.clone()));
        Ok(())
    }

    /// `RELEASE SAVEPOINT`: which savepoint it was, from 0.
    pub(crate) fn release(&mut self, name: &str) -> Result<usize, SqlError> {
        self.in_block("RELEASE SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        self.savepoints.truncate(at);
        Ok(at)
    }

    /// `ROLLBACK TO SAVEPOINT`, which makes a failed block a good one again: which savepoint it
    /// was, from 0.
    pub(crate) fn rollback_to(
        &mut self,
        name: &str,
        settings: &mut Settings,
    ) -> Result<usize, SqlError> {
        self.in_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        self.savepoints.truncate(at + 1);
        if let Some((_, before)) = self.savepoints.last() {
            *settings = before.clone();
        }
        self.status = TransactionStatus::InBlock;
        Ok(at)
    }

    fn in_block(&self, what: &'static str) -> Result<(), SqlError> {
        match self.status {
            TransactionStatus::Idle => Err(SqlError::NoTransaction { what }),
            TransactionStatus::InBlock | TransactionStatus::Failed => Ok(()),
        }
    }

    fn find_savepoint(&self, name: &str) -> Result<usize, SqlError> {
        self.savepoints
            .iter()
            .rposition(|(known, _)| known == name)
            .ok_or_else(|| SqlError::UnknownSavepoint { name: name.to_owned() })
    }
}

/// The settings that are the modes of a block, with their values.
pub(crate) fn modes(settings: &Settings) -> Vec<(&'static str, String)> {
    ["transaction_isolation", "transaction_read_only"]
        .into_iter()
        .filter_map(|name| Some((name, settings.show(name).ok()?.1)))
        .collect()
}

/// `SET SESSION CHARACTERISTICS`: how blocks are that say nothing of it.
///
/// # Errors
/// What the settings say; they know these values.
pub(crate) fn set_characteristics(
    modes: &[TransactionMode],
    settings: &mut Settings,
) -> Result<(), SqlError> {
    for mode in modes {
        let (name, value) = setting(mode);
        settings.set(&format!("default_{name}"), value)?;
    }
    Ok(())
}

/// The setting that a mode is, and its value.
fn setting(mode: &TransactionMode) -> (&'static str, &'static str) {
    use TransactionIsolationLevel as Level;
    match mode {
        TransactionMode::IsolationLevel(level) => {
            let level = match level {
                Level::ReadUncommitted => "read uncommitted",
                Level::ReadCommitted => "read committed",
                Level::RepeatableRead | Level::Snapshot => "repeatable read",
                Level::Serializable => "serializable",
            };
            ("transaction_isolation", level)
        }
        TransactionMode::AccessMode(TransactionAccessMode::ReadOnly) => {
            ("transaction_read_only", "on")
        }
        TransactionMode::AccessMode(TransactionAccessMode::ReadWrite) => {
            ("transaction_read_only", "off")
        }
    }
}

fn no_transaction() -> Notice {
    Notice::warning("25P01", "there is no transaction in progress")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_takes_settings_back() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::default());
        assert_eq!(transaction.begin(&settings), None);
        settings.set("application_name", "inside").expect("is text");
        assert_eq!(transaction.rollback(&mut settings), None);
        assert_eq!(settings.show("application_name").expect("is known").1, "");
        assert_eq!(transaction.status(), TransactionStatus::Idle);
    }

    #[test]
    fn set_local_ends_with_the_block() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::default());
        assert!(transaction.set_local("application_name", &settings).is_err());
        transaction.begin(&settings);
        transaction.set_local("application_name", &settings).expect("is in a block");
        settings.set("application_name", "inside").expect("is text");
        settings.set("statement_timeout", "1s").expect("is a time");
        assert_eq!(transaction.commit(&mut settings), ("COMMIT", None));
        assert_eq!(settings.show("application_name").expect("is known").1, "");
        assert_eq!(settings.show("statement_timeout").expect("is known").1, "1s");
    }

    #[test]
    fn a_string_is_taken_back_as_a_whole() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::default());
        let name = |settings: &Settings| settings.show("application_name").expect("is known").1;
        transaction.join_string(&settings);
        settings.set("application_name", "first").expect("is text");
        transaction.join_string(&settings);
        transaction.set_local("statement_timeout", &settings).expect("is in a string");
        settings.set("statement_timeout", "1s").expect("is a time");
        assert!(transaction.keep_string(&mut settings));
        assert_eq!(name(&settings), "first");
        assert_eq!(settings.show("statement_timeout").expect("is known").1, "0");
        transaction.join_string(&settings);
        settings.set("application_name", "second").expect("is text");
        assert!(transaction.take_back_string(&mut settings));
        assert_eq!(name(&settings), "first");
        assert!(transaction.is_alone());
        // BEGIN takes over what came before it.
        transaction.join_string(&settings);
        settings.set("application_name", "third").expect("is text");
        transaction.begin(&settings);
        assert!(!transaction.take_back_string(&mut settings));
        transaction.rollback(&mut settings);
        assert_eq!(name(&settings), "first");
    }

    #[test]
    fn a_failed_block_ends_with_a_rollback() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::default());
        transaction.fail();
        assert_eq!(transaction.status(), TransactionStatus::Idle);
        transaction.begin(&settings);
        transaction.savepoint("a", &settings).expect("is in a block");
        transaction.fail();
        assert_eq!(transaction.status(), TransactionStatus::Failed);
        transaction.rollback_to("b", &mut settings).expect_err("is unknown");
        transaction.rollback_to("a", &mut settings).expect("is known");
        assert_eq!(transaction.status(), TransactionStatus::InBlock);
        transaction.fail();
        assert_eq!(transaction.commit(&mut settings).0, "ROLLBACK");
    }
}
