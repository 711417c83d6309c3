//! pgvector-python against a real server, with each of its drivers as a process of its own.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::server::Server;

const SOURCE: &str = "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (objects = 4, frames = 120, width = 320, height = 240, seed = 7) WITH (captioner = 'none')";

/// A driver that hangs is an error and not a test that never ends.
const PATIENCE: &str = "90s";

fn run(driver: &str) -> Result<()> {
    let root = vigil_test_data::top_level();
    let python = root.join(".venv/bin/python");
    let has = Command::new(&python).args(["-c", &format!("import pgvector, {driver}")]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "pgvector-python: skipped, .venv has no pgvector and {driver} (run \"make setup\")"
        );
        return Ok(());
    }
    if vigil_test_data::model("all-minilm-l6-v2-int8").is_none() {
        return Ok(());
    }
    let server = Server::start()?;
    server.values(SOURCE)?;
    server.values("WAIT FOR SOURCE boxes TIMEOUT '2 minutes'")?;
    let counted = server.values("SELECT count(*) > 0 FROM captions WHERE embedding IS NOT NULL")?;
    ensure!(counted == "t", "the source has no captions with vectors");
    // The score is that of the two ranks, whatever they are.
    let hybrid = "SELECT rank = 1 AND abs(score - coalesce(1.0 / (60 + vector_rank), 0) - coalesce(1.0 / (60 + text_rank), 0)) < 1e-9 FROM hybrid_search('captions', 'detected cars and persons', 1)";
    let found = server.values(hybrid)?;
    ensure!(found == "t", "hybrid_search scores otherwise: {found}");
    let output = Command::new("timeout")
        .arg(PATIENCE)
        .arg(&python)
        .arg(root.join("tests/it/pgvector_python.py"))
        .args([driver, &server.url()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{driver}: {said}");
    Ok(())
}

#[test]
fn psycopg_has_vectors() -> Result<()> {
    run("psycopg")
}

#[test]
fn psycopg2_has_vectors() -> Result<()> {
    run("psycopg2")
}

#[test]
fn asyncpg_has_vectors() -> Result<()> {
    run("asyncpg")
}

#[test]
fn sqlalchemy_has_vectors() -> Result<()> {
    run("sqlalchemy")
}
