//! A running server, as a client sees it.

use std::error::Error as _;
use std::io::{self, Write};
use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};
use tokio_postgres::config::{Config, Host};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

use super::error::{self, CliError};
use super::output::TextRows;

/// A connection to a server.
pub(super) struct Remote {
    pub(super) client: Client,
}

/// What a text of statements gave: results, and how it ended.
pub(super) struct Results {
    /// A result for each statement that gives rows, in order.
    pub(super) rows: Vec<TextRows>,
    /// The error at which the server stopped, if it did.
    pub(super) end: Result<(), CliError>,
}

impl Remote {
    /// Connects to the server of a URL such as `postgres://127.0.0.1:7432/vigil`. Its notices go to
    /// stderr.
    pub(super) async fn connect(url: &str) -> Result<Self, CliError> {
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            CliError::Url { url: url.to_owned(), reason: said(&error) }
        })?;
        if config.get_user().is_none() {
            config.user("vigil");
        }
        if config.get_dbname().is_none() {
            config.dbname("vigil");
        }
        if config.get_hosts().is_empty() {
            config.host("127.0.0.1");
        }
        if config.get_ports().is_empty() {
            config.port(7432);
        }
        let address = address(&config);
        let (client, mut connection) = config.connect(NoTls).await.map_err(|error| {
            if error.as_db_error().is_some() {
                CliError::from(error)
            } else {
                CliError::Connect { address, reason: said(&error) }
            }
        })?;
        tokio::spawn(async move {
            let mut messages =
                pin!(stream::poll_fn(move |context| connection.poll_message(context)));
            // The connection's errors reach whoever waits for an answer.
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message {
                    // A notice that nobody can read is no reason to stop.
                    let _ = writeln!(io::stderr(), "{}:  {}", notice.severity(), notice.message());
                }
            }
        });
        Ok(Self { client })
    }

    /// Runs statements, separated by semicolons, up to the first that fails.
    pub(super) async fn run(&self, statements: &str) -> Results {
        let mut rows = vec![];
        let end = self.collect(statements, &mut rows).await.map_err(CliError::from);
        for result in &mut rows {
            result.find_numbers();
        }
        Results { rows, end }
    }

    async fn collect(
        &self,
        statements: &str,
        results: &mut Vec<TextRows>,
    ) -> Result<(), tokio_postgres::Error> {
        let mut messages = pin!(self.client.simple_query_raw(statements).await?);
        while let Some(message) = messages.try_next().await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => results.push(TextRows {
                    columns: columns.iter().map(|column| column.name().to_owned()).collect(),
                    ..TextRows::default()
                }),
                SimpleQueryMessage::Row(row) => {
                    if let Some(result) = results.last_mut() {
                        let cells = (0..row.len()).map(|cell| row.get(cell).map(str::to_owned));
                        result.rows.push(cells.collect());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl TextRows {
    /// The simple protocol tells no types that could be seen here: a column of numbers is one in
    /// which every value reads as a number.
    fn find_numbers(&mut self) {
        let is_number = |text: &String| text.parse::<f64>().is_ok();
        self.numeric = (0..self.columns.len())
            .map(|column| {
                let mut cells =
                    self.rows.iter().filter_map(|row| row.get(column)?.as_ref()).peekable();
                cells.peek().is_some() && cells.all(is_number)
            })
            .collect();
    }
}

impl From<tokio_postgres::Error> for CliError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(server) => Self::Server {
                sqlstate: server.code().code().to_owned(),
                message: server.message().to_owned(),
                detail: server.detail().map(str::to_owned),
                hint: server.hint().map(str::to_owned),
            },
            None => Self::Server {
                // connection_failure, which is what is left when the server said nothing.
                sqlstate: "08006".into(),
                message: format!("the server did not answer as expected: {}", said(&error)),
                detail: None,
                hint: None,
            },
        }
    }
}

fn address(config: &Config) -> String {
    let host = config.get_hosts().first().map_or_else(String::new, |host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let port = config.get_ports().first().copied().unwrap_or(7432);
    format!("{host}:{port}")
}

/// The cause that an error of the client library hides behind its own words.
fn said(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => match source.downcast_ref::<io::Error>() {
            Some(source) => error::reason(source),
            None => source.to_string(),
        },
        None => error.to_string(),
    }
}
