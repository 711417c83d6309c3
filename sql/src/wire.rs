//! PostgreSQL's protocol, version 3: connections come in on a listener, their messages become a
//! [`Session`](crate::Session)'s statements, and its answers go back as messages.
//!
//! This is the only folder that names pgwire. It plans nothing and runs nothing itself: what it
//! waits for runs on the query threads, so a cancel request is always read.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `messages` | the messages of a connection, and which of them are not let through |
//! | `limits` | how many, how long, how large |
//! | `tls` | certificates |
//! | `authentication` | who a client is |
//! | `client` | what a client is sent, and what it has prepared and bound |
//! | `connection` | one connection: its session and how a statement of it is stopped |
//! | `startup` | the first messages: settings of the client, parameters of the server |
//! | `simple` | the simple query protocol: strings of statements |
//! | `extended` | the extended query protocol: parse, bind, describe, execute |
//! | `copy` | rows as `COPY … TO STDOUT` writes them |
//! | `parameters` | values of `$1`, `$2`, … and types of PostgreSQL as Arrow's |
//! | `rows` | Arrow batches as rows of messages |
//! | `cells` | values in text or binary |
//! | `errors` | errors and notices as messages |
//! | `presence` | whether the client is still there |

mod authentication;
mod cells;
mod client;
mod connection;
mod copy;
mod errors;
mod extended;
mod format;
mod limits;
mod messages;
mod parameters;
mod presence;
mod rows;
mod simple;
mod startup;
mod tls;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::connection::{Admission, Connection};
use self::limits::Failures;
use self::presence::Presence;
use crate::Database;

pub use self::authentication::Trust;
pub use self::limits::Limits;
pub use self::messages::read_messages;
pub use self::tls::Tls;

/// How a server is to be run.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// What clients may use.
    pub limits: Limits,
    /// TLS for those that ask for it.
    pub tls: Option<Arc<Tls>>,
    /// Whether clients have to use TLS.
    pub encryption: Encryption,
    /// Who may come in while no role may log in.
    pub trust: Trust,
}

/// Whether clients have to use TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As they like.
    #[default]
    Offered,
    /// Those on other machines have to.
    RequiredBeyondLoopback,
}

/// What the connections of a server share.
#[derive(Debug)]
struct Service {
    database: Arc<Database>,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    encryption: Encryption,
    trust: Trust,
    failures: Arc<Failures>,
}

/// Connections that are told that there are too many, at the same time; one more is closed
/// without a word.
const MAX_CROWD: usize = 64;

/// So long a connection may take to hear that there are too many.
const CROWD_TIMEOUT: Duration = Duration::from_secs(5);

/// So long clients may take to hear that the server stops.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Linux's error of a machine that has too many files open.
const ENFILE: i32 = 23;

/// Linux's error of a process that has too many files open.
const EMFILE: i32 = 24;

/// Serves `database` on `listener` until `shutdown` is done; statements are stopped then, and their
/// clients told (57P01) before the connections are closed.
///
/// # Errors
/// When the listener fails for good. A single connection that fails is logged.
pub async fn serve(
    listener: TcpListener,
    database: Arc<Database>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    serve_with(listener, database, ServeOptions::default(), shutdown).await
}

/// The same with options.
///
/// # Errors
/// When the listener fails for good. A single connection that fails is logged.
pub async fn serve_with(
    listener: TcpListener,
    database: Arc<Database>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(options.limits.max_connections));
    let crowd = Arc::new(Semaphore::new(MAX_CROWD));
    let failures = Failures::new(&options.limits);
    let ServeOptions { limits, tls, encryption, trust } = options;
    let service = Arc::new(Service { database, limits, tls, encryption, trust, failures });
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener) => accepted?,
        };
        let Some(socket) = accepted else { continue };
        let service = Arc::clone(&service);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            connections.spawn(async move {
                tell(converse(socket, &service, Place::Free).await);
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&crowd).try_acquire_owned() {
            connections.spawn(async move {
                let refusing = converse(socket, &service, Place::Crowded);
                if let Ok(refused) = tokio::time::timeout(CROWD_TIMEOUT, refusing).await {
                    tell(refused);
                }
                drop(place);
            });
        }
    }
    service.database.activity().terminate_all();
    let told = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE_TIMEOUT, told).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

/// Whether there is room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Free,
    /// It is only told so; its cancel requests are taken.
    Crowded,
}

fn tell(ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept().await {
        Ok((socket, _)) => Ok(Some(socket)),
        // A client that went away between its knock and our answer is not the listener's fault.
        Err(error) if is_transient(&error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Without files left, the next try would fail at once.
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

async fn converse(socket: TcpStream, service: &Service, place: Place) -> io::Result<()> {
    let (socket, presence) = Presence::watch(socket)?;
    let admission = Admission {
        is_crowded: place == Place::Crowded,
        max_connections: service.limits.max_connections,
        trust: service.trust,
        encryption: service.encryption,
        failures: Arc::clone(&service.failures),
    };
    let connection = Arc::new(Connection::new(&service.database, presence, admission));
    messages::serve(socket, service, connection).await
}
