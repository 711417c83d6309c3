//! psql's backslash commands, with the psql of this machine.

use std::process::{Command, Output};

use crate::server::Server;

/// Runs psql with these commands; `None` when there is none.
async fn psql(server: &Server, commands: &[&str]) -> Option<Output> {
    let mut psql = Command::new("psql");
    psql.env("PGCONNECT_TIMEOUT", "10").env("LC_ALL", "C.UTF-8").args(["-X", "-v"]);
    psql.args(["ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "tester", "-d", "vigil", "-p"]);
    psql.arg(server.port.to_string());
    for command in commands {
        psql.args(["-c", command]);
    }
    let output = tokio::task::spawn_blocking(move || psql.output()).await.expect("does not panic");
    match output {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: psql could not be run here ({error})");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backslash_commands_answer() {
    let server = Server::start().await;
    let cases: [(&str, &[&str]); 17] = [
        ("\\d", &["detections", "frames", "tracks"]),
        ("\\dt", &["captions", "embeddings"]),
        ("\\dt+", &["Objects in frames"]),
        ("\\dt vigil_catalog.*", &["source_statistics", "frontiers"]),
        ("\\d detections", &["track_id", "bigint", "timestamp with time zone", "not null"]),
        ("\\d+ detections", &["the detector's score, 0..1"]),
        ("\\d captions", &["vector(384)"]),
        ("\\d embeddings", &["vector"]),
        ("\\d tracks", &["record[]"]),
        ("\\d vigil_catalog.sources", &["create_sql"]),
        ("\\dn", &["public", "vigil_catalog"]),
        ("\\l", &["vigil", "UTF"]),
        ("\\df", &["List of functions"]),
        ("\\du", &["List of roles"]),
        ("\\dv", &[]),
        ("\\di", &[]),
        ("\\conninfo", &["connected to database \"vigil\" as user \"tester\""]),
    ];
    for (command, words) in cases {
        let Some(output) = psql(&server, &[command]).await else { return };
        let shown = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {complaint}");
        for word in words {
            assert!(shown.contains(word), "{command} does not show {word}:\n{shown}{complaint}");
        }
    }
    let Some(output) = psql(&server, &["\\dt"]).await else { return };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(!shown.contains("vigil_catalog"), "it is not in the search path:\n{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_tags_and_errors_are_shown() {
    let server = Server::start().await;
    let Some(output) = psql(
        &server,
        &[
            "CREATE SOURCE a FROM 'x.mp4'",
            "CREATE SOURCE IF NOT EXISTS a FROM 'x.mp4'",
            "WAIT FOR SOURCE a",
            "BEGIN",
            "COMMIT",
            "SELECT 1 AS one",
            "DROP SOURCE a",
            "SELECT 1 FROM frames LIMT 1",
        ],
    )
    .await
    else {
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    for word in ["CREATE SOURCE", "WAIT FOR SOURCE", "BEGIN", "COMMIT", "(1 row)", "DROP SOURCE"] {
        assert!(shown.contains(word), "{word}:\n{shown}");
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("NOTICE:  source \"a\" already exists, skipping"), "{complaint}");
    assert!(complaint.contains("ERROR:  syntax error at or near \"1\""), "{complaint}");
    assert!(complaint.contains("LINE 1: SELECT 1 FROM frames LIMT 1"), "{complaint}");
    assert!(!output.status.success());
}
