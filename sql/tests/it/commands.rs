//! `PREPARE`, cursors, `COPY`, savepoints, channels: PostgreSQL's statements about other ones.

use futures::{StreamExt, TryStreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, NoTls, SimpleQueryMessage};
use vigil_sql::TransactionStatus;

use crate::server::{Server, database, run};

#[tokio::test]
async fn a_prepared_statement_is_executed_with_values() {
    let (_engine, database) = database();
    let mut session = database.session();
    let prepared = run(
        &mut session,
        "PREPARE few (bigint, text) AS SELECT frame_number FROM frames
         WHERE frame_number < $1 AND source = $2 ORDER BY 1",
    )
    .await
    .expect("runs");
    assert_eq!(prepared.tag, "PREPARE");
    let answer = run(&mut session, "EXECUTE few (1 + 1, 'lobby')").await.expect("runs");
    assert_eq!((answer.tag.as_str(), answer.table()), ("SELECT 2", vec!["0".into(), "1".into()]));
    assert_eq!(
        run(&mut session, "EXECUTE few ('1', 'lobby')").await.expect("runs").tag,
        "SELECT 1"
    );
    for (sql, sqlstate) in [
        ("EXECUTE few (1)", "42601"),
        ("EXECUTE few ('x', 'lobby')", "22P02"),
        ("EXECUTE other", "26000"),
        ("PREPARE few AS SELECT 1", "42P05"),
        ("PREPARE bad AS SELECT nothing", "42703"),
        ("PREPARE bad AS BEGIN", "0A000"),
        ("PREPARE bad (nothing) AS SELECT $1", "42704"),
        ("PREPARE bad", "42601"),
    ] {
        let error = run(&mut session, sql).await.expect_err(sql);
        assert_eq!(error.sqlstate(), sqlstate, "{sql}: {error}");
    }
    assert_eq!(run(&mut session, "DEALLOCATE few").await.expect("runs").tag, "DEALLOCATE");
    let error = run(&mut session, "EXECUTE few (1, 'a')").await.expect_err("is forgotten");
    assert_eq!(error.sqlstate(), "26000");
}

/// The rows of a table with their values trimmed.
fn cells(rows: &[String]) -> Vec<String> {
    let trimmed = |row: &String| row.split('|').map(str::trim).collect::<Vec<_>>().join("|");
    rows.iter().map(trimmed).collect()
}

#[tokio::test]
async fn a_literal_is_read_as_the_parameters_type() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, expected) in [
        ("PREPARE v AS SELECT $1::vector <-> '[1,2]'; EXECUTE v('[1,5]')", "3.0"),
        ("PREPARE a(int[]) AS SELECT $1[2], cardinality($1); EXECUTE a('{7,8,9}')", "8|3"),
        ("PREPARE any_of AS SELECT 3 = ANY($1::int[]); EXECUTE any_of('{1,3}')", "true"),
        ("EXECUTE any_of(ARRAY[1, 2])", "false"),
        (
            "PREPARE t(timestamptz) AS SELECT $1 + interval '1 hour'; EXECUTE t('2026-01-01 10:00+02')",
            "2026-01-01T09:00:00Z",
        ),
    ] {
        let answer = run(&mut session, sql).await.expect(sql);
        assert_eq!(cells(&answer.table()), [expected], "{sql}");
    }
    for (sql, sqlstate) in
        [("EXECUTE v('1,2')", "22P02"), ("EXECUTE a('{x}')", "22P02"), ("EXECUTE t('x')", "22007")]
    {
        let error = run(&mut session, sql).await.expect_err(sql);
        assert_eq!(error.sqlstate(), sqlstate, "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_session_sees_its_cursors_and_prepared_statements() {
    let (_engine, database) = database();
    let mut session = database.session();
    run(&mut session, "PREPARE p(bigint) AS SELECT $1; BEGIN").await.expect("runs");
    run(&mut session, "DECLARE c SCROLL CURSOR FOR SELECT 1").await.expect("runs");
    run(&mut session, "DECLARE h CURSOR WITH HOLD FOR SELECT 2").await.expect("runs");
    let cursors = "SELECT name, statement, is_holdable, is_scrollable FROM pg_cursors ORDER BY 1";
    let answer = run(&mut session, cursors).await.expect("runs");
    assert_eq!(
        cells(&answer.table()),
        [
            "c|DECLARE c SCROLL CURSOR FOR SELECT 1|false|true",
            "h|DECLARE h CURSOR WITH HOLD FOR SELECT 2|true|false",
        ]
    );
    let answer = run(&mut session, &format!("COMMIT; {cursors}")).await.expect("runs");
    assert_eq!(cells(&answer.table()), ["h|DECLARE h CURSOR WITH HOLD FOR SELECT 2|true|false"]);
    let prepared = "SELECT name, parameter_types, from_sql FROM pg_prepared_statements";
    let answer = run(&mut session, prepared).await.expect("runs");
    assert_eq!(cells(&answer.table()), ["p|[bigint]|true"]);
    let answer = run(&mut session, &format!("DEALLOCATE p; CLOSE h; {prepared}")).await;
    assert_eq!(cells(&answer.expect("runs").table()), Vec::<String>::new());
    assert_eq!(
        cells(&run(&mut session, cursors).await.expect("runs").table()),
        Vec::<String>::new()
    );
    let mut other = database.session();
    assert_eq!(cells(&run(&mut other, cursors).await.expect("runs").table()), Vec::<String>::new());
}

#[tokio::test]
async fn a_cursor_goes_forward_and_with_scroll_back() {
    let (_engine, database) = database();
    let mut session = database.session();
    let error =
        run(&mut session, "DECLARE c CURSOR FOR SELECT 1").await.expect_err("needs a block");
    assert_eq!(error.sqlstate(), "25P01");
    run(&mut session, "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT * FROM generate_series(1, 20000)")
        .await
        .expect("runs");
    for (sql, tag, first, last) in [
        ("FETCH c", "FETCH 1", "1", "1"),
        ("FETCH 2 FROM c", "FETCH 2", "2", "3"),
        ("FETCH 0 c", "FETCH 1", "3", "3"),
        ("FETCH BACKWARD 5 IN c", "FETCH 2", "2", "1"),
        ("FETCH PRIOR c", "FETCH 0", "", ""),
        ("FETCH FORWARD 10000 c", "FETCH 10000", "1", "10000"),
        ("FETCH RELATIVE 5 c", "FETCH 1", "10005", "10005"),
        ("FETCH ABSOLUTE -2 c", "FETCH 1", "19999", "19999"),
        ("FETCH ALL c", "FETCH 1", "20000", "20000"),
        ("FETCH NEXT c", "FETCH 0", "", ""),
        ("FETCH BACKWARD 1 c", "FETCH 1", "20000", "20000"),
        ("FETCH FIRST c", "FETCH 1", "1", "1"),
        ("FETCH LAST c", "FETCH 1", "20000", "20000"),
        ("FETCH BACKWARD ALL c", "FETCH 19999", "19999", "1"),
    ] {
        let answer = run(&mut session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer.tag, tag, "{sql}");
        let rows = answer.table();
        assert_eq!(rows.first().map_or("", String::as_str), first, "{sql}");
        assert_eq!(rows.last().map_or("", String::as_str), last, "{sql}");
    }
    assert_eq!(run(&mut session, "MOVE 7 c").await.expect("runs").tag, "MOVE 7");
    assert_eq!(run(&mut session, "CLOSE c").await.expect("runs").tag, "CLOSE CURSOR");
    run(&mut session, "SAVEPOINT s").await.expect("runs");
    run(&mut session, "DECLARE d CURSOR FOR SELECT 1; FETCH ALL d").await.expect("runs");
    let error = run(&mut session, "FETCH PRIOR d").await.expect_err("goes forward only");
    assert_eq!(error.sqlstate(), "55000");
    run(&mut session, "ROLLBACK TO s").await.expect("runs");
    let error = run(&mut session, "FETCH d").await.expect_err("is younger than the savepoint");
    assert_eq!(error.sqlstate(), "34000");
}

#[tokio::test]
async fn a_held_cursor_outlives_its_block() {
    let (_engine, database) = database();
    let mut session = database.session();
    run(
        &mut session,
        "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT * FROM generate_series(1, 3);
         DECLARE short CURSOR FOR SELECT 1; FETCH held; COMMIT",
    )
    .await
    .expect("runs");
    assert_eq!(run(&mut session, "FETCH ALL held").await.expect("lives").table(), ["2", "3"]);
    let error = run(&mut session, "FETCH short").await.expect_err("is gone");
    assert_eq!(error.sqlstate(), "34000");
    let error = run(&mut session, "DECLARE held CURSOR WITH HOLD FOR SELECT 1").await;
    assert_eq!(error.expect_err("is there").sqlstate(), "42P03");
    assert_eq!(run(&mut session, "CLOSE ALL").await.expect("runs").tag, "CLOSE CURSOR ALL");
    run(&mut session, "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; ROLLBACK")
        .await
        .expect("runs");
    run(&mut session, "FETCH held").await.expect_err("was rolled back");
}

#[tokio::test]
async fn a_block_reads_one_cut() {
    let (_engine, database) = database();
    let mut session = database.session();
    let count = "SELECT count(*) FROM frames";
    for begin in ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION READ ONLY"] {
        run(&mut session, begin).await.expect("begins");
        let first = run(&mut session, count).await.expect("runs").table();
        let again = run(&mut session, count).await.expect("runs").table();
        assert_eq!(first, again, "{begin}");
        run(&mut session, "DECLARE c CURSOR FOR SELECT count(*) FROM frames").await.expect("runs");
        assert_eq!(run(&mut session, "FETCH c").await.expect("runs").table(), first);
        let level = run(&mut session, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await;
        assert_eq!(level.expect_err("has read").sqlstate(), "25001");
        run(&mut session, "ROLLBACK").await.expect("ends");
        assert_ne!(run(&mut session, count).await.expect("runs").table(), first, "{begin}");
    }
    run(&mut session, "BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("begins");
    let level = run(&mut session, "SHOW transaction_isolation").await.expect("runs");
    assert_eq!(level.table(), ["repeatable read"]);
    let before = run(&mut session, count).await.expect("runs").table();
    run(&mut session, "CREATE SOURCE a FROM 'x'").await.expect("runs");
    assert_eq!(run(&mut session, count).await.expect("runs").table(), before);
    run(&mut session, "COMMIT AND CHAIN").await.expect("ends");
    assert_eq!(session.transaction_status(), TransactionStatus::InBlock);
    let level = run(&mut session, "SHOW transaction_isolation").await.expect("runs");
    assert_eq!(level.table(), ["repeatable read"]);
    let before = run(&mut session, count).await.expect("runs").table();
    run(&mut session, "WAIT FOR SOURCE a").await.expect("runs");
    assert_eq!(run(&mut session, count).await.expect("runs").table(), before);
    let error = run(&mut session, "DISCARD ALL").await.expect_err("is in a block");
    assert_eq!(error.sqlstate(), "25001");
}

#[tokio::test]
async fn names_may_come_twice_and_bytes_in_two_formats() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, row) in [
        ("SELECT 1, 1, 1 AS a, 2 AS a", "1        | 1        | 1 | 2"),
        (
            "SELECT frame_number, frame_number FROM frames ORDER BY frame_number LIMIT 1",
            "0            | 0",
        ),
    ] {
        let answer = run(&mut session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer.table(), [row], "{sql}");
    }
    let names = run(&mut session, "SELECT keyframe, *, source FROM frames LIMIT 1").await;
    let names = names.expect("runs").rows[0].schema();
    assert_eq!(names.field(0).name(), "keyframe");
    assert_eq!(names.fields().last().map(|field| field.name().as_str()), Some("source"));
    let bytes = run(&mut session, "SELECT '\\x00ff'::bytea AS b, 'a\\\\001'::bytea AS c").await;
    assert_eq!(bytes.expect("runs").table(), ["00ff | 615c303031"]);
    let error = run(&mut session, "SELECT '\\x0'::bytea").await.expect_err("is half a byte");
    assert_eq!(error.sqlstate(), "22P02");
}

async fn copied(client: &tokio_postgres::Client, sql: &str) -> Vec<u8> {
    let stream = client.copy_out(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let chunks: Vec<_> =
        stream.try_collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    chunks.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_copied_out() {
    let server = Server::start().await;
    let client = server.connect().await;
    let query =
        "SELECT 1 AS a, E'x\\ty\\\\\"' AS b, NULL AS c UNION ALL SELECT 2, '', 'a,b' ORDER BY 1";
    for (options, text) in [
        ("", "1\tx\\ty\\\\\"\t\\N\n2\t\ta,b\n"),
        ("WITH (FORMAT csv, HEADER)", "a,b,c\n1,\"x\ty\\\"\"\",\n2,\"\",\"a,b\"\n"),
        ("CSV DELIMITER ';' NULL AS '-' QUOTE ''''", "1;x\ty\\\";-\n2;;a,b\n"),
        (
            "(FORMAT csv, FORCE_QUOTE (a), ESCAPE '\\')",
            "\"1\",\"x\ty\\\\\\\"\",\n\"2\",\"\",\"a,b\"\n",
        ),
        ("(HEADER true, DELIMITER '|', NULL 'none')", "a|b|c\n1|x\\ty\\\\\"|none\n2||a,b\n"),
    ] {
        let sql = format!("COPY ({query}) TO STDOUT {options}");
        assert_eq!(String::from_utf8_lossy(&copied(&client, &sql).await), text, "{sql}");
    }
    let binary =
        copied(&client, "COPY (SELECT 258::int4, NULL::text) TO STDOUT (FORMAT binary)").await;
    let expected =
        b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x04\0\0\x01\x02\xff\xff\xff\xff\xff\xff";
    assert_eq!(binary, expected);
    let table = copied(&client, "COPY public.frames (frame_number, ts) TO STDOUT").await;
    let table = String::from_utf8_lossy(&table);
    assert!(table.starts_with("0\t2024-01-01 00:00:00+00\n"), "{table}");
    for (sql, code) in [
        ("COPY frames FROM STDIN", SqlState::WRONG_OBJECT_TYPE),
        ("COPY frames TO '/tmp/x'", SqlState::FEATURE_NOT_SUPPORTED),
        ("COPY frames TO STDOUT (FORMAT parquet)", SqlState::INVALID_PARAMETER_VALUE),
        ("COPY frames TO STDOUT (DELIMITER 'ab')", SqlState::FEATURE_NOT_SUPPORTED),
        ("COPY nowhere TO STDOUT", SqlState::UNDEFINED_TABLE),
    ] {
        let error = client.batch_execute(sql).await.expect_err(sql);
        assert_eq!(error.code(), Some(&code), "{sql}: {error}");
    }
    let stream =
        client.copy_out("COPY (SELECT 1 / (n - 1) FROM generate_series(1, 2) AS n) TO STDOUT");
    let rows: Result<Vec<_>, _> = match stream.await {
        Ok(stream) => stream.try_collect().await,
        Err(error) => Err(error),
    };
    let error = rows.expect_err("divides by zero");
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO), "{error}");
    let messages = client.simple_query("SELECT 1").await.expect("the connection goes on");
    assert!(messages.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_take_parameters_over_the_wire() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let block = client.transaction().await.expect("begins");
    block
        .execute(
            "DECLARE c CURSOR FOR SELECT frame_number FROM frames WHERE frame_number < $1",
            &[&5_i64],
        )
        .await
        .expect("is declared");
    let rows = block.query("FETCH FORWARD 3 FROM c", &[]).await.expect("gives rows");
    assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), [0, 1, 2]);
    let rows = block.query("FETCH ALL c", &[]).await.expect("gives the rest");
    assert_eq!(rows.len(), 2);
    block.commit().await.expect("ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_come_with_the_next_answer() {
    let server = Server::start().await;
    let sender = server.connect().await;
    let parameters = format!("host=127.0.0.1 port={} user=tester dbname=vigil", server.port);
    let (listener, mut connection) =
        tokio_postgres::connect(&parameters, NoTls).await.expect("the server listens");
    let (told, mut heard) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        let mut messages =
            futures::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = told.send(notification).await;
            }
        }
    });
    listener.batch_execute("LISTEN alarms; LISTEN others; UNLISTEN others").await.expect("runs");
    sender
        .batch_execute(
            "BEGIN; NOTIFY alarms, 'lost'; ROLLBACK; NOTIFY others; NOTIFY alarms, 'seen'",
        )
        .await
        .expect("runs");
    listener.batch_execute("SELECT 1").await.expect("runs");
    let notification = heard.recv().await.expect("has come");
    assert_eq!((notification.channel(), notification.payload()), ("alarms", "seen"));
    assert!(heard.try_recv().is_err());
    sender
        .batch_execute("BEGIN; SELECT pg_notify('alarms', 'lost'); ROLLBACK")
        .await
        .expect("runs");
    sender.batch_execute("SELECT pg_notify('alarms', 'called')").await.expect("runs");
    listener.batch_execute("SELECT 1").await.expect("runs");
    let notification = heard.recv().await.expect("has come");
    assert_eq!((notification.channel(), notification.payload()), ("alarms", "called"));
    // What a block says of channels counts when it is committed.
    listener.batch_execute("BEGIN; UNLISTEN alarms; LISTEN others; ROLLBACK").await.expect("runs");
    listener
        .batch_execute(
            "BEGIN; SAVEPOINT s; UNLISTEN *; ROLLBACK TO s; NOTIFY news; LISTEN news; COMMIT",
        )
        .await
        .expect("runs");
    sender.batch_execute("NOTIFY others; NOTIFY alarms, 'again'").await.expect("runs");
    listener.batch_execute("SELECT 1").await.expect("runs");
    let mut channels = Vec::new();
    while channels.len() < 2 {
        channels.push(heard.recv().await.expect("has come").channel().to_owned());
    }
    assert_eq!(channels, ["news", "alarms"]);
    assert!(heard.try_recv().is_err());
}
