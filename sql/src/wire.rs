//! PostgreSQL's protocol, version 3: connections come in on a listener, their messages become a
//! [`Session`](crate::Session)'s statements, and its answers go back as messages.
//!
//! This is the only folder that names pgwire. It plans nothing and runs nothing itself: what it
//! waits for runs on the query threads, so a cancel request is always read. There is no
//! authentication yet; listen on the loopback interface.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `connection` | one connection: its session and how a statement of it is stopped |
//! | `startup` | the first messages: settings of the client, parameters of the server |
//! | `simple` | the simple query protocol: strings of statements |
//! | `extended` | the extended query protocol: parse, bind, describe, execute |
//! | `copy` | rows as `COPY … TO STDOUT` writes them |
//! | `parameters` | values of `$1`, `$2`, … and types of PostgreSQL as Arrow's |
//! | `rows` | Arrow batches as rows in text or binary |
//! | `timestamps` | timestamps in text |
//! | `errors` | errors and notices as messages |
//! | `presence` | whether the client is still there |

mod connection;
mod copy;
mod errors;
mod extended;
mod parameters;
mod presence;
mod rows;
mod simple;
mod startup;
mod timestamps;

use std::future::Future;
use std::io;
use std::sync::Arc;

use pgwire::api::ConnectionManager;
use pgwire::tokio::process_socket;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::connection::{Connection, Handlers};
use self::presence::Presence;
use crate::Database;

/// Connections at the same time; one more waits until another one ends.
const MAX_CONNECTIONS: usize = 500;

/// Linux's error of a machine that has too many files open.
const ENFILE: i32 = 23;

/// Linux's error of a process that has too many files open.
const EMFILE: i32 = 24;

/// Serves `database` on `listener` until `shutdown` is done; open connections are closed then and
/// their statements stopped.
///
/// # Errors
/// When the listener fails for good. A single connection that fails is logged.
pub async fn serve(
    listener: TcpListener,
    database: Arc<Database>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let cancels = Arc::new(ConnectionManager::new());
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &places) => accepted?,
        };
        let Some((socket, place)) = accepted else { continue };
        let (database, cancels) = (Arc::clone(&database), Arc::clone(&cancels));
        connections.spawn(async move {
            if let Err(error) = converse(socket, &database, cancels).await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }
    connections.shutdown().await;
    Ok(())
}

/// The next connection and its place among [`MAX_CONNECTIONS`].
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)>> {
    let Ok(place) = Arc::clone(places).acquire_owned().await else { return Ok(None) };
    match listener.accept().await {
        Ok((socket, _)) => Ok(Some((socket, place))),
        // A client that went away between its knock and our answer is not the listener's fault.
        Err(error) if is_transient(&error) => {
            tracing::warn!(%error, "a connection could not be accepted");
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

async fn converse(
    socket: TcpStream,
    database: &Arc<Database>,
    cancels: Arc<ConnectionManager>,
) -> io::Result<()> {
    let (socket, presence) = Presence::watch(socket)?;
    let connection = Arc::new(Connection::new(database, presence));
    process_socket(socket, None, Handlers::new(connection, cancels)).await
}
