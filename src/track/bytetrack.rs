//! ByteTrack (Zhang et al., "ByteTrack: Multi-object tracking by associating every detection box",
//! ECCV 2022): detections that are sure are associated first, those that are not may still
//! continue a track that would be lost.
//!
//! Likeness times confidence decides in the first association, likeness alone in the second: a
//! hidden object's confidence is low because it is hidden.

use vigil_models::BBox;

use super::association::{Association, Offered, advance, finish, forget, prepare, with_class};
use super::kalman::BoxFilter;
use super::life::{Book, Track};
use super::options::TrackOptions;
use super::similarity::likeness;
use super::{Assignment, FrameInput, Tracker};

/// The highest cost in the second association, 1 - likeness (as published).
const LOW_LIMIT: f32 = 0.5;
/// The highest cost for a candidate's second sighting (as published).
const CANDIDATE_LIMIT: f32 = 0.7;
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
    association: Association,
}

/// One of the three associations.
#[derive(Clone, Copy, PartialEq, Eq)]
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
            association: Association::default(),
        }
    }

    fn associate(&mut self, round: Round, frame: &FrameInput<'_>, out: &mut Assignment) {
        let Self { options, book, tracks, association } = self;
        let (offered, limit) = match round {
            Round::High => (Offered::High, options.match_thresh),
            Round::Low => (Offered::Low, LOW_LIMIT),
            Round::Candidates => (Offered::High, CANDIDATE_LIMIT),
        };
        let expected = |track: &Track<Motion>| {
            let life = &track.life;
            let takes_part = match round {
                Round::High => !life.is_candidate(),
                Round::Low => !life.is_candidate() && life.missed == 0,
                Round::Candidates => life.is_candidate(),
            };
            takes_part.then(|| track.motion.bbox())
        };
        let method = options.association_method;
        association.round(tracks, offered, method, limit, expected, |row, column| {
            let alike = likeness(method, &row.bbox, &column.bbox);
            let alike = with_class(alike, row, column, options);
            // What is hidden is not sure: in the second association likeness alone decides.
            let sureness = match round {
                Round::High | Round::Candidates => {
                    frame.detections[column.index as usize].confidence
                }
                Round::Low => 1.0,
            };
            (alike > 0.0).then_some(1.0 - alike * sureness)
        });
        for (index, column) in association.matches.iter().copied() {
            let track = &mut tracks[index];
            track.motion.correct(&frame.detections[column].bbox);
            book.seen(&mut track.life, frame, column, out);
            if options.track_smoothing {
                out.boxes[column] = track.motion.bbox();
            }
        }
    }
}

impl Tracker for ByteTracker {
    fn name(&self) -> &'static str {
        "bytetrack"
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        prepare(frame, &self.options, out);
        let Some(frames) = self.book.turn_to(frame) else { return };
        let predict = |track: &mut Track<Motion>| {
            track.motion.predict(frames, track.life.missed > 0);
        };
        advance(&mut self.tracks, &self.book, out, predict, forget);
        self.association.turn_to(frame, &self.options, self.tracks.len());
        for round in [Round::High, Round::Low, Round::Candidates] {
            self.associate(round, frame, out);
        }
        let Self { options, book, tracks, association } = self;
        let begin = |index: usize| Motion::begin(&frame.detections[index].bbox, options);
        association.close(frame, options, tracks, book, Motion::bbox, begin, forget, out);
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        finish(&mut self.tracks, &self.book, out, forget);
    }
}
