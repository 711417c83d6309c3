//! Other programs' clients as real processes, one script each: connect, introspect, query,
//! parameters, binary where the client has it, an error with its SQLSTATE.
//!
//! The scripts are in `clients/`; what they need is in `.venv`, `.vigil/node` and `.vigil/sqlx`, which
//! `make test` fills.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::Server;

fn root() -> PathBuf {
    vigil_test_data::top_level()
}

/// Runs `program` on a script of this folder against a new server.
async fn run(program: PathBuf, script: &str, environment: &[(&str, PathBuf)]) {
    let mut command = Command::new(&program);
    command.arg(root().join("sql/tests/it/clients").join(script));
    command.envs(environment.iter().map(|(name, value)| (name, value.as_os_str())));
    succeeds(&program, command, script).await;
}

/// Runs a command against a new server.
async fn succeeds(program: &Path, mut command: Command, what: &str) {
    assert!(program.exists(), "there is no {}: run \"make test\"", program.display());
    let server = Server::start().await;
    command.arg("127.0.0.1").arg(server.port.to_string());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("does not panic").expect("can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}\n{wrong}");
    assert!(said.trim_end().ends_with("ok"), "{what}: {said}\n{wrong}");
}

async fn python(script: &str) {
    run(root().join(".venv/bin/python"), script, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_3() {
    python("psycopg3.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_2() {
    python("psycopg2_.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres() {
    let modules = root().join(".vigil/node/node_modules");
    run("/usr/bin/node".into(), "node_postgres.js", &[("NODE_PATH", modules)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench() {
    run("/bin/sh".into(), "pgbench.sh", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg() {
    python("asyncpg_.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlalchemy_and_pandas() {
    python("sqlalchemy_.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psqlodbc() {
    python("psqlodbc.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlx() {
    let program = root().join(".vigil/sqlx/debug/sqlx-client");
    succeeds(&program, Command::new(&program), "sqlx").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pgcli() {
    python("pgcli_.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pgjdbc() {
    let driver = "/usr/share/java/postgresql.jar".into();
    run("/usr/bin/java".into(), "PgJdbc.java", &[("CLASSPATH", driver)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_for_grafana_and_superset() {
    python("bi_files.py").await;
}
