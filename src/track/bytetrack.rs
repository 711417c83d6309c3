//! ByteTrack (Zhang et al., "ByteTrack: Multi-object tracking by associating every detection box",
//! ECCV 2022): detections that are sure are associated first, those that are not may still
//! continue a track that would be lost.
//!
//! Likeness times confidence decides in the first association, likeness alone in the second: a
//! hidden object's confidence is low because it is hidden.

use vigil_models::BBox;

use super::assignment::{Assigner, Pair};
use super::input::Candidates;
use super::kalman::BoxFilter;
use super::life::{Book, Track, make_room, note_hidden};
use super::options::TrackOptions;
use super::similarity::{Compared, likeness, near_pairs, pair};
use super::{Assignment, FrameInput, Tracker};

/// The highest cost in the second association, 1 - likeness (as published).
const LOW_LIMIT: f32 = 0.5;
/// The highest cost for a candidate's second sighting (as published).
const CANDIDATE_LIMIT: f32 = 0.7;
/// What is left of the likeness of a track and a detection of another class.
const OTHER_CLASS: f32 = 0.5;
/// The weight of the centres' distance, which decides between pairs that are equally alike.
const TIE_WEIGHT: f32 = 1e-4;

/// How a track of this tracker moves.
#[derive(Clone, Debug)]
pub(super) enum Motion {
    /// By its filter.
    Filter(BoxFilter),
    /// Not at all: it is where it was last seen.
    Still(BBox),
}

impl Motion {
    fn begin(bbox: &BBox, options: &TrackOptions) -> Self {
        if options.kalman_filter { Self::Filter(BoxFilter::new(bbox)) } else { Self::Still(*bbox) }
    }

    fn predict(&mut self, frames: f32, is_lost: bool) {
        if let Self::Filter(filter) = self {
            if is_lost {
                filter.freeze_height();
            }
            filter.predict(frames);
        }
    }

    fn correct(&mut self, bbox: &BBox) {
        match self {
            Self::Filter(filter) => filter.correct(bbox, 1.0),
            Self::Still(last) => *last = *bbox,
        }
    }

    fn bbox(&self) -> BBox {
        match self {
            Self::Filter(filter) => filter.bbox(),
            Self::Still(last) => *last,
        }
    }
}

/// The tracker's state.
#[derive(Clone, Debug)]
pub struct ByteTracker {
    options: TrackOptions,
    book: Book,
    tracks: Vec<Track<Motion>>,
    candidates: Candidates,
    rows: Vec<Compared>,
    pairs: Vec<Pair>,
    assigner: Assigner,
    /// Whether each track was seen in this frame.
    is_seen: Vec<bool>,
    /// Whether each detection has been taken.
    is_taken: Vec<bool>,
}

/// One of the three associations.
#[derive(Clone, Copy)]
enum Round {
    High,
    Low,
    Candidates,
}

impl ByteTracker {
    /// A tracker that has seen nothing.
    pub fn new(options: &TrackOptions) -> Self {
        Self {
            options: options.clone(),
            book: Book::new(options),
            tracks: Vec::new(),
            candidates: Candidates::default(),
            rows: Vec::new(),
            pairs: Vec::new(),
            assigner: Assigner::default(),
            is_seen: Vec::new(),
            is_taken: Vec::new(),
        }
    }

    fn associate(&mut self, round: Round, frame: &FrameInput<'_>, out: &mut Assignment) {
        let Self { options, tracks, candidates, rows, pairs, is_seen, is_taken, .. } = self;
        rows.clear();
        for (index, track) in (0_u32..).zip(tracks.iter()) {
            let takes_part = match round {
                Round::High => !track.life.is_candidate(),
                Round::Low => !track.life.is_candidate() && track.life.missed == 0,
                Round::Candidates => track.life.is_candidate(),
            };
            if takes_part && !is_seen[index as usize] {
                let class_id = track.life.classes.best();
                rows.push(Compared { bbox: track.motion.bbox(), class_id, index });
            }
        }
        let (columns, limit) = match round {
            Round::High => (&mut candidates.high, options.match_thresh),
            Round::Low => (&mut candidates.low, LOW_LIMIT),
            Round::Candidates => (&mut candidates.high, CANDIDATE_LIMIT),
        };
        columns.retain(|column| !is_taken[column.index as usize]);
        pairs.clear();
        let method = options.association_method;
        near_pairs(rows, columns, method, |row, column| {
            let mut alike = likeness(method, &row.bbox, &column.bbox);
            if alike <= 0.0 {
                return;
            }
            if !options.class_agnostic && row.class_id != column.class_id {
                alike *= OTHER_CLASS;
            }
            if !matches!(round, Round::Low) {
                alike *= frame.detections[column.index as usize].confidence;
            }
            let cost = 1.0 - alike;
            if cost < limit {
                let far = 1.0 - super::similarity::nearness(&row.bbox, &column.bbox);
                pairs.push(pair(row, column, cost + TIE_WEIGHT * far));
            }
        });
        self.assigner.solve(tracks.len(), frame.detections.len(), pairs, f64::from(limit));
        for (index, track) in tracks.iter_mut().enumerate() {
            if let Some(column) = self.assigner.column(index) {
                is_seen[index] = true;
                is_taken[column] = true;
                track.motion.correct(&frame.detections[column].bbox);
                self.book.seen(&mut track.life, frame, column, out);
                if self.options.track_smoothing {
                    out.boxes[column] = track.motion.bbox();
                }
            }
        }
    }

    /// Tracks that are not seen are lost or given up, and what nothing explains is a candidate.
    fn miss_and_begin(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        note_hidden(&mut self.tracks, &self.is_seen, Motion::bbox);
        let mut index = 0;
        let (is_seen, book) = (&self.is_seen, &self.book);
        self.tracks.retain_mut(|track| {
            let is_seen = is_seen[index];
            index += 1;
            if is_seen {
                return true;
            }
            if track.life.is_candidate() {
                return false;
            }
            book.missed(&mut track.life, out);
            true
        });
        for column in &self.candidates.high {
            let index = column.index as usize;
            let detection = &frame.detections[index];
            if self.is_taken[index] || detection.confidence < self.options.new_track_thresh {
                continue;
            }
            if !make_room(&mut self.tracks, self.options.max_tracks, &self.book, out) {
                break;
            }
            let life = self.book.begin(frame, index, out);
            let motion = Motion::begin(&detection.bbox, &self.options);
            self.tracks.push(Track { life, motion });
        }
    }
}

impl Tracker for ByteTracker {
    fn name(&self) -> &'static str {
        "bytetrack"
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        out.clear();
        out.tracks.resize(frame.detections.len(), None);
        if self.options.track_smoothing {
            out.boxes.extend(frame.detections.iter().map(|detection| detection.bbox));
        }
        let Some(frames) = self.book.turn_to(frame) else { return };
        let book = &self.book;
        self.tracks.retain_mut(|track| {
            if book.is_over(&track.life) {
                book.end(&track.life, out);
                return false;
            }
            track.motion.predict(frames, track.life.missed > 0);
            true
        });
        self.candidates.sort(frame, &self.options);
        self.is_seen.clear();
        self.is_seen.resize(self.tracks.len(), false);
        self.is_taken.clear();
        self.is_taken.resize(frame.detections.len(), false);
        for round in [Round::High, Round::Low, Round::Candidates] {
            self.associate(round, frame, out);
        }
        self.miss_and_begin(frame, out);
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        out.clear();
        for track in self.tracks.drain(..) {
            self.book.end(&track.life, out);
        }
    }
}
