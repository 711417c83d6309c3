//! A client of either side: one connection, statements prepared once, vectors as `float4[]`.

use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::SinkExt;
use tokio::runtime::Runtime;
use tokio_postgres::types::Type;
use tokio_postgres::{NoTls, Statement};

use crate::data::Vector;

/// A connection.
pub(crate) struct Client {
    runtime: Runtime,
    client: tokio_postgres::Client,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (client, connection) = runtime
            .block_on(tokio_postgres::connect(address, NoTls))
            .with_context(|| address.to_owned())?;
        runtime.spawn(connection);
        Ok(Self { runtime, client })
    }

    pub(crate) fn run(&mut self, sql: &str) -> Result<()> {
        self.runtime.block_on(self.client.batch_execute(sql)).with_context(|| sql.to_owned())
    }

    /// The same for a `DROP` of what may not be there.
    pub(crate) fn run_if_there(&mut self, sql: &str) -> Result<()> {
        self.run(&sql.replacen("DROP INDEX", "DROP INDEX IF EXISTS", 1))
    }

    pub(crate) fn prepare(&mut self, sql: &str) -> Result<Statement> {
        let prepared = self.client.prepare_typed(sql, &[Type::FLOAT4_ARRAY]);
        self.runtime.block_on(prepared).with_context(|| sql.to_owned())
    }

    /// `COPY … FROM STDIN` with this content.
    pub(crate) fn copy(&mut self, sql: &str, content: impl Iterator<Item = Bytes>) -> Result<()> {
        let client = &self.client;
        self.runtime.block_on(async {
            let mut sink = Box::pin(client.copy_in::<_, Bytes>(sql).await?);
            for bytes in content {
                sink.send(bytes).await?;
            }
            sink.as_mut().finish().await?;
            Ok(())
        })
    }

    /// The first column of the rows for each query.
    pub(crate) fn ids(
        &mut self,
        statement: &Statement,
        queries: &[Vector],
    ) -> Result<Vec<Vec<i64>>> {
        let client = &self.client;
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            let rows = self.runtime.block_on(client.query(statement, &[query]))?;
            found.push(rows.iter().map(|row| row.get(0)).collect());
        }
        Ok(found)
    }

    /// Seconds of each query.
    pub(crate) fn each_seconds(
        &mut self,
        statement: &Statement,
        queries: &[Vector],
    ) -> Result<Vec<f64>> {
        let client = &self.client;
        let mut seconds = Vec::with_capacity(queries.len());
        for query in queries {
            let start = Instant::now();
            self.runtime.block_on(client.query(statement, &[query]))?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(seconds)
    }

    /// Seconds of all queries, one after the other.
    pub(crate) fn seconds(&mut self, statement: &Statement, queries: &[Vector]) -> Result<f64> {
        Ok(self.each_seconds(statement, queries)?.iter().sum())
    }
}
