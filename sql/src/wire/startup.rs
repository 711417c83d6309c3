//! The first messages of a connection: who the client is, what it sets and what the server tells.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use pgwire::api::auth::save_startup_parameters_to_metadata;
use pgwire::api::{
    ClientInfo, PgWireConnectionState, PidSecretKeyGenerator, RandomPidSecretKeyGenerator,
};
use pgwire::error::PgWireResult;
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, Startup as StartupMessage,
};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion};

use super::Encryption;
use super::authentication::{Authenticator, Next};
use super::client::{Client, flush, say};
use super::connection::Connection;
use super::errors::{fatal_error, violation};
use crate::{Session, SqlError};

static KEYS: LazyLock<RandomPidSecretKeyGenerator> =
    LazyLock::new(RandomPidSecretKeyGenerator::default);

/// Startup. Any database name is welcome; there is one database.
pub(super) struct Startup {
    connection: Arc<Connection>,
    authenticator: Authenticator,
    /// What the client sets, for when it is let in.
    parameters: Mutex<BTreeMap<String, String>>,
}

impl Startup {
    pub(super) fn new(connection: &Arc<Connection>) -> Self {
        Self {
            connection: Arc::clone(connection),
            authenticator: Authenticator::default(),
            parameters: Mutex::default(),
        }
    }

    /// Answers a message of a client that is not let in yet.
    pub(super) async fn answer(
        &self,
        client: &mut Client,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()> {
        let next = match message {
            PgWireFrontendMessage::Startup(startup) => {
                negotiate(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                let admission = &self.connection.admission;
                if admission.is_crowded {
                    return Err(fatal_error(&SqlError::Invalid {
                        sqlstate: "53300",
                        message: "sorry, too many clients already".into(),
                        hint: None,
                        position: None,
                    }));
                }
                let is_remote = !client.socket_addr().ip().to_canonical().is_loopback();
                if admission.encryption == Encryption::RequiredBeyondLoopback
                    && is_remote
                    && !client.is_secure()
                {
                    return Err(fatal_error(&SqlError::Invalid {
                        sqlstate: "28000",
                        message: "clients on other machines have to use TLS".into(),
                        hint: Some("Connect with sslmode=require or stricter.".into()),
                        position: None,
                    }));
                }
                let user = startup.parameters.get("user").filter(|user| !user.is_empty());
                let user = user.cloned().ok_or_else(|| {
                    fatal_error(&SqlError::Invalid {
                        sqlstate: "28000",
                        message: "no user name specified in startup packet".into(),
                        hint: None,
                        position: None,
                    })
                })?;
                *self.parameters.lock().unwrap_or_else(PoisonError::into_inner) =
                    startup.parameters;
                let mut session = self.connection.session.lock().await;
                let address = client.socket_addr();
                let (trust, failures) = (admission.trust, &admission.failures);
                self.authenticator.begin(&mut session, &user, address, trust, failures)?
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => {
                let mut session = self.connection.session.lock().await;
                let failures = &self.connection.admission.failures;
                self.authenticator.answer(&mut session, message, client.socket_addr(), failures)?
            }
            _ => return Err(violation("a client that is not let in may only say who it is")),
        };
        match next {
            Next::Ask(question) => {
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                say(client, PgWireBackendMessage::Authentication(question)).await?;
                Ok(flush(client).await?)
            }
            Next::In(last) => {
                if let Some(last) = last {
                    say(client, PgWireBackendMessage::Authentication(last)).await?;
                }
                self.let_in(client).await
            }
        }
    }

    async fn let_in(&self, client: &mut Client) -> PgWireResult<()> {
        let parameters =
            std::mem::take(&mut *self.parameters.lock().unwrap_or_else(PoisonError::into_inner));
        let (_, key) = KEYS.generate(client);
        let (news, pid) = {
            let mut session = self.connection.session.lock().await;
            for (name, value) in &parameters {
                apply(&mut session, name, value).map_err(|error| fatal_error(&error))?;
            }
            session.backend().is_canceled_with(key.to_bytes());
            if client.is_secure() {
                session.backend().uses_tls();
            }
            (self.connection.news(&session), session.backend().pid())
        };
        client.set_pid_and_secret_key(pid, key.clone());
        say(client, PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
        for status in news {
            say(client, status).await?;
        }
        say(client, PgWireBackendMessage::BackendKeyData(BackendKeyData::new(pid, key))).await?;
        let ready = ReadyForQuery::new(TransactionStatus::Idle);
        say(client, PgWireBackendMessage::ReadyForQuery(ready)).await?;
        flush(client).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }
}

/// Tells a client that asks for more than protocol 3.0 has what it has not, as PostgreSQL 15 does: the
/// newest version, and the options of the protocol that are not known. The client goes on with 3.0 or
/// hangs up.
async fn negotiate(client: &mut Client, startup: &StartupMessage) -> PgWireResult<()> {
    /// 3 in the upper half and the minor version, 0, in the lower one.
    const NEWEST: i32 = 3 << 16;
    let is_of_protocol = |name: &&String| name.starts_with(PROTOCOL_OPTION);
    let unknown: Vec<String> = startup.parameters.keys().filter(is_of_protocol).cloned().collect();
    if startup.protocol_number_minor > 0 || !unknown.is_empty() {
        let answer = NegotiateProtocolVersion::new(NEWEST, unknown);
        say(client, PgWireBackendMessage::NegotiateProtocolVersion(answer)).await?;
    }
    client.set_protocol_version(ProtocolVersion::PROTOCOL3_0);
    Ok(())
}

/// What the names of the protocol's own options begin with.
const PROTOCOL_OPTION: &str = "_pq_.";

/// Applies a parameter of the startup message to the session.
fn apply(session: &mut Session, name: &str, value: &str) -> Result<(), SqlError> {
    match name {
        "user" | "database" | "replication" => Ok(()),
        // The client was told that they are not known.
        name if name.starts_with(PROTOCOL_OPTION) => Ok(()),
        "options" => {
            command_line_settings(value).try_for_each(|(name, value)| session.set(name, value))
        }
        name => session.set(name, value),
    }
}

/// The settings in `-c name=value --name=value …`.
fn command_line_settings(options: &str) -> impl Iterator<Item = (&str, &str)> {
    options.split_whitespace().filter_map(|word| {
        let word = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or(word);
        word.split_once('=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_in_three_spellings() {
        let settings: Vec<_> =
            command_line_settings("-c statement_timeout=5s -cTimeZone=UTC --work_mem=1MB")
                .collect();
        assert_eq!(
            settings,
            [("statement_timeout", "5s"), ("TimeZone", "UTC"), ("work_mem", "1MB")]
        );
    }
}
