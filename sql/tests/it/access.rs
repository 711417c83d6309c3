//! What a role sees: its sources and nothing of the others, whatever way it asks.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};
use vigil_sql::DatabaseOptions;
use vigil_sql::wire::ServeOptions;

use crate::engine::TestEngine;
use crate::server::Server;

async fn server(setup: &str) -> Server {
    let options = DatabaseOptions::default();
    let engine = TestEngine::with_street();
    let server = Server::start_with(engine, &options, ServeOptions::default()).await;
    server.as_owner(setup).await;
    server
}

async fn guard() -> (Server, Client) {
    let server =
        server("CREATE ROLE guard LOGIN PASSWORD 'secret'; GRANT SELECT ON SOURCE lobby TO guard")
            .await;
    let client = server.log_in("guard", "secret").await.expect("the password is right");
    (server, client)
}

/// The rows of the answer, columns joined with `|`.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages =
        client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let values: Vec<_> = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect();
            Some(values.join("|"))
        }
        _ => None,
    });
    rows.collect()
}

async fn refused(client: &Client, sql: &str) -> (String, String) {
    let error = client.simple_query(sql).await.expect_err(sql);
    let report = error.as_db_error().expect("comes from the server");
    (report.code().code().to_owned(), report.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_granted_in_every_table() {
    let (_server, client) = guard().await;
    for (sql, expected) in [
        ("SELECT DISTINCT source FROM frames", "lobby"),
        ("SELECT DISTINCT source FROM detections", "lobby"),
        ("SELECT DISTINCT source FROM public.tracks", "lobby"),
        ("SELECT DISTINCT source FROM vigil.public.captions", "lobby"),
        ("SELECT name FROM vigil_catalog.sources", "lobby"),
        ("SELECT source FROM vigil_catalog.source_errors", "lobby"),
        ("SELECT source FROM vigil_catalog.source_statistics", "lobby"),
        ("SELECT name FROM vigil_catalog.models", "yolov8n"),
        (
            "SELECT source FROM (SELECT * FROM frames UNION ALL SELECT * FROM frames) GROUP BY 1",
            "lobby",
        ),
        ("WITH f AS (SELECT source AS s FROM frames) SELECT DISTINCT s FROM f", "lobby"),
        ("SELECT count(*) FROM frames WHERE source = 'street'", "0"),
        ("SELECT count(*) FROM frames WHERE source <> 'lobby' OR true AND source LIKE 's%'", "0"),
        ("SELECT count(*) FROM vigil_catalog.sources WHERE name = 'street'", "0"),
        ("SELECT (SELECT count(*) FROM frames f WHERE f.source = 'street')", "0"),
        (
            "SELECT count(*) FROM (SELECT 1) WHERE EXISTS (SELECT 1 FROM tracks WHERE source = 'street')",
            "0",
        ),
        ("SELECT max(source) FROM frames", "lobby"),
        ("SELECT count(DISTINCT source) FROM frames JOIN detections USING (source)", "1"),
        (
            "SELECT string_agg(DISTINCT source, ',') OVER () FROM (SELECT * FROM frames LIMIT 1)",
            "lobby",
        ),
        ("SELECT frame_image('lobby', 1) IS NOT NULL", "t"),
        ("SELECT current_user", "guard"),
        ("SHOW is_superuser", "off"),
    ] {
        assert_eq!(rows(&client, sql).await, [expected], "{sql}");
    }
    let sources = rows(&client, "SHOW SOURCES").await;
    assert!(sources.len() == 1 && sources[0].starts_with("lobby|"), "{sources:?}");
    // Row 0 is of the street: a division by zero there would tell of it.
    rows(&client, "SELECT 1 / frame_number FROM frames").await;
    rows(&client, "SELECT 1 FROM frames WHERE 1 / frame_number > 5").await;
    for hidden in
        ["SELECT frame_image('street', 1)", "WAIT FOR SOURCE street", "SHOW CREATE SOURCE street"]
    {
        let (sqlstate, message) = refused(&client, hidden).await;
        assert_eq!(sqlstate, "42704", "{hidden}: {message}");
    }
    let row = client.query_one("SELECT count(*) FROM frames WHERE source = $1", &[&"street"]).await;
    assert_eq!(row.expect("runs").get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_statistics_tell_nothing_of_other_sources() {
    let (server, client) = guard().await;
    client
        .batch_execute("SET datafusion.explain.show_statistics = 'true'")
        .await
        .expect("is known");
    let seen = |lines: Vec<String>| lines.join("\n");
    let before = rows(&client, "SELECT count(*) FROM frames").await[0].clone();
    for sql in [
        "EXPLAIN SELECT * FROM frames",
        "EXPLAIN (VERBOSE) SELECT * FROM frames WHERE source = 'street'",
        "EXPLAIN (ANALYZE) SELECT source FROM frames",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT count(*) FROM frames",
    ] {
        let plan = seen(rows(&client, sql).await);
        assert!(plan.contains("VisibleRows"), "{sql}:\n{plan}");
        assert!(!plan.contains("DataSourceExec") && !plan.contains("MemoryExec"), "{sql}:\n{plan}");
        let leaves = plan.lines().filter(|line| line.contains("VisibleRows:"));
        for leaf in leaves.filter(|leaf| leaf.contains("statistics=")) {
            assert!(leaf.contains("Rows=Absent"), "{sql}: {leaf}");
        }
    }
    let all: i64 =
        server.as_owner("SELECT count(*) FROM frames").await.table()[0].parse().expect("is one");
    assert!(before.parse::<i64>().expect("is a number") < all);
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_all_sources_are_not_shown_in_the_catalog_either() {
    let (server, client) = guard().await;
    for (sql, column) in [
        (
            "SELECT indexname || indexdef AS told FROM pg_indexes WHERE indexdef LIKE '%hnsw%'",
            "told",
        ),
        (
            "SELECT relname FROM pg_class WHERE relam = (SELECT oid FROM pg_am WHERE amname = 'hnsw')",
            "relname",
        ),
        (
            "SELECT pg_get_indexdef(i.indexrelid) AS told FROM pg_index i WHERE pg_get_indexdef(i.indexrelid) LIKE '%hnsw%'",
            "told",
        ),
        ("SELECT name FROM vigil_catalog.indexes", "name"),
    ] {
        let all = server.as_owner(sql).await.table();
        assert!(!all.is_empty(), "{column}: {sql}");
        assert_eq!(rows(&client, sql).await, [""; 0], "{sql}");
    }
    let oid = server
        .as_owner(
            "SELECT oid FROM pg_class WHERE relam = (SELECT oid FROM pg_am WHERE amname = 'hnsw')",
        )
        .await
        .table();
    let sql = format!("SELECT pg_get_indexdef({})", oid[0]);
    assert_eq!(rows(&client, &sql).await, ["NULL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_are_told_as_they_are() {
    let (server, client) = guard().await;
    server.as_owner("CREATE ROLE other LOGIN PASSWORD 'secret'; GRANT vigil_reader TO other").await;
    for (sql, expected) in [
        ("SELECT has_table_privilege('frames', 'SELECT')", "t"),
        ("SELECT has_table_privilege('public.frames'::regclass, 'select')", "t"),
        ("SELECT has_table_privilege('frames', 'INSERT')", "f"),
        ("SELECT has_table_privilege('frames', 'INSERT, SELECT')", "t"),
        ("SELECT has_table_privilege('frames', 'SELECT WITH GRANT OPTION')", "f"),
        ("SELECT has_table_privilege('other', 'frames', 'SELECT')", "t"),
        ("SELECT has_table_privilege('pg_authid', 'SELECT')", "f"),
        ("SELECT has_table_privilege(99999::oid, 'SELECT')", "NULL"),
        ("SELECT has_column_privilege('frames', 'source', 'SELECT')", "t"),
        ("SELECT has_any_column_privilege('frames', 'UPDATE')", "f"),
        ("SELECT has_schema_privilege('public', 'USAGE')", "t"),
        ("SELECT has_schema_privilege('public', 'CREATE')", "f"),
        ("SELECT has_database_privilege('vigil', 'CONNECT')", "t"),
        ("SELECT pg_has_role('guard', 'vigil_admin', 'member')", "f"),
        ("SELECT pg_has_role('other', 'vigil_reader', 'USAGE')", "t"),
        ("SELECT count(*) > 4 FROM pg_class WHERE has_table_privilege(oid, 'SELECT')", "t"),
        (
            "SELECT has_table_privilege(c.oid, 'DELETE') FROM pg_class c WHERE relname = 'frames'",
            "f",
        ),
    ] {
        assert_eq!(rows(&client, sql).await, [expected], "{sql}");
    }
    for (sql, sqlstate) in [
        ("SELECT has_table_privilege('nosuch', 'SELECT')", "42P01"),
        ("SELECT has_table_privilege('nobody', 'frames', 'SELECT')", "42704"),
        ("SELECT has_table_privilege('frames', 'LOOK')", "22023"),
        ("SELECT has_column_privilege('frames', 'nosuch', 'SELECT')", "42703"),
        ("SELECT pg_has_role('nosuch', 'MEMBER')", "42704"),
        ("SELECT rolname FROM pg_authid", "42501"),
    ] {
        let (found, message) = refused(&client, sql).await;
        assert_eq!(found, sqlstate, "{sql}: {message}");
    }
    let verifiers = "SELECT count(*) FROM pg_authid WHERE rolpassword LIKE 'SCRAM%'";
    assert_eq!(server.as_owner(verifiers).await.table(), ["0"]);
    let known = server.as_owner("SELECT rolname FROM pg_authid WHERE rolcanlogin").await.table();
    assert_eq!(known, ["guard", "other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_grants_sees_no_table() {
    let server = server("CREATE ROLE nobody LOGIN PASSWORD 'secret'").await;
    let client = server.log_in("nobody", "secret").await.expect("the password is right");
    assert_eq!(rows(&client, "SELECT 1 + 1").await, ["2"]);
    rows(&client, "SELECT count(*) FROM pg_class").await;
    for (sql, message) in [
        ("SELECT * FROM frames", "permission denied for table frames"),
        ("SELECT 1 FROM tracks WHERE false", "permission denied for table tracks"),
        ("SELECT (SELECT count(*) FROM captions)", "permission denied for table captions"),
        ("EXPLAIN SELECT * FROM frames", "permission denied for table frames"),
        ("SELECT * FROM vigil_catalog.models", "permission denied for table models"),
        ("SHOW SOURCES", "permission denied for sources"),
        ("SELECT frame_image('lobby', 1)", "permission denied for table frames"),
        ("CREATE SOURCE a FROM 'x.mp4'", "permission denied for sources"),
        ("DROP SOURCE lobby", "permission denied for sources"),
        ("CREATE ROLE x", "permission denied to create role"),
        ("ALTER ROLE nobody SUPERUSER", "permission denied to alter role"),
        ("DROP ROLE nobody", "permission denied to drop role"),
        ("GRANT vigil_admin TO nobody", "permission denied to grant"),
        ("REVOKE vigil_admin FROM nobody", "permission denied to revoke"),
    ] {
        let refused = refused(&client, sql).await;
        assert_eq!(refused, ("42501".to_owned(), message.to_owned()), "{sql}");
    }
    let (sqlstate, _) = refused(&client, "SET session_authorization = 'somebody'").await;
    assert_eq!(sqlstate, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_takes_the_rights_of_roles_it_is_a_member_of() {
    let server = server(
        "CREATE ROLE street_team; GRANT SELECT ON SOURCE street TO street_team;
         CREATE ROLE others;
         CREATE ROLE guard LOGIN PASSWORD 'secret' IN ROLE street_team;
         GRANT SELECT ON SOURCE lobby TO guard",
    )
    .await;
    let guard = server.log_in("guard", "secret").await.expect("the password is right");
    let sources = "SELECT DISTINCT source FROM frames ORDER BY 1";
    let who = "SELECT current_user, session_user, current_role, user";
    assert_eq!(rows(&guard, sources).await, ["lobby", "street"]);
    rows(&guard, "SET ROLE street_team").await;
    assert_eq!(rows(&guard, sources).await, ["street"]);
    assert_eq!(rows(&guard, who).await, ["street_team|guard|street_team|street_team"]);
    assert_eq!(rows(&guard, "SHOW role").await, ["street_team"]);
    rows(&guard, "RESET ROLE").await;
    assert_eq!(rows(&guard, sources).await, ["lobby", "street"]);
    assert_eq!(rows(&guard, who).await, ["guard|guard|guard|guard"]);
    let denied = ("42501".to_owned(), "permission denied to set role \"others\"".to_owned());
    assert_eq!(refused(&guard, "SET ROLE others").await, denied);
    assert_eq!(refused(&guard, "SET SESSION ROLE vigil_admin").await.0, "42501");
    assert_eq!(refused(&guard, "SET SESSION AUTHORIZATION others").await.0, "42501");
    assert_eq!(refused(&guard, "SET ROLE nobody").await.0, "22023");
    assert_eq!(refused(&guard, "SELECT set_config('role', 'others', false)").await.0, "55P02");
    assert_eq!(rows(&guard, sources).await, ["lobby", "street"]);
    // A block takes it back, and its end what was local to it.
    rows(&guard, "BEGIN; SET ROLE street_team; ROLLBACK").await;
    assert_eq!(rows(&guard, sources).await, ["lobby", "street"]);
    rows(&guard, "BEGIN; SET LOCAL ROLE street_team").await;
    assert_eq!(rows(&guard, sources).await, ["street"]);
    rows(&guard, "COMMIT").await;
    assert_eq!(rows(&guard, who).await, ["guard|guard|guard|guard"]);
    rows(&guard, "BEGIN; SET ROLE street_team; COMMIT").await;
    assert_eq!(rows(&guard, sources).await, ["street"]);
    rows(&guard, "DISCARD ALL").await;
    assert_eq!(rows(&guard, sources).await, ["lobby", "street"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_acts_as_anybody() {
    let server = server("CREATE ROLE guard; GRANT SELECT ON SOURCE lobby TO guard").await;
    let owner = server.connect().await;
    let who =
        "SELECT current_user, session_user, (SELECT string_agg(DISTINCT source, ',') FROM frames)";
    let is_owner = rows(&owner, "SELECT current_user").await;
    rows(&owner, "SET ROLE guard").await;
    assert_eq!(rows(&owner, who).await, [format!("guard|{}|lobby", is_owner[0])]);
    assert_eq!(rows(&owner, "SHOW is_superuser").await, ["off"]);
    assert_eq!(refused(&owner, "CREATE ROLE other").await.0, "42501");
    rows(&owner, "SET ROLE NONE; SET SESSION AUTHORIZATION guard").await;
    assert_eq!(rows(&owner, who).await, ["guard|guard|lobby"]);
    assert_eq!(refused(&owner, "DROP SOURCE lobby").await.0, "42501");
    rows(&owner, "RESET SESSION AUTHORIZATION; CREATE ROLE other").await;
    assert_eq!(rows(&owner, "SHOW is_superuser").await, ["on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_counts_up_to_its_end() {
    let server = server(
        "CREATE ROLE early LOGIN PASSWORD 'secret' VALID UNTIL '2000-01-01';
         CREATE ROLE late LOGIN PASSWORD 'secret' VALID UNTIL '2200-01-01 00:00:00+00';
         CREATE ROLE ever LOGIN PASSWORD 'secret' VALID UNTIL 'infinity'",
    )
    .await;
    let error = server.log_in("early", "secret").await.expect_err("is over");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
    let late = server.log_in("late", "secret").await.expect("is not over");
    let until =
        "SELECT rolname, rolvaliduntil FROM pg_roles WHERE rolvaliduntil IS NOT NULL ORDER BY 1";
    assert_eq!(
        rows(&late, until).await,
        ["early|2000-01-01 00:00:00+00", "late|2200-01-01 00:00:00+00"]
    );
    server.log_in("ever", "secret").await.expect("has no end");
    let owner = server.log_in("ever", "secret").await.expect("has no end");
    assert_eq!(refused(&owner, "CREATE ROLE x VALID UNTIL 'soon'").await.0, "22007");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_in_the_catalog_and_give_no_pictures() {
    let server = server(
        "CREATE ROLE guard LOGIN PASSWORD 'secret'; GRANT SELECT ON frames TO guard;
         GRANT SELECT ON tracks TO PUBLIC",
    )
    .await;
    let guard = server.log_in("guard", "secret").await.expect("the password is right");
    let acl = "SELECT relname, array_to_string(relacl, ',') FROM pg_class
               WHERE relname IN ('frames', 'tracks', 'captions') ORDER BY 1";
    assert_eq!(
        rows(&guard, acl).await,
        [
            "captions|postgres=r/postgres,vigil_reader=r/postgres",
            "frames|postgres=r/postgres,guard=r/postgres,vigil_reader=r/postgres",
            "tracks|postgres=r/postgres,=r/postgres,vigil_reader=r/postgres"
        ]
    );
    let granted = "SELECT grantor, grantee, table_schema, table_name, privilege_type
                   FROM information_schema.role_table_grants WHERE grantee = 'guard'";
    assert_eq!(rows(&guard, granted).await, ["postgres|guard|public|frames|SELECT"]);
    assert_eq!(rows(&guard, "SELECT count(DISTINCT source) FROM frames").await, ["2"]);
    let (sqlstate, message) = refused(&guard, "SELECT frame_image('lobby', 1)").await;
    assert_eq!(sqlstate, "42501");
    assert_eq!(message, "permission denied for pictures of source \"lobby\"");
    server.as_owner("GRANT SELECT ON SOURCE lobby TO guard").await;
    assert_eq!(rows(&guard, "SELECT frame_image('lobby', 1) IS NOT NULL").await, ["t"]);
    assert_eq!(refused(&guard, "SELECT frame_image('street', 1)").await.0, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_roles_may_what_their_names_say() {
    let server = server(
        "CREATE ROLE reader LOGIN PASSWORD 'secret' IN ROLE vigil_reader;
         CREATE ROLE operator LOGIN PASSWORD 'secret'; GRANT vigil_operator TO operator;
         CREATE USER chief PASSWORD 'secret'; GRANT vigil_admin TO chief;",
    )
    .await;
    let reader = server.log_in("reader", "secret").await.expect("may log in");
    assert_eq!(rows(&reader, "SELECT count(DISTINCT source) FROM frames").await, ["2"]);
    let (sqlstate, message) = refused(&reader, "CREATE SOURCE a FROM 'x.mp4'").await;
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("42501", "permission denied to create source")
    );
    assert_eq!(refused(&reader, "DROP SOURCE lobby").await.0, "42501");
    let model = "CREATE MODEL m TYPE reid FROM 'm.onnx'";
    let said = ("42501".to_owned(), "permission denied to create model".to_owned());
    assert_eq!(refused(&reader, model).await, said);
    assert_eq!(refused(&reader, "DROP MODEL m").await.1, "permission denied to drop model");
    assert_eq!(rows(&reader, "SELECT calls FROM vigil_catalog.model_metrics").await, ["3"]);
    let operator = server.log_in("operator", "secret").await.expect("may log in");
    rows(&operator, "CREATE SOURCE a FROM 'x.mp4'; DROP SOURCE a").await;
    rows(&operator, &format!("{model}; DROP MODEL m")).await;
    assert_eq!(refused(&operator, "CREATE ROLE x").await.0, "42501");
    let chief = server.log_in("chief", "secret").await.expect("may log in");
    rows(&chief, "CREATE ROLE guards; GRANT SELECT ON SOURCE street TO guards; DROP ROLE guards")
        .await;
    assert_eq!(rows(&chief, "SHOW is_superuser").await, ["on"]);
    assert_eq!(refused(&chief, "DROP ROLE chief").await.0, "55006");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_hold_from_the_next_statement_on() {
    let (server, client) = guard().await;
    let prepared =
        client.prepare("SELECT count(DISTINCT source) FROM frames").await.expect("plans");
    let count = async || client.query_one(&prepared, &[]).await.expect("runs").get::<_, i64>(0);
    assert_eq!(count().await, 1);
    server.as_owner("GRANT SELECT ON TABLE frames TO guard").await;
    assert_eq!(count().await, 2);
    server.as_owner("REVOKE SELECT ON frames FROM guard").await;
    assert_eq!(count().await, 1);
    server.as_owner("REVOKE SELECT ON SOURCE lobby FROM guard").await;
    let error = client.query_one(&prepared, &[]).await.expect_err("has no grant");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    server.as_owner("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC").await;
    assert_eq!(count().await, 2);
    // A source that comes again is another one.
    server
        .as_owner(
            "REVOKE SELECT ON SCHEMA public FROM PUBLIC; GRANT SELECT ON SOURCE lobby TO guard",
        )
        .await;
    server.as_owner("DROP SOURCE lobby; CREATE SOURCE lobby FROM 'x'").await;
    client.query_one(&prepared, &[]).await.expect_err("has no grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_listed_and_memberships_make_no_circle() {
    let server =
        server("CREATE ROLE a; CREATE ROLE b IN ROLE a; CREATE ROLE c CONNECTION LIMIT 3").await;
    let roles =
        "SELECT rolname, rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname < 'd' ORDER BY 1";
    let listed = server.as_owner(roles).await.table();
    let listed: Vec<String> =
        listed.iter().map(|row| row.split_whitespace().collect::<String>()).collect();
    assert_eq!(listed, ["a|false|-1", "b|false|-1", "c|false|3"]);
    let mut session = server.database.session();
    for (sql, sqlstate) in [
        ("GRANT b TO a", "0LP01"),
        ("GRANT a TO a", "0LP01"),
        ("CREATE ROLE a", "42710"),
        ("CREATE ROLE vigil_x", "42939"),
        ("CREATE ROLE public", "42939"),
        ("DROP ROLE vigil_reader", "2BP01"),
        ("DROP ROLE nowhere", "42704"),
        ("GRANT SELECT ON SOURCE nowhere TO a", "42704"),
        ("GRANT SELECT ON nowhere TO a", "42P01"),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA nowhere TO a", "3F000"),
        ("GRANT SELECT ON frames TO nowhere", "42704"),
        ("GRANT INSERT ON frames TO a", "0A000"),
        ("CREATE ROLE x CREATEDB", "0A000"),
        ("CREATE ROLE x PASSWORD ''", "22023"),
        ("CREATE ROLE x LOGIN PASSWORT 'y'", "42601"),
        ("ALTER ROLE a", "42601"),
    ] {
        let error = crate::server::run(&mut session, sql).await.expect_err(sql);
        assert_eq!(error.sqlstate(), sqlstate, "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_shows_what_its_owner_sees_to_those_who_may_read_it() {
    let (server, client) = guard().await;
    server
        .as_owner(
            "CREATE VIEW seen AS SELECT source, count(*) AS rows FROM frames GROUP BY source;
             CREATE VIEW names AS SELECT source FROM seen;
             CREATE ROLE clerk LOGIN PASSWORD 'secret'",
        )
        .await;
    // Only sources were granted: of the view's tables, too, their rows alone.
    assert_eq!(rows(&client, "SELECT source FROM names").await, ["lobby"]);
    let clerk = server.log_in("clerk", "secret").await.expect("the password is right");
    let denied = ("42501".to_owned(), "permission denied for table names".to_owned());
    assert_eq!(refused(&clerk, "SELECT source FROM names").await, denied);
    server.as_owner("GRANT SELECT ON names TO clerk").await;
    let all = rows(&clerk, "SELECT source FROM names ORDER BY 1").await;
    assert_eq!(all, ["lobby", "street"]);
    // The view alone was granted.
    assert_eq!(refused(&clerk, "SELECT source FROM seen").await.0, "42501");
    assert_eq!(refused(&clerk, "SELECT source FROM frames").await.0, "42501");
    assert_eq!(refused(&clerk, "SELECT * FROM names, frames").await.0, "42501");
    for sql in ["CREATE VIEW mine AS SELECT 1", "DROP VIEW names", "ALTER VIEW names RENAME TO n"] {
        assert_eq!(refused(&clerk, sql).await.0, "42501", "{sql}");
    }
    server.as_owner("REVOKE SELECT ON names FROM clerk").await;
    assert_eq!(refused(&clerk, "SELECT source FROM names").await, denied);
    // A view of the same name is another one.
    server.as_owner("GRANT SELECT ON names TO clerk; DROP VIEW names").await;
    server.as_owner("CREATE VIEW names AS SELECT source FROM frames").await;
    assert_eq!(refused(&clerk, "SELECT source FROM names").await, denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_taken_leaves_nothing_behind() {
    let server = server(
        "CREATE ROLE street_team; GRANT SELECT ON SOURCE street TO street_team;
         CREATE ROLE others;
         CREATE ROLE guard LOGIN PASSWORD 'secret' IN ROLE street_team, others",
    )
    .await;
    let guard = server.log_in("guard", "secret").await.expect("the password is right");
    let who = "SELECT current_user";
    // A statement was prepared with the rights of somebody else.
    rows(&guard, "PREPARE p AS SELECT has_table_privilege('frames', 'select')").await;
    rows(&guard, "SET ROLE street_team").await;
    assert_eq!(refused(&guard, "EXECUTE p").await.0, "0A000");
    rows(&guard, "RESET ROLE").await;
    assert_eq!(rows(&guard, "EXECUTE p").await.len(), 1);
    // What was local to a block ends with it, whatever came after.
    rows(&guard, "BEGIN; SET LOCAL ROLE street_team; SAVEPOINT s; SET ROLE others").await;
    assert_eq!(rows(&guard, who).await, ["others"]);
    rows(&guard, "ROLLBACK TO s").await;
    assert_eq!(rows(&guard, who).await, ["street_team"]);
    rows(&guard, "COMMIT").await;
    assert_eq!(rows(&guard, who).await, ["guard"]);
    // A role that is gone takes those along who act as it.
    rows(&guard, "SET ROLE street_team").await;
    server.as_owner("DROP ROLE street_team").await;
    assert!(guard.simple_query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_comes_back_from_the_own_name() {
    let server = server("CREATE ROLE guard").await;
    let owner = server.connect().await;
    let name = rows(&owner, "SELECT current_user").await.remove(0);
    rows(&owner, &format!("SET ROLE guard; SET ROLE \"{name}\"; CREATE ROLE one")).await;
    rows(&owner, "RESET ROLE; CREATE ROLE other").await;
    assert_eq!(rows(&owner, "SELECT current_user").await, [name]);
}

/// A block takes back what it did and nothing that others did, and leaves no rights behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_takes_back_its_own_views_alone() {
    let server = server("CREATE ROLE guard").await;
    let (one, other) = (server.connect().await, server.connect().await);
    rows(&one, "CREATE VIEW kept AS SELECT 1 AS a").await;
    rows(&one, "BEGIN; CREATE VIEW gone AS SELECT 1 AS a; GRANT SELECT ON gone TO guard").await;
    rows(&one, "CREATE OR REPLACE VIEW kept AS SELECT 2 AS a").await;
    rows(&other, "CREATE OR REPLACE VIEW kept AS SELECT 3 AS a").await;
    rows(&other, "CREATE VIEW beside AS SELECT 4 AS a").await;
    rows(&one, "ROLLBACK").await;
    assert_eq!(
        rows(&one, "SELECT a FROM kept UNION ALL SELECT a FROM beside ORDER BY a").await,
        ["3", "4"]
    );
    rows(&one, "CREATE VIEW gone AS SELECT 'secret' AS a; SET ROLE guard").await;
    assert_eq!(refused(&one, "SELECT * FROM gone").await.0, "42501");
}
