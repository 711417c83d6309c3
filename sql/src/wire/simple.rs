//! The simple query protocol: a string of statements comes in, the answers go out one after the
//! other, up to the first error.

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
use crate::{Outcome, Statement};

impl Connection {
    /// Answers a string of statements.
    pub(super) async fn query(
        &self,
        client: &mut Client,
        store: &mut Store,
        query: Query,
    ) -> PgWireResult<()> {
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
            say(client, PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))
                .await?;
        }
        for statement in &statements {
            self.unless_stopped(self.answer(client, statement)).await?;
            self.settle(client, store).await?;
        }
        store.end_transaction(client.transaction_status());
        let ready = ReadyForQuery::new(client.transaction_status());
        say(client, PgWireBackendMessage::ReadyForQuery(ready)).await?;
        Ok(flush(client).await?)
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
                let mut answering = Answering::new(&schema, &format, style, batches, tag)?;
                describe(client, answering.columns()).await?;
                let (sent, _) = answering.send(client, usize::MAX).await?;
                complete(client, Outcome::command_tag(&answering.tag, sent)).await?;
            }
        }
        Ok(())
    }
}
