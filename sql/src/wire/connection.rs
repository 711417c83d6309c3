//! One connection: its session, and how a statement of it is stopped.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Sink, SinkExt};
use pgwire::api::auth::StartupHandler;
use pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::store::PortalStore;
use pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionHandle, ConnectionManager, ErrorHandler,
    PgWireServerHandlers,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{NotificationResponse, TransactionStatus as WireStatus};
use pgwire::messages::startup::ParameterStatus;

use super::Encryption;
use super::authentication::{Authenticator, Trust};
use super::errors::{fatal_error, polish, statement_error};
use super::extended::Extended;
use super::limits::Failures;
use super::presence::Presence;
use super::rows::Style;
use super::startup::Startup;
use crate::activity::Backend;
use crate::channels::{Mailbox, Notification};
use crate::{Database, Session, SqlError, TransactionStatus};

/// A connection's part of Vigil.
#[derive(Debug)]
pub(super) struct Connection {
    /// Held while a statement begins, never while its rows are read.
    pub(super) session: tokio::sync::Mutex<Session>,
    /// The same session as others see it.
    backend: Arc<Backend>,
    /// How the client may come in.
    pub(super) admission: Admission,
    presence: Presence,
    mailbox: Arc<Mailbox>,
    /// The settings that the client knows, and their generation.
    told: Mutex<(Option<u64>, HashMap<&'static str, String>)>,
    /// How values are written, with the settings of a generation.
    style: Mutex<Option<(u64, Style)>>,
    /// Names of the prepared statements; pgwire's store cannot list them.
    statements: Mutex<BTreeSet<String>>,
}

/// How a client may come in.
#[derive(Debug)]
pub(super) struct Admission {
    /// There are too many others already.
    pub(super) is_crowded: bool,
    pub(super) trust: Trust,
    pub(super) encryption: Encryption,
    pub(super) failures: Arc<Failures>,
}

impl Connection {
    pub(super) fn new(database: &Arc<Database>, presence: Presence, admission: Admission) -> Self {
        let session = database.session();
        Self {
            backend: Arc::clone(session.backend()),
            mailbox: Arc::clone(session.mailbox()),
            session: tokio::sync::Mutex::new(session),
            admission,
            presence,
            told: Mutex::default(),
            style: Mutex::default(),
            statements: Mutex::default(),
        }
    }

    /// Returns when the connection has to end while its client says nothing, and why.
    pub(super) async fn ends_while_idle(&self) -> PgWireError {
        let timeout = self.session.lock().await.idle_timeout();
        let idle = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.backend.terminated() => fatal_error(&SqlError::Stopping),
            () = idle => fatal_error(&SqlError::Invalid {
                sqlstate: "25P03",
                message: "terminating connection due to idle-in-transaction timeout".into(),
                hint: None,
                position: None,
            }),
        }
    }

    /// A message of the client has been answered.
    pub(super) async fn rests(&self) {
        let status = self.session.lock().await.transaction_status();
        self.backend.rests(status);
    }

    /// Waits for `work` unless somebody stops it or the client goes away.
    pub(super) async fn unless_stopped<T>(
        &self,
        handle: Option<Arc<ConnectionHandle>>,
        work: impl Future<Output = PgWireResult<T>>,
    ) -> PgWireResult<T> {
        let canceled = async {
            match handle {
                Some(handle) => {
                    let request = handle.start_query().await;
                    // A sender that is dropped without a word has canceled nothing.
                    if request.await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = canceled => Err(statement_error(&SqlError::Canceled)),
            () = self.backend.canceled() => Err(statement_error(&SqlError::Canceled)),
            () = self.backend.terminated() => Err(fatal_error(&SqlError::Stopping)),
            outcome = work => outcome,
            () = self.presence.gone() => {
                Err(PgWireError::IoError(std::io::ErrorKind::ConnectionAborted.into()))
            }
        }
    }

    /// Returns when another session has said something to this one.
    pub(super) async fn is_told(&self) {
        self.mailbox.came().await;
    }

    /// What others have said, unless the client is in a transaction block: then it hears of it with
    /// its next answer.
    pub(super) async fn heard(&self) -> Vec<PgWireBackendMessage> {
        let session = self.session.lock().await;
        match session.transaction_status() {
            TransactionStatus::Idle => session.take_notifications().map(notification).collect(),
            TransactionStatus::InBlock | TransactionStatus::Failed => Vec::new(),
        }
    }

    /// Forgets a prepared statement's name, which the client has closed.
    pub(super) async fn close_statement(&self, name: &str) {
        self.session.lock().await.closes_statement(name);
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Notes a prepared statement's name.
    pub(super) async fn remember(&self, name: &str) {
        self.session.lock().await.names_statement(name);
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    /// How the session's values are written.
    pub(super) fn style(&self, session: &Session) -> Style {
        let generation = session.settings_generation();
        let mut kept = self.style.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((known, style)) if *known == generation => style.clone(),
            _ => {
                let style = Style::of(session);
                *kept = Some((generation, style.clone()));
                style
            }
        }
    }

    /// The parameters of the server that the client does not know yet.
    pub(super) fn news(&self, session: &Session) -> Vec<PgWireBackendMessage> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (generation, told) = &mut *told;
        let mut news = Vec::new();
        if generation.replace(session.settings_generation()) == Some(session.settings_generation())
        {
            return news;
        }
        for (name, value) in session.reported_settings() {
            if told.get(name) != Some(&value) {
                told.insert(name, value.clone());
                let status = ParameterStatus::new(name.to_owned(), value);
                news.push(PgWireBackendMessage::ParameterStatus(status));
            }
        }
        news
    }

    /// Brings the client up to date after a statement: changed settings, forgotten prepared
    /// statements, the state of the transaction block.
    pub(super) async fn settle<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (news, deallocated, status) = {
            let mut session = self.session.lock().await;
            let mut news = self.news(&session);
            news.extend(session.take_notifications().map(notification));
            (news, session.take_deallocated(), session.transaction_status())
        };
        for name in deallocated {
            self.forget(client.portal_store(), name.as_deref());
        }
        for message in news {
            client.feed(message).await?;
        }
        client.set_transaction_status(wire_status(status));
        Ok(())
    }

    fn forget(&self, store: &impl PortalStore, name: Option<&str>) {
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        match name {
            Some(name) => {
                statements.remove(name);
                store.rm_statement(name);
            }
            None => {
                for name in std::mem::take(&mut *statements) {
                    store.rm_statement(&name);
                }
            }
        }
    }
}

fn notification(notification: Notification) -> PgWireBackendMessage {
    let Notification { sender, channel, payload } = notification;
    PgWireBackendMessage::NotificationResponse(NotificationResponse::new(sender, channel, payload))
}

/// The byte that `ReadyForQuery` carries.
pub(super) fn wire_status(status: TransactionStatus) -> WireStatus {
    match status {
        TransactionStatus::Idle => WireStatus::Idle,
        TransactionStatus::InBlock => WireStatus::Transaction,
        TransactionStatus::Failed => WireStatus::Error,
    }
}

/// What cancels this client's statements.
pub(super) fn cancel_handle<C: ClientInfo>(client: &C) -> Option<Arc<ConnectionHandle>> {
    let handle = client.session_extensions().get::<Arc<ConnectionHandle>>()?;
    Some(Arc::clone(&handle))
}

/// pgwire's view of a connection.
pub(super) struct Handlers {
    connection: Arc<Connection>,
    cancels: Arc<ConnectionManager>,
}

impl Handlers {
    pub(super) fn new(connection: Arc<Connection>, cancels: Arc<ConnectionManager>) -> Self {
        Self { connection, cancels }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.connection)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(Extended { connection: Arc::clone(&self.connection) })
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::new(Startup {
            connection: Arc::clone(&self.connection),
            cancels: Arc::clone(&self.cancels),
            authenticator: Authenticator::default(),
            parameters: Mutex::default(),
        })
    }

    fn error_handler(&self) -> Arc<impl ErrorHandler> {
        Arc::clone(&self.connection)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::new(DefaultCancelHandler::new(Arc::clone(&self.cancels)))
    }
}

impl ErrorHandler for Connection {
    /// Every error on its way to the client comes by here.
    fn on_error<C: ClientInfo>(&self, _client: &C, error: &mut PgWireError) {
        polish(error);
        // The statement that failed is over, so nobody holds the session.
        if let Ok(mut session) = self.session.try_lock() {
            session.fail();
        }
    }
}
