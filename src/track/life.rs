//! The life of tracks, the same for every tracker: numbers, states, and corrections of what was
//! said before. How tracks move and what they are matched with is the trackers' own.
//!
//! A track is tentative until it has `min_track_length` detections *and* there is as much evidence
//! for it as there is for the tracks that are known: scores of detectors are not calibrated, so that
//! one detector's noise has the scores of another's objects. What is compared is the sum of the
//! log-odds; a track needs `track_evidence` of what is typical of its class for as many detections,
//! and never more than for three times `min_track_length` of them. So an object that a detector is
//! less sure of takes longer, and is not thrown away. A tentative track that is missed in more
//! frames running than it has been seen `min_track_length` times is noise.
//!
//! A gap is filled when it is short, or when something stood before the track for half of it:
//! where an object is missed in plain view, there is mostly none.

use std::collections::VecDeque;

use vigil_models::{BBox, Detection};

use super::classes::ClassVotes;
use super::options::TrackOptions;
use super::pace::Pace;
use super::similarity::covered;
use super::{Assignment, Correction, FrameInput, StateChange, TrackId, TrackState};

/// Frames whose numbers and times are remembered for filling gaps.
const MAX_REMEMBERED_FRAMES: usize = 1024;
/// The frames a second to which `track_buffer` refers (Zhang et al., "ByteTrack", 2022).
const BUFFER_FRAME_RATE: f32 = 30.0;
/// Detections, in units of `min_track_length`, after which no more evidence is asked for.
const EVIDENCE_LENGTHS: u32 = 3;
/// The share of a box that is covered when it is hidden.
const HIDDEN_SHARE: f32 = 0.5;
/// Detections after which what was typical is half forgotten (about).
const TYPICAL_DETECTIONS: f32 = 1000.0;

/// What is known of a track whatever moves it.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// Its number; a candidate that was seen once has none.
    pub id: Option<TrackId>,
    /// Its state.
    pub state: TrackState,
    /// Detections that belong to it.
    pub seen: u32,
    /// The frame it was first seen in.
    pub first_frame: i64,
    /// The index of its first detection in that frame.
    pub first_detection: u32,
    /// The frame it was last seen in.
    pub last_frame: i64,
    /// When it was last seen, microseconds since the Unix epoch.
    pub last_ts_micros: i64,
    /// Its last detection.
    pub last: Detection,
    /// Frames since it was last seen.
    pub missed: u32,
    /// Frames among them in which something stood before it.
    pub hidden: u32,
    /// Sum of the log-odds of its detections.
    pub evidence: f32,
    /// What it is.
    pub classes: ClassVotes,
}

impl Life {
    /// A candidate: a detection that nothing explains.
    pub fn begin(frame: &FrameInput<'_>, index: usize) -> Self {
        let first = frame.detections[index];
        Self {
            id: None,
            state: TrackState::Tentative,
            seen: 1,
            first_frame: frame.frame_number,
            first_detection: u32::try_from(index).unwrap_or(u32::MAX),
            last_frame: frame.frame_number,
            last_ts_micros: frame.ts_micros,
            last: first,
            missed: 0,
            hidden: 0,
            evidence: log_odds(first.confidence),
            classes: ClassVotes::of(first.class_id, first.confidence),
        }
    }

    /// Whether it was seen once only and has no number yet.
    pub fn is_candidate(&self) -> bool {
        self.id.is_none()
    }
}

/// Frames and numbers: what all tracks of a source share.
#[derive(Clone, Debug)]
pub(super) struct Book {
    next_id: i64,
    frames: VecDeque<(i64, i64)>,
    pace: Pace,
    /// Frames that were turned to.
    count: i64,
    min_track_length: u32,
    buffer_micros: i64,
    frame_micros: i64,
    fills: bool,
    short_gap: usize,
    waits_for_hidden: bool,
    evidence_share: f32,
    /// What is typical of each class, in the order in which they came.
    classes: Vec<(u32, Typical)>,
    /// And of all classes together.
    typical: Typical,
}

/// How sure the latest detections of active tracks were.
#[derive(Clone, Copy, Debug, Default)]
struct Typical {
    /// The sum of their log-odds.
    sum: f32,
    /// Their number.
    count: f32,
}

impl Typical {
    fn add(&mut self, log_odds: f32) {
        let keep = 1.0 - 1.0 / TYPICAL_DETECTIONS;
        self.sum = self.sum * keep + log_odds;
        self.count = self.count * keep + 1.0;
    }
}

impl Book {
    /// A book without entries.
    pub fn new(options: &TrackOptions) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of frames")]
        let seconds = options.track_buffer as f32 / BUFFER_FRAME_RATE;
        Self {
            next_id: 1,
            frames: VecDeque::with_capacity(MAX_REMEMBERED_FRAMES),
            pace: Pace::default(),
            count: 0,
            min_track_length: options.min_track_length.max(1),
            buffer_micros: micros(seconds),
            frame_micros: micros(1.0 / options.frame_rate.max(1e-3)),
            fills: options.track_interpolation,
            short_gap: options.max_interpolation_gap as usize,
            waits_for_hidden: options.occlusion_handling,
            evidence_share: options.track_evidence,
            classes: Vec::new(),
            typical: Typical::default(),
        }
    }

    /// Turns to a frame: the number of frames since the one before, or `None` when it does not
    /// come after it.
    pub fn turn_to(&mut self, frame: &FrameInput<'_>) -> Option<f32> {
        let frames = match self.frames.back() {
            None => 1,
            Some((last, _)) if frame.frame_number <= *last => return None,
            Some((last, _)) => frame.frame_number.saturating_sub(*last),
        };
        if self.frames.len() == MAX_REMEMBERED_FRAMES {
            self.frames.pop_front();
        }
        // Where time stands still or runs back, a frame lasts as long as one should.
        let ts_micros = match self.frames.back() {
            Some((_, last)) if frame.ts_micros <= *last => {
                last.saturating_add(self.frame_micros.saturating_mul(frames))
            }
            _ => frame.ts_micros,
        };
        self.frames.push_back((frame.frame_number, ts_micros));
        self.pace.turn_to(frame.frame_number, ts_micros);
        self.count += 1;
        // A filter that looks further ahead than this has nothing to say any more.
        #[expect(clippy::cast_precision_loss, reason = "at most 1000")]
        Some(frames.min(1000) as f32)
    }

    /// The time of the frame that was turned to, microseconds since the Unix epoch.
    pub fn now_micros(&self) -> i64 {
        self.frames.back().map_or(0, |(_, ts_micros)| *ts_micros)
    }

    /// The place of the frame that was turned to among all that were looked at, from 1. Numbers of
    /// frames jump where a video is sampled; this does not.
    pub fn place(&self) -> i64 {
        self.count
    }

    /// Whether a track has been away for too long, in the frame that was turned to.
    pub fn is_over(&self, life: &Life) -> bool {
        let may_be_missed = (life.seen / self.min_track_length).max(1);
        if life.state == TrackState::Tentative && life.missed > may_be_missed {
            return true;
        }
        let away = self.now_micros().saturating_sub(life.last_ts_micros);
        let interval = self.pace.interval_micros();
        // The time in which it was hidden does not count, up to twice the buffer.
        let hidden = if self.waits_for_hidden {
            interval.saturating_mul(life.hidden.into()).min(self.buffer_micros)
        } else {
            0
        };
        // The last frame of the buffer is part of it, however its time was rounded.
        let until = self.buffer_micros.saturating_add(hidden);
        away > until.saturating_add(interval).saturating_add(interval / 2)
    }

    /// The track is seen: it gets its number and state, its detection its track.
    pub fn seen(
        &mut self,
        life: &mut Life,
        frame: &FrameInput<'_>,
        index: usize,
        out: &mut Assignment,
    ) {
        let detection = frame.detections[index];
        let id = match life.id {
            Some(id) => id,
            None => self.number(life, out),
        };
        if self.fills && life.missed > 0 {
            self.fill(life, id, frame.frame_number, &detection, out);
        }
        life.seen = life.seen.saturating_add(1);
        life.evidence += log_odds(detection.confidence);
        life.classes.add(detection.class_id, detection.confidence);
        life.last_frame = frame.frame_number;
        life.last_ts_micros = self.now_micros();
        life.last = detection;
        life.missed = 0;
        life.hidden = 0;
        out.tracks[index] = Some(id);
        if life.state == TrackState::Lost
            || (life.state == TrackState::Tentative && self.is_object(life))
        {
            become_state(life, id, TrackState::Active, out);
        }
        if life.state == TrackState::Active {
            let log_odds = log_odds(detection.confidence);
            self.typical.add(log_odds);
            let class_id = life.classes.best();
            match self.classes.iter_mut().find(|(known, _)| *known == class_id) {
                Some((_, typical)) => typical.add(log_odds),
                None => {
                    let mut typical = Typical::default();
                    typical.add(log_odds);
                    self.classes.push((class_id, typical));
                }
            }
        }
    }

    /// Whether a track was seen often and surely enough to be no noise.
    fn is_object(&self, life: &Life) -> bool {
        let class_id = life.classes.best();
        let known = self.classes.iter().find(|(known, _)| *known == class_id);
        let Typical { sum, count } = known.map_or(self.typical, |(_, typical)| *typical);
        let most = self.min_track_length.saturating_mul(EVIDENCE_LENGTHS);
        #[expect(clippy::cast_precision_loss, reason = "few detections")]
        let asked = self.evidence_share * sum * life.seen.min(most) as f32;
        let is_sure = sum <= 0.0 || life.evidence * count >= asked;
        life.seen >= self.min_track_length && is_sure
    }

    /// A candidate gets its number, and its first detection the track.
    fn number(&mut self, life: &mut Life, out: &mut Assignment) -> TrackId {
        let id = self.first_number(life, out);
        out.corrections.push(Correction::Adopt {
            frame_number: life.first_frame,
            detection: life.first_detection,
            track: id,
        });
        id
    }

    fn first_number(&mut self, life: &mut Life, out: &mut Assignment) -> TrackId {
        let id = TrackId(self.next_id);
        self.next_id += 1;
        life.id = Some(id);
        out.changes.push(StateChange { track: id, from: None, to: Some(TrackState::Tentative) });
        id
    }

    /// A candidate of the frame that was turned to; where one detection makes a track, it is one.
    pub fn begin(&mut self, frame: &FrameInput<'_>, index: usize, out: &mut Assignment) -> Life {
        let mut life = Life::begin(frame, index);
        life.last_ts_micros = self.now_micros();
        if self.min_track_length <= 1 {
            let id = self.first_number(&mut life, out);
            out.tracks[index] = Some(id);
            become_state(&mut life, id, TrackState::Active, out);
        }
        life
    }

    /// The track is not seen.
    pub fn missed(&self, life: &mut Life, out: &mut Assignment) {
        life.missed = life.missed.saturating_add(1);
        if let (Some(id), TrackState::Active) = (life.id, life.state) {
            become_state(life, id, TrackState::Lost, out);
        }
    }

    /// The track is given up: it ends, or was noise.
    pub fn end(&self, life: &Life, out: &mut Assignment) {
        let Some(track) = life.id else { return };
        let from = Some(life.state);
        if life.state == TrackState::Tentative {
            out.changes.push(StateChange { track, from, to: None });
            let (first_frame, last_frame) = (life.first_frame, life.last_frame);
            out.corrections.push(Correction::Discard { track, first_frame, last_frame });
        } else {
            out.changes.push(StateChange { track, from, to: Some(TrackState::Ended) });
        }
    }

    /// `life` turns out to go on with an earlier track, which is lost or ended: it becomes that
    /// one. `first` is the first detection of `life`. Gives the track that both are now.
    pub fn join(
        &self,
        earlier: &Life,
        life: &mut Life,
        first: &Detection,
        out: &mut Assignment,
    ) -> Option<TrackId> {
        let (into, from) = (earlier.id?, life.id?);
        let state = Some(life.state);
        out.changes.push(StateChange { track: into, from: Some(earlier.state), to: state });
        out.changes.push(StateChange { track: from, from: state, to: None });
        let (first_frame, last_frame) = (life.first_frame, life.last_frame);
        out.corrections.push(Correction::Merge { from, into, first_frame, last_frame });
        for track in out.tracks.iter_mut().filter(|track| **track == Some(from)) {
            *track = Some(into);
        }
        if self.fills {
            self.fill(earlier, into, first_frame, first, out);
        }
        life.id = Some(into);
        life.first_frame = earlier.first_frame;
        life.first_detection = earlier.first_detection;
        life.seen = life.seen.saturating_add(earlier.seen);
        life.evidence += earlier.evidence;
        life.classes.add_all(&earlier.classes);
        Some(into)
    }

    /// Boxes between the last detection and this one, on a straight line.
    fn fill(
        &self,
        life: &Life,
        track: TrackId,
        frame_number: i64,
        now: &Detection,
        out: &mut Assignment,
    ) {
        let between = self.frames.iter().rev().skip_while(|(n, _)| *n >= frame_number);
        let between = between.take_while(|(n, _)| *n > life.last_frame);
        let is_short = between.clone().nth(self.short_gap).is_none();
        if !is_short && life.hidden < life.missed.div_ceil(2) {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "frames of a gap")]
        let length = frame_number.saturating_sub(life.last_frame) as f32;
        for (frame_number, ts_micros) in between {
            #[expect(clippy::cast_precision_loss, reason = "frames of a gap")]
            let part = (frame_number - life.last_frame) as f32 / length;
            let mix = |from: f32, to: f32| from + part * (to - from);
            let (from, to) = (&life.last.bbox, &now.bbox);
            out.corrections.push(Correction::Fill {
                frame_number: *frame_number,
                ts_micros: *ts_micros,
                track,
                class_id: life.classes.best(),
                bbox: BBox::new(
                    mix(from.x1, to.x1),
                    mix(from.y1, to.y1),
                    mix(from.x2, to.x2),
                    mix(from.y2, to.y2),
                ),
                confidence: mix(life.last.confidence, now.confidence),
            });
        }
    }
}

fn become_state(life: &mut Life, track: TrackId, to: TrackState, out: &mut Assignment) {
    out.changes.push(StateChange { track, from: Some(life.state), to: Some(to) });
    life.state = to;
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn micros(seconds: f32) -> i64 {
    (f64::from(seconds) * 1e6).round() as i64
}

/// A track and what moves it.
#[derive(Clone, Debug)]
pub(super) struct Track<M> {
    /// Its life.
    pub life: Life,
    /// Its motion.
    pub motion: M,
}

/// Notes which of the tracks that are not seen have another before them: one that is seen and
/// covers most of where they should be.
pub(super) fn note_hidden<M>(tracks: &mut [Track<M>], is_seen: &[bool], bbox: impl Fn(&M) -> BBox) {
    for index in 0..tracks.len() {
        if is_seen[index] || tracks[index].life.is_candidate() {
            continue;
        }
        let expected = bbox(&tracks[index].motion);
        let mut seen = tracks.iter().zip(is_seen).filter(|(_, is_seen)| **is_seen);
        if seen.any(|(other, _)| covered(&expected, &other.life.last.bbox) >= HIDDEN_SHARE) {
            tracks[index].life.hidden += 1;
        }
    }
}

/// Whether one more track fits; the one that was lost longest ends where none does, and is given
/// to `ended`.
pub(super) fn make_room<M>(
    tracks: &mut Vec<Track<M>>,
    max_tracks: usize,
    book: &Book,
    mut ended: impl FnMut(Track<M>, &mut Assignment),
    out: &mut Assignment,
) -> bool {
    if tracks.len() < max_tracks {
        return true;
    }
    let lost = tracks.iter().enumerate().filter(|(_, track)| track.life.missed > 0);
    let Some((longest, _)) = lost.min_by_key(|(_, track)| (track.life.last_frame, track.life.id))
    else {
        return false;
    };
    let track = tracks.remove(longest);
    book.end(&track.life, out);
    ended(track, out);
    true
}

/// The logarithm of a confidence's odds; scores at the very ends count as 0.001 and 0.999.
fn log_odds(confidence: f32) -> f32 {
    let confidence = confidence.clamp(0.001, 0.999);
    (confidence / (1.0 - confidence)).ln()
}
