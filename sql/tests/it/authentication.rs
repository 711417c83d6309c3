//! Who is let in, and what somebody hears who is not.

use tokio_postgres::error::SqlState;
use vigil_sql::DatabaseOptions;
use vigil_sql::wire::{Limits, ServeOptions};

use crate::engine::TestEngine;
use crate::server::Server;

/// SQLSTATE and message of a login that must fail.
async fn refused(server: &Server, user: &str, password: &str) -> (SqlState, String) {
    let error = server.log_in(user, password).await.expect_err("is not let in");
    let report = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(report.severity(), "FATAL");
    (report.code().clone(), report.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_is_trusted_until_somebody_can_log_in() {
    let server = Server::start().await;
    server.connect().await.batch_execute("CREATE ROLE guards").await.expect("everybody may");
    let client = server.connect().await;
    client.batch_execute("CREATE ROLE guard LOGIN PASSWORD 'se''cret é'").await.expect("may too");
    let message = refused(&server, "tester", "").await;
    assert_eq!(message.0, SqlState::INVALID_PASSWORD);
    server.log_in("guard", "se\\'cret é").await.expect("knows the password");
    // Sessions that are open go on.
    client.batch_execute("DROP ROLE guard").await.expect("the session goes on");
    server.connect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let server = Server::start().await;
    server
        .as_owner("CREATE ROLE guard LOGIN PASSWORD 'secret'; CREATE ROLE mute LOGIN; CREATE ROLE grp PASSWORD 'secret'")
        .await;
    for (user, password) in [
        ("guard", "wrong"),
        ("nobody", "secret"),
        ("mute", "secret"),
        ("grp", "secret"),
        ("vigil_admin", "x"),
        ("public", "x"),
    ] {
        let expected = format!("password authentication failed for user \"{user}\"");
        assert_eq!(refused(&server, user, password).await, (SqlState::INVALID_PASSWORD, expected));
    }
    server.log_in("guard", "secret").await.expect("knows the password");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_waits_after_too_many_wrong_passwords() {
    let limits = Limits { max_failed_authentications: 3, ..Limits::default() };
    let options = ServeOptions { limits, ..ServeOptions::default() };
    let server =
        Server::start_with(TestEngine::default(), &DatabaseOptions::default(), options).await;
    server.as_owner("CREATE ROLE guard LOGIN PASSWORD 'secret'").await;
    for _ in 0..3 {
        assert_eq!(refused(&server, "guard", "wrong").await.0, SqlState::INVALID_PASSWORD);
    }
    let (sqlstate, message) = refused(&server, "guard", "secret").await;
    assert_eq!(sqlstate, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert_eq!(message, "too many failed authentications from this address");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_change_and_roles_are_kept() {
    let folder = std::env::temp_dir().join(format!("vigil-authentication-{}", std::process::id()));
    let roles_file = Some(folder.join("roles.json"));
    let options = DatabaseOptions { roles_file, ..DatabaseOptions::default() };
    let start = async || {
        Server::start_with(TestEngine::with_street(), &options, ServeOptions::default()).await
    };
    let server = start().await;
    server
        .as_owner("CREATE USER guard PASSWORD 'old'; GRANT SELECT ON SOURCE lobby TO guard")
        .await;
    let client = server.log_in("guard", "old").await.expect("knows the password");
    client.batch_execute("ALTER USER guard PASSWORD 'new'").await.expect("is its own");
    drop(server);
    let server = start().await;
    assert_eq!(refused(&server, "guard", "old").await.0, SqlState::INVALID_PASSWORD);
    let client = server.log_in("guard", "new").await.expect("knows the password");
    let count = client.query_one("SELECT count(DISTINCT source) FROM frames", &[]).await;
    assert_eq!(count.expect("may").get::<_, i64>(0), 1);
    let kept = std::fs::read_to_string(folder.join("roles.json")).expect("is there");
    assert!(kept.contains("SCRAM-SHA-256$4096:") && !kept.contains("'new'"), "{kept}");
    // Without the right to log in, the session ends and there is no other one.
    server.as_owner("ALTER ROLE guard NOLOGIN; CREATE ROLE other LOGIN").await;
    client.batch_execute("SELECT 1").await.expect_err("is ended");
    assert_eq!(refused(&server, "guard", "new").await.0, SqlState::INVALID_PASSWORD);
    std::fs::remove_dir_all(folder).expect("is ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_has_so_many_connections() {
    let server = Server::start().await;
    server.as_owner("CREATE ROLE guard LOGIN PASSWORD 'secret' CONNECTION LIMIT 1").await;
    let _first = server.log_in("guard", "secret").await.expect("is the first");
    let (sqlstate, message) = refused(&server, "guard", "secret").await;
    assert_eq!(sqlstate, SqlState::TOO_MANY_CONNECTIONS);
    assert_eq!(message, "too many connections for role \"guard\"");
}
