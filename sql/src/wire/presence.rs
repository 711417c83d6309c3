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

/// A second look at a connection's socket.
#[derive(Debug)]
pub(super) struct Presence {
    socket: TcpStream,
}

impl Presence {
    /// The socket again, and its watcher.
    pub(super) fn watch(socket: TcpStream) -> io::Result<(TcpStream, Self)> {
        let socket = socket.into_std()?;
        let second = socket.try_clone()?;
        let socket = TcpStream::from_std(socket)?;
        Ok((socket, Self { socket: TcpStream::from_std(second)? }))
    }

    /// Returns when the client has closed its side, said goodbye or vanished.
    pub(super) async fn gone(&self) {
        let mut first = [0; 1];
        loop {
            match self.socket.peek(&mut first).await {
                Ok(0) | Err(_) => return,
                Ok(_) if first[0] == TERMINATE => return,
                Ok(_) => {}
            }
            // The client has sent more already; behind that may be its end.
            match self.socket.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(ready) if ready.is_read_closed() || ready.is_error() => return,
                Ok(_) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(_) => return,
            }
        }
    }
}
