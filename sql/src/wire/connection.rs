//! One connection: its session, and how a statement of it is stopped.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use pgwire::api::ClientInfo;
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{NotificationResponse, TransactionStatus as WireStatus};
use pgwire::messages::startup::ParameterStatus;

use super::Encryption;
use super::authentication::Trust;
use super::client::{Client, Store, say};
use super::errors::{fatal_error, polish, statement_error};
use super::limits::Failures;
use super::presence::Presence;
use super::rows::{Style, columns};
use crate::activity::Backend;
use crate::channels::{Mailbox, Notification};
use crate::{Database, Session, SqlError, TransactionStatus};

/// So long the statement of a session that is ended may take to notice it.
const ENDED_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// How the columns of the last answer were described.
    columns: Mutex<Option<Described>>,
}

/// Columns of an answer as the protocol describes them, and what that depends on.
#[derive(Debug)]
struct Described {
    schema: SchemaRef,
    format: Format,
    style: Style,
    columns: Arc<Vec<FieldInfo>>,
}

/// How a client may come in.
#[derive(Debug)]
pub(super) struct Admission {
    /// There are too many others already.
    pub(super) is_crowded: bool,
    pub(super) max_connections: usize,
    pub(super) trust: Trust,
    pub(super) encryption: Encryption,
    pub(super) failures: Arc<Failures>,
}

impl Connection {
    pub(super) fn new(database: &Arc<Database>, presence: Presence, admission: Admission) -> Self {
        let mut session = database.session();
        session.tell_max_connections(admission.max_connections);
        Self {
            backend: Arc::clone(session.backend()),
            mailbox: Arc::clone(session.mailbox()),
            session: tokio::sync::Mutex::new(session),
            admission,
            presence,
            told: Mutex::default(),
            style: Mutex::default(),
            columns: Mutex::default(),
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

    /// Waits for `work` unless somebody stops it.
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = PgWireResult<T>>,
    ) -> PgWireResult<T> {
        // What is done at once would be done before the end is noticed.
        if self.backend.is_terminated() {
            return Err(fatal_error(&SqlError::Stopping));
        }
        // It hears of every request from now on, before it is waited for. So what is done at once costs
        // no waiting.
        let canceled = self.backend.canceled();
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = canceled => Err(statement_error(&SqlError::Canceled)),
            () = self.backend.terminated() => Err(fatal_error(&SqlError::Stopping)),
        }
    }

    /// Returns when nobody waits for an answer any more: the client has gone, or the session was
    /// ended and its client has not been told so within [`ENDED_TIMEOUT`]. Who answers may hear of the end
    /// later than this.
    pub(super) async fn is_lost(&self) {
        let ended = async {
            self.backend.terminated().await;
            tokio::task::unconstrained(tokio::time::sleep(ENDED_TIMEOUT)).await;
        };
        tokio::select! {
            () = ended => {}
            () = self.presence.gone() => {}
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

    /// The columns of an answer; those of the last one for the same statement again.
    pub(super) fn columns(
        &self,
        schema: &SchemaRef,
        format: &Format,
        style: &Style,
    ) -> PgWireResult<Arc<Vec<FieldInfo>>> {
        let mut kept = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*kept
            && Arc::ptr_eq(&known.schema, schema)
            && known.style.is_same(style)
            && is_same(&known.format, format)
        {
            return Ok(Arc::clone(&known.columns));
        }
        let columns = Arc::new(columns(schema, format, Some(style))?);
        *kept = Some(Described {
            schema: Arc::clone(schema),
            format: format.clone(),
            style: style.clone(),
            columns: Arc::clone(&columns),
        });
        Ok(columns)
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
    pub(super) async fn settle(&self, client: &mut Client, store: &mut Store) -> PgWireResult<()> {
        let (news, deallocated, status) = {
            let mut session = self.session.lock().await;
            session.hear_functions();
            let mut news = self.news(&session);
            news.extend(session.take_notifications().map(notification));
            (news, session.take_deallocated(), session.transaction_status())
        };
        for name in deallocated {
            store.forget(name.as_deref());
        }
        for message in news {
            say(client, message).await?;
        }
        if !matches!(client.transaction_status(), WireStatus::Idle) {
            store.end_transaction(wire_status(status));
        }
        client.set_transaction_status(wire_status(status));
        Ok(())
    }

    /// Every error on its way to the client comes by here.
    pub(super) async fn fails(&self, error: &mut PgWireError) {
        polish(error);
        self.session.lock().await.fail();
    }

    /// Tells the client of settings that are as they were before what failed.
    pub(super) async fn tell_settings(&self, client: &mut Client) -> std::io::Result<()> {
        let news = {
            let session = self.session.lock().await;
            self.news(&session)
        };
        for message in news {
            say(client, message).await?;
        }
        Ok(())
    }
}

fn is_same(left: &Format, right: &Format) -> bool {
    match (left, right) {
        (Format::UnifiedText, Format::UnifiedText)
        | (Format::UnifiedBinary, Format::UnifiedBinary) => true,
        (Format::Individual(left), Format::Individual(right)) => left == right,
        _ => false,
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
