//! Transaction blocks, as far as a database that only reads has them.
//!
//! `BEGIN`, `COMMIT` and `ROLLBACK` bracket statements; an error in a block makes the others fail
//! until its end, and a rollback takes back what `SET` did. Nothing else is transactional: each
//! statement sees its own cut, and `CREATE SOURCE` takes effect at once.

use super::settings::Settings;
use crate::{Notice, SqlError};

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
    /// Names that `SET LOCAL` changed, with the value to give back; `None` is the default.
    local: Vec<(String, Option<String>)>,
    /// Names of savepoints, oldest first.
    savepoints: Vec<String>,
}

impl Transaction {
    pub(crate) fn status(&self) -> TransactionStatus {
        self.status
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
        self.before = Some(settings.clone());
        None
    }

    /// `COMMIT`: the command tag, which says `ROLLBACK` after a failure as PostgreSQL's does.
    pub(crate) fn commit(&mut self, settings: &mut Settings) -> (&'static str, Option<Notice>) {
        match self.status {
            TransactionStatus::Idle => ("COMMIT", Some(no_transaction())),
            TransactionStatus::Failed => ("ROLLBACK", self.rollback(settings)),
            TransactionStatus::InBlock => {
                for (name, value) in std::mem::take(&mut self.local).into_iter().rev() {
                    // Both were valid when they were noted.
                    let _ = match value {
                        Some(value) => settings.set(&name, &value),
                        None => settings.reset(&name),
                    };
                }
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
        if self.status == TransactionStatus::Idle {
            return Err(Notice::warning(
                "25P01",
                "SET LOCAL can only be used in transaction blocks",
            ));
        }
        let before = settings.show(name).ok().map(|(_, value)| value);
        self.local.push((name.to_owned(), before));
        Ok(())
    }

    /// `SAVEPOINT`.
    pub(crate) fn savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        self.in_block("SAVEPOINT")?;
        self.savepoints.push(name.to_owned());
        Ok(())
    }

    /// `RELEASE SAVEPOINT`.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), SqlError> {
        self.in_block("RELEASE SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    /// `ROLLBACK TO SAVEPOINT`, which makes a failed block a good one again.
    pub(crate) fn rollback_to(&mut self, name: &str) -> Result<(), SqlError> {
        self.in_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        self.savepoints.truncate(at + 1);
        self.status = TransactionStatus::InBlock;
        Ok(())
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
            .rposition(|known| known == name)
            .ok_or_else(|| SqlError::UnknownSavepoint { name: name.to_owned() })
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
    fn a_failed_block_ends_with_a_rollback() {
        let (mut transaction, mut settings) = (Transaction::default(), Settings::default());
        transaction.fail();
        assert_eq!(transaction.status(), TransactionStatus::Idle);
        transaction.begin(&settings);
        transaction.savepoint("a").expect("is in a block");
        transaction.fail();
        assert_eq!(transaction.status(), TransactionStatus::Failed);
        transaction.rollback_to("b").expect_err("is unknown");
        transaction.rollback_to("a").expect("is known");
        assert_eq!(transaction.status(), TransactionStatus::InBlock);
        transaction.fail();
        assert_eq!(transaction.commit(&mut settings).0, "ROLLBACK");
    }
}
