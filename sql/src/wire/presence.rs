//! Whether a client is still there while its statement runs.
//!
//! pgwire reads the socket only between statements, so a second descriptor of the same socket
//! looks ahead: nothing is consumed there.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;

/// How often a socket is looked at that has bytes waiting, which can hide its end.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The message type of a client's goodbye.
const TERMINATE: u8 = b'X';

/// So long a statement runs before its client's socket is watched: most are done by then.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// A second look at a connection's socket.
#[derive(Debug)]
pub(super) struct Presence {
    socket: std::net::TcpStream,
}

impl Presence {
    /// The socket again, and its watcher.
    pub(super) fn watch(socket: TcpStream) -> io::Result<(TcpStream, Self)> {
        let socket = socket.into_std()?;
        let second = socket.try_clone()?;
        Ok((TcpStream::from_std(socket)?, Self { socket: second }))
    }

    /// Returns when the client has closed its side, said goodbye or vanished.
    pub(super) async fn gone(&self) {
        tokio::time::sleep(FIRST_LOOK).await;
        let Ok(socket) = self.socket.try_clone().and_then(TcpStream::from_std) else {
            // Without files left there is no second look; whoever writes to the client finds out.
            return std::future::pending().await;
        };
        let mut first = [0; 1];
        loop {
            match socket.peek(&mut first).await {
                Ok(0) | Err(_) => return,
                Ok(_) if first[0] == TERMINATE => return,
                Ok(_) => {}
            }
            // The client has sent more already; behind that may be its end.
            match socket.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(ready) if ready.is_read_closed() || ready.is_error() => return,
                Ok(_) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(_) => return,
            }
        }
    }
}
