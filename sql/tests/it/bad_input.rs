//! What no client should send, over raw sockets: the server says what is wrong or hangs up, and
//! the next client finds it as before.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vigil_sql::DatabaseOptions;
use vigil_sql::wire::{Limits, ServeOptions};

use crate::engine::TestEngine;
use crate::server::Server;

const PROTOCOL_3: i32 = 3 << 16;

/// A connection without a client library.
struct Raw(TcpStream);

impl Raw {
    async fn connect(server: &Server) -> Self {
        Self(TcpStream::connect(("127.0.0.1", server.port)).await.expect("the server listens"))
    }

    /// A connection that is let in.
    async fn started(server: &Server) -> Self {
        let mut raw = Self::connect(server).await;
        raw.send(&startup(PROTOCOL_3, &[("user", "tester")])).await;
        while raw.message().await.expect("it is let in").0 != b'Z' {}
        raw
    }

    async fn send(&mut self, bytes: &[u8]) {
        // The server may have hung up, as it may.
        let _ = self.0.write_all(bytes).await;
    }

    /// The next message; `None` at the end.
    async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.0.read_u8().await.ok()?;
        let length = usize::try_from(self.0.read_i32().await.ok()?).ok()?.checked_sub(4)?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }

    /// Severity, SQLSTATE and message of the next error; `None` when the server hangs up.
    async fn error(&mut self) -> Option<(String, String, String)> {
        loop {
            let (kind, body) = self.message().await?;
            if kind == b'E' {
                let field = |wanted: u8| {
                    let mut fields = body.split(|byte| *byte == 0);
                    let field = fields.find(|field| field.first() == Some(&wanted));
                    String::from_utf8_lossy(&field.unwrap_or_default()[1..]).into_owned()
                };
                return Some((field(b'S'), field(b'C'), field(b'M')));
            }
        }
    }

    /// Waits until the server hangs up.
    async fn ends(&mut self) {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
    }
}

fn startup(version: i32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    framed(None, &body)
}

fn framed(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).expect("is short");
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend(length.to_be_bytes());
    message.extend(body);
    message
}

fn query(sql: &[u8]) -> Vec<u8> {
    framed(Some(b'Q'), &[sql, b"\0"].concat())
}

/// The server answers somebody else.
async fn still_up(server: &Server) {
    let client = server.connect().await;
    client.query_one("SELECT 1", &[]).await.expect("the server is as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_startup_is_refused_at_once() {
    let server = Server::start().await;
    let ssl_request = framed(None, &80_877_103_i32.to_be_bytes());
    let gigabyte = [&(1_i32 << 30).to_be_bytes()[..], &PROTOCOL_3.to_be_bytes()].concat();
    let negative = [&(-5_i32).to_be_bytes()[..], &PROTOCOL_3.to_be_bytes()].concat();
    let password_first = framed(Some(b'p'), b"secret\0");
    let statement_first = query(b"CREATE SOURCE sneaky FROM 'x'");
    let cases: [(&str, Vec<u8>); 9] = [
        ("garbage", (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("a web browser", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a gigabyte", gigabyte),
        ("a negative length", negative),
        ("version 2", startup(2 << 16, &[("user", "tester")])),
        ("version 4", startup(4 << 16, &[("user", "tester")])),
        ("no user", startup(PROTOCOL_3, &[("database", "vigil")])),
        ("a password first", password_first),
        ("a statement first", statement_first),
    ];
    for (what, bytes) in cases {
        let mut raw = Raw::connect(&server).await;
        raw.send(&bytes).await;
        if let Some((severity, sqlstate, message)) = raw.error().await {
            assert_eq!(severity, "FATAL", "{what}: {message}");
            assert!(
                // PostgreSQL's for a version of the protocol that it does not speak.
                ["08P01", "28000"].contains(&sqlstate.as_str())
                    || (what.starts_with("version") && sqlstate == "0A000"),
                "{what}: {sqlstate} {message}"
            );
        }
        raw.ends().await;
    }
    let mut raw = Raw::connect(&server).await;
    for _ in 0..2 {
        raw.send(&ssl_request).await;
        assert_eq!(raw.0.read_u8().await.expect("is answered"), b'N');
    }
    drop(raw);
    assert!(server.as_owner("SHOW SOURCES").await.table().is_empty());
    still_up(&server).await;
}

/// As PostgreSQL 15 answers, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_than_the_protocol_is_negotiated() {
    let server = Server::start().await;
    let newest = PROTOCOL_3.to_be_bytes();
    let options = [("user", "tester"), ("_pq_.report", "1"), ("_pq_.more", "2")];
    let cases = [
        (PROTOCOL_3, &options[..1], None),
        (PROTOCOL_3 + 2, &options[..1], Some([&newest[..], &[0, 0, 0, 0]].concat())),
        (PROTOCOL_3 + 9999, &options[..1], Some([&newest[..], &[0, 0, 0, 0]].concat())),
        (
            PROTOCOL_3,
            &options[..],
            Some([&newest[..], &[0, 0, 0, 2], b"_pq_.more\0_pq_.report\0"].concat()),
        ),
        (
            PROTOCOL_3 + 2,
            &options[..2],
            Some([&newest[..], &[0, 0, 0, 1], b"_pq_.report\0"].concat()),
        ),
    ];
    for (version, parameters, negotiated) in cases {
        let mut raw = Raw::connect(&server).await;
        raw.send(&startup(version, parameters)).await;
        let (mut kind, mut body) = raw.message().await.expect("is answered");
        if let Some(expected) = negotiated {
            assert_eq!((kind, &body), (b'v', &expected), "{version:x}");
            (kind, body) = raw.message().await.expect("goes on");
        }
        assert_eq!((kind, body.as_slice()), (b'R', &[0, 0, 0, 0][..]), "{version:x}");
        let mut key_bytes = 0;
        while kind != b'Z' {
            (kind, body) = raw.message().await.expect("is let in");
            if kind == b'K' {
                key_bytes = body.len();
            }
        }
        assert_eq!(key_bytes, 8, "as protocol 3.0 has it");
        raw.send(&query(b"SELECT 1")).await;
        assert_eq!(raw.message().await.expect("answers").0, b'T');
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_runs_nothing() {
    let server = Server::start().await;
    server.as_owner("CREATE ROLE guard LOGIN PASSWORD 'secret'").await;
    let hello = startup(PROTOCOL_3, &[("user", "guard")]);
    let sneaky = query(b"CREATE SOURCE sneaky FROM 'x'");
    let first = framed(Some(b'p'), b"SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abcd");
    let wrong = framed(Some(b'p'), b"SCRAM-SHA-1\0\0\0\0\x0cn,,n=,r=abcd");
    let proof = framed(Some(b'p'), b"c=biws,r=abcd,p=AAAA");
    let empty = framed(Some(b'p'), b"");
    let long = [&b"p"[..], &(1_i32 << 20).to_be_bytes()].concat();
    for packets in [
        vec![&hello, &sneaky, &sneaky],
        vec![&hello, &first, &sneaky],
        vec![&hello, &first, &proof, &sneaky, &sneaky],
        vec![&hello, &wrong, &sneaky],
        vec![&hello, &proof, &sneaky],
        vec![&hello, &empty, &sneaky],
        vec![&hello, &long, &sneaky],
    ] {
        let mut raw = Raw::connect(&server).await;
        raw.send(&packets.into_iter().flatten().copied().collect::<Vec<u8>>()).await;
        let (severity, sqlstate, message) = raw.error().await.expect("is told why");
        assert_eq!(severity, "FATAL", "{message}");
        assert!(["08P01", "28P01"].contains(&sqlstate.as_str()), "{sqlstate} {message}");
        raw.ends().await;
    }
    assert!(server.as_owner("SHOW SOURCES").await.table().is_empty());
    server.log_in("guard", "secret").await.expect("the server is as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let limits = Limits { authentication_timeout: Duration::from_millis(50), ..Limits::default() };
    let options = ServeOptions { limits, ..ServeOptions::default() };
    let server =
        Server::start_with(TestEngine::default(), &DatabaseOptions::default(), options).await;
    for bytes in [&b""[..], &[0, 0, 0], &[0, 0, 0, 50, 0, 3, 0, 0, b'u']] {
        let mut raw = Raw::connect(&server).await;
        raw.send(bytes).await;
        raw.ends().await;
    }
    server.as_owner("CREATE ROLE guard LOGIN PASSWORD 'secret'").await;
    let mut raw = Raw::connect(&server).await;
    raw.send(&startup(PROTOCOL_3, &[("user", "guard")])).await;
    assert_eq!(raw.error().await.expect("is told why").1, "57014");
    raw.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none_end_the_connection() {
    let server = Server::start().await;
    let cases: [(&str, Vec<u8>); 9] = [
        ("an unknown type", framed(Some(b'!'), b"")),
        ("a short length", vec![b'Q', 0, 0, 0, 3, 0]),
        ("a negative length", vec![b'Q', 0xff, 0xff, 0xff, 0xff]),
        ("two gigabytes", vec![b'Q', 0x7f, 0xff, 0xff, 0xff]),
        ("a bind that is cut off", framed(Some(b'B'), b"\0\0\0")),
        ("a bind of many values", framed(Some(b'B'), b"\0\0\0\0\x7f\xff")),
        ("a parse that is cut off", framed(Some(b'P'), b"\0SELECT 1\0\0")),
        ("a describe of nothing", framed(Some(b'D'), b"")),
        ("an execute that is cut off", framed(Some(b'E'), b"\0\0")),
    ];
    for (what, bytes) in cases {
        let mut raw = Raw::started(&server).await;
        raw.send(&bytes).await;
        raw.send(&framed(Some(b'S'), b"")).await;
        let error = raw.error().await;
        let (_, sqlstate, message) = error.unwrap_or_else(|| panic!("{what} is not told of"));
        assert!(sqlstate == "08P01" || sqlstate == "54000", "{what}: {sqlstate} {message}");
    }
    let mut half = Raw::started(&server).await;
    half.send(&query(b"SELECT 1")[..7]).await;
    drop(half);
    still_up(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binds_that_do_not_fit_their_statement_are_errors() {
    let server = Server::start().await;
    let mut raw = Raw::started(&server).await;
    let parse = framed(Some(b'P'), b"s\0SELECT $1::int, $2::int, $3::int\0\0\0");
    let sync = framed(Some(b'S'), b"");
    raw.send(&[parse, sync.clone()].concat()).await;
    while raw.message().await.expect("is prepared").0 != b'Z' {}
    // Formats of parameters, values of a byte each, formats of columns.
    let bind = |formats: &[i16], values: i16, columns: &[i16]| {
        let mut body = b"\0s\0".to_vec();
        let codes = |formats: &[i16]| {
            let count = i16::try_from(formats.len()).expect("are few");
            std::iter::once(count)
                .chain(formats.iter().copied())
                .flat_map(i16::to_be_bytes)
                .collect::<Vec<u8>>()
        };
        body.extend(codes(formats));
        body.extend(values.to_be_bytes());
        (0..values).for_each(|_| body.extend(b"\0\0\0\x011"));
        body.extend(codes(columns));
        framed(Some(b'B'), &body)
    };
    for (bytes, sqlstate) in [
        (bind(&[0, 0], 3, &[]), "08P01"),
        (bind(&[], 2, &[]), "08P01"),
        (bind(&[], 3, &[0, 1]), "08P01"),
        (bind(&[7], 3, &[]), "22023"),
        (bind(&[1], 3, &[]), "22P02"),
    ] {
        raw.send(&[bytes, sync.clone()].concat()).await;
        let (severity, found, message) = raw.error().await.expect("is told of");
        assert_eq!((severity.as_str(), found.as_str()), ("ERROR", sqlstate), "{message}");
        assert_eq!(raw.message().await.expect("goes on").0, b'Z');
    }
    let execute = framed(Some(b'E'), b"\0\0\0\0\0");
    raw.send(&[bind(&[0], 3, &[1]), execute.clone(), execute, sync].concat()).await;
    let mut kinds = Vec::new();
    loop {
        let (kind, body) = raw.message().await.expect("is answered");
        kinds.push(kind);
        match kind {
            b'D' => assert_eq!(
                body,
                b"\0\x03\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x01"
            ),
            b'Z' => break,
            _ => {}
        }
    }
    // The second one finds no more rows.
    assert_eq!(kinds, b"2DCCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_are_not_utf8_are_refused_and_forgotten() {
    let server = Server::start().await;
    let mut raw = Raw::started(&server).await;
    raw.send(&query(b"SELECT '\xff\xfe'")).await;
    let (severity, sqlstate, message) = raw.error().await.expect("is told of");
    assert_eq!((severity.as_str(), sqlstate.as_str()), ("ERROR", "22021"));
    assert_eq!(message, "invalid byte sequence for encoding \"UTF8\": 0xff");
    assert_eq!(raw.message().await.expect("goes on").0, b'Z');
    raw.send(&framed(Some(b'P'), b"\0SELECT '\xc3'\0\0\0")).await;
    raw.send(&framed(Some(b'B'), b"\0\0\0\0\0\0\0\0")).await;
    raw.send(&framed(Some(b'S'), b"")).await;
    assert_eq!(raw.error().await.expect("is told of").1, "22021");
    assert_eq!(raw.message().await.expect("goes on").0, b'Z');
    raw.send(&query(b"SELECT 1")).await;
    while raw.message().await.expect("is answered").0 != b'Z' {}
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_functions_by_message_are_refused_and_forgotten() {
    let server = Server::start().await;
    let mut raw = Raw::started(&server).await;
    // `pg_backend_pid()`, without arguments, its result in text.
    let call = framed(Some(b'F'), b"\0\0\x07\xea\0\0\0\0\0\0");
    for _ in 0..2 {
        raw.send(&call).await;
        let (severity, sqlstate, message) = raw.error().await.expect("is told of");
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("ERROR", "0A000"));
        assert_eq!(message, "the message FunctionCall is not supported");
        assert_eq!(raw.message().await.expect("goes on").0, b'Z');
    }
    // Up to a Sync it is passed over after an error.
    raw.send(&framed(Some(b'P'), b"\0SELEC 1\0\0\0")).await;
    raw.send(&call).await;
    raw.send(&framed(Some(b'S'), b"")).await;
    assert_eq!(raw.error().await.expect("is told of").1, "42601");
    assert_eq!(raw.message().await.expect("goes on").0, b'Z');
    raw.send(&query(b"SELECT 1")).await;
    while raw.message().await.expect("is answered").0 != b'Z' {}
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_end_where_their_type_says() {
    let server = Server::start().await;
    let mut raw = Raw::started(&server).await;
    let sync = framed(Some(b'S'), b"");
    for (kind, body, message) in [
        (b'Q', b"SELECT 1".as_slice(), "invalid string in message"),
        (b'Q', b"SELECT 1\0SELECT 2\0", "invalid message format"),
        (b'P', b"\0SELECT 1\0\0\0x", "invalid message format"),
        (b'P', b"\0SELECT 1\0\0\x01", "insufficient data left in message"),
        (b'D', b"S", "invalid string in message"),
        (b'E', b"\0\0\0\0\0\0", "invalid message format"),
    ] {
        raw.send(&framed(Some(kind), body)).await;
        if kind != b'Q' {
            raw.send(&sync).await;
        }
        let (severity, sqlstate, found) = raw.error().await.expect("is told of");
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("ERROR", "08P01"));
        assert_eq!(found, message);
        assert_eq!(raw.message().await.expect("goes on").0, b'Z');
    }
    raw.send(&query(b"SELECT 1")).await;
    assert_eq!(raw.message().await.expect("is answered").0, b'T');
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_and_packets_that_are_none_are_told_at_once() {
    let server = Server::start().await;
    for (major, version) in [(2, "2.0"), (4, "4.0")] {
        let mut raw = Raw::connect(&server).await;
        raw.send(&startup(major << 16, &[("user", "tester")])).await;
        let (severity, sqlstate, message) = raw.error().await.expect("is told of");
        assert_eq!((severity.as_str(), sqlstate.as_str()), ("FATAL", "0A000"));
        let wanted = format!("unsupported frontend protocol {version}: server supports 3.0 to 3.0");
        assert_eq!(message, wanted);
        assert!(raw.message().await.is_none());
    }
    let mut raw = Raw::connect(&server).await;
    raw.send(&4_i32.to_be_bytes()).await;
    assert_eq!(raw.error().await.expect("is told of").1, "08P01");
    assert!(raw.message().await.is_none());
    let mut raw = Raw::started(&server).await;
    raw.send(&framed(Some(b'?'), b"")).await;
    assert_eq!(raw.error().await.expect("is told of").2, "invalid frontend message type 63");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_may_be_large_but_not_deep() {
    let server = Server::start().await;
    let client = server.connect().await;
    let ten_megabytes = "x".repeat(10 << 20);
    let sql = format!("SELECT length('{ten_megabytes}')");
    assert_eq!(client.query_one(&sql, &[]).await.expect("is allowed").get::<_, i32>(0), 10 << 20);
    let (open, close) = ("(".repeat(10_000), ")".repeat(10_000));
    let additions = |count: usize| format!("SELECT 1{}", " + 1".repeat(count));
    for sql in [
        format!("SELECT {open}1{close}"),
        format!("SELECT {open}"),
        format!("SELECT {}1", "NOT ".repeat(20_000)),
        format!("SELECT {}1", "- ".repeat(20_000)),
        format!("SELECT {}1{}", "ARRAY[".repeat(10_000), "]".repeat(10_000)),
        format!(
            "SELECT 1 WHERE {}true{}",
            "EXISTS (SELECT 1 WHERE ".repeat(5_000),
            ")".repeat(5_000)
        ),
        additions(20_000),
        format!("SELECT 1{}", "::int".repeat(20_000)),
        format!("SELECT 1 WHERE true{}", " OR true".repeat(20_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(20_000)),
        format!("SELECT 1 FROM frames{}", " CROSS JOIN frames".repeat(20_000)),
    ] {
        let error = client.simple_query(&sql).await.expect_err(&sql[..40]);
        let report = error.as_db_error().unwrap_or_else(|| panic!("{}: {error:?}", &sql[..40]));
        let code = report.code().code();
        assert!(code == "54001" || code == "42601", "{}: {code} {}", &sql[..40], report.message());
    }
    let row = client.query_one(&additions(500), &[]).await.expect("is not that deep");
    assert_eq!(row.get::<_, i32>(0), 501);
    let many = (0..5_000).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT count(*) FROM frames WHERE frame_number IN ({many})");
    client.query_one(&sql, &[]).await.expect("a list is not deep");
    still_up(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_have_postgresqls_sqlstates() {
    let server = Server::start().await;
    let client = server.connect().await;
    for (sql, sqlstate) in [
        ("SELECT 1 / 0", "22012"),
        ("SELECT 1 % 0", "22012"),
        ("SELECT 3000000000::int", "22003"),
        ("SELECT 'abc'::int", "22P02"),
        ("SELECT 1e999::bigint", "22003"),
    ] {
        let error = client.simple_query(sql).await.expect_err(sql);
        let report = error.as_db_error().expect("comes from the server");
        assert_eq!(report.code().code(), sqlstate, "{sql}: {}", report.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_a_bound_and_it_is_reached() {
    let server = Server::start().await;
    let client = server.connect().await;
    let places: Vec<String> = (1..=65_535).map(|number| format!("${number}")).collect();
    let sql = format!("SELECT count(*) FROM frames WHERE frame_number IN ({})", places.join(","));
    let values: Vec<i64> = (0..65_535).collect();
    let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
        values.iter().map(|value| value as _).collect();
    let row = client.query_one(&sql, &values).await.expect("is the most there can be");
    assert!(row.get::<_, i64>(0) >= 10);
    let error = client.prepare("SELECT $65536::int").await.expect_err("is one too many");
    assert_eq!(error.code().map(|code| code.code()), Some("42P02"), "{error:?}");
    client.prepare("SELECT $0::int").await.expect_err("counts from 1");
    still_up(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_holds_up_only_itself() {
    let server = Server::start().await;
    let before = server.engine.cuts();
    let mut raw = Raw::started(&server).await;
    let endless = b"SELECT repeat('x', 1000) FROM generate_series(1, 100000000)";
    raw.send(&query(endless)).await;
    raw.send(&query(endless)).await;
    server.until(|engine| engine.cuts() > before).await;
    for _ in 0..20 {
        still_up(&server).await;
    }
    drop(raw);
    // Nobody wants the rest, so nobody computes it.
    while server.database.running_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}
