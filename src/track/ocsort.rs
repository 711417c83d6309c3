//! OC-SORT (Cao et al., "Observation-centric SORT: rethinking SORT for robust multi-object
//! tracking", CVPR 2023): what was observed counts for more than what was predicted.
//!
//! * Momentum: of two detections that are equally near, the one in the direction of the track's
//!   last observations is meant.
//! * Recovery: a track that was not matched by its prediction is matched by its last observation,
//!   as long as that is no older than the observations that tell the direction.
//! * Re-update: when a lost track is found, its filter goes the way again on the straight line
//!   between the two observations, so that the errors of the time without any are gone.

use vigil_models::BBox;

use super::association::{Association, Offered, advance, finish, forget, prepare, with_class};
use super::kalman::Axis;
use super::life::{Book, Track};
use super::options::TrackOptions;
use super::similarity::{Compared, likeness};
use super::{Assignment, FrameInput, Tracker};

/// The least likeness of a match (as published).
const LEAST_LIKENESS: f32 = 0.3;
/// Observations that are kept for the direction; at least the greatest `delta_t`, and one.
const KEPT: usize = 32;
/// Steps of a re-update; a longer way is gone in longer steps.
const MAX_STEPS: f32 = 64.0;

/// SORT's filter on centre, area and aspect (Bewley et al. 2016), of which the aspect has no
/// velocity; the numbers are those of its authors' code.
#[derive(Clone, Copy, Debug)]
struct AreaFilter {
    x: Axis,
    y: Axis,
    area: Axis,
    aspect: Axis,
}

impl AreaFilter {
    fn new(bbox: &BBox) -> Self {
        let (x, y) = bbox.center();
        let std = 10.0_f32.sqrt();
        Self {
            x: Axis::new(x, std, 100.0),
            y: Axis::new(y, std, 100.0),
            area: Axis::new(bbox.area(), std, 100.0),
            aspect: Axis::new(bbox.width() / bbox.height(), std, 0.0),
        }
    }

    fn predict(&mut self, frames: f32) {
        if self.area.value + frames * self.area.velocity <= 0.0 {
            self.area.velocity = 0.0;
        }
        self.x.predict(frames, 1.0, 0.1);
        self.y.predict(frames, 1.0, 0.1);
        self.area.predict(frames, 1.0, 0.01);
        self.aspect.predict(frames, 1.0, 0.0);
    }

    fn correct(&mut self, bbox: &BBox) {
        let (x, y) = bbox.center();
        let wide = 10.0_f32.sqrt();
        self.x.correct(x, 1.0);
        self.y.correct(y, 1.0);
        self.area.correct(bbox.area(), wide);
        self.aspect.correct(bbox.width() / bbox.height(), wide);
    }

    fn bbox(&self) -> BBox {
        let width = (self.area.value.max(1.0) * self.aspect.value.max(1e-3)).sqrt();
        let height = self.area.value.max(1.0) / width;
        let (x, y) = (self.x.value, self.y.value);
        BBox::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
    }
}

/// What moves a track, and what was observed of it.
#[derive(Clone, Debug)]
struct Motion {
    filter: AreaFilter,
    /// The filter at the last observation.
    observed: AreaFilter,
    /// The last observations with the places of their frames, oldest first.
    observations: [(i64, BBox); KEPT],
    count: usize,
}

impl Motion {
    fn new(place: i64, bbox: &BBox) -> Self {
        let filter = AreaFilter::new(bbox);
        let mut observations = [(0, BBox::default()); KEPT];
        observations[0] = (place, *bbox);
        Self { filter, observed: filter, observations, count: 1 }
    }

    fn last(&self) -> (i64, BBox) {
        self.observations[self.count - 1]
    }

    /// An observation in the frame at `place`, whose number is `frames` above that of the last
    /// observation's.
    fn observe(&mut self, place: i64, frames: i64, bbox: &BBox) {
        let (last_place, last) = self.last();
        let gap = place.saturating_sub(last_place);
        if gap > 1 {
            #[expect(clippy::cast_precision_loss, reason = "frames of a gap")]
            self.go_again(frames as f32, gap as f32, &last, bbox);
        } else {
            self.filter.correct(bbox);
        }
        self.observed = self.filter;
        if self.count == KEPT {
            self.observations.copy_within(1.., 0);
            self.count -= 1;
        }
        self.observations[self.count] = (place, *bbox);
        self.count += 1;
    }

    /// Observation-centric re-update: the way from the last observation to this one, `frames` of
    /// the video after it, with a step for each frame that was looked at.
    fn go_again(&mut self, frames: f32, steps: f32, from: &BBox, to: &BBox) {
        let steps = steps.min(MAX_STEPS).floor();
        self.filter = self.observed;
        let mut step = 1.0;
        while step <= steps {
            let part = step / steps;
            let mix = |from: f32, to: f32| from + part * (to - from);
            self.filter.predict(frames / steps);
            self.filter.correct(&BBox::new(
                mix(from.x1, to.x1),
                mix(from.y1, to.y1),
                mix(from.x2, to.x2),
                mix(from.y2, to.y2),
            ));
            step += 1.0;
        }
    }

    /// The observation of `delta` frames before `now`, or the next after it.
    fn earlier(&self, now: i64, delta: u32) -> &BBox {
        let since = now.saturating_sub(delta.into());
        let kept = &self.observations[..self.count];
        let place = kept.iter().position(|(frame, _)| *frame >= since);
        &kept[place.unwrap_or(self.count - 1)].1
    }

    /// The direction from `delta` frames before the last observation to it, a unit vector.
    fn direction(&self, delta: u32) -> Option<(f32, f32)> {
        let (place, last) = self.last();
        direction(self.earlier(place, delta), &last)
    }
}

fn direction(from: &BBox, to: &BBox) -> Option<(f32, f32)> {
    let ((ax, ay), (bx, by)) = (from.center(), to.center());
    let length = (bx - ax).hypot(by - ay);
    (length > 1e-6).then(|| ((bx - ax) / length, (by - ay) / length))
}

/// The tracker's state.
#[derive(Clone, Debug)]
pub struct OcSort {
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
    Recovery,
}

impl OcSort {
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
        let method = options.association_method;
        let place = book.place();
        let offered = if round == Round::Low { Offered::Low } else { Offered::High };
        let expected = |track: &Track<Motion>| match round {
            Round::High => Some(track.motion.filter.bbox()),
            Round::Low => {
                let was_seen = !track.life.is_candidate() && track.life.missed == 0;
                was_seen.then(|| track.motion.filter.bbox())
            }
            Round::Recovery => (track.life.missed < options.delta_t).then(|| track.motion.last().1),
        };
        let cost = |row: &Compared, column: &Compared| {
            let alike = likeness(method, &row.bbox, &column.bbox);
            let alike = with_class(alike, row, column, options);
            if alike < LEAST_LIKENESS {
                return None;
            }
            let confidence = frame.detections[column.index as usize].confidence;
            let momentum = match round {
                Round::High => {
                    let motion = &tracks[row.index as usize].motion;
                    confidence * agreement(motion, &column.bbox, place, options)
                }
                Round::Low | Round::Recovery => 0.0,
            };
            Some(1.0 - alike - options.inertia * momentum)
        };
        // Whatever is alike enough is matched: this is above every cost.
        let limit = 1.0 + options.inertia;
        association.round(tracks, offered, method, limit, expected, cost);
        for (index, column) in association.matches.iter().copied() {
            let track = &mut tracks[index];
            let frames = frame.frame_number.saturating_sub(track.life.last_frame);
            track.motion.observe(place, frames, &frame.detections[column].bbox);
            book.seen(&mut track.life, frame, column, out);
            if options.track_smoothing {
                out.boxes[column] = track.motion.filter.bbox();
            }
        }
    }
}

/// How well a detection lies in the direction of a track, -1/2..=1/2.
fn agreement(motion: &Motion, bbox: &BBox, place: i64, options: &TrackOptions) -> f32 {
    let from = motion.earlier(place, options.delta_t);
    let Some((tx, ty)) = motion.direction(options.delta_t) else { return 0.0 };
    let Some((dx, dy)) = direction(from, bbox) else { return 0.0 };
    let angle = (tx * dx + ty * dy).clamp(-1.0, 1.0).acos();
    (std::f32::consts::FRAC_PI_2 - angle) / std::f32::consts::PI
}

impl Tracker for OcSort {
    fn name(&self) -> &'static str {
        "ocsort"
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        prepare(frame, &self.options, out);
        let Some(frames) = self.book.turn_to(frame) else { return };
        let predict = |track: &mut Track<Motion>| track.motion.filter.predict(frames);
        advance(&mut self.tracks, &self.book, out, predict, forget);
        self.association.turn_to(frame, &self.options, self.tracks.len());
        for round in [Round::High, Round::Low, Round::Recovery] {
            self.associate(round, frame, out);
        }
        let Self { options, book, tracks, association } = self;
        let place = book.place();
        let begin = |index: usize| Motion::new(place, &frame.detections[index].bbox);
        let expected = |motion: &Motion| motion.filter.bbox();
        association.close(frame, options, tracks, book, expected, begin, forget, out);
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        finish(&mut self.tracks, &self.book, out, forget);
    }
}
