//! pgvector-python against a real server, with each of its drivers as a process of its own.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::server::{Server, shared_file};

const SOURCE: &str = "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (objects = 4, frames = 120, width = 320, height = 240, seed = 7) WITH (captioner = 'none')";

/// A driver that hangs is an error and not a test that never ends.
const PATIENCE: Duration = Duration::from_secs(90);

fn run(driver: &str) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    let has = Command::new(&python).args(["-c", &format!("import pgvector, {driver}")]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "pgvector-python: skipped, .venv has no pgvector and {driver} (run \"make setup\")"
        );
        return Ok(());
    }
    if shared_file("pgvector-python", "models/all-minilm-l6-v2-int8").is_none() {
        return Ok(());
    }
    let server = Server::start()?;
    server.values(SOURCE)?;
    server.values("WAIT FOR SOURCE boxes TIMEOUT '2 minutes'")?;
    let counted = server.values("SELECT count(*) > 0 FROM captions WHERE embedding IS NOT NULL")?;
    ensure!(counted == "t", "the source has no captions with vectors");
    let child = Command::new(&python)
        .arg(root.join("tests/it/pgvector_python.py"))
        .args([driver, &server.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = ended(child)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{driver}: {said}");
    Ok(())
}

fn ended(mut child: Child) -> Result<Output> {
    let begin = Instant::now();
    while child.try_wait()?.is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.wait_with_output().context("its output")
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
