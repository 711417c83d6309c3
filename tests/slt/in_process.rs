//! Statements as `vigil run` runs them: a session of the engine in this process, values spelled
//! by the command line's own code.

use async_trait::async_trait;
use futures::TryStreamExt;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use vigil_sql::{Database, Outcome, Session, SqlError};

use crate::{Answer, ClientError};

pub(crate) struct Connection {
    session: Session,
}

impl Connection {
    pub(crate) fn new(database: &std::sync::Arc<Database>) -> Self {
        Self { session: database.session() }
    }
}

#[async_trait]
impl AsyncDB for Connection {
    type Error = ClientError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, ClientError> {
        let mut answer = Answer::default();
        for statement in self.session.parse(sql)? {
            if let Outcome::Rows { schema, batches, .. } = self.session.execute(&statement).await? {
                let batches: Vec<_> = batches.try_collect().await.map_err(SqlError::from)?;
                let rows = vigil::cli::text_rows(&schema, &batches).map_err(|error| {
                    ClientError { sqlstate: "XX000".into(), message: error.to_string(), hint: None }
                })?;
                answer.has_rows = true;
                answer.rows.extend(rows);
            }
        }
        Ok(answer.into_output())
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "in_process"
    }
}

impl From<SqlError> for ClientError {
    fn from(error: SqlError) -> Self {
        let (sqlstate, hint) = (error.sqlstate().to_owned(), error.hint());
        Self { sqlstate, message: error.to_string(), hint }
    }
}
