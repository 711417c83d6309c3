//! Roles: who may log in and what each may see and do.
//!
//! Kept in one file, if the database is given one; every change writes it anew. Passwords are
//! never kept, only SCRAM verifiers. While there is no role that may log in, nobody has to.

mod file;
mod grants;
pub(crate) mod scram;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub(crate) use self::file::replace as replace_file;
pub(crate) use self::grants::{Grant, Privileges, Rows, would_be_circular};
use self::scram::{NoRandomness, Verifier};
use crate::SqlError;
use crate::activity::now_micros;

/// May read every table.
pub(crate) const READER: &str = "vigil_reader";

/// A reader who may register and drop sources.
pub(crate) const OPERATOR: &str = "vigil_operator";

/// An operator who may manage roles and stop others.
pub(crate) const ADMIN: &str = "vigil_admin";

/// Everybody; a name for `GRANT` and `REVOKE` only.
pub(crate) const PUBLIC: &str = "public";

/// The number that the first role of a file has; ready ones are below.
const FIRST_OID: i32 = 16_384;

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    /// Its number in `pg_roles`.
    pub(crate) oid: i32,
    /// Whether it is a user.
    pub(crate) login: bool,
    /// What is known of its password.
    pub(crate) verifier: Option<Verifier>,
    /// Connections at the same time.
    pub(crate) connection_limit: Option<u32>,
    /// When its password ends to count, in microseconds since the Unix epoch.
    pub(crate) valid_until_micros: Option<i64>,
    /// The roles that it is a member of.
    pub(crate) member_of: BTreeSet<String>,
    /// What was granted to it.
    pub(crate) grants: BTreeSet<Grant>,
}

/// All roles by name, [`PUBLIC`] among them.
pub(crate) type RoleMap = BTreeMap<String, Role>;

/// The roles of a database.
#[derive(Debug)]
pub(crate) struct Roles {
    path: Option<PathBuf>,
    state: Mutex<RoleMap>,
    /// Makes the salts of users who do not exist.
    mock_secret: [u8; 32],
}

impl Roles {
    /// The roles of the file at `path`, which need not exist yet; without one, of this process.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is not one of ours.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, SqlError> {
        let kept = path.map(file::read).transpose()?.flatten();
        let (mut state, mock_secret) = match kept {
            Some(kept) => kept,
            None => (RoleMap::new(), scram::random().map_err(no_randomness)?),
        };
        for (oid, name, member_of) in
            [(10, ADMIN, Some(OPERATOR)), (11, OPERATOR, Some(READER)), (12, READER, None)]
        {
            let role = state.entry(name.to_owned()).or_default();
            role.oid = oid;
            role.login = false;
            role.member_of.extend(member_of.map(str::to_owned));
        }
        state.entry(PUBLIC.to_owned()).or_default();
        Ok(Self { path: path.map(Path::to_owned), state: Mutex::new(state), mock_secret })
    }

    /// All roles as they are now.
    pub(crate) fn all(&self) -> RoleMap {
        self.lock().clone()
    }

    /// The role of this name as it is now.
    pub(crate) fn get(&self, name: &str) -> Option<Role> {
        self.lock().get(name).filter(|_| name != PUBLIC).cloned()
    }

    /// Whether clients have to log in: as soon as one can.
    pub(crate) fn requires_login(&self) -> bool {
        self.lock().values().any(|role| role.login)
    }

    /// Changes the roles and keeps what they are then; an error changes nothing.
    ///
    /// # Errors
    /// Those of `change`, and 58030 when the file cannot be written.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut RoleMap) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let mut state = self.lock();
        let mut changed = state.clone();
        let value = change(&mut changed)?;
        if changed != *state {
            if let Some(path) = &self.path {
                file::write(path, &changed, &self.mock_secret)?;
            }
            *state = changed;
        }
        Ok(value)
    }

    /// What proves that a client is `user`. Somebody who does not exist, may not log in or has no
    /// password that counts gets one that nothing proves, so that nothing tells them apart.
    pub(crate) fn verifier(&self, user: &str) -> Verifier {
        let state = self.lock();
        let now = now_micros();
        let may_enter =
            |role: &&Role| role.login && role.valid_until_micros.is_none_or(|until| now < until);
        let known = state.get(user).filter(may_enter).and_then(|role| role.verifier.clone());
        // Made in each case, so that both take the same time.
        let mock = Verifier::mock(user, &self.mock_secret);
        known.unwrap_or(mock)
    }

    /// What `user` may do.
    ///
    /// # Errors
    /// SQLSTATE 28000 when there is no such role any more.
    pub(crate) fn privileges(&self, user: &str) -> Result<Privileges, SqlError> {
        let state = self.lock();
        if user == PUBLIC || !state.contains_key(user) {
            return Err(SqlError::Invalid {
                sqlstate: "28000",
                message: format!("role \"{user}\" does not exist"),
                hint: None,
                position: None,
            });
        }
        Ok(Privileges::of(&state, user))
    }

    /// Whether a role that may log in may also manage roles.
    pub(crate) fn has_admin(&self) -> bool {
        let state = self.lock();
        state.iter().any(|(name, role)| role.login && Privileges::of(&state, name).is_admin)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, RoleMap> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number for a new role.
pub(crate) fn next_oid(roles: &RoleMap) -> i32 {
    roles.values().map(|role| role.oid + 1).max().unwrap_or(0).max(FIRST_OID)
}

/// Whether the name is one of those that are always there.
pub(crate) fn is_ready_made(name: &str) -> bool {
    matches!(name, READER | OPERATOR | ADMIN | PUBLIC)
}

pub(crate) fn no_randomness(_: NoRandomness) -> SqlError {
    SqlError::Query {
        sqlstate: "58000",
        message: "the system gives no random numbers".into(),
        detail: None,
        hint: None,
    }
}

#[cfg(test)]
mod tests;
