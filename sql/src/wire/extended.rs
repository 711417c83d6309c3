//! The extended query protocol: statements are parsed once, bound to values and executed, all or
//! a number of rows at a time. Nothing is sent before the client asks for it with `Sync` or `Flush`.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_postgres::arrow_pg::datatypes::PG_VECTOR_TYPE_OID;
use pgwire::api::portal::{Format, Portal as Bound};
use pgwire::api::stmt::StoredStatement;
use pgwire::api::{ClientInfo, DEFAULT_NAME, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
    PortalSuspended, TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::{EmptyQueryResponse, ReadyForQuery};

use super::client::{Answer, Answering, Client, Portal, Store, complete, describe, flush, say};
use super::connection::Connection;
use super::copy;
use super::errors::{notice_message, protocol_error, statement_error};
use super::parameters::{arrow_type, declared_type, form, values, wire_types};
use super::rows::columns;
use crate::dialect::VECTOR;
use crate::{Outcome, Prepared, SqlError};

impl Connection {
    /// Prepares a statement.
    pub(super) async fn parse(
        &self,
        client: &mut Client,
        store: &mut Store,
        message: Parse,
    ) -> PgWireResult<()> {
        let name = message.name.unwrap_or_else(|| DEFAULT_NAME.to_owned());
        if name != DEFAULT_NAME && store.statements.contains_key(&name) {
            return Err(invalid("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        let types: Vec<_> = message.type_oids.iter().map(|oid| declared_type(*oid)).collect();
        let prepared =
            self.unless_stopped(self.prepare(&message.query, &types, &message.type_oids)).await?;
        if name != DEFAULT_NAME
            && let Some(prepared) = &prepared
        {
            self.session.lock().await.names_statement(&name, prepared);
        }
        let statement = prepared.map(|prepared| {
            Arc::new(StoredStatement::new(name.clone(), Arc::new(prepared), types))
        });
        store.statements.insert(name, statement);
        say(client, PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    /// The statement in `sql`; `None` when there is none.
    async fn prepare(
        &self,
        sql: &str,
        types: &[Option<Type>],
        oids: &[u32],
    ) -> PgWireResult<Option<Prepared>> {
        let declared: Vec<_> =
            types.iter().map(|declared| declared.as_ref().and_then(arrow_type)).collect();
        let mut session = self.session.lock().await;
        session.begins(sql);
        let prepared = match session.parse(sql) {
            Ok(mut statements) => match statements.as_mut_slice() {
                [] => return Ok(None),
                [statement] => {
                    let form = |(kind, oid): (&Option<Type>, &u32)| match *oid {
                        PG_VECTOR_TYPE_OID => Some(VECTOR),
                        _ => form(kind.as_ref()?),
                    };
                    let forms: Vec<_> = types.iter().zip(oids).map(form).collect();
                    statement.declare_forms(&forms);
                    session.prepare(statement, &declared).await
                }
                _ => Err(SqlError::Invalid {
                    sqlstate: "42601",
                    message: "cannot insert multiple commands into a prepared statement".into(),
                    hint: None,
                    position: None,
                }),
            },
            Err(error) => Err(error),
        };
        prepared.map(Some).map_err(|error| {
            session.fail();
            statement_error(&error)
        })
    }

    /// Gives a prepared statement its parameters.
    pub(super) async fn bind(
        &self,
        client: &mut Client,
        store: &mut Store,
        message: Bind,
    ) -> PgWireResult<()> {
        let statement = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let name = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        let Some(statement) = store.statements.get(statement).cloned() else {
            return Err(PgWireError::StatementNotFound(statement.to_owned()));
        };
        if name != DEFAULT_NAME && store.portals.contains_key(name) {
            return Err(invalid("42P03", format!("cursor \"{name}\" already exists")));
        }
        check_formats(&message)?;
        let portal = match statement {
            Some(statement) => {
                let prepared = Arc::clone(&statement.statement);
                let bound = Bound::try_new(&message, statement)?;
                let values = values(&bound, &prepared)?;
                let format = bound.result_column_format;
                if let (Format::Individual(_), Some(schema)) = (&format, prepared.schema()) {
                    columns(schema, &format, None)?;
                }
                Some(Portal { prepared, format, answer: Answer::Unasked(values) })
            }
            None if message.parameters.is_empty() => None,
            None => {
                return Err(protocol_error(format!(
                    "bind message supplies {} parameters, but prepared statement requires 0",
                    message.parameters.len(),
                )));
            }
        };
        store.portals.insert(name.to_owned(), portal);
        say(client, PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    /// Forgets a prepared statement or a portal.
    pub(super) async fn close(
        &self,
        client: &mut Client,
        store: &mut Store,
        message: Close,
    ) -> PgWireResult<()> {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match message.target_type {
            TARGET_TYPE_BYTE_PORTAL => drop(store.portals.remove(name)),
            TARGET_TYPE_BYTE_STATEMENT => {
                store.forget(Some(name));
                self.session.lock().await.closes_statement(name);
            }
            other => return Err(PgWireError::InvalidTargetType(other)),
        }
        say(client, PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    /// Tells the types of parameters and columns.
    pub(super) async fn describe(
        &self,
        client: &mut Client,
        store: &mut Store,
        message: Describe,
    ) -> PgWireResult<()> {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match message.target_type {
            TARGET_TYPE_BYTE_STATEMENT => match store.statements.get(name) {
                Some(Some(statement)) => {
                    let prepared = &statement.statement;
                    let mut types = wire_types(prepared)?;
                    // What the client has declared is told again.
                    types.resize(types.len().max(statement.parameter_types.len()), Type::UNKNOWN);
                    for (told, declared) in types.iter_mut().zip(&statement.parameter_types) {
                        if let Some(declared) = declared {
                            *told = declared.clone();
                        }
                    }
                    parameters(client, types.iter().map(Type::oid).collect()).await?;
                    schema(client, prepared.schema(), &Format::UnifiedText).await
                }
                Some(None) => {
                    parameters(client, Vec::new()).await?;
                    schema(client, None, &Format::UnifiedText).await
                }
                None => Err(PgWireError::StatementNotFound(name.to_owned())),
            },
            TARGET_TYPE_BYTE_PORTAL => {
                let of_portal = |portal: &Option<Portal>| match portal {
                    Some(portal) => (portal.prepared.schema().cloned(), portal.format.clone()),
                    None => (None, Format::UnifiedText),
                };
                let described = store.portals.get(name).map(of_portal);
                let described = match described {
                    // A cursor of DECLARE is a portal too.
                    None => {
                        let cursor = self.session.lock().await.cursor_schema(name);
                        cursor.map(|cursor| (Some(cursor), Format::UnifiedText))
                    }
                    described => described,
                };
                match described {
                    Some((columns, format)) => schema(client, columns.as_ref(), &format).await,
                    None => Err(PgWireError::PortalNotFound(name.to_owned())),
                }
            }
            other => Err(PgWireError::InvalidTargetType(other)),
        }
    }

    /// Runs a portal, or goes on with it.
    pub(super) async fn execute(
        &self,
        client: &mut Client,
        store: &mut Store,
        message: Execute,
    ) -> PgWireResult<()> {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match store.portals.get_mut(name) {
            Some(Some(portal)) => {
                let most = match usize::try_from(message.max_rows) {
                    Ok(0) | Err(_) => usize::MAX,
                    Ok(most) => most,
                };
                self.unless_stopped(self.go_on(client, portal, most)).await?;
                self.settle(client, store).await
            }
            Some(None) => {
                let empty = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
                Ok(say(client, empty).await?)
            }
            None => Err(PgWireError::PortalNotFound(name.to_owned())),
        }
    }

    /// Runs a portal, or goes on with it, and sends up to `most` rows.
    async fn go_on(
        &self,
        client: &mut Client,
        portal: &mut Portal,
        most: usize,
    ) -> PgWireResult<()> {
        // What is stopped on the way does not go on.
        let mut answering = match std::mem::replace(&mut portal.answer, Answer::Over) {
            Answer::Rows(answering) => answering,
            Answer::Unasked(values) => {
                let (outcome, style) = {
                    let mut session = self.session.lock().await;
                    let outcome = session.execute_prepared(&portal.prepared, values).await;
                    (outcome.map_err(|error| statement_error(&error))?, self.style(&session))
                };
                match outcome {
                    Outcome::Done { tag, notices } => {
                        for notice in &notices {
                            say(client, notice_message(notice)).await?;
                        }
                        return Ok(complete(client, tag).await?);
                    }
                    Outcome::Copy { schema, batches, options } => {
                        return copy::send(client, &schema, batches, &options, style).await;
                    }
                    Outcome::Rows { schema, batches, tag } => {
                        let columns = self.columns(&schema, &portal.format, &style)?;
                        Box::new(Answering::new(columns, style, batches, tag))
                    }
                }
            }
            Answer::Told(tag) => {
                complete(client, Outcome::command_tag(&tag, 0)).await?;
                portal.answer = Answer::Told(tag);
                return Ok(());
            }
            Answer::Over => return Err(invalid("55000", "the portal cannot be run".into())),
        };
        let (sent, is_all) = answering.send(client, most).await?;
        if is_all {
            complete(client, Outcome::command_tag(&answering.tag, sent)).await?;
            portal.answer = Answer::Told(answering.tag);
            return Ok(());
        }
        portal.answer = Answer::Rows(answering);
        let suspended = PgWireBackendMessage::PortalSuspended(PortalSuspended::new());
        Ok(say(client, suspended).await?)
    }

    /// The client waits for all that was said.
    pub(super) async fn sync(&self, client: &mut Client, store: &mut Store) -> PgWireResult<()> {
        store.end_transaction(client.transaction_status());
        let ready = ReadyForQuery::new(client.transaction_status());
        say(client, PgWireBackendMessage::ReadyForQuery(ready)).await?;
        Ok(flush(client).await?)
    }
}

async fn parameters(client: &mut Client, types: Vec<u32>) -> PgWireResult<()> {
    let description = ParameterDescription::new(types);
    Ok(say(client, PgWireBackendMessage::ParameterDescription(description)).await?)
}

async fn schema(
    client: &mut Client,
    schema: Option<&SchemaRef>,
    format: &Format,
) -> PgWireResult<()> {
    match schema {
        Some(schema) => Ok(describe(client, &columns(schema, format, None)?).await?),
        None => Ok(say(client, PgWireBackendMessage::NoData(NoData::new())).await?),
    }
}

/// Whether a client's formats are ones, and as many as there are values.
fn check_formats(message: &Bind) -> PgWireResult<()> {
    let (formats, parameters) = (&message.parameter_format_codes, message.parameters.len());
    if formats.len() > 1 && formats.len() != parameters {
        return Err(protocol_error(format!(
            "bind message has {} parameter formats but {parameters} parameters",
            formats.len()
        )));
    }
    let all = formats.iter().chain(&message.result_column_format_codes);
    match all.copied().find(|format| !matches!(format, 0 | 1)) {
        Some(format) => Err(invalid("22023", format!("unsupported format code: {format}"))),
        None => Ok(()),
    }
}

fn invalid(sqlstate: &'static str, message: String) -> PgWireError {
    statement_error(&SqlError::Invalid { sqlstate, message, hint: None, position: None })
}
