//! The extended query protocol: statements are parsed once, bound to values and executed, all or
//! a number of rows at a time.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Sink, SinkExt, StreamExt, TryStreamExt};
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::ExtendedQueryHandler;
use pgwire::api::results::{FieldInfo, QueryResponse, Response};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::RowDescription;
use pgwire::messages::extendedquery::{
    Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended,
    TARGET_TYPE_BYTE_PORTAL,
};
use pgwire::messages::response::EmptyQueryResponse;

use super::connection::{Connection, cancel_handle};
use super::copy;
use super::errors::{notice_message, protocol_error, statement_error};
use super::parameters::{arrow_type, values, wire_types};
use super::rows::{columns, rows};
use super::simple::complete;
use crate::{Outcome, Prepared, SqlError};

/// Rows that are fetched from a suspended portal at a time, when the client wants all.
const ROWS_AT_A_TIME: usize = 1024;

/// The extended protocol of a connection.
pub(super) struct Extended {
    pub(super) connection: Arc<Connection>,
}

#[async_trait]
impl QueryParser for Connection {
    type Statement = Arc<Prepared>;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Self::Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let declared: Vec<_> =
            types.iter().map(|declared| declared.as_ref().and_then(arrow_type)).collect();
        let mut session = self.session.lock().await;
        let prepared = match session.parse(sql) {
            Ok(statements) => match statements.as_slice() {
                [] => return Ok(None),
                [statement] => session.prepare(statement, &declared).await,
                _ => Err(SqlError::Invalid {
                    sqlstate: "42601",
                    message: "cannot insert multiple commands into a prepared statement".into(),
                    hint: None,
                    position: None,
                }),
            },
            Err(error) => Err(error),
        };
        prepared.map(|prepared| Some(Arc::new(prepared))).map_err(|error| {
            session.fail();
            statement_error(&error)
        })
    }

    fn get_parameter_types(&self, statement: &Self::Statement) -> PgWireResult<Vec<Type>> {
        wire_types(statement)
    }

    fn get_result_schema(
        &self,
        statement: &Self::Statement,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match statement.schema() {
            Some(schema) => columns(schema, format.unwrap_or(&Format::UnifiedText), None),
            None => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl ExtendedQueryHandler for Extended {
    type Statement = Arc<Prepared>;
    type QueryParser = Connection;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        Arc::clone(&self.connection)
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        if name != DEFAULT_NAME && client.portal_store().get_statement(&name).is_some() {
            return Err(statement_error(&SqlError::Invalid {
                sqlstate: "42P05",
                message: format!("prepared statement \"{name}\" already exists"),
                hint: None,
                position: None,
            }));
        }
        let parsing = StoredStatement::parse(client, &message, self.query_parser());
        let parsed = self.connection.unless_stopped(cancel_handle(client), parsing).await?;
        match parsed {
            Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
            None => client.portal_store().put_empty_statement(&name),
        }
        self.connection.remember(&name).await;
        client.feed(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        if message.target_type == TARGET_TYPE_BYTE_PORTAL {
            client.portal_store().rm_portal(name);
        } else {
            client.portal_store().rm_statement(name);
            self.connection.close_statement(name).await;
        }
        client.feed(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // A cursor of DECLARE is a portal too.
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        if message.target_type == TARGET_TYPE_BYTE_PORTAL
            && client.portal_store().get_portal(name).is_none()
            && let Some(schema) = self.connection.session.lock().await.cursor_schema(name)
        {
            let columns = columns(&schema, &Format::UnifiedText, None)?;
            let description = RowDescription::new(columns.iter().map(Into::into).collect());
            client.feed(PgWireBackendMessage::RowDescription(description)).await?;
            return Ok(());
        }
        self._on_describe(client, message).await
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
                client.feed(empty).await?;
                return Ok(());
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        client.set_state(PgWireConnectionState::QueryInProgress);
        let max_rows = usize::try_from(message.max_rows).unwrap_or(0);
        let handle = cancel_handle(client);
        self.connection.unless_stopped(handle, self.answer(client, &portal, max_rows)).await?;
        self.connection.settle(client).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn do_query<C>(
        &self,
        _client: &mut C,
        _portal: &Portal<Self::Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(protocol_error("a query came by a way that does not stream"))
    }
}

impl Extended {
    /// Runs a portal, or goes on with it, and sends up to `max_rows` rows; 0 is all.
    async fn answer<C>(
        &self,
        client: &mut C,
        portal: &Portal<Arc<Prepared>>,
        max_rows: usize,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let is_new = matches!(*portal.state().lock().await, PortalExecutionState::Initial);
        if is_new {
            let Some(response) = self.begin(client, portal).await? else { return Ok(()) };
            portal.start(response).await;
        }
        let mut count = 0;
        loop {
            let at_a_time = if max_rows == 0 { ROWS_AT_A_TIME } else { max_rows };
            let mut fetched = portal.fetch(at_a_time).await?;
            let tag = fetched.response.command_tag().to_owned();
            while let Some(row) = fetched.response.data_rows().next().await {
                client.feed(PgWireBackendMessage::DataRow(row?)).await?;
                count += 1;
            }
            if !fetched.suspended {
                return complete(client, Outcome::command_tag(&tag, count)).await;
            }
            if max_rows > 0 {
                let suspended = PgWireBackendMessage::PortalSuspended(PortalSuspended::new());
                client.feed(suspended).await?;
                return Ok(());
            }
        }
    }

    /// Starts the statement; `None` when it has no rows and its answer is sent.
    async fn begin<C>(
        &self,
        client: &mut C,
        portal: &Portal<Arc<Prepared>>,
    ) -> PgWireResult<Option<QueryResponse>>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let values = values(portal, prepared)?;
        let (outcome, style) = {
            let mut session = self.connection.session.lock().await;
            let style = self.connection.style(&session);
            let outcome = session.execute_prepared(prepared, values).await;
            (outcome.map_err(|error| statement_error(&error))?, style)
        };
        match outcome {
            Outcome::Done { tag, notices } => {
                for notice in &notices {
                    client.feed(notice_message(notice)).await?;
                }
                complete(client, tag).await?;
                Ok(None)
            }
            Outcome::Copy { schema, batches, options } => {
                copy::send(client, &schema, batches, &options, &style).await?;
                Ok(None)
            }
            Outcome::Rows { schema, batches, tag } => {
                let format = &portal.result_column_format;
                let columns = Arc::new(columns(&schema, format, Some(&style))?);
                let row_schema = Arc::clone(&columns);
                let rows = batches
                    .map_err(|error| statement_error(&SqlError::from(error)))
                    .and_then(move |batch| {
                        let rows = rows(batch, &columns, &style);
                        let rows = rows.map_err(|error| statement_error(&error));
                        std::future::ready(rows.map(futures::stream::iter))
                    })
                    .try_flatten();
                let mut response = QueryResponse::new(row_schema, rows);
                response.set_command_tag(&tag);
                Ok(Some(response))
            }
        }
    }
}
