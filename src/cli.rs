//! The command line: arguments go in, an exit code comes out. One file for each subcommand.
//!
//! Results go to stdout; errors, notices, progress and logs to stderr. The exit code is 0 when all
//! went well, 1 when something failed, 2 when the command line is not understood.

mod annotate;
mod config;
mod embedded;
mod error;
mod eval;
mod models;
mod output;
mod places;
mod remote;
mod run;
mod security;
mod serve;
mod snapshot;
mod sql;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub use self::output::text_rows;

/// A streaming database for video: register a video with SQL, and ask it what was seen.
#[derive(Debug, Parser)]
#[command(name = "vigil", version, max_term_width = 100)]
#[command(after_help = "\
Begin with:
  vigil models pull              fetch the models that sources use by default
  vigil serve                    start the server
  psql -h 127.0.0.1 -p 7432 vigil
    CREATE SOURCE lobby FROM 'lobby.mp4';
    SELECT class_name, count(DISTINCT track_id) FROM detections GROUP BY 1;

Environment: VIGIL_CONFIG, VIGIL_DATA, VIGIL_MODELS, VIGIL_LOG (such as debug or vigil=trace).")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArguments),
    Run(run::RunArguments),
    Sql(sql::SqlArguments),
    Models(models::ModelsArguments),
    Snapshot(snapshot::SnapshotArguments),
    Eval(eval::EvalArguments),
}

/// Runs the command of this process's command line.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(match arguments.command {
        Command::Serve(_) => "warn,vigil=info,vigil_sql=info,vigil_models=info",
        _ => "warn",
    });
    let done = match arguments.command {
        Command::Serve(arguments) => serve::serve(arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Sql(arguments) => sql::sql(arguments),
        Command::Models(arguments) => models::models(arguments),
        Command::Snapshot(arguments) => snapshot::snapshot(arguments),
        Command::Eval(arguments) => eval::eval(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has read enough.
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            error.tell();
            ExitCode::FAILURE
        }
    }
}

/// Logs what `VIGIL_LOG` says, else what `default_filter` says.
fn log_to_stderr(default_filter: &str) {
    let filter =
        EnvFilter::try_from_env("VIGIL_LOG").unwrap_or_else(|_| EnvFilter::new(default_filter));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_documented() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            assert!(subcommand.get_about().is_some(), "{}", subcommand.get_name());
            for argument in subcommand.get_arguments() {
                assert!(argument.get_help().is_some(), "{}: {argument}", subcommand.get_name());
            }
        }
    }

    #[test]
    fn unknown_arguments_are_a_matter_of_usage() {
        for line in [&["vigil", "serv"][..], &["vigil", "serve", "--port", "1"], &["vigil"]] {
            assert_eq!(Arguments::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
