//! Real clients against a real server: psql with its backslash commands, psycopg with parameters
//! in the extended protocol.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::server::Server;

const BOXES: &str = "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (objects = 3, frames = 60, width = 320, height = 240, seed = 7) WITH (captioner = 'none', embedder = 'none')";

#[test]
fn psql_connects_describes_and_asks() -> Result<()> {
    let server = Server::start()?;
    server.values(BOXES)?;
    // Several statements in one string, ours among them.
    let counted = server.values(
        "SELECT 1; WAIT FOR SOURCE boxes TIMEOUT '1 minute'; SELECT count(*) FROM frames",
    )?;
    assert!(counted.ends_with("60"), "{counted}");
    for (command, words) in [
        (r"\d", &["detections", "tracks", "frames", "captions", "embeddings"][..]),
        (r"\dt", &["detections", "table"]),
        (r"\d detections", &["track_id", "bigint", "timestamp with time zone", "confidence"]),
        (r"\d+ captions", &["embedding", "vector(384)"]),
        (r"\d captions", &["objects", "json", "Indexes:", "hnsw (embedding vector_cosine_ops)"]),
        (r"\di", &["captions_embedding_idx", "embeddings_appearance_idx", "index"]),
        (r"\dn", &["public", "vigil_catalog"]),
        (r"\l", &["vigil"]),
        (r"\conninfo", &["127.0.0.1"]),
        (r"\dt vigil_catalog.*", &["source_statistics", "frontiers"]),
    ] {
        let output = server.psql(&["--command", command])?;
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && wrong.is_empty(), "{command}: {wrong}");
        for word in words {
            assert!(said.contains(word), "{command} does not show {word}:\n{said}");
        }
    }
    let table = server.psql(&["--command", "SHOW SOURCES"])?;
    assert!(String::from_utf8_lossy(&table.stdout).contains("boxes"));
    Ok(())
}

/// With a source that still runs and a client that is connected, SIGTERM ends the server in order.
#[test]
fn a_server_that_is_asked_to_stop_says_goodbye() -> Result<()> {
    let server = Server::start()?;
    server.values(
        "CREATE SOURCE endless FROM LOAD GENERATOR MOVING_BOXES (frames = 100000000) WITH (captioner = 'none', embedder = 'none')",
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_client, connection) =
        runtime.block_on(tokio_postgres::connect(&server.url(), tokio_postgres::NoTls))?;
    let status = server.terminate()?;
    ensure!(status.code() == Some(0), "it ended with {status}");
    let goodbye = runtime.block_on(connection).expect_err("the connection ends with an error");
    assert_eq!(goodbye.code().map(|code| code.code()), Some("57P01"), "{goodbye}");
    Ok(())
}

#[test]
fn psycopg_uses_parameters_and_our_statements_in_the_extended_protocol() -> Result<()> {
    let python = vigil_test_data::top_level().join(".venv/bin/python");
    if !python.exists() {
        eprintln!("psycopg: skipped, there is no .venv (run \"make setup\")");
        return Ok(());
    }
    let server = Server::start()?;
    let program = r#"
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as c:
    for binary in (False, True):
        cur = c.cursor(binary=binary)
        cur.execute("CREATE SOURCE IF NOT EXISTS boxes FROM LOAD GENERATOR MOVING_BOXES (objects = 3, frames = 60, width = 320, height = 240, seed = 7) WITH (captioner = 'none', embedder = 'none')", prepare=True)
        cur.execute("WAIT FOR SOURCE boxes TIMEOUT '1 minute'", prepare=True)
        cur.execute("SELECT count(*) FROM detections WHERE class_name = %s AND frame_number < %s", ("person", 10))
        assert cur.fetchone() == (10,), "counted otherwise"
        cur.execute("SELECT ts, track_id, confidence, x1 < x2 FROM detections WHERE frame_number = %s AND class_name = %s", (25, "car"))
        ts, track, confidence, ordered = cur.fetchone()
        assert ts.timestamp() == 1.0 and track == 2 and confidence == 1.0 and ordered is True, (ts, track, confidence, ordered)
        cur.execute("SHOW SOURCES", prepare=True)
        assert cur.fetchone()[0] == "boxes"
        cur.execute("SELECT frame_image(%s, %s)", ("boxes", 0))
        picture = bytes(cur.fetchone()[0])
        assert picture[:3] == b"\xff\xd8\xff"
        cur.execute("SELECT length(frame_image(source, 0)), octet_length(frame_image(source, 0)), bit_length(frame_image(source, 0)) FROM frames WHERE frame_number = 0")
        assert cur.fetchone() == (len(picture), len(picture), 8 * len(picture))
        cur.execute("SELECT class_name, count(*) FROM detections WHERE frame_number = 0 GROUP BY 1")
        counts = dict(cur.fetchall())
        cur.execute("SELECT objects, objects->'person', (objects->>%s)::int, objects ? 'person', objects->>'zebra' FROM captions WHERE frame_number = 0", ("person",))
        row = cur.fetchone()
        assert row == (counts, counts["person"], counts["person"], True, None), (row, counts)
    try:
        c.execute("SELECT * FROM nowhere")
        raise SystemExit("no error")
    except psycopg.errors.UndefinedTable:
        pass
    assert c.execute("SELECT 1").fetchone() == (1,)
print("ok")
"#;
    let output = Command::new(python).args(["-c", program, &server.url()]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(())
}
