//! The first messages of a connection: what the client sets and what the server tells.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use pgwire::api::auth::{
    StartupHandler, protocol_negotiation, save_startup_parameters_to_metadata,
};
use pgwire::api::{
    ClientInfo, ConnectionGuard, ConnectionHandle, ConnectionManager, PgWireConnectionState,
    PidSecretKeyGenerator, RandomPidSecretKeyGenerator,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::connection::Connection;
use super::errors::fatal_error;
use crate::{Session, SqlError};

static KEYS: LazyLock<RandomPidSecretKeyGenerator> =
    LazyLock::new(RandomPidSecretKeyGenerator::default);

/// Startup without authentication. Any user and any database name are welcome; there is one
/// database.
pub(super) struct Startup {
    pub(super) connection: Arc<Connection>,
    pub(super) cancels: Arc<ConnectionManager>,
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let PgWireFrontendMessage::Startup(startup) = &message else { return Ok(()) };
        protocol_negotiation(client, startup).await?;
        save_startup_parameters_to_metadata(client, startup);
        let news = {
            let mut session = self.connection.session.lock().await;
            for (name, value) in &startup.parameters {
                apply(&mut session, name, value).map_err(|error| fatal_error(&error))?;
            }
            self.connection.news(&session)
        };

        let (pid, key) = KEYS.generate(client);
        client.set_pid_and_secret_key(pid, key.clone());
        self.connection.session.lock().await.set_backend(pid);
        let (handle, guard) = self.cancels.register(pid, key.clone());
        client.session_extensions().insert::<Arc<ConnectionHandle>>(handle);
        client.session_extensions().insert::<ConnectionGuard>(guard);

        client.feed(PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
        for status in news {
            client.feed(status).await?;
        }
        client.feed(PgWireBackendMessage::BackendKeyData(BackendKeyData::new(pid, key))).await?;
        let ready = ReadyForQuery::new(TransactionStatus::Idle);
        client.send(PgWireBackendMessage::ReadyForQuery(ready)).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }
}

/// Applies a parameter of the startup message to the session.
fn apply(session: &mut Session, name: &str, value: &str) -> Result<(), SqlError> {
    match name {
        "user" => session.set("session_authorization", value),
        "database" | "replication" => Ok(()),
        // Options of the protocol itself; the ones that are not known are to be ignored.
        name if name.starts_with("_pq_.") => Ok(()),
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
