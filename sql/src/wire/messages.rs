//! The messages of one connection, one after the other.
//!
//! pgwire takes messages apart and answers them; reading them is done here, as some must not come
//! that far: those that are too long, those that are no messages, texts that are not UTF-8. A
//! connection whose client is not let in is closed at once, whatever else it has sent.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::SinkExt;
use pgwire::api::{ClientInfo, DefaultClient, PgWireConnectionState};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::startup::PasswordMessageFamily;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::server::{PgWireMessageServerCodec, negotiate_tls, process_error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::Decoder;

use super::Service;
use super::authentication::initial_response;
use super::client::{Client, Store, flush, say};
use super::connection::Connection;
use super::errors::{fatal_error, statement_error, violation};
use super::format;
use super::rows::FULL_BYTES;
use super::startup::Startup;
use crate::SqlError;
use crate::roles::scram::Verifier;

/// Bytes of a message of a client that is not let in yet, PostgreSQL's bound of a password's.
const MAX_EARLY_BYTES: usize = 65_535;

/// Bytes of a startup packet, PostgreSQL's bound.
const MAX_STARTUP_BYTES: usize = 10_000;

/// Bytes of the shortest one: its length and a number.
const MIN_STARTUP_BYTES: i32 = 8;

/// Bytes that are asked for at a time.
const READ_BYTES: usize = 8192;

/// So long a client may take to read why its connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

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
    let Some(socket) = begun(socket, deadline).await? else { return Ok(()) };
    let tls = service.tls.as_ref().map(|tls| tls.acceptor());
    let negotiated = tokio::time::timeout_at(deadline, negotiate_tls(socket, tls)).await;
    let Ok(negotiated) = negotiated else { return Ok(()) };
    let Some(mut socket) = negotiated? else { return Ok(()) };
    // What came behind the request for TLS without it was not sent by whom TLS speaks with.
    if socket.is_secure() && !socket.read_buffer().is_empty() {
        let error = violation("received unencrypted data after SSL request");
        return close(&mut socket, error).await;
    }
    socket.set_backpressure_boundary(FULL_BYTES);
    let startup = Startup::new(&connection);
    let mut store = Store::default();
    let max_bytes = service.limits.max_message_bytes;
    loop {
        // What has come already is answered before anything is waited for.
        let said = match taken(&mut socket, max_bytes) {
            Ok(Some(said)) => Ok(said),
            Ok(None) => {
                connection.rests().await;
                tokio::select! {
                    biased;
                    said = next(&mut socket, max_bytes) => said,
                    error = connection.ends_while_idle() => Err(error),
                    () = connection.is_told(), if !is_early(&socket) => {
                        for message in connection.heard().await {
                            say(&mut socket, message).await?;
                        }
                        flush(&mut socket).await?;
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
                }
            }
            Err(error) => Err(error),
        };
        let message = match said {
            Err(error) => return close(&mut socket, error).await,
            Ok(Said::Nothing | Said::Message(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
            Ok(Said::Message(PgWireFrontendMessage::CancelRequest(request))) => {
                service.database.cancel(request.pid, &request.secret_key.to_bytes());
                return SinkExt::<PgWireBackendMessage>::close(&mut socket).await;
            }
            Ok(Said::Unreadable { mut error, awaits_sync }) => {
                if !matches!(socket.state(), PgWireConnectionState::AwaitingSync) {
                    connection.fails(&mut error).await;
                    process_error(&mut socket, error, awaits_sync).await?;
                }
                continue;
            }
            Ok(Said::Message(message)) => message,
        };
        let was_early = is_early(&socket);
        let is_extended = message.is_extended_query();
        let answering = async {
            if was_early {
                startup.answer(&mut socket, message).await
            } else {
                answer(&connection, &mut socket, &mut store, message).await
            }
        };
        let answered = tokio::select! {
            biased;
            answered = answering => answered,
            () = connection.is_lost() => return Ok(()),
        };
        if let Err(mut error) = answered {
            connection.fails(&mut error).await;
            // Whoever is not let in has nothing more to say.
            if was_early || is_fatal(&error) {
                return close(&mut socket, error).await;
            }
            connection.tell_settings(&mut socket).await?;
            tokio::select! {
                biased;
                told = process_error(&mut socket, error, is_extended) => told?,
                () = connection.is_lost() => return Ok(()),
            }
        }
    }
}

/// The socket, unless its client begins with a packet that is too short to be one: pgwire would wait
/// for the rest of it.
async fn begun(
    mut socket: TcpStream,
    deadline: tokio::time::Instant,
) -> io::Result<Option<TcpStream>> {
    let mut length = [0; 4];
    let Ok(peeked) = tokio::time::timeout_at(deadline, socket.peek(&mut length)).await else {
        return Ok(None);
    };
    if peeked? < length.len() || i32::from_be_bytes(length) >= MIN_STARTUP_BYTES {
        return Ok(Some(socket));
    }
    let info: ErrorInfo = violation("invalid length of startup packet").into();
    let mut message = BytesMut::new();
    let told = PgWireBackendMessage::ErrorResponse(info.into()).encode(&mut message);
    told.map_err(io::Error::other)?;
    tokio::time::timeout(CLOSE_TIMEOUT, socket.write_all(&message)).await.unwrap_or(Ok(()))?;
    Ok(None)
}

/// Answers a message of a client that is let in.
async fn answer(
    connection: &Connection,
    client: &mut Client,
    store: &mut Store,
    message: PgWireFrontendMessage,
) -> Result<(), PgWireError> {
    use PgWireFrontendMessage as Message;
    // After an error in the extended protocol all is passed over up to the next Sync.
    if matches!(client.state(), PgWireConnectionState::AwaitingSync) {
        if matches!(message, Message::Sync(_)) {
            client.set_state(PgWireConnectionState::ReadyForQuery);
            return connection.sync(client, store).await;
        }
        return Ok(());
    }
    match message {
        Message::Query(query) => connection.query(client, store, query).await,
        Message::Parse(parse) => connection.parse(client, store, parse).await,
        Message::Bind(bind) => connection.bind(client, store, bind).await,
        Message::Describe(describe) => connection.describe(client, store, describe).await,
        Message::Execute(execute) => connection.execute(client, store, execute).await,
        Message::Close(close) => connection.close(client, store, close).await,
        Message::Sync(_) => connection.sync(client, store).await,
        Message::Flush(_) => Ok(flush(client).await?),
        // Rows of a COPY that has failed already, and what only a server says.
        _ => Ok(()),
    }
}

fn is_early(socket: &Client) -> bool {
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
async fn close(socket: &mut Client, error: PgWireError) -> io::Result<()> {
    if matches!(error, PgWireError::IoError(_)) {
        return Ok(());
    }
    let mut info: ErrorInfo = error.into();
    info.severity = "FATAL".into();
    info.severity_nonlocalized = Some("FATAL".into());
    let closing = async {
        say(socket, PgWireBackendMessage::ErrorResponse(info.into())).await?;
        SinkExt::<PgWireBackendMessage>::close(socket).await
    };
    tokio::time::timeout(CLOSE_TIMEOUT, closing).await.unwrap_or(Ok(()))
}

/// The next message, when all of it is there.
async fn next(socket: &mut Client, max_bytes: usize) -> Result<Said, PgWireError> {
    loop {
        // Whoever waits for this may stop waiting, so nothing is taken out of the socket that is
        // not kept.
        let mut more = BytesMut::with_capacity(READ_BYTES);
        if socket.get_mut().read_buf(&mut more).await? == 0 {
            return Ok(Said::Nothing);
        }
        socket.read_buffer_mut().unsplit(more);
        if let Some(said) = taken(socket, max_bytes)? {
            return Ok(said);
        }
    }
}

/// The next message, if all of it has been read.
fn taken(socket: &mut Client, max_bytes: usize) -> Result<Option<Said>, PgWireError> {
    let frame = Frame::of(socket.read_buffer(), Stage::of(socket.state()), max_bytes)?;
    if let Frame::Unreadable { length, error, awaits_sync } = frame {
        let _ = socket.read_buffer_mut().split_to(length);
        return Ok(Some(Said::Unreadable { error, awaits_sync }));
    }
    let mut buffer = std::mem::take(socket.read_buffer_mut());
    let decoded = decode(socket.codec_mut(), &mut buffer);
    *socket.read_buffer_mut() = buffer;
    Ok(decoded?.map(Said::Message))
}

fn decode<S>(
    codec: &mut PgWireMessageServerCodec<S>,
    buffer: &mut BytesMut,
) -> Result<Option<PgWireFrontendMessage>, PgWireError> {
    // What is cut off inside makes the decoder panic in places.
    match catch_unwind(AssertUnwindSafe(|| codec.decode(buffer))) {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(PgWireError::InvalidMessageType(kind))) => {
            Err(violation(&format!("invalid frontend message type {kind}")))
        }
        Ok(Err(error)) => Err(violation(&error.to_string().to_lowercase())),
        Err(_) => Err(violation("a message is cut off")),
    }
}

/// What the buffer begins with.
enum Frame {
    /// A message, or a part of one.
    Good,
    /// A whole message whose text is not UTF-8, whose parts are not what its type says, or that is not answered.
    Unreadable { length: usize, error: PgWireError, awaits_sync: bool },
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
        if stage == Stage::Startup {
            check_version(buffer)?;
        }
        if stage != Stage::Session {
            return Ok(Self::Good);
        }
        let Some(message) = buffer.get(..length + 1) else { return Ok(Self::Good) };
        let (kind, body) = (message[0], &message[5..]);
        if kind == b'F' {
            // The library takes it for no message.
            let error = statement_error(&SqlError::Unsupported {
                what: "the message FunctionCall".into(),
                hint: Some("Call the function in a SELECT.".into()),
            });
            return Ok(Self::Unreadable { length: length + 1, error, awaits_sync: false });
        }
        let unreadable = |sqlstate, message: String| {
            let error = SqlError::Invalid { sqlstate, message, hint: None, position: None };
            let awaits_sync = matches!(kind, b'P' | b'B' | b'D' | b'C' | b'E' | b'H');
            let error = statement_error(&error);
            Ok(Self::Unreadable { length: length + 1, error, awaits_sync })
        };
        if let Err(message) = format::check(kind, body) {
            return unreadable("08P01", message.to_owned());
        }
        let texts = match kind {
            b'Q' => 1,
            b'P' => 2,
            _ => return Ok(Self::Good),
        };
        for text in body.split(|byte| *byte == 0).take(texts) {
            if let Err(error) = std::str::from_utf8(text) {
                let byte = text.get(error.valid_up_to()).copied().unwrap_or_default();
                let message = format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}");
                return unreadable("22021", message);
            }
        }
        Ok(Self::Good)
    }
}

/// Refuses a client of another protocol than the third.
fn check_version(startup: &[u8]) -> Result<(), PgWireError> {
    let Some(&[major_high, major_low, minor_high, minor_low]) = startup.get(4..8) else {
        return Ok(());
    };
    let major = u16::from_be_bytes([major_high, major_low]);
    let minor = u16::from_be_bytes([minor_high, minor_low]);
    // Requests for TLS and to cancel have a number of their own in this place.
    if matches!(major, 3 | 1234) {
        return Ok(());
    }
    Err(fatal_error(&SqlError::Invalid {
        sqlstate: "0A000",
        message: format!(
            "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"
        ),
        hint: None,
        position: None,
    }))
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
            Ok(Frame::Unreadable { length, .. }) => {
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
