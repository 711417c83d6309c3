//! The simple query protocol: a string of statements comes in, the answers go out one after the
//! other, up to the first error, which takes back what can be taken back of those before it.

use std::sync::Arc;

use pgwire::api::ClientInfo;
use pgwire::api::portal::Format;
use pgwire::error::PgWireResult;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{EmptyQueryResponse, ReadyForQuery};
use pgwire::messages::simplequery::Query;

use super::client::{Answering, Client, Store, complete, describe, flush, say};
use super::connection::Connection;
use super::copy;
use super::errors::{notice_message, statement_error};
use super::rows::columns;
use crate::{Outcome, SqlError, Statement, dialect};

/// Bytes of a string that is read on a thread of its own.
const LONG_BYTES: usize = 64 << 10;

impl Connection {
    /// Answers a string of statements.
    pub(super) async fn query(
        &self,
        client: &mut Client,
        store: &mut Store,
        query: Query,
    ) -> PgWireResult<()> {
        // A request to stop ends the string, also one that comes between two of its statements.
        self.unless_stopped(async {
            let statements = self.read(query.query).await?;
            if statements.is_empty() {
                let empty = EmptyQueryResponse::new();
                say(client, PgWireBackendMessage::EmptyQueryResponse(empty)).await?;
            }
            for (at, statement) in statements.iter().enumerate() {
                if at > 0 {
                    // Such requests are seen where something is waited for.
                    tokio::task::yield_now().await;
                }
                if statements.len() > 1 {
                    self.session.lock().await.joins_string();
                }
                self.answer(client, statement).await?;
                self.settle(client, store).await?;
            }
            if statements.len() > 1 {
                self.session.lock().await.keeps_string();
                self.settle(client, store).await?;
            }
            Ok(())
        })
        .await?;
        store.end_transaction(client.transaction_status());
        let ready = ReadyForQuery::new(client.transaction_status());
        say(client, PgWireBackendMessage::ReadyForQuery(ready)).await?;
        Ok(flush(client).await?)
    }

    /// The statements of a string.
    async fn read(&self, sql: String) -> PgWireResult<Vec<Statement>> {
        self.session.lock().await.begins(&sql);
        let parsed = if sql.len() < LONG_BYTES {
            dialect::parse(&sql)
        } else {
            // It takes a while, and others are served by the same threads.
            let parsing = tokio::task::spawn_blocking(move || dialect::parse(&sql));
            parsing
                .await
                .unwrap_or_else(|stopped| Err(SqlError::Panicked { detail: stopped.to_string() }))
        };
        if parsed.is_err() {
            self.session.lock().await.fail();
        }
        parsed.map_err(|error| statement_error(&error))
    }

    /// Runs one statement and sends its answer.
    async fn answer(&self, client: &mut Client, statement: &Statement) -> PgWireResult<()> {
        let (outcome, style) = {
            let mut session = self.session.lock().await;
            let outcome = session.execute(statement).await;
            (outcome.map_err(|error| statement_error(&error))?, self.style(&session))
        };
        match outcome {
            Outcome::Done { tag, notices } => {
                for notice in &notices {
                    say(client, notice_message(notice)).await?;
                }
                complete(client, tag).await?;
            }
            Outcome::Copy { schema, batches, options } => {
                copy::send(client, &schema, batches, &options, style).await?;
            }
            Outcome::Rows { schema, batches, tag } => {
                let format = Format::UnifiedText;
                let columns = Arc::new(columns(&schema, &format, Some(&style))?);
                let mut answering = Answering::new(columns, style, batches, tag);
                describe(client, answering.columns()).await?;
                let (sent, _) = answering.send(client, usize::MAX).await?;
                complete(client, Outcome::command_tag(&answering.tag, sent)).await?;
            }
        }
        Ok(())
    }
}
