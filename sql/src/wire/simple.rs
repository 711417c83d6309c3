//! The simple query protocol: a string of statements comes in, the answers go out one after the
//! other, up to the first error.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Sink, SinkExt, StreamExt};
use pgwire::api::portal::Format;
use pgwire::api::query::{SimpleQueryHandler, send_ready_for_query};
use pgwire::api::results::Response;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, PgWireConnectionState};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::RowDescription;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};
use pgwire::messages::simplequery::Query;

use super::connection::{Connection, cancel_handle};
use super::copy;
use super::errors::{notice_message, protocol_error, statement_error};
use super::rows::{columns, rows};
use crate::{Outcome, SqlError, Statement};

#[async_trait]
impl SimpleQueryHandler for Connection {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let parsed = {
            let mut session = self.session.lock().await;
            let parsed = session.parse(&query.query);
            if parsed.is_err() {
                session.fail();
            }
            parsed
        };
        let statements = parsed.map_err(|error| statement_error(&error))?;
        if statements.is_empty() {
            client
                .feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))
                .await?;
        }
        for statement in &statements {
            let handle = cancel_handle(client);
            self.unless_stopped(handle, self.answer(client, statement)).await?;
            self.settle(client).await?;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    async fn do_query<C>(&self, _client: &mut C, _query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(protocol_error("a query came by a way that does not stream"))
    }
}

impl Connection {
    /// Runs one statement and sends its answer.
    async fn answer<C>(&self, client: &mut C, statement: &Statement) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (outcome, style) = {
            let mut session = self.session.lock().await;
            let style = self.style(&session);
            let outcome = session.execute(statement).await;
            (outcome.map_err(|error| statement_error(&error))?, style)
        };
        match outcome {
            Outcome::Done { tag, notices } => {
                for notice in &notices {
                    client.feed(notice_message(notice)).await?;
                }
                complete(client, tag).await
            }
            Outcome::Copy { schema, batches, options } => {
                copy::send(client, &schema, batches, &options, &style).await
            }
            Outcome::Rows { schema, mut batches, tag } => {
                let columns = Arc::new(columns(&schema, &Format::UnifiedText, Some(&style))?);
                let description = RowDescription::new(columns.iter().map(Into::into).collect());
                client.feed(PgWireBackendMessage::RowDescription(description)).await?;
                let mut count = 0;
                while let Some(batch) = batches.next().await {
                    let batch = batch.map_err(|error| statement_error(&SqlError::from(error)))?;
                    let rows = rows(batch, &columns, &style);
                    for row in rows.map_err(|error| statement_error(&error))? {
                        client.feed(PgWireBackendMessage::DataRow(row?)).await?;
                        count += 1;
                    }
                }
                complete(client, Outcome::command_tag(&tag, count)).await
            }
        }
    }
}

/// Sends the command tag.
pub(super) async fn complete<C>(client: &mut C, tag: String) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin + Send,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    client.feed(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag))).await?;
    Ok(())
}
