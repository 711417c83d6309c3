//! `vigil sql`: statements from the command line, in this process or in a running server.

use std::io::{self, Write};

use clap::Args;

use super::embedded::{self, EmbeddedArguments};
use super::error::CliError;
use super::output::{self, Format};
use super::remote::Remote;
use super::run::{self, AfterError};

/// Run statements given on the command line
///
/// With --url they are sent to a running server; without it an engine is started in this process
/// for as long as they run.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vigil sql --url postgres://127.0.0.1:7432/vigil 'SHOW SOURCES'
  vigil sql \"CREATE SOURCE a FROM 'a.mp4'; WAIT FOR SOURCE a; SELECT count(*) FROM detections\"")]
pub(super) struct SqlArguments {
    /// SQL statements, separated by semicolons
    statements: String,

    /// The server to send them to, such as postgres://127.0.0.1:7432/vigil; it has its own data and
    /// models
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    embedded: EmbeddedArguments,
}

/// Runs the command.
pub(super) fn sql(arguments: SqlArguments) -> Result<(), CliError> {
    let Some(url) = &arguments.url else {
        let text = &arguments.statements;
        return run::run_text(&arguments.embedded, text, arguments.format, AfterError::Stop);
    };
    embedded::runtime()?.block_on(async {
        let remote = Remote::connect(url).await?;
        let mut stdout = io::stdout().lock();
        let results = remote.run(&arguments.statements).await;
        for rows in &results.rows {
            output::write_text(&mut stdout, arguments.format, rows)?;
        }
        stdout.flush()?;
        results.end
    })
}
