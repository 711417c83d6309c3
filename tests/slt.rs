//! What SQL shows: each file below `tests/slt` runs twice with the same expectations, in this
//! process and over the wire, each time on a fresh engine.
//!
//! An error is written as `SQLSTATE: message HINT: hint`. Files below `tests/slt/models` need the
//! models of the mirror and say that they are skipped where it is not there. `UPDATE_SLT=1`
//! writes the answers of the engine in this process into the files; read the difference before
//! you keep it.

#[path = "slt/in_process.rs"]
mod in_process;
#[path = "slt/over_the_wire.rs"]
mod over_the_wire;
#[path = "slt/test_engine.rs"]
mod test_engine;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, MakeConnection, Runner};

use self::test_engine::TestEngine;

/// How a file's statements reach the engine.
#[derive(Clone, Copy, Debug)]
enum Way {
    InProcess,
    OverTheWire,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::OverTheWire => "over_the_wire",
        }
    }
}

/// What a client is told when a statement fails.
#[derive(Debug)]
struct ClientError {
    sqlstate: String,
    message: String,
    hint: Option<String>,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " HINT: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ClientError {}

/// The answer of the statements of one string: the rows of all of them.
#[derive(Debug, Default)]
struct Answer {
    rows: Vec<Vec<Option<String>>>,
    has_rows: bool,
}

impl Answer {
    fn into_output(self) -> DBOutput<DefaultColumnType> {
        if !self.has_rows {
            return DBOutput::StatementComplete(0);
        }
        let columns = self.rows.first().map_or(0, Vec::len);
        let shown = |value: Option<String>| match value.as_deref() {
            None => "NULL".to_owned(),
            Some("") => "(empty)".to_owned(),
            Some(text) => text.to_owned(),
        };
        let rows = self.rows.into_iter().map(|row| row.into_iter().map(shown).collect());
        DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows: rows.collect() }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = vigil_test_data::top_level().join("tests/slt");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut trials = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        for way in [Way::InProcess, Way::OverTheWire] {
            let (file, trial) = (file.clone(), format!("{}::{name}", way.name()));
            trials.push(Trial::ignorable_test(trial, move || run(&file, way)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
}

fn run(file: &Path, way: Way) -> Result<Completion, Failed> {
    let needs_models = file.components().any(|component| component.as_os_str() == "models");
    if needs_models && vigil_test_data::folder("models").is_none() {
        return Ok(Completion::ignored_with("no test data"));
    }
    let engine = TestEngine::start()?;
    match way {
        Way::InProcess => {
            let database = engine.database();
            engine.block_on(run_file(file, way, || async {
                Ok(in_process::Connection::new(&database))
            }))
        }
        Way::OverTheWire => {
            let address = engine.listen()?;
            engine.block_on(run_file(file, way, || over_the_wire::Connection::open(address)))
        }
    }?;
    Ok(Completion::Completed)
}

async fn run_file<D, M>(file: &Path, way: Way, connect: M) -> Result<(), Failed>
where
    D: AsyncDB<ColumnType = DefaultColumnType>,
    M: MakeConnection<Conn = D>,
{
    let mut runner = Runner::new(connect);
    let shared = vigil_test_data::root().display().to_string();
    runner.set_var("SHARED".into(), shared);
    if matches!(way, Way::InProcess) && std::env::var_os("UPDATE_SLT").is_some() {
        let validator = sqllogictest::default_validator;
        let normalizer = sqllogictest::default_normalizer;
        let columns = sqllogictest::default_column_validator;
        let updated = runner.update_test_file(file, " ", validator, normalizer, columns).await;
        return updated.map_err(|error| Failed::from(error.to_string()));
    }
    let outcome = runner.run_file_async(file).await;
    runner.shutdown_async().await;
    outcome.map_err(|error| Failed::from(error.display(false).to_string()))
}
