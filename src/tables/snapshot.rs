//! Commits and snapshots: all tables of a source change at once, and a reader sees all of them
//! as they were at one moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::error::ArrowError;
use crossbeam_channel::Sender;
use vigil_sql::Cut;
use vigil_sql::catalog::StandardTable;

use super::chunks::Chunks;
use super::corrections::DetectionCorrections;
use super::rows::{self, CaptionRow, DetectionRow, FrameRow, RowContext};
use super::table_rows::TableRows;
use super::track_rows::TrackRows;
use crate::dataflow::clock::Tick;
use crate::source_id::SourceId;
use crate::track::{Correction, KeptAppearance, TrackFact};

/// Up to where a table of a source is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The tick below which everything is there; `None` when the source has ended and all is.
    pub tick: Option<Tick>,
    /// The last complete frame and its event time (microseconds since the Unix epoch).
    pub last_frame: Option<(i64, i64)>,
}

/// Rows that become visible together: frames, their detections, what they do to the tracks, and
/// what tracks looked like.
#[derive(Clone, Debug, Default)]
pub struct FrameCommit {
    /// New frames.
    pub frames: Vec<FrameRow>,
    /// Their detections.
    pub detections: Vec<DetectionRow>,
    /// Corrections of detections, in the order in which they are to be done, after the new rows
    /// are there.
    pub corrections: Vec<Correction>,
    /// Differences of `tracks`, consolidated.
    pub tracks: Vec<(TrackFact, isize)>,
    /// What tracks looked like, for `embeddings`.
    pub appearances: Vec<KeptAppearance>,
    /// Up to where these tables are complete now; `last_frame` is taken from the frames.
    pub tick: Option<Tick>,
}

/// Captions that become visible together, with their vectors.
#[derive(Clone, Debug, Default)]
pub struct CaptionCommit {
    /// New captions.
    pub captions: Vec<CaptionRow>,
    /// Up to where these tables are complete now.
    pub tick: Option<Tick>,
}

/// The tables of one source.
#[derive(Clone, Debug)]
pub struct SourceTables {
    /// What is the same in all rows.
    pub context: Arc<RowContext>,
    /// `frames`.
    pub frames: Chunks,
    /// `detections`.
    pub detections: Chunks,
    /// `tracks`.
    pub tracks: TrackRows,
    /// `captions`.
    pub captions: Chunks,
    /// `embeddings`.
    pub embeddings: Chunks,
    /// Up to where `frames`, `detections`, `tracks` and the appearances in `embeddings` are complete.
    pub frame_progress: Progress,
    /// Up to where `captions` and their vectors in `embeddings` are complete.
    pub caption_progress: Progress,
}

impl SourceTables {
    fn new(context: RowContext) -> Self {
        let start = Progress { tick: Some(0), last_frame: None };
        Self {
            context: Arc::new(context),
            frames: Chunks::default(),
            detections: Chunks::default(),
            tracks: TrackRows::default(),
            captions: Chunks::default(),
            embeddings: Chunks::default(),
            frame_progress: start,
            caption_progress: start,
        }
    }

    /// Whether a table of vectors may have one that another model than `expected` made.
    pub fn may_have_other_model(&self, table: StandardTable, expected: &str) -> bool {
        let other = |model: &Option<String>| model.as_deref().is_some_and(|m| m != expected);
        match table {
            StandardTable::Captions => !self.captions.is_empty() && other(&self.context.embedder),
            StandardTable::Embeddings => {
                let context = &self.context;
                !self.embeddings.is_empty() && (other(&context.embedder) || other(&context.reid))
            }
            StandardTable::Frames | StandardTable::Detections | StandardTable::Tracks => false,
        }
    }

    fn add_frames(&mut self, commit: FrameCommit) -> Result<(), ArrowError> {
        let context = Arc::clone(&self.context);
        self.frames.push(rows::frames(&context, &commit.frames)?)?;
        self.detections.push(rows::detections(&context, &commit.detections)?)?;
        self.embeddings.push(rows::appearance_embeddings(&context, &commit.appearances)?)?;
        self.correct(&commit.corrections)?;
        self.tracks.apply(&context, commit.tracks)?;
        let last = commit.frames.last().map(|row| (row.frame_number, row.ts_micros));
        self.frame_progress =
            Progress { tick: commit.tick, last_frame: last.or(self.frame_progress.last_frame) };
        Ok(())
    }

    fn correct(&mut self, corrections: &[Correction]) -> Result<(), ArrowError> {
        if corrections.is_empty() {
            return Ok(());
        }
        let corrections = DetectionCorrections::new(corrections);
        self.detections.correct(|chunk| match chunk.frame_numbers {
            Some(frames) if corrections.touch(frames) => corrections.apply(&chunk.batch),
            _ => Ok(None),
        })?;
        // Their number and their order stay, as an index finds rows by position.
        self.embeddings.correct(|chunk| match chunk.frame_numbers {
            Some(frames) if corrections.touch(frames) => corrections.with_tracks(&chunk.batch),
            _ => Ok(None),
        })?;
        self.detections.push(rows::detections(&self.context, &corrections.filled())?)
    }

    fn add_captions(&mut self, commit: &CaptionCommit) -> Result<(), ArrowError> {
        let context = Arc::clone(&self.context);
        self.captions.push(rows::captions(&context, &commit.captions)?)?;
        self.embeddings.push(rows::caption_embeddings(&context, &commit.captions)?)?;
        let last = commit.captions.last().map(|row| (row.frame_number, row.ts_micros));
        self.caption_progress =
            Progress { tick: commit.tick, last_frame: last.or(self.caption_progress.last_frame) };
        Ok(())
    }
}

/// All tables of all sources at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    sources: BTreeMap<SourceId, Arc<SourceTables>>,
    positions: Positions,
}

/// The rows of each table by position, from the first time that somebody asks for them.
#[derive(Debug, Default)]
struct Positions([OnceLock<Arc<TableRows>>; StandardTable::ALL.len()]);

/// A copy is made to be changed: it has rows of its own.
impl Clone for Positions {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Snapshot {
    /// The sources' tables, by source.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<SourceTables>> {
        self.sources.values()
    }

    /// The same with the numbers of the sources.
    pub fn entries(&self) -> impl Iterator<Item = (SourceId, &Arc<SourceTables>)> {
        self.sources.iter().map(|(id, tables)| (*id, tables))
    }

    /// The rows of a table by position.
    pub(crate) fn rows(&self, table: StandardTable) -> Arc<TableRows> {
        let all = || Arc::new(TableRows::new(self.entries(), table));
        let place = StandardTable::ALL.into_iter().position(|other| other == table);
        match place.and_then(|place| self.positions.0.get(place)) {
            Some(known) => Arc::clone(known.get_or_init(all)),
            None => all(),
        }
    }

    /// The sources, to be changed.
    fn sources_mut(&mut self) -> &mut BTreeMap<SourceId, Arc<SourceTables>> {
        self.positions = Positions::default();
        &mut self.sources
    }

    /// The tables of one source.
    pub fn source(&self, id: SourceId) -> Option<&Arc<SourceTables>> {
        self.sources.get(&id)
    }
}

/// The tables of all sources, as they change.
#[derive(Debug, Default)]
pub struct Tables {
    newest: Mutex<Arc<Snapshot>>,
    /// Who wants to know of commits with vectors and of sources that go.
    told: OnceLock<Sender<()>>,
}

impl Tables {
    /// What has been committed until now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock())
    }

    /// What a cut shows; the newest commits without one.
    pub fn at(&self, cut: Option<&Cut>) -> Arc<Snapshot> {
        cut.and_then(|cut| Arc::clone(&cut.0).downcast::<Snapshot>().ok())
            .unwrap_or_else(|| self.snapshot())
    }

    /// Adds a source without rows.
    pub fn add_source(&self, id: SourceId, context: RowContext) {
        let tables = Arc::new(SourceTables::new(context));
        Arc::make_mut(&mut self.lock()).sources_mut().insert(id, tables);
    }

    /// Removes a source with its rows.
    pub fn remove_source(&self, id: SourceId) {
        Arc::make_mut(&mut self.lock()).sources_mut().remove(&id);
        self.notify();
    }

    /// Sends a word after each commit of vectors, and after a source has gone. A full queue keeps
    /// the word that it has. Only the first caller is told.
    pub fn tell(&self, told: Sender<()>) {
        let _ = self.told.set(told);
    }

    fn notify(&self) {
        if let Some(told) = self.told.get() {
            let _ = told.try_send(());
        }
    }

    /// Makes frames, detections and tracks visible; of a source that is gone, nothing.
    ///
    /// # Errors
    /// When the rows do not fit the schemas.
    pub fn commit_frames(&self, id: SourceId, commit: FrameCommit) -> Result<(), ArrowError> {
        let has_vectors = !commit.appearances.is_empty();
        self.change(id, |tables| tables.add_frames(commit))?;
        if has_vectors {
            self.notify();
        }
        Ok(())
    }

    /// Makes captions and their vectors visible; of a source that is gone, nothing.
    ///
    /// # Errors
    /// When the rows do not fit the schemas.
    pub fn commit_captions(&self, id: SourceId, commit: &CaptionCommit) -> Result<(), ArrowError> {
        self.change(id, |tables| tables.add_captions(commit))?;
        self.notify();
        Ok(())
    }

    fn change(
        &self,
        id: SourceId,
        change: impl FnOnce(&mut SourceTables) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let mut newest = self.lock();
        match Arc::make_mut(&mut newest).sources_mut().get_mut(&id) {
            Some(tables) => change(Arc::make_mut(tables)),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Snapshot>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
