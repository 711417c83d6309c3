//! `vigil eval track`: trackers on MOTChallenge sequences.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::error::CliError;
use crate::eval::{self, Scores, mot};
use crate::source::{SourceDefaults, SourceOptions};
use crate::track::{TrackOptions, TrackerKind};

/// Follow the detections of MOTChallenge sequences and score the tracks
///
/// Every folder below --mot with a det.txt is a sequence. Its detections are given to the tracker
/// frame by frame, and what is scored is what the tables would hold after all corrections. HOTA,
/// MOTA and IDF1 are those of TrackEval. Sequences without gt.txt are followed but not scored.
#[derive(Debug, Args)]
pub(super) struct TrackArguments {
    /// The tracker
    #[arg(long, default_value = "bytetrack", value_parser = tracker)]
    tracker: TrackerKind,

    /// Folder of sequences: <SEQUENCE>/det.txt and <SEQUENCE>/gt.txt
    #[arg(long, value_name = "DIR")]
    mot: PathBuf,

    /// Only this sequence; may be given several times
    #[arg(long, value_name = "NAME")]
    sequence: Vec<String>,

    /// What the scores in det.txt are
    #[arg(long, value_enum, default_value_t)]
    score: ScoreArgument,

    /// Frames a second of sequences whose seqinfo.ini does not tell
    #[arg(long, value_name = "RATE", default_value_t = 30.0, value_parser = rate)]
    frame_rate: f64,

    /// Writes the tracks as MOTChallenge files to this folder, made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// An option of the tracker as in CREATE SOURCE … WITH (…); may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = option)]
    option: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ScoreArgument {
    /// Confidences from 0 to 1
    #[default]
    Confidence,
    /// Logits, which a sigmoid turns into confidences
    Sigmoid,
}

fn tracker(name: &str) -> Result<TrackerKind, String> {
    let names = || crate::track::all().iter().map(TrackerKind::name);
    TrackerKind::from_name(name).ok_or_else(|| {
        let nearest = crate::source::nearest(name, names());
        let meant = nearest.map(|name| format!("; perhaps you meant {name}")).unwrap_or_default();
        format!("the trackers are {}{meant}", names().collect::<Vec<_>>().join(", "))
    })
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.1..=1000.0).contains(rate));
    rate.ok_or_else(|| "a frame rate is a number from 0.1 to 1000".to_owned())
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an option has the form NAME=VALUE")?;
    let name = name.trim().to_lowercase();
    // An unknown name is told with the known ones by who sets it.
    let is_other = crate::source::options().iter().any(|entry| entry.name == name);
    if is_other && !crate::source::is_of_trackers(&name) {
        return Err(format!(
            "{name} does nothing here: only detections and options of trackers do"
        ));
    }
    Ok((name, value.trim().to_owned()))
}

/// Runs the command.
pub(super) fn track(arguments: &TrackArguments) -> Result<(), CliError> {
    let mut options = SourceOptions::for_file(&SourceDefaults::default());
    options.tracker = arguments.tracker;
    options.set(&arguments.option)?;
    options.check_tracker(&arguments.option)?;
    let out = &mut io::stdout().lock();
    let mut combined = Scores::default();
    let mut scored = BTreeMap::new();
    for name in sequences(arguments)? {
        let folder = arguments.mot.join(&name);
        let results = follow(arguments, &options, &folder)?;
        if let Some(to) = &arguments.out {
            write(to, &name, &results)?;
        }
        let truth = folder.join("gt.txt");
        if truth.is_file() {
            let scores = Scores::of(&mot::read(&truth)?, &results);
            combined.add(&scores);
            scored.insert(name, scores);
        } else {
            writeln!(out, "{name}: not scored, as it has no gt.txt")?;
        }
    }
    if !scored.is_empty() {
        table(out, &scored, &combined)?;
    }
    Ok(())
}

/// The names of the sequences, sorted.
fn sequences(arguments: &TrackArguments) -> Result<Vec<String>, CliError> {
    let folder = &arguments.mot;
    let entries = std::fs::read_dir(folder)
        .map_err(|source| CliError::Read { path: folder.clone(), source })?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().join("det.txt").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let missing = arguments.sequence.iter().find(|wanted| !names.contains(wanted));
    if names.is_empty() || missing.is_some() {
        return Err(CliError::NoSequence { folder: folder.clone(), wanted: missing.cloned() });
    }
    names.retain(|name| arguments.sequence.is_empty() || arguments.sequence.contains(name));
    Ok(names)
}

fn follow(
    arguments: &TrackArguments,
    options: &SourceOptions,
    folder: &Path,
) -> Result<mot::Frames, CliError> {
    let scores = match arguments.score {
        ScoreArgument::Confidence => mot::Scores::Confidence,
        ScoreArgument::Sigmoid => mot::Scores::Sigmoid,
    };
    let detections = mot::read_detections(&folder.join("det.txt"), scores)?;
    let frame_rate = mot::frame_rate(folder).unwrap_or(arguments.frame_rate);
    // There are no models here: which tracks are one object is told by their motion.
    let options = TrackOptions { links_by_model: false, ..options.track_options() };
    let mut tracker = arguments.tracker.tracker(&options);
    Ok(eval::replay(&detections, tracker.as_mut(), frame_rate).results())
}

fn write(folder: &Path, name: &str, results: &mot::Frames) -> Result<(), CliError> {
    let path = folder.join(format!("{name}.txt"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, mot::text(results)))
        .map_err(|source| CliError::Write { path, source })
}

fn table(
    out: &mut dyn Write,
    scored: &BTreeMap<String, Scores>,
    combined: &Scores,
) -> io::Result<()> {
    let width = scored.keys().map(String::len).max().unwrap_or_default().max("combined".len());
    writeln!(out, "{:<width$}   HOTA   DetA   AssA   MOTA   IDF1  IDSW     FP     FN", "sequence")?;
    let all = scored.iter().map(|(name, scores)| (name.as_str(), scores));
    for (name, scores) in all.chain([("combined", combined)]) {
        let Scores { hota, clear, identity } = scores;
        writeln!(
            out,
            "{name:<width$} {:6.4} {:6.4} {:6.4} {:6.4} {:6.4} {:5} {:6} {:6}",
            hota.hota(),
            hota.deta(),
            hota.assa(),
            clear.mota(),
            identity.idf1(),
            clear.switches,
            clear.false_alarms,
            clear.misses,
        )?;
    }
    writeln!(out, "figure hota {:.4} ratio", combined.hota.hota())?;
    writeln!(out, "figure mota {:.4} ratio", combined.clear.mota())?;
    writeln!(out, "figure idf1 {:.4} ratio", combined.identity.idf1())
}
