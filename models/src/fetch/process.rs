//! Running a tool and hearing what it says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::{Event, Listener};

/// How many of a tool's last lines an error may quote.
const KEPT_LINES: usize = 40;

/// Runs `command` to its end and passes on each line of its output. The error is a clause with
/// the exit status and the line that says most about the failure.
pub(super) fn run(mut command: Command, listener: &mut Listener<'_>) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let not_run = |error: std::io::Error| format!("{program} could not be run: {error}");
    let (reader, writer) = std::io::pipe().map_err(not_run)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(not_run)?).stderr(writer);
    let mut child = command.spawn().map_err(not_run)?;
    // The command holds our ends of the pipe; without them the reader ends when the tool does.
    drop(command);
    let mut last = VecDeque::with_capacity(KEPT_LINES);
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).map_err(not_run)? > 0 {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        if line.is_empty() {
            continue;
        }
        listener(Event::Said { line: &line });
        if last.len() == KEPT_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait().map_err(not_run)?;
    if status.success() {
        return Ok(());
    }
    match telling(&last) {
        Some(line) => Err(format!("{line} ({program} ended with {status})")),
        None => Err(format!("{program} ended with {status}")),
    }
}

/// The line that names the error: pip and Python mark theirs, else the last one.
fn telling(lines: &VecDeque<String>) -> Option<&str> {
    let marked = lines.iter().rev().find(|line| {
        line.starts_with("ERROR:") || line.starts_with("error:") || line.contains("No module named")
    });
    marked.or_else(|| lines.back()).map(|line| line.trim())
}
