//! `vigil eval`: the quality of models and trackers, measured on data with known truth. One file
//! for each subcommand.

mod detect;
mod track;

use clap::{Args, Subcommand};

use super::error::CliError;

/// Measure quality on data with known truth
///
/// The figures are printed last, one a line: "figure NAME VALUE UNIT".
#[derive(Debug, Args)]
pub(super) struct EvalArguments {
    #[command(subcommand)]
    command: EvalCommand,
}

#[derive(Debug, Subcommand)]
enum EvalCommand {
    Detect(detect::DetectArguments),
    Track(track::TrackArguments),
}

/// Runs the command.
pub(super) fn eval(arguments: EvalArguments) -> Result<(), CliError> {
    match arguments.command {
        EvalCommand::Detect(arguments) => detect::detect(arguments),
        EvalCommand::Track(arguments) => track::track(&arguments),
    }
}
