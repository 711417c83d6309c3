//! The rounds of a frame's association: in each, tracks that are not seen yet meet detections that
//! are not taken yet. What is compared, and at what cost, is the trackers' own.

use vigil_models::BBox;

use super::assignment::{Assigner, Pair};
use super::input::Candidates;
use super::life::{Book, Track, make_room, note_hidden};
use super::options::{AssociationMethod, TrackOptions};
use super::similarity::{Compared, near_pairs, nearness};
use super::{Assignment, FrameInput};

/// The weight of the centres' distance, which decides between pairs that are equally alike.
const TIE_WEIGHT: f32 = 1e-4;
/// What is left of the likeness of a track and a detection of another class.
const OTHER_CLASS: f32 = 0.5;

/// Which detections take part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// Those from `track_high_thresh`.
    High,
    /// Those below.
    Low,
}

/// The state of a frame's association, and the buffers, which are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Association {
    candidates: Candidates,
    rows: Vec<Compared>,
    pairs: Vec<Pair>,
    assigner: Assigner,
    /// Whether each track was seen in this frame.
    pub is_seen: Vec<bool>,
    is_taken: Vec<bool>,
    /// Track and detection of each match of the last round, by track.
    pub matches: Vec<(usize, usize)>,
}

impl Association {
    /// Turns to a frame.
    pub fn turn_to(&mut self, frame: &FrameInput<'_>, options: &TrackOptions, tracks: usize) {
        self.candidates.sort(frame, options);
        self.is_seen.clear();
        self.is_seen.resize(tracks, false);
        self.is_taken.clear();
        self.is_taken.resize(frame.detections.len(), false);
    }

    /// A round. `expected` tells where a track that takes part is expected; `cost` what a pair
    /// of boxes that are near each other (by `method`) costs, if it may be matched. Pairs from
    /// `limit` on are left out, and are what staying alone costs.
    pub fn round<M>(
        &mut self,
        tracks: &[Track<M>],
        offered: Offered,
        method: AssociationMethod,
        limit: f32,
        expected: impl Fn(&Track<M>) -> Option<BBox>,
        cost: impl Fn(&Compared, &Compared) -> Option<f32>,
    ) {
        let Self { candidates, rows, pairs, assigner, is_seen, is_taken, matches } = self;
        rows.clear();
        for ((index, track), _) in
            (0_u32..).zip(tracks).zip(is_seen.iter()).filter(|(_, is_seen)| !**is_seen)
        {
            if let Some(bbox) = expected(track) {
                rows.push(Compared { bbox, class_id: track.life.classes.best(), index });
            }
        }
        let columns = match offered {
            Offered::High => &mut candidates.high,
            Offered::Low => &mut candidates.low,
        };
        columns.retain(|column| !is_taken[column.index as usize]);
        pairs.clear();
        near_pairs(rows, columns, method, |row, column| {
            let Some(cost) = cost(row, column).filter(|cost| *cost < limit) else { return };
            let far = 1.0 - nearness(&row.bbox, &column.bbox);
            let cost = f64::from(cost + TIE_WEIGHT * far).min(f64::from(limit) - 1e-9);
            pairs.push(Pair { row: row.index, column: column.index, cost });
        });
        assigner.solve(tracks.len(), is_taken.len(), pairs, f64::from(limit));
        matches.clear();
        for (index, is_seen) in is_seen.iter_mut().enumerate() {
            if let Some(column) = assigner.column(index) {
                *is_seen = true;
                is_taken[column] = true;
                matches.push((index, column));
            }
        }
    }

    /// Ends the frame: tracks that were not seen are lost, candidates among them forgotten, and
    /// sure detections that nothing explains are new candidates, which move as `motion` says. A
    /// track that makes room for one is given to `ended`.
    #[expect(clippy::too_many_arguments, reason = "the parts of a tracker, which it lends")]
    pub fn close<M>(
        &mut self,
        frame: &FrameInput<'_>,
        options: &TrackOptions,
        tracks: &mut Vec<Track<M>>,
        book: &mut Book,
        expected: impl Fn(&M) -> BBox,
        motion: impl Fn(usize) -> M,
        mut ended: impl FnMut(Track<M>, &mut Assignment),
        out: &mut Assignment,
    ) {
        note_hidden(tracks, &self.is_seen, expected);
        let mut index = 0;
        tracks.retain_mut(|track| {
            let is_seen = self.is_seen[index];
            index += 1;
            if !is_seen && !track.life.is_candidate() {
                book.missed(&mut track.life, out);
            }
            is_seen || !track.life.is_candidate()
        });
        for column in &self.candidates.high {
            let index = column.index as usize;
            let confidence = frame.detections[index].confidence;
            if self.is_taken[index] || confidence < options.new_track_thresh {
                continue;
            }
            if !make_room(tracks, options.max_tracks, book, &mut ended, out) {
                break;
            }
            let life = book.begin(frame, index, out);
            tracks.push(Track { life, motion: motion(index) });
        }
    }
}

/// The likeness of a track and a detection when classes count.
pub(super) fn with_class(
    alike: f32,
    row: &Compared,
    column: &Compared,
    options: &TrackOptions,
) -> f32 {
    if options.class_agnostic || row.class_id == column.class_id {
        alike
    } else {
        alike * OTHER_CLASS
    }
}

/// Makes `out` ready for a frame: no detection has a track, boxes are the detections' own.
pub(super) fn prepare(frame: &FrameInput<'_>, options: &TrackOptions, out: &mut Assignment) {
    out.clear();
    out.tracks.resize(frame.detections.len(), None);
    if options.track_smoothing {
        out.boxes.extend(frame.detections.iter().map(|detection| detection.bbox));
    }
}

/// Ends the tracks that were away for too long and gives them to `ended`; the others move on.
pub(super) fn advance<M>(
    tracks: &mut Vec<Track<M>>,
    book: &Book,
    out: &mut Assignment,
    mut predict: impl FnMut(&mut Track<M>),
    mut ended: impl FnMut(Track<M>, &mut Assignment),
) {
    for track in tracks.extract_if(.., |track| book.is_over(&track.life)) {
        book.end(&track.life, out);
        ended(track, out);
    }
    for track in tracks {
        predict(track);
    }
}

/// Ends all tracks and gives them to `ended`.
pub(super) fn finish<M>(
    tracks: &mut Vec<Track<M>>,
    book: &Book,
    out: &mut Assignment,
    mut ended: impl FnMut(Track<M>, &mut Assignment),
) {
    out.clear();
    for track in tracks.drain(..) {
        book.end(&track.life, out);
        ended(track, out);
    }
}

/// What becomes of an ended track where nobody remembers it.
pub(super) fn forget<M>(_track: Track<M>, _out: &mut Assignment) {}
