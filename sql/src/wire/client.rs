//! A client: its socket, what waits to be sent to it, and what it has prepared and bound.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use futures::{SinkExt, StreamExt};
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::api::stmt::StoredStatement;
use pgwire::error::PgWireResult;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::RowDescription;
use pgwire::messages::response::{CommandComplete, TransactionStatus};
use pgwire::tokio::server::{MaybeTls, PgWireMessageServerCodec};
use tokio_util::codec::Framed;

use super::errors::statement_error;
use super::rows::{FULL_BYTES, Rows, Style};
use crate::{Prepared, SqlError};

/// A client's socket. What is put into it is sent when much has come together, and when the client
/// waits for it.
pub(super) type Client = Framed<MaybeTls, PgWireMessageServerCodec<Arc<Prepared>>>;

/// Bytes that a client which rests may keep for what it is sent next.
const KEPT_BYTES: usize = 16 << 10;

/// Puts a message to those that are to be sent.
pub(super) async fn say(client: &mut Client, message: PgWireBackendMessage) -> io::Result<()> {
    client.feed(message).await
}

/// Sends all that was said.
pub(super) async fn flush(client: &mut Client) -> io::Result<()> {
    SinkExt::<PgWireBackendMessage>::flush(client).await?;
    // Much was said, and what is said next is mostly little.
    if client.write_buffer_mut().capacity() > KEPT_BYTES {
        *client.write_buffer_mut() = BytesMut::new();
    }
    Ok(())
}

/// Says that a statement is done.
pub(super) async fn complete(client: &mut Client, tag: String) -> io::Result<()> {
    let complete = CommandComplete::new(tag);
    client.feed(PgWireBackendMessage::CommandComplete(complete)).await
}

/// Says what columns the rows will have.
pub(super) async fn describe(client: &mut Client, columns: &[FieldInfo]) -> io::Result<()> {
    let description = RowDescription::new(columns.iter().map(Into::into).collect());
    client.feed(PgWireBackendMessage::RowDescription(description)).await
}

/// What a client has prepared and bound, by name. What it named without a statement in it is `None`.
#[derive(Default)]
pub(super) struct Store {
    pub(super) statements: HashMap<String, Option<Arc<StoredStatement<Arc<Prepared>>>>>,
    pub(super) portals: HashMap<String, Option<Portal>>,
}

impl Store {
    /// Forgets a prepared statement, or all.
    pub(super) fn forget(&mut self, name: Option<&str>) {
        match name {
            Some(name) => drop(self.statements.remove(name)),
            None => self.statements.clear(),
        }
    }

    /// The portals of a transaction end with it, which it has done when there is none.
    pub(super) fn end_transaction(&mut self, status: TransactionStatus) {
        if matches!(status, TransactionStatus::Idle) {
            self.portals.clear();
        }
    }
}

/// A statement with its parameters.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) format: Format,
    pub(super) answer: Answer,
}

/// How far a portal has run.
pub(super) enum Answer {
    /// Not at all; these are the values of its parameters.
    Unasked(Vec<ScalarValue>),
    Rows(Box<Answering>),
    /// All rows were sent; this is their tag.
    Told(String),
    /// It cannot be run again: it failed, or it had an effect.
    Over,
}

/// Rows that are computed while they are sent.
pub(super) struct Answering {
    pub(super) tag: String,
    columns: Arc<Vec<FieldInfo>>,
    style: Style,
    batches: SendableRecordBatchStream,
    /// The batch that was reached.
    rows: Option<Rows>,
}

impl Answering {
    pub(super) fn new(
        columns: Arc<Vec<FieldInfo>>,
        style: Style,
        batches: SendableRecordBatchStream,
        tag: String,
    ) -> Self {
        Self { tag, columns, style, batches, rows: None }
    }

    pub(super) fn columns(&self) -> &[FieldInfo] {
        &self.columns
    }

    /// The batch that was reached, or the next one with rows; `None` at the end.
    pub(super) async fn rows(&mut self) -> PgWireResult<Option<&mut Rows>> {
        while self.rows.as_ref().is_none_or(Rows::is_done) {
            let Some(batch) = self.batches.next().await else { return Ok(None) };
            let batch = batch.map_err(|error| statement_error(&SqlError::from(error)))?;
            let rows = Rows::new(batch, &self.columns, &self.style);
            self.rows = Some(rows.map_err(|error| statement_error(&error))?);
        }
        Ok(self.rows.as_mut())
    }

    /// Sends up to `most` rows: how many there were, and whether those were all.
    pub(super) async fn send(
        &mut self,
        client: &mut Client,
        most: usize,
    ) -> PgWireResult<(usize, bool)> {
        let mut sent = 0;
        while sent < most {
            let Some(rows) = self.rows().await? else { return Ok((sent, true)) };
            sent += rows.write(client.write_buffer_mut(), most - sent)?;
            make_room(client).await?;
        }
        Ok((sent, false))
    }
}

/// Sends what was said if it is much.
pub(super) async fn make_room(client: &mut Client) -> io::Result<()> {
    if client.write_buffer_mut().len() >= FULL_BYTES {
        SinkExt::<PgWireBackendMessage>::flush(client).await?;
    }
    Ok(())
}
