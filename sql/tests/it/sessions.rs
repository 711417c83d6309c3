//! Our statements, settings and transaction blocks, in process.

use vigil_sql::TransactionStatus;

use crate::server::{database, run};

#[tokio::test]
async fn statements_of_both_kinds_mix_in_a_string() {
    let (_engine, database) = database();
    let mut session = database.session();
    let answer = run(
        &mut session,
        "-- a comment; with a semicolon
         CREATE SOURCE \"My Lobby\" FROM 'it''s.mp4' WITH (fps = 10, tracker = IoU, x = -1.5, y = true);
         ;; /* nothing */ ;
         wait for source \"My Lobby\" timeout '1 minute';
         SELECT name, url FROM vigil_catalog.sources;",
    )
    .await
    .expect("runs");
    assert_eq!(answer.tag, "SELECT 1");
    assert_eq!(answer.table(), ["My Lobby | it's.mp4"]);
}

#[tokio::test]
async fn if_exists_and_if_not_exists_give_notices() {
    let (_engine, database) = database();
    let mut session = database.session();
    let first = run(&mut session, "CREATE SOURCE IF NOT EXISTS a FROM 'x'").await.expect("runs");
    assert!(first.notices.is_empty());
    let again = run(&mut session, "CREATE SOURCE IF NOT EXISTS a FROM 'x'").await.expect("runs");
    assert_eq!(again.tag, "CREATE SOURCE");
    assert_eq!(again.notices, ["source \"a\" already exists, skipping"]);
    run(&mut session, "DROP SOURCE a").await.expect("is there");
    let gone = run(&mut session, "DROP SOURCE IF EXISTS a").await.expect("runs");
    assert_eq!(gone.tag, "DROP SOURCE");
    assert_eq!(gone.notices, ["source \"a\" does not exist, skipping"]);
}

#[tokio::test]
async fn a_load_generator_is_a_source() {
    let (_engine, database) = database();
    let mut session = database.session();
    run(
        &mut session,
        "CREATE SOURCE a FROM LOAD GENERATOR MOVING_BOXES (objects = 20, seed = 7) WITH (fps = 5);
         CREATE SOURCE b FROM LOAD GENERATOR moving_boxes WITH (fps = 5);
         CREATE SOURCE c FROM LOAD GENERATOR moving_boxes",
    )
    .await
    .expect("runs");
    let answer = run(&mut session, "SHOW CREATE SOURCE a").await.expect("runs");
    assert_eq!(answer.tag, "SHOW");
    assert!(answer.table()[0].contains("moving_boxes [(\"objects\", \"20\"), (\"seed\", \"7\")]"));
}

#[tokio::test]
async fn settings_last_as_long_as_they_should() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, value) in [
        ("SHOW statement_timeout", "0"),
        ("SET statement_timeout = '5s'; SHOW statement_timeout", "5s"),
        ("BEGIN; SET LOCAL statement_timeout = 100; COMMIT; SHOW statement_timeout", "5s"),
        ("BEGIN; SET statement_timeout = 100; ROLLBACK; SHOW statement_timeout", "5s"),
        ("RESET statement_timeout; SHOW statement_timeout", "0"),
        ("SET TIME ZONE 'Europe/Berlin'; SHOW TIME ZONE", "Europe/Berlin"),
        ("SET timezone TO DEFAULT; SHOW timezone", "UTC"),
        ("SET search_path TO vigil_catalog, public; SELECT count(*) FROM models", "1"),
        ("RESET ALL; SHOW search_path", "\"$user\", public"),
        ("SET datafusion.execution.batch_size = 100; SHOW datafusion.execution.batch_size", "100"),
        ("SET my.own = 'thing'; SHOW my.own", "thing"),
        ("SHOW TRANSACTION ISOLATION LEVEL", "read committed"),
        ("SET NAMES 'UTF8'; SHOW client_encoding", "UTF8"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SHOW transaction_read_only", "on"),
        (
            "BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT;
             SET default_transaction_isolation = 'repeatable read'; SHOW transaction_isolation",
            "repeatable read",
        ),
        ("SET statement_timeout = 90000; SHOW statement_timeout", "90s"),
        ("SHOW password_encryption", "scram-sha-256"),
        ("SET ROLE NONE; RESET ROLE; RESET SESSION AUTHORIZATION; SHOW role", "none"),
        ("SET enable_seqscan = off; SHOW enable_seqscan", "off"),
    ] {
        let answer = run(&mut session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(answer.table(), [value], "{sql}");
    }
    let all = run(&mut session, "SHOW ALL").await.expect("runs");
    assert!(all.table().len() > 20);
}

#[tokio::test]
async fn a_chained_block_is_as_the_one_before() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (end, sqlstate) in [("COMMIT AND CHAIN", "25P01"), ("ROLLBACK AND CHAIN", "25P01")] {
        let error = run(&mut session, end).await.expect_err("there is no block");
        assert_eq!(error.sqlstate(), sqlstate);
        run(&mut session, "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY").await.expect("runs");
        run(&mut session, end).await.expect("runs");
        assert_eq!(session.transaction_status(), TransactionStatus::InBlock);
        let shown = run(&mut session, "SHOW transaction_isolation").await.expect("runs");
        assert_eq!(shown.table(), ["serializable"], "{end}");
        run(&mut session, "COMMIT").await.expect("runs");
        let shown = run(&mut session, "SHOW transaction_isolation").await.expect("runs");
        assert_eq!(shown.table(), ["read committed"], "{end}");
    }
}

#[tokio::test]
async fn what_is_not_there_need_not_be_dropped() {
    let (_engine, database) = database();
    let mut session = database.session();
    for (sql, tag, notice) in [
        ("DROP TABLE IF EXISTS a", "DROP TABLE", "table \"a\" does not exist, skipping"),
        ("DROP VIEW IF EXISTS a", "DROP VIEW", "view \"a\" does not exist, skipping"),
        ("DROP SCHEMA IF EXISTS a CASCADE", "DROP SCHEMA", "schema \"a\" does not exist, skipping"),
        ("DROP TABLE IF EXISTS a.b", "DROP TABLE", "schema \"a\" does not exist, skipping"),
    ] {
        let answer = run(&mut session, sql).await.expect(sql);
        assert_eq!((answer.tag.as_str(), answer.notices), (tag, vec![notice.to_owned()]));
    }
    for sql in ["DROP TABLE IF EXISTS frames", "DROP SCHEMA IF EXISTS public", "DROP TABLE a"] {
        assert_eq!(run(&mut session, sql).await.expect_err(sql).sqlstate(), "0A000", "{sql}");
    }
    let error = run(&mut session, "SET ROLE nobody").await.expect_err("is unknown");
    assert_eq!(error.sqlstate(), "22023");
}

#[tokio::test]
async fn a_failed_block_takes_nothing_but_its_end() {
    let (_engine, database) = database();
    let mut session = database.session();
    run(&mut session, "BEGIN; SELECT 1").await.expect("runs");
    assert_eq!(session.transaction_status(), TransactionStatus::InBlock);
    run(&mut session, "SELECT nothing").await.expect_err("is unknown");
    assert_eq!(session.transaction_status(), TransactionStatus::Failed);
    for sql in ["SELECT 1", "SHOW SOURCES", "SHOW timezone", "CREATE SOURCE a FROM 'x'"] {
        let error = run(&mut session, sql).await.expect_err("the block has failed");
        assert_eq!(error.sqlstate(), "25P02", "{sql}");
    }
    let end = run(&mut session, "COMMIT").await.expect("ends the block");
    assert_eq!(end.tag, "ROLLBACK");
    run(&mut session, "BEGIN; SAVEPOINT s").await.expect("runs");
    run(&mut session, "SELECT nothing").await.expect_err("is unknown");
    run(&mut session, "ROLLBACK TO s; SELECT 1; RELEASE s").await.expect("the block is good again");
    assert_eq!(run(&mut session, "END").await.expect("ends the block").tag, "COMMIT");
    let idle = run(&mut session, "ROLLBACK").await.expect("is a warning");
    assert_eq!(idle.notices, ["there is no transaction in progress"]);
    assert_eq!(run(&mut session, "ABORT").await.expect("is a warning").tag, "ROLLBACK");
}

#[tokio::test]
async fn a_timeout_ends_waiting_and_reading() {
    let (engine, database) = database();
    let mut session = database.session();
    run(&mut session, "CREATE SOURCE a FROM 'forever'; SET statement_timeout = '50ms'")
        .await
        .expect("runs");
    for sql in [
        "WAIT FOR SOURCE a",
        "SELECT count(*) FROM generate_series(1, 100000000000)",
        "SELECT pg_sleep(1000)",
        "SELECT * FROM generate_series(1, 100000000000)",
    ] {
        let error = run(&mut session, sql).await.expect_err("takes too long");
        assert_eq!(error.sqlstate(), "57014", "{sql}: {error}");
        assert_eq!(error.to_string(), "canceling statement due to statement timeout");
    }
    assert_eq!(engine.waiting(), 0);
    run(&mut session, "RESET statement_timeout").await.expect("runs");
    let error = run(&mut session, "WAIT FOR SOURCE a TIMEOUT '10 ms'").await.expect_err("waits");
    assert_eq!(error.sqlstate(), "57014");
    assert_eq!(error.to_string(), "source \"a\" has not ended in time");
}

#[tokio::test]
async fn a_lock_is_had_by_one_session() {
    let (_engine, database) = database();
    let (mut one, mut two) = (database.session(), database.session());
    run(&mut one, "SELECT pg_advisory_lock(7)").await.expect("is free");
    for (sql, is_done) in [
        ("SELECT pg_try_advisory_lock(7)", "false"),
        ("SELECT pg_try_advisory_lock(7, 7)", "true"),
        ("SELECT pg_advisory_unlock(7)", "false"),
    ] {
        assert_eq!(run(&mut two, sql).await.expect(sql).table(), [is_done], "{sql}");
    }
    run(&mut two, "SET statement_timeout = '30ms'").await.expect("runs");
    let error = run(&mut two, "SELECT pg_advisory_lock(7)").await.expect_err("is another's");
    assert_eq!(error.sqlstate(), "57014");
    // It is given back when the session ends.
    drop(one);
    let taken = run(&mut two, "SELECT pg_try_advisory_lock(7)").await.expect("runs");
    assert_eq!(taken.table(), ["true"]);
}

#[tokio::test]
async fn a_database_lets_its_engine_go() {
    let (engine, database) = database();
    let mut session = database.session();
    run(&mut session, "SELECT count(*) FROM frames, pg_class").await.expect("runs");
    drop((session, database));
    while std::sync::Arc::strong_count(&engine) > 1 {
        tokio::task::yield_now().await;
    }
}
