//! Statements as psql sends them: the simple query protocol, on a connection of its own.

use std::net::SocketAddr;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{Answer, ClientError};

pub(crate) struct Connection {
    client: Client,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, ClientError> {
        let config = format!("host={} port={} user=slt dbname=vigil", address.ip(), address.port());
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
        // Its errors reach the client with the statement that meets them.
        tokio::spawn(connection);
        Ok(Self { client })
    }
}

#[async_trait]
impl AsyncDB for Connection {
    type Error = ClientError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, ClientError> {
        let mut answer = Answer::default();
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(_) => answer.has_rows = true,
                SimpleQueryMessage::Row(row) => {
                    let values = (0..row.len()).map(|column| row.get(column).map(str::to_owned));
                    answer.rows.push(values.collect());
                }
                _ => {}
            }
        }
        Ok(answer.into_output())
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "over_the_wire"
    }
}

impl From<tokio_postgres::Error> for ClientError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(error) => Self {
                sqlstate: error.code().code().to_owned(),
                message: error.message().to_owned(),
                hint: error.hint().map(str::to_owned),
            },
            None => Self { sqlstate: "08006".into(), message: error.to_string(), hint: None },
        }
    }
}
