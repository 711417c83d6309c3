//! Sessions as others see them, and stopping theirs.

use futures::StreamExt;
use tokio_postgres::error::SqlState;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_with_what_they_do() {
    let server = Server::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    other
        .batch_execute("SET application_name = 'camera wall'; BEGIN; SELECT 42")
        .await
        .expect("runs");
    let sql = "SELECT usename, state, query, client_addr, application_name, pid, query_start >= backend_start
               FROM pg_stat_activity WHERE query LIKE '%42%' AND pid <> pg_backend_pid()";
    let row = client.query_one(sql, &[]).await.expect("it is listed once");
    assert_eq!(row.get::<_, &str>(0), "tester");
    assert_eq!(row.get::<_, &str>(1), "idle in transaction");
    assert_eq!(row.get::<_, &str>(2), "SELECT 42");
    assert_eq!(row.get::<_, &str>(3), "127.0.0.1");
    assert_eq!(row.get::<_, &str>(4), "camera wall");
    assert!(row.get::<_, bool>(6));
    let own = "SELECT state, pid = pg_backend_pid() FROM pg_stat_activity WHERE query LIKE 'SELECT state%'";
    let row = client.query_one(own, &[]).await.expect("it sees itself");
    assert_eq!((row.get::<_, &str>(0), row.get::<_, bool>(1)), ("active", true));
    drop(other);
    let count = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%SELECT 42'";
    while client.query_one(count, &[]).await.expect("runs").get::<_, i64>(0) > 0 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heavy_query_is_stopped_by_another_session() {
    let server = Server::start().await;
    let (client, other) = (server.connect().await, server.connect().await);
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("runs").get(0);
    let before = server.database.running_tasks();
    let heavy =
        "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b
                 WHERE (a * b) % 7 = 3";
    let cuts = server.engine.cuts();
    let running = client.simple_query(heavy);
    let stopping = async {
        server.until(|engine| engine.cuts() > cuts).await;
        let stop = "SELECT pg_cancel_backend($1::int)";
        other.query_one(stop, &[&pid]).await.expect("may").get::<_, bool>(0)
    };
    let (error, stopped) = tokio::join!(running, stopping);
    assert!(stopped);
    let error = error.expect_err("is stopped");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    let report = error.as_db_error().expect("comes from the server");
    assert_eq!(report.message(), "canceling statement due to user request");
    // Its tasks are gone too, not only its answer.
    while server.database.running_tasks() > before {
        tokio::task::yield_now().await;
    }
    client.query_one("SELECT 1", &[]).await.expect("the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_by_another_one() {
    let server = Server::start().await;
    let (idle, other) = (server.connect().await, server.connect().await);
    let pid: i32 = idle.query_one("SELECT pg_backend_pid()", &[]).await.expect("runs").get(0);
    let end = "SELECT pg_terminate_backend($1::int)";
    assert!(other.query_one(end, &[&pid]).await.expect("may").get::<_, bool>(0));
    while !idle.is_closed() {
        tokio::task::yield_now().await;
    }
    assert!(!other.query_one(end, &[&pid]).await.expect("may").get::<_, bool>(0));
    let busy = server.connect().await;
    let pid: i32 = busy.query_one("SELECT pg_backend_pid()", &[]).await.expect("runs").get(0);
    busy.batch_execute("CREATE SOURCE a FROM 'forever'").await.expect("runs");
    let waiting = busy.batch_execute("WAIT FOR SOURCE a");
    let ending = async {
        server.until(|engine| engine.waiting() == 1).await;
        other.query_one(end, &[&pid]).await.expect("may");
    };
    let (waited, ()) = tokio::join!(waiting, ending);
    let error = waited.expect_err("is ended");
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN));
    server.until(|engine| engine.waiting() == 0).await;
}

/// There is always more to send to a client that reads quickly, so nothing else may be waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_sends_rows_without_end_is_ended() {
    let server = Server::start().await;
    let (busy, other) = (server.connect().await, server.connect().await);
    let pid: i32 = busy.query_one("SELECT pg_backend_pid()", &[]).await.expect("runs").get(0);
    let copy = "COPY (SELECT * FROM generate_series(1, 2000000000)) TO STDOUT";
    let mut rows = Box::pin(busy.copy_out(copy).await.expect("begins"));
    rows.next().await.expect("has rows").expect("a row");
    let end = "SELECT pg_terminate_backend($1::int)";
    let reading = async {
        loop {
            if let Err(error) = rows.next().await.expect("it has no end") {
                break error;
            }
        }
    };
    let ending = async { other.query_one(end, &[&pid]).await.expect("may").get::<_, bool>(0) };
    let (error, is_ended) = tokio::join!(reading, ending);
    assert!(is_ended);
    // This client may lose the message where rows that it has not read yet are before it.
    let is_told = error.code() == Some(&SqlState::ADMIN_SHUTDOWN);
    assert!(is_told || error.is_closed(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_the_admins_business() {
    let server = Server::start().await;
    server
        .as_owner(
            "CREATE ROLE one LOGIN PASSWORD 'secret'; CREATE ROLE two LOGIN PASSWORD 'secret';
             CREATE ROLE chief LOGIN PASSWORD 'secret' SUPERUSER",
        )
        .await;
    let one = server.log_in("one", "secret").await.expect("may log in");
    let two = server.log_in("two", "secret").await.expect("may log in");
    let chief = server.log_in("chief", "secret").await.expect("may log in");
    let pid: i32 = one.query_one("SELECT pg_backend_pid()", &[]).await.expect("runs").get(0);
    for stop in ["SELECT pg_cancel_backend($1::int)", "SELECT pg_terminate_backend($1::int)"] {
        let error = two.query_one(stop, &[&pid]).await.expect_err("is not its own");
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    }
    let query = "SELECT query FROM pg_stat_activity WHERE pid = $1";
    let seen = two.query_one(query, &[&pid]).await.expect("it is listed");
    assert_eq!(seen.get::<_, &str>(0), "<insufficient privilege>");
    let seen = chief.query_one(query, &[&pid]).await.expect("it is listed");
    assert_eq!(seen.get::<_, &str>(0), "SELECT pg_backend_pid()");
    chief.query_one("SELECT pg_cancel_backend($1::int)", &[&pid]).await.expect("may");
}

#[tokio::test(flavor = "multi_thread")]
async fn doing_nothing_in_a_transaction_has_an_end() {
    let server = Server::start().await;
    let client = server.connect().await;
    client
        .batch_execute("SET idle_in_transaction_session_timeout = '20ms'; SELECT 1")
        .await
        .expect("runs");
    client.batch_execute("BEGIN").await.expect("runs");
    while !client.is_closed() {
        tokio::task::yield_now().await;
    }
}
