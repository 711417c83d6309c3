//! Faults: what went wrong with a frame, as data. A fault becomes a row of
//! `vigil_catalog.source_errors`; the source goes on.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use vigil_models::ModelError;
use vigil_sql::SourceFault;

/// At most so many faults are kept of a source, the newest; all are counted.
const KEPT_FAULTS: usize = 10_000;

/// A stage of the way of a frame, where something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Reading and decoding the video.
    Decode,
    /// Running the detector.
    Detect,
    /// Looking at what a tracker asks for: appearances.
    Track,
    /// Keeping the picture of a key frame.
    Keyframe,
    /// Running the captioner.
    Caption,
    /// Running the embedder.
    Embed,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decode => "decode",
            Self::Detect => "detect",
            Self::Track => "track",
            Self::Keyframe => "keyframe",
            Self::Caption => "caption",
            Self::Embed => "embed",
        })
    }
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub stage: Stage,
    /// The frame, where one is known.
    pub frame_number: Option<i64>,
    /// Five characters of PostgreSQL's appendix A.
    pub sqlstate: String,
    /// What, in one line.
    pub message: String,
}

impl Fault {
    /// A fault of a model at a frame.
    pub fn of_model(stage: Stage, frame_number: i64, error: &ModelError) -> Self {
        let message = match error.detail() {
            Some(detail) => format!("{error}: {detail}"),
            None => error.to_string(),
        };
        Self {
            stage,
            frame_number: Some(frame_number),
            sqlstate: error.sqlstate().to_owned(),
            message,
        }
    }
}

impl Fault {
    /// A frame that a service took no notice of: it was full, or is stopping.
    pub fn refused(stage: Stage, frame_number: i64) -> Self {
        Self {
            stage,
            frame_number: Some(frame_number),
            sqlstate: "53000".to_owned(),
            message: format!("the service refused to {stage} this frame"),
        }
    }
}

/// The faults of one source: the newest ones, and how many there were.
#[derive(Debug, Default)]
pub struct FaultLog {
    kept: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    faults: VecDeque<(i64, Fault)>,
    total: i64,
}

impl FaultLog {
    /// Adds a fault that happened at `at_micros` (microseconds since the Unix epoch).
    pub fn push(&self, at_micros: i64, fault: Fault) {
        let mut log = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        log.total += 1;
        if log.faults.len() == KEPT_FAULTS {
            log.faults.pop_front();
        }
        log.faults.push_back((at_micros, fault));
    }

    /// How many there were.
    pub fn total(&self) -> i64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// Those that are kept, oldest first, as rows.
    pub fn rows(&self, source: &str) -> Vec<SourceFault> {
        let log = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        log.faults
            .iter()
            .map(|(at_micros, fault)| SourceFault {
                source: source.to_owned(),
                frame_number: fault.frame_number,
                stage: fault.stage.to_string(),
                sqlstate: fault.sqlstate.clone(),
                message: fault.message.clone(),
                at_micros: *at_micros,
            })
            .collect()
    }
}
