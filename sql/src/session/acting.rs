//! `SET ROLE` and `SET SESSION AUTHORIZATION`: the session goes on with the rights of another role.
//!
//! Who the session is stands in its settings (`role`, `session_authorization`), which a rollback puts back;
//! what follows from it is worked out anew after each change.

use std::sync::Arc;

use super::classify::Scope;
use super::state::KnownState;
use super::{Outcome, Session};
use crate::access::{Access, denied};
use crate::{Notice, SqlError};

const ROLE: &str = "role";
const USER: &str = "session_authorization";

/// The value of `role` for whoever acts as oneself.
const NONE: &str = "none";

/// The name of whoever opens a session without a client, by which settings call them.
const OWNER: &str = "vigil";

fn named(user: String) -> String {
    if user.is_empty() { OWNER.to_owned() } else { user }
}

impl Session {
    /// `SET ROLE name`, and with `None` `SET ROLE NONE`.
    ///
    /// # Errors
    /// SQLSTATE 22023 for a role that there is not, 42501 for one that the user is no member of.
    pub(super) fn set_role(
        &mut self,
        name: Option<&str>,
        scope: Scope,
    ) -> Result<Outcome, SqlError> {
        if let Some(name) = name {
            self.exists(name)?;
            let user = self.user_access();
            // The owner of the process is what a superuser is.
            let is_member = match user.role() {
                None => true,
                Some(_) => user.privileges()?.roles.contains(name),
            };
            let is_own = self.fixed(USER).as_deref() == Some(name);
            if !is_member && !is_own {
                return Err(denied(format!("permission denied to set role \"{name}\""), None));
            }
        }
        if scope == Scope::Local {
            if self.transaction.is_alone() {
                let message = "SET LOCAL can only be used in transaction blocks";
                return Ok(Outcome::done("SET", [Notice::warning("25P01", message)]));
            }
            let before = self.fixed(ROLE).unwrap_or_else(|| NONE.to_owned());
            self.settings.role_before.get_or_insert(before);
        } else {
            self.settings.role_before = None;
        }
        self.settings.fix(ROLE, name.unwrap_or(NONE));
        self.follow_role();
        Ok(Outcome::done("SET", []))
    }

    /// `SET SESSION AUTHORIZATION name`, and with `None` `DEFAULT`.
    ///
    /// # Errors
    /// SQLSTATE 22023 for a role that there is not, 42501 for another one than the user's own, unless
    /// the owner of the process asks.
    pub(super) fn set_authorization(&mut self, name: Option<&str>) -> Result<Outcome, SqlError> {
        let login = self.login_name();
        let name = name.unwrap_or(&login).to_owned();
        if name != login {
            self.exists(&name)?;
            if self.login.role().is_some() {
                return Err(denied("permission denied to set session authorization".into(), None));
            }
        }
        self.settings.role_before = None;
        self.settings.fix(USER, &name);
        self.settings.fix(ROLE, NONE);
        self.follow_role();
        Ok(Outcome::done("SET", []))
    }

    /// The end of a block that was committed: `SET LOCAL ROLE` holds no longer.
    pub(super) fn leave_local_role(&mut self) {
        if let Some(before) = self.settings.role_before.take() {
            self.settings.fix(ROLE, &before);
        }
        self.follow_role();
    }

    /// Takes the rights that the settings speak of.
    pub(super) fn follow_role(&mut self) {
        let login = self.login_name();
        let user = self.fixed(USER).unwrap_or_else(|| login.clone());
        let role = self.fixed(ROLE).filter(|role| role != NONE);
        let acting = (user != login || role.is_some()).then(|| (user.clone(), role.clone()));
        if acting == self.acting {
            return;
        }
        // The owner of the process takes no other rights by their own name.
        let is_owner =
            |role: &String| user == login && *role == login && self.login.role().is_none();
        let access = match role.as_ref().filter(|role| !is_owner(role)) {
            Some(role) => Arc::new(Access::of_role(Arc::clone(self.database.roles()), role)),
            None => self.user_access(),
        };
        let is_admin = access.privileges().is_ok_and(|privileges| privileges.is_admin);
        self.settings.fix("is_superuser", if is_admin { "on" } else { "off" });
        match &acting {
            Some((user, role)) => self.backend.acts_as(user, role.as_ref().unwrap_or(user)),
            None => self.backend.acts_as_itself(),
        }
        self.acting = acting;
        self.access = access;
        self.known_state = KnownState::default();
    }

    /// What the session's user may, whatever role they have taken.
    fn user_access(&self) -> Arc<Access> {
        match self.fixed(USER) {
            Some(user) if user != self.login_name() => {
                Arc::new(Access::of_role(Arc::clone(self.database.roles()), &user))
            }
            _ => Arc::clone(&self.login),
        }
    }

    fn login_name(&self) -> String {
        named(self.backend.user())
    }

    fn fixed(&self, name: &str) -> Option<String> {
        self.settings.show(name).ok().map(|(_, value)| value)
    }

    fn exists(&self, name: &str) -> Result<(), SqlError> {
        if self.database.roles().get(name).is_some() || self.fixed(USER).as_deref() == Some(name) {
            return Ok(());
        }
        Err(SqlError::Invalid {
            sqlstate: "22023",
            message: format!("role \"{name}\" does not exist"),
            hint: None,
            position: None,
        })
    }
}
