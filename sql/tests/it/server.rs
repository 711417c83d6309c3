//! What the tests have in common: a database over the test engine, in process or on a port.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use tokio::net::TcpListener;
use tokio_postgres::{Client, NoTls};
use vigil_sql::wire::{self, ServeOptions};
use vigil_sql::{Database, DatabaseOptions, Outcome, Session, SqlError};

use crate::engine::TestEngine;

/// A database in this process.
pub fn database() -> (Arc<TestEngine>, Arc<Database>) {
    let engine = Arc::new(TestEngine::default());
    let database = Database::new(engine.clone()).expect("the test engine has all it needs");
    (engine, database)
}

/// Runs all statements of `sql` and gives the last answer: its rows, or its command tag.
pub async fn run(session: &mut Session, sql: &str) -> Result<Answer, SqlError> {
    let mut answer = Answer::default();
    for statement in session.parse(sql)? {
        answer = match session.execute(&statement).await? {
            Outcome::Rows { batches, tag, .. } => {
                let rows: Vec<RecordBatch> = batches.try_collect().await?;
                let count = rows.iter().map(RecordBatch::num_rows).sum();
                Answer { tag: Outcome::command_tag(&tag, count), rows, notices: Vec::new() }
            }
            Outcome::Copy { batches, .. } => {
                let rows: Vec<RecordBatch> = batches.try_collect().await?;
                Answer { tag: "COPY".into(), rows, notices: Vec::new() }
            }
            Outcome::Done { tag, notices } => {
                let notices = notices.into_iter().map(|notice| notice.message).collect();
                Answer { tag, rows: Vec::new(), notices }
            }
        };
    }
    Ok(answer)
}

/// The last answer of [`run`].
#[derive(Debug, Default)]
pub struct Answer {
    pub tag: String,
    pub rows: Vec<RecordBatch>,
    pub notices: Vec<String>,
}

impl Answer {
    /// The rows as a table of text, without the frame around it.
    pub fn table(&self) -> Vec<String> {
        let text = pretty_format_batches(&self.rows).expect("rows can be shown").to_string();
        text.lines()
            .filter(|line| line.starts_with('|'))
            .skip(1)
            .map(|line| line.trim_matches('|').trim().to_owned())
            .collect()
    }
}

/// A server on a port of its own; it stops when it is dropped.
pub struct Server {
    pub engine: Arc<TestEngine>,
    pub database: Arc<Database>,
    pub port: u16,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(
            TestEngine::default(),
            &DatabaseOptions::default(),
            ServeOptions::default(),
        )
        .await
    }

    pub async fn start_with(
        engine: TestEngine,
        database: &DatabaseOptions,
        options: ServeOptions,
    ) -> Self {
        let engine = Arc::new(engine);
        let database = Database::open(engine.clone(), database).expect("the options are right");
        let served = Arc::clone(&database);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            wire::serve_with(listener, served, options, shutdown)
                .await
                .expect("the listener lives");
        });
        Self { engine, database, port, stop: Some(stop) }
    }

    pub async fn connect(&self) -> Client {
        let parameters = format!("host=127.0.0.1 port={} user=tester dbname=vigil", self.port);
        let (client, connection) =
            tokio_postgres::connect(&parameters, NoTls).await.expect("the server listens");
        tokio::spawn(connection);
        client
    }

    /// Runs statements in this process, as whoever owns the server.
    pub async fn as_owner(&self, sql: &str) -> Answer {
        let mut session = self.database.session();
        run(&mut session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Logs in.
    pub async fn log_in(
        &self,
        user: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let parameters = format!(
            "host=127.0.0.1 port={} user={user} password='{password}' dbname=vigil",
            self.port
        );
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Waits until `done` says so, looking again and again; a test that waits for ever fails by
    /// its runner's limit.
    pub async fn until(&self, done: impl Fn(&TestEngine) -> bool) {
        while !done(&self.engine) {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}
