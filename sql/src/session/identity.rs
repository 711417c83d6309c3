//! Whose session it is, and what follows from that for its statements.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Session;
use super::state::KnownState;
use super::undo::Change;
use crate::SqlError;
use crate::access::{Access, VisibleEngine, denied};
use crate::activity::Backend;
use crate::roles::scram::Verifier;
use crate::statement::{Answer, Context, OwnStatement};

impl Session {
    /// Makes it the session of `user`, who is trusted with everything.
    pub(crate) fn trust(&mut self, user: &str, address: Option<SocketAddr>) {
        self.become_user(user, Access::of_owner(Arc::clone(self.database.roles())), address);
    }

    /// Makes it the session of the role `user`, who has proved to be that.
    ///
    /// # Errors
    /// SQLSTATE 28000 when the role was dropped meanwhile or may not log in, 53300 when it has too
    /// many sessions.
    pub(crate) fn log_in(
        &mut self,
        user: &str,
        address: Option<SocketAddr>,
    ) -> Result<(), SqlError> {
        let roles = self.database.roles();
        let role = roles.get(user).filter(|role| role.login).ok_or_else(|| SqlError::Invalid {
            sqlstate: "28000",
            message: format!("role \"{user}\" is not permitted to log in"),
            hint: None,
            position: None,
        })?;
        let access = Access::of_role(Arc::clone(roles), user);
        self.become_user(user, access, address);
        if let Some(limit) = role.connection_limit {
            let backends = self.database.activity().all();
            let of_user = |backend: &&Arc<Backend>| backend.logged_in_as().as_deref() == Some(user);
            // This one is among them.
            if backends.iter().filter(of_user).count() > limit as usize {
                return Err(SqlError::Invalid {
                    sqlstate: "53300",
                    message: format!("too many connections for role \"{user}\""),
                    hint: None,
                    position: None,
                });
            }
        }
        Ok(())
    }

    fn become_user(&mut self, user: &str, access: Access, address: Option<SocketAddr>) {
        let is_admin = access.privileges().is_ok_and(|privileges| privileges.is_admin);
        self.backend.belongs_to(user, access.role(), address);
        self.settings.fix("session_authorization", user);
        self.settings.fix("is_superuser", if is_admin { "on" } else { "off" });
        self.access = Arc::new(access);
        self.login = Arc::clone(&self.access);
        self.acting = None;
        self.known_state = KnownState::default();
    }

    /// The most connections that the server takes at once, for `SHOW`.
    pub(crate) fn tell_max_connections(&mut self, connections: usize) {
        self.settings.fix("max_connections", &connections.to_string());
    }

    /// What proves that a client is `user`.
    pub(crate) fn verifier(&self, user: &str) -> Verifier {
        self.database.roles().verifier(user)
    }

    /// Whether clients have to prove who they are.
    pub(crate) fn requires_login(&self) -> bool {
        self.database.roles().requires_login()
    }

    /// This session as others see it.
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// How long the client may do nothing now; `None` is for ever.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        match self.transaction_status() {
            crate::TransactionStatus::Idle => None,
            crate::TransactionStatus::InBlock | crate::TransactionStatus::Failed => {
                self.settings.idle_in_transaction_timeout()
            }
        }
    }

    /// The work of a statement of ours, which tells what `ROLLBACK` takes back of it.
    ///
    /// # Errors
    /// SQLSTATE 42501 when it tells of sources and the session may see nothing.
    pub(super) fn own_work(
        &self,
        statement: &Arc<dyn OwnStatement>,
    ) -> Result<impl Future<Output = Result<(Answer, Change), SqlError>> + Send + use<>, SqlError>
    {
        if statement.tells() && !self.access.privileges()?.may_read_something() {
            let hint = "A member of vigil_admin can GRANT sources or vigil_reader.";
            return Err(denied("permission denied for sources".into(), Some(hint)));
        }
        let (statement, access) = (Arc::clone(statement), Arc::clone(&self.access));
        let (roles, activity) =
            (Arc::clone(self.database.roles()), Arc::clone(self.database.activity()));
        let comments = Arc::clone(self.database.comments());
        let (views, session) = (Arc::clone(self.database.views()), self.backend.pid());
        let engine =
            VisibleEngine::new(Arc::clone(self.database.engine()), Arc::clone(&self.access));
        Ok(async move {
            let change = Mutex::new(Change::default());
            let context = Context {
                engine: &engine,
                access: &access,
                roles: &roles,
                activity: &activity,
                comments: &comments,
                views: &views,
                session,
                change: &change,
            };
            let answer = statement.run(&context).await?;
            Ok((answer, change.into_inner().unwrap_or_else(PoisonError::into_inner)))
        })
    }
}
