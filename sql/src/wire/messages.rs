//! The messages of one connection, one after the other.
//!
//! pgwire takes messages apart and answers them; reading them is done here, as some must not come
//! that far: those that are too long, those that are no messages, texts that are not UTF-8. A
//! connection whose client is not let in is closed at once, whatever else it has sent.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::BytesMut;
use futures::SinkExt;
use pgwire::api::{
    ClientInfo, DefaultClient, ErrorHandler, PgWireConnectionState, PgWireServerHandlers,
};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::startup::PasswordMessageFamily;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::server::{
    MaybeTls, PgWireMessageServerCodec, negotiate_tls, process_error, process_message,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::codec::{Decoder, Framed};

use super::Service;
use super::authentication::initial_response;
use super::connection::{Connection, Handlers};
use super::errors::{fatal_error, statement_error, violation};
use crate::SqlError;
use crate::roles::scram::Verifier;

/// Bytes of a message of a client that is not let in yet, PostgreSQL's bound of a password's.
const MAX_EARLY_BYTES: usize = 65_535;

/// Bytes of a startup packet, PostgreSQL's bound.
const MAX_STARTUP_BYTES: usize = 10_000;

/// Bytes that are asked for at a time.
const READ_BYTES: usize = 8192;

type Socket<S> = Framed<MaybeTls, PgWireMessageServerCodec<S>>;

/// What a client said, or why there is no more to come.
enum Said {
    Message(PgWireFrontendMessage),
    /// A message that can be told of and forgotten.
    Unreadable {
        error: PgWireError,
        awaits_sync: bool,
    },
    Nothing,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    socket: TcpStream,
    service: &Service,
    connection: Arc<Connection>,
) -> io::Result<()> {
    let deadline = tokio::time::Instant::now() + service.limits.authentication_timeout;
    let tls = service.tls.as_ref().map(|tls| tls.acceptor());
    let negotiated = tokio::time::timeout_at(deadline, negotiate_tls(socket, tls)).await;
    let Ok(negotiated) = negotiated else { return Ok(()) };
    let Some(mut socket) = negotiated? else { return Ok(()) };
    // What came behind the request for TLS without it was not sent by whom TLS speaks with.
    if socket.is_secure() && !socket.read_buffer().is_empty() {
        let error = violation("received unencrypted data after SSL request");
        return close(&mut socket, error).await;
    }
    let handlers = Handlers::new(Arc::clone(&connection), Arc::clone(&service.cancels));
    let startup = handlers.startup_handler();
    let simple = handlers.simple_query_handler();
    let extended = handlers.extended_query_handler();
    let copy = handlers.copy_handler();
    let cancel = handlers.cancel_handler();
    let errors = handlers.error_handler();
    loop {
        let said = tokio::select! {
            said = next(&mut socket, service.limits.max_message_bytes) => said,
            error = connection.ends_while_idle() => Err(error),
            () = connection.is_told(), if !is_early(&socket) => {
                for message in connection.heard().await {
                    socket.feed(message).await?;
                }
                SinkExt::<PgWireBackendMessage>::flush(&mut socket).await?;
                continue;
            }
            () = tokio::time::sleep_until(deadline), if is_early(&socket) => {
                let error = SqlError::Invalid {
                    sqlstate: "57014",
                    message: "canceling authentication due to timeout".into(),
                    hint: None,
                    position: None,
                };
                Err(fatal_error(&error))
            }
        };
        let message = match said {
            Err(error) => return close(&mut socket, error).await,
            Ok(Said::Nothing | Said::Message(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
            Ok(Said::Unreadable { mut error, awaits_sync }) => {
                if !matches!(socket.state(), PgWireConnectionState::AwaitingSync) {
                    errors.on_error(&socket, &mut error);
                    process_error(&mut socket, error, awaits_sync).await?;
                }
                continue;
            }
            Ok(Said::Message(message)) => message,
        };
        let is_last = matches!(message, PgWireFrontendMessage::CancelRequest(_));
        let was_early = is_early(&socket);
        let is_extended = match socket.state() {
            PgWireConnectionState::CopyInProgress(is_extended) => is_extended,
            _ => message.is_extended_query(),
        };
        let processed = process_message(
            message,
            &mut socket,
            Arc::clone(&startup),
            Arc::clone(&simple),
            Arc::clone(&extended),
            Arc::clone(&copy),
            Arc::clone(&cancel),
        );
        let processed = processed.await;
        if is_last {
            return Ok(());
        }
        if let Err(mut error) = processed {
            errors.on_error(&socket, &mut error);
            // Whoever is not let in has nothing more to say: pgwire would take it for a client.
            if was_early || is_fatal(&error) {
                return close(&mut socket, error).await;
            }
            process_error(&mut socket, error, is_extended).await?;
        }
        connection.rests().await;
    }
}

fn is_early<S>(socket: &Socket<S>) -> bool {
    Stage::of(socket.state()) != Stage::Session
}

fn is_fatal(error: &PgWireError) -> bool {
    match error {
        PgWireError::UserError(info) => info.is_fatal(),
        PgWireError::IoError(_) => true,
        _ => false,
    }
}

/// Says why and closes.
async fn close<S>(socket: &mut Socket<S>, error: PgWireError) -> io::Result<()> {
    if matches!(error, PgWireError::IoError(_)) {
        return Ok(());
    }
    let mut info: ErrorInfo = error.into();
    info.severity = "FATAL".into();
    info.severity_nonlocalized = Some("FATAL".into());
    socket.send(PgWireBackendMessage::ErrorResponse(info.into())).await?;
    socket.close().await
}

/// The next message, when all of it is there.
async fn next<S>(socket: &mut Socket<S>, max_bytes: usize) -> Result<Said, PgWireError> {
    loop {
        let frame = Frame::of(socket.read_buffer(), Stage::of(socket.state()), max_bytes)?;
        if let Frame::NotText { length, byte, awaits_sync } = frame {
            let _ = socket.read_buffer_mut().split_to(length);
            let error = statement_error(&SqlError::Invalid {
                sqlstate: "22021",
                message: format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"),
                hint: None,
                position: None,
            });
            return Ok(Said::Unreadable { error, awaits_sync });
        }
        let mut buffer = std::mem::take(socket.read_buffer_mut());
        let decoded = decode(socket.codec_mut(), &mut buffer);
        *socket.read_buffer_mut() = buffer;
        if let Ok(None) = decoded {
            // Whoever waits for this may stop waiting, so nothing is taken out of the socket that is
            // not kept.
            let mut more = BytesMut::with_capacity(READ_BYTES);
            if socket.get_mut().read_buf(&mut more).await? == 0 {
                return Ok(Said::Nothing);
            }
            socket.read_buffer_mut().unsplit(more);
            continue;
        }
        match decoded? {
            Some(message) => return Ok(Said::Message(message)),
            None => return Ok(Said::Nothing),
        }
    }
}

fn decode<S>(
    codec: &mut PgWireMessageServerCodec<S>,
    buffer: &mut BytesMut,
) -> Result<Option<PgWireFrontendMessage>, PgWireError> {
    // What is cut off inside makes the decoder panic in places.
    match catch_unwind(AssertUnwindSafe(|| codec.decode(buffer))) {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) => Err(violation(&error.to_string().to_lowercase())),
        Err(_) => Err(violation("a message is cut off")),
    }
}

/// What the buffer begins with.
enum Frame {
    /// A message, or a part of one.
    Good,
    /// A whole message whose text is not UTF-8.
    NotText { length: usize, byte: u8, awaits_sync: bool },
}

impl Frame {
    /// Looks at the length and the text of what `buffer` begins with.
    fn of(buffer: &[u8], stage: Stage, max_bytes: usize) -> Result<Self, PgWireError> {
        let start = usize::from(stage != Stage::Startup);
        let Some(bytes) = buffer.get(start..start + 4) else { return Ok(Self::Good) };
        let mut length = [0; 4];
        length.copy_from_slice(bytes);
        let length = match usize::try_from(i32::from_be_bytes(length)) {
            Ok(length) if length >= 4 => length,
            _ => return Err(violation("invalid message length")),
        };
        let (max_bytes, sqlstate) = match stage {
            Stage::Startup => (MAX_STARTUP_BYTES, "08P01"),
            Stage::Authentication => (MAX_EARLY_BYTES, "08P01"),
            Stage::Session => (max_bytes, "54000"),
        };
        if length > max_bytes {
            let message = format!("a message of {length} bytes is longer than {max_bytes} bytes");
            return Err(fatal_error(&SqlError::Invalid {
                sqlstate,
                message,
                hint: None,
                position: None,
            }));
        }
        if stage != Stage::Session {
            return Ok(Self::Good);
        }
        let Some(message) = buffer.get(..length + 1) else { return Ok(Self::Good) };
        let (texts, awaits_sync) = match message[0] {
            b'Q' => (1, false),
            b'P' => (2, true),
            _ => return Ok(Self::Good),
        };
        for text in message[5..].split(|byte| *byte == 0).take(texts) {
            if let Err(error) = std::str::from_utf8(text) {
                let byte = text.get(error.valid_up_to()).copied().unwrap_or_default();
                return Ok(Self::NotText { length: length + 1, byte, awaits_sync });
            }
        }
        Ok(Self::Good)
    }
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not said its name; its message has no type.
    Startup,
    Authentication,
    Session,
}

impl Stage {
    fn of(state: PgWireConnectionState) -> Self {
        match state {
            PgWireConnectionState::AwaitingSslRequest | PgWireConnectionState::AwaitingStartup => {
                Self::Startup
            }
            PgWireConnectionState::AuthenticationInProgress => Self::Authentication,
            _ => Self::Session,
        }
    }
}

/// Takes the messages of a client apart as a connection does, without one; how many there are up
/// to the first that is none. For fuzzing.
pub fn read_messages(bytes: &[u8]) -> usize {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let client = DefaultClient::<Arc<crate::Prepared>>::new(address, false);
    let mut codec = PgWireMessageServerCodec::new(client);
    let mut buffer = BytesMut::from(bytes);
    let mut count = 0;
    codec.client_info.set_state(PgWireConnectionState::AwaitingStartup);
    loop {
        match Frame::of(&buffer, Stage::of(codec.client_info.state()), MAX_EARLY_BYTES) {
            Ok(Frame::Good) => {}
            Ok(Frame::NotText { length, .. }) => {
                let _ = buffer.split_to(length);
                continue;
            }
            Err(_) => return count,
        }
        let Ok(Some(message)) = decode(&mut codec, &mut buffer) else { return count };
        count += 1;
        if let PgWireFrontendMessage::PasswordMessageFamily(message) = message {
            answer_password(message);
        }
        codec.client_info.set_state(PgWireConnectionState::ReadyForQuery);
    }
}

/// Reads a password's message as SCRAM does.
fn answer_password(message: PasswordMessageFamily) {
    let Ok((_, data)) = initial_response(message) else { return };
    if let Ok((exchange, _)) = Verifier::mock("", &[0; 32]).begin(&data) {
        let _ = exchange.finish(&data);
    }
}
