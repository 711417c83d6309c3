//! What is refused, with which SQLSTATE, message, hint and position.

use vigil_sql::SqlError;

use crate::server::{database, run};

async fn error(sql: &str) -> SqlError {
    let (_engine, database) = database();
    let mut session = database.session();
    match run(&mut session, sql).await {
        Ok(answer) => panic!("{sql} answered {answer:?}"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn errors_have_postgresqls_sqlstate_and_words() {
    let cases = [
        ("SELECT * FROM nowhere", "42P01", "relation \"nowhere\" does not exist"),
        ("SELECT * FROM other.frames", "42P01", "relation \"other.frames\" does not exist"),
        ("SELECT nothing FROM frames", "42703", "column \"nothing\" does not exist"),
        ("SELECT f.nothing FROM frames f", "42703", "column f.nothing does not exist"),
        (
            "SELECT source FROM frames, detections",
            "42702",
            "column reference \"source\" is ambiguous",
        ),
        ("SELECT nothing(1)", "42883", "function nothing does not exist"),
        ("SELECT 1 / 0", "22012", "division by zero"),
        (
            "SELECT regexp_replace(repeat('a', 100000), 'a', repeat('b', 100000), 'g')",
            "54000",
            "requested length too large",
        ),
        ("SELECT repeat('a', 2000000000)", "54000", "requested length too large"),
        (
            "SELECT length(repeat(repeat('a', 100000), 100000))",
            "54000",
            "requested length too large",
        ),
        ("SELECT format('%2000000000s', 'a')", "54000", "requested length too large"),
        ("SELECT lpad('a', 2000000000, 'b')", "54000", "requested length too large"),
        (
            "SELECT replace(repeat('a', 100000), 'a', repeat('b', 100000))",
            "54000",
            "requested length too large",
        ),
        (
            "SELECT length(repeat('ab', frame_number::int + 200000000)) FROM frames",
            "54000",
            "requested length too large",
        ),
        ("SELECT width / (width - width) FROM frames", "22012", "division by zero"),
        ("SELECT CAST('abc' AS bigint)", "22P02", "invalid input syntax for type bigint: \"abc\""),
        ("INSERT INTO detections VALUES (1)", "42809", "cannot insert into table \"detections\""),
        ("UPDATE frames SET width = 1", "42809", "cannot update table \"frames\""),
        ("DELETE FROM frames", "42809", "cannot delete from table \"frames\""),
        ("TRUNCATE frames", "42809", "cannot truncate table \"frames\""),
        ("CREATE TABLE t (a int)", "0A000", "CREATE TABLE is not supported"),
        (
            "CREATE TEMP VIEW public.v AS SELECT 1",
            "42P16",
            "cannot create temporary relation in non-temporary schema",
        ),
        ("DROP TABLE frames", "0A000", "DROP TABLE is not supported"),
        ("SELECT 1 INTO t", "0A000", "SELECT INTO is not supported"),
        ("COPY frames TO '/tmp/x'", "0A000", "COPY to a file or a program is not supported"),
        ("SET nonsense = 1", "42704", "unrecognized configuration parameter \"nonsense\""),
        ("SHOW nonsense", "42704", "unrecognized configuration parameter \"nonsense\""),
        ("DROP SOURCE nowhere", "42704", "source \"nowhere\" does not exist"),
        ("WAIT FOR SOURCE nowhere", "42704", "source \"nowhere\" does not exist"),
        ("SHOW CREATE SOURCE nowhere", "42704", "source \"nowhere\" does not exist"),
        ("SELECT embed('a', 'nothing')", "42704", "model \"nothing\" does not exist"),
        (
            "SELECT '[1,2]'::vector <=> '[1]'::vector",
            "22000",
            "different vector dimensions 2 and 1",
        ),
        ("CREATE SOURCE a FROM 'x' WITH (detectr = 'y')", "22023", "unknown option \"detectr\""),
        (
            "CREATE SOURCE a FROM 'x'; CREATE SOURCE a FROM 'y'",
            "42710",
            "source \"a\" already exists",
        ),
        ("CREATE SOURCE public.a FROM 'x'", "0A000", "sources and models are in no schema"),
    ];
    for (sql, sqlstate, message) in cases {
        let error = error(sql).await;
        assert_eq!((error.sqlstate(), error.to_string().as_str()), (sqlstate, message), "{sql}");
    }
}

#[tokio::test]
async fn hints_say_what_to_do() {
    let cases = [
        ("SELECT sorce FROM frames", "source"),
        ("DELETE FROM frames", "DROP SOURCE"),
        ("CREATE TABLE t (a int)", "CREATE SOURCE"),
        ("CREATE SOURCE a FROM 'x' WITH (detectr = 'y')", "detector"),
        ("CREATE SOURCE lobby FROM 'x'; DROP SOURCE loby", "\"lobby\""),
        ("DROP SOURCE x", "SHOW SOURCES"),
        ("SET statement_timout = 1", "statement_timeout"),
        ("WAIT FOR SOURCE a TIMEOUT 'soon'", "'90 seconds'"),
    ];
    for (sql, part) in cases {
        let hint = error(sql).await.hint();
        assert!(hint.as_deref().is_some_and(|hint| hint.contains(part)), "{sql}: {hint:?}");
    }
}

#[tokio::test]
async fn syntax_errors_say_where() {
    let cases: [(&str, Option<&str>, usize); 16] = [
        ("SELEC 1", Some("SELEC"), 1),
        ("SELECT 1; SELEC 2", Some("SELEC"), 11),
        ("SELECT 1 FROM frames WHERE )", Some(")"), 28),
        ("SELECT * FROM frames WHERE", None, 27),
        ("SELECT 'ä', 'ö'\n  FORM frames x", Some("frames"), 24),
        ("SELECT * FORM frames", Some("FORM"), 10),
        ("SELECT * FROM frames ORDER width", Some("width"), 28),
        ("SELECT * FROM frames GROUP", None, 27),
        ("CREATE SOURCE", None, 14),
        ("CREATE SOURCE a", None, 16),
        ("CREATE SOURCE a FROM b", Some("b"), 22),
        ("CREATE SOURCE from FROM 'x'", Some("from"), 15),
        ("CREATE SOURCE a FROM 'x' WITH (fps 10)", Some("10"), 36),
        ("CREATE SOURCE a FROM 'x' WITH ()", Some(")"), 32),
        ("SHOW SOURCES please", Some("please"), 14),
        ("WAIT SOURCE a", Some("SOURCE"), 6),
    ];
    for (sql, near, position) in cases {
        let error = error(sql).await;
        assert_eq!(error.sqlstate(), "42601", "{sql}");
        let message = match near {
            Some(near) => format!("syntax error at or near \"{near}\""),
            None => "syntax error at end of input".to_owned(),
        };
        assert_eq!((error.to_string(), error.position()), (message, Some(position)), "{sql}");
    }
    let error = error("SELECT 'never closed").await;
    assert_eq!(error.sqlstate(), "42601");
    assert_eq!(error.to_string(), "unterminated quoted string");
    assert_eq!(error.position(), Some(8));
}

#[tokio::test]
async fn a_syntax_error_keeps_the_whole_string_from_running() {
    let (_engine, database) = database();
    let mut session = database.session();
    run(&mut session, "CREATE SOURCE a FROM 'x'; SELEC 1").await.expect_err("is no SQL");
    let answer = run(&mut session, "SHOW SOURCES").await.expect("runs");
    assert_eq!(answer.tag, "SHOW");
    assert!(answer.table().is_empty());
}

#[tokio::test]
async fn messages_are_one_line_without_a_librarys_name() {
    for sql in [
        "SELECT 1 + 'a'::text || 2 + frames FROM frames",
        "SELECT sum(source) FROM frames",
        "SELECT width FROM frames GROUP BY source",
        "SELECT * FROM frames WHERE source",
        "SELECT iou(1, 2)",
        "SELECT count(*) FROM frames LIMIT -1",
        "SELECT date_bin('x', ts) FROM frames",
    ] {
        let error = error(sql).await;
        let message = error.to_string();
        assert!(!message.contains('\n'), "{sql}: {message}");
        assert!(!message.contains("Error") && !message.contains("DataFusion"), "{sql}: {message}");
        assert_ne!(error.sqlstate(), "XX000", "{sql}: {message}");
    }
}

#[tokio::test]
async fn a_panic_is_one_statements_error() {
    let (_engine, database) = database();
    let mut session = database.session();
    let error = run(&mut session, "CREATE SOURCE a FROM 'panic'").await.expect_err("panics");
    assert_eq!(error.sqlstate(), "XX000");
    assert_eq!(error.detail(), Some("the test asked for it"));
    run(&mut session, "SELECT 1").await.expect("the session goes on");
}
