//! `vigil run`: statements from a file, in an engine in this process.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use clap::Args;
use futures::TryStreamExt;
use vigil_sql::{Outcome, Session, Statement};

use super::embedded::{Embedded, EmbeddedArguments};
use super::error::CliError;
use super::output::{self, Format};

/// Run the statements of a file, without a server
///
/// An engine is started in this process, the statements run one after the other, and their results
/// are printed. Sources go on in the background; WAIT FOR SOURCE waits for one. The tables are gone
/// when the last statement has run. At the first error the command ends with exit code 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vigil run examples/count_people.sql
  echo \"SELECT embed('a dog') <=> embed('a puppy') AS distance\" | vigil run -")]
pub(super) struct RunArguments {
    /// File with SQL statements; - reads standard input
    #[arg(value_name = "FILE.sql")]
    file: PathBuf,

    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Go on after a statement that fails; the exit code is 1 all the same. Nothing runs, with it
    /// or without, unless the whole file can be read as SQL
    #[arg(long)]
    keep_going: bool,

    #[command(flatten)]
    embedded: EmbeddedArguments,
}

/// What happens after a statement that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterError {
    /// The rest is not run.
    Stop,
    /// The error is told, and the rest is run.
    GoOn,
}

/// Runs the command.
pub(super) fn run(arguments: RunArguments) -> Result<(), CliError> {
    let text = read(&arguments.file)?;
    let after_error = if arguments.keep_going { AfterError::GoOn } else { AfterError::Stop };
    run_text(&arguments.embedded, &text, arguments.format, after_error)
}

fn read(file: &Path) -> Result<String, CliError> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|source| CliError::Read { path: file.to_owned(), source })
}

/// Starts an engine and runs the statements of a text in it.
pub(super) fn run_text(
    embedded: &EmbeddedArguments,
    text: &str,
    format: Format,
    after_error: AfterError,
) -> Result<(), CliError> {
    let embedded = Embedded::start(embedded)?;
    let mut session = embedded.session();
    // Nothing runs unless all of it can be read.
    let statements = session.parse(text).map_err(|error| at(error, text))?;
    let mut failed = 0;
    for statement in &statements {
        let done = embedded.block_on(run_statement(&mut session, statement, text, format));
        match done {
            Err(error) if after_error == AfterError::GoOn && !error.is_closed_output() => {
                error.tell();
                failed += 1;
            }
            done => done?,
        }
    }
    if failed > 0 { Err(CliError::SomeFailed(failed)) } else { Ok(()) }
}

async fn run_statement(
    session: &mut Session,
    statement: &Statement,
    text: &str,
    format: Format,
) -> Result<(), CliError> {
    let outcome = session.execute(statement).await.map_err(|error| at(error, text))?;
    match outcome {
        Outcome::Rows { schema, batches, .. } | Outcome::Copy { schema, batches, .. } => {
            let batches: Vec<RecordBatch> =
                batches.try_collect().await.map_err(vigil_sql::SqlError::from)?;
            output::write_batches(&mut io::stdout().lock(), format, &schema, &batches)?;
        }
        Outcome::Done { tag, notices } => {
            for notice in notices {
                // A notice that nobody can read is no reason to stop.
                let _ = writeln!(io::stderr(), "{}:  {}", notice.severity, notice.message);
            }
            output::write_tag(&mut io::stdout().lock(), format, &tag)?;
        }
    }
    Ok(io::stdout().flush()?)
}

fn at(error: vigil_sql::SqlError, text: &str) -> CliError {
    CliError::Statement { error, text: text.to_owned() }
}
