//! psql's backslash commands, with the psql of this machine.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

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

/// Runs psql with this script as its input.
async fn script(server: &Server, script: &'static str) -> (String, String) {
    let mut psql = Command::new("psql");
    psql.env("PGCONNECT_TIMEOUT", "10").env("LC_ALL", "C.UTF-8").env("PAGER", "");
    psql.args(["-X", "-h", "127.0.0.1", "-U", "tester", "-d", "vigil", "-p"]);
    psql.arg(server.port.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    psql.stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || {
        let mut child = psql.spawn().expect("psql is there");
        let mut input = child.stdin.take().expect("is piped");
        input.write_all(script.as_bytes()).expect("psql reads");
        drop(input);
        child.wait_with_output().expect("psql ends")
    });
    let output = output.await.expect("does not panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_the_backslash_commands_answer() {
    let server = Server::start().await;
    let cases: [(&str, &[&str]); 26] = [
        ("\\dn+", &["public", "Description"]),
        ("\\dT", &["List of data types"]),
        ("\\dTS vec*", &["vector"]),
        ("\\do", &["List of operators"]),
        ("\\do =", &["="]),
        ("\\di", &["frames_pkey", "captions_embedding_idx"]),
        ("\\di+", &["hnsw"]),
        ("\\dm", &[]),
        ("\\dv", &[]),
        ("\\ds", &[]),
        ("\\df iou", &["iou", "double precision"]),
        ("\\dfS+ lower", &["lower"]),
        ("\\sf iou", &["CREATE OR REPLACE FUNCTION public.iou(", "RETURNS double precision"]),
        ("\\dnS", &["information_schema", "pg_catalog"]),
        ("\\d information_schema.tables", &["View \"information_schema.tables\"", "table_type"]),
        ("\\dAp", &["List of support functions", "btint4cmp"]),
        ("\\du+", &["List of roles", "vigil_admin"]),
        ("\\l+", &["vigil"]),
        (
            "\\d frames",
            &[
                "Indexes:",
                "\"frames_pkey\" PRIMARY KEY, btree (source, frame_number)",
                "Referenced by:",
            ],
        ),
        (
            "\\d detections",
            &["Foreign-key constraints:", "REFERENCES frames(source, frame_number)"],
        ),
        ("\\d captions", &["\"captions_embedding_idx\" hnsw (embedding vector_cosine_ops)"]),
        ("\\d+ tracks", &["Description", "number of the track"]),
        ("\\d captions_embedding_idx", &["Index \"public.captions_embedding_idx\""]),
        ("\\dp", &["Access privileges"]),
        ("\\dx", &["List of installed extensions"]),
        ("\\dd", &["Object descriptions"]),
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
}

#[tokio::test(flavor = "multi_thread")]
async fn timing_watch_copy_and_comments() {
    let server = Server::start().await;
    let (shown, complaint) = script(
        &server,
        "\\timing on\nSELECT 1 AS one;\n\\timing off\n\\copy (SELECT frame_number, source FROM frames ORDER BY 1 LIMIT 2) TO STDOUT WITH (FORMAT csv, HEADER)\n\
         COMMENT ON TABLE tracks IS 'what went by';\nCOMMENT ON COLUMN tracks.state IS 'how it is';\n\\dt+ tracks\n\\d+ tracks\n\
         CREATE VIEW seen AS SELECT track_id FROM tracks;\nCOMMENT ON VIEW seen IS 'all that was seen';\n\
         COMMENT ON COLUMN seen.track_id IS 'its number';\n\\dv+\n\\d+ seen\n\
         \\set FETCH_COUNT 3\nSELECT frame_number FROM frames WHERE frame_number < 5;\nSELECT count(*) AS n FROM tracks \\gset\n\\echo n is :n\n\
         SELECT 1 AS a \\gdesc\n",
    )
    .await;
    for word in [
        "Time: ",
        "frame_number,source\n0,lobby\n1,lobby\n",
        "what went by",
        "how it is",
        "all that was seen",
        "its number",
        "n is 2",
        "(5 rows)",
    ] {
        assert!(shown.contains(word), "{word}:\n{shown}\n{complaint}");
    }
    // \watch goes on until it is stopped; psql 15 has no count for it.
    let parameters = format!("-X -h 127.0.0.1 -U tester -d vigil -p {}", server.port);
    let mut psql = Command::new("psql");
    psql.args(parameters.split(' ')).env("LC_ALL", "C.UTF-8").env("PSQL_WATCH_PAGER", "");
    psql.stdin(Stdio::piped()).stdout(Stdio::piped());
    let seen = tokio::task::spawn_blocking(move || {
        let mut child = psql.spawn().expect("psql is there");
        let mut input = child.stdin.take().expect("is piped");
        input.write_all(b"SELECT 41 + 1 AS answer \\watch 0.05\n").expect("psql reads");
        let output = BufReader::new(child.stdout.take().expect("is piped"));
        let answers = output.lines().map_while(Result::ok).filter(|line| line.trim() == "42");
        let seen = answers.take(3).count();
        let _ = child.kill();
        let _ = child.wait();
        seen
    });
    assert_eq!(seen.await.expect("does not panic"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_completed() {
    // What psql asks when somebody presses the tabulator: tables, columns, schemas, settings.
    let server = Server::start().await;
    for (sql, word) in [
        (
            "SELECT c.relname, NULL::pg_catalog.text FROM pg_catalog.pg_class c \
             WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND (c.relname) LIKE 'det%' \
             AND pg_catalog.pg_table_is_visible(c.oid) AND c.relnamespace OPERATOR(pg_catalog.<>) \
             (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pg_catalog') \
             UNION ALL SELECT NULL::pg_catalog.text, n.nspname FROM pg_catalog.pg_namespace n \
             WHERE n.nspname LIKE 'det%' LIMIT 1000",
            "detections",
        ),
        (
            "SELECT attname FROM pg_catalog.pg_attribute a, pg_catalog.pg_class c \
             WHERE c.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped AND (attname) LIKE 'conf%' \
             AND (c.relname) = ('detections') AND pg_catalog.pg_table_is_visible(c.oid) LIMIT 1000",
            "confidence",
        ),
        (
            "SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname LIKE 'vig%' LIMIT 1000",
            "vigil_catalog",
        ),
        (
            "SELECT name FROM (SELECT pg_catalog.lower(name) AS name FROM pg_catalog.pg_settings \
             WHERE context != 'internal' UNION ALL SELECT 'all') ss WHERE substring(name,1,4)='stat' LIMIT 1000",
            "statement_timeout",
        ),
    ] {
        let Some(output) = psql(&server, &[sql]).await else { return };
        let shown = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(shown.contains(word), "{sql}\n{shown}{complaint}");
    }
}
