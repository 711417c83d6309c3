//! Links tracks that are one object: an object that was away for too long, or came back elsewhere
//! than it was looked for, has begun a new track; once that is long enough to tell where it comes
//! from, the two become one, and the rows say so.
//!
//! In StrongSORT this is AFLink (Du et al., "StrongSORT: make DeepSORT great again", 2023, section
//! 3.4): one assignment of ends to beginnings, by place and time alone, of which a trained network
//! tells how likely each is. With `link_model` such a network is asked, before the frame that comes
//! next, and what it says alone decides. Without one it is asked whether the straight way on from the
//! end and the straight way back from the beginning both meet the other, measured in sizes of the
//! object; where both tracks have an appearance, they must look alike, too.

use std::collections::VecDeque;

use vigil_models::{BBox, TrackPair};

use super::super::assignment::{Assigner, Pair};
use super::super::life::{Book, Track};
use super::super::options::TrackOptions;
use super::super::smooth::line;
use super::super::{Assignment, CameraMotion, TrackId, TrackState};
use super::{Looks, Motion};

/// Detections at an end of a track that tell which way it goes, and which a new track must have.
const ENDS: usize = 10;
/// Detections that the earlier track must have.
const LEAST: usize = 5;
/// Frames from an end to a beginning, at most (AFLink's temporal threshold).
const MAX_GAP_FRAMES: i64 = 30;
/// Time from an end to a beginning, at most: a video that stood still for longer shows another scene.
const MAX_GAP_MICROS: i64 = 10_000_000;
/// Distance of the place foretold and the true one, in sizes of the object, from which tracks are
/// not linked.
const MAX_DISTANCE: f64 = 1.0;
/// The larger size over the smaller, from which tracks are not linked.
const MAX_GROWTH: f64 = 1.5;
/// Places at an end that a network is told (AFLink's length).
const TOLD: usize = 30;
/// Distance of an end and a beginning of which a network is asked, at most (AFLink's spatial
/// threshold), pixels.
const MAX_PIXELS: f64 = 75.0;
/// One less the probability up to which tracks are linked (AFLink's threshold).
const MAX_DOUBT: f64 = 0.05;

/// A place on a track's way.
#[derive(Clone, Copy, Debug)]
struct Place {
    frame_number: i64,
    ts_micros: i64,
    x: f64,
    y: f64,
    /// The square root of the box's area.
    size: f64,
    /// Half of the box's width and height.
    half: (f64, f64),
}

impl Place {
    /// The frame, and the left and the top edge.
    fn told(&self) -> [f64; 3] {
        #[expect(clippy::cast_precision_loss, reason = "frames of a video")]
        let frame = self.frame_number as f64;
        [frame, self.x - self.half.0, self.y - self.half.1]
    }
}

/// Where a track came from and where it went, as seen by the camera of now.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    first: Vec<Place>,
    last: VecDeque<Place>,
    /// Whether it was asked where it came from.
    pub is_asked: bool,
}

impl Ends {
    /// Notes a detection.
    pub fn note(&mut self, frame_number: i64, ts_micros: i64, bbox: &BBox) {
        let (x, y) = bbox.center();
        let size = f64::from(bbox.area().max(1.0)).sqrt();
        let half = (f64::from(bbox.width()) / 2.0, f64::from(bbox.height()) / 2.0);
        let place = Place { frame_number, ts_micros, x: x.into(), y: y.into(), size, half };
        if self.first.len() < TOLD {
            self.first.push(place);
        }
        if self.last.len() == TOLD {
            self.last.pop_front();
        }
        self.last.push_back(place);
    }

    /// Moves with the picture.
    pub fn move_with(&mut self, motion: &CameraMotion) {
        let [a, b, c] = motion.x.map(f64::from);
        let [d, e, f] = motion.y.map(f64::from);
        for place in self.first.iter_mut().chain(&mut self.last) {
            (place.x, place.y) = (a * place.x + b * place.y + c, d * place.x + e * place.y + f);
        }
    }

    /// Goes on as `later` did.
    fn extend(&mut self, later: &Self) {
        self.last.extend(&later.last);
        let surplus = self.last.len().saturating_sub(TOLD);
        self.last.drain(..surplus);
        self.is_asked = true;
    }

    /// How far the way on from this end and the way back from that beginning miss each other, in
    /// sizes; `None` when one cannot go on as the other.
    fn distance(&self, later: &Self) -> Option<f64> {
        let (end, begin) = self.near_in_time(later)?;
        let growth = end.size.max(begin.size) / end.size.min(begin.size);
        let size = (end.size * begin.size).sqrt();
        let on = miss(self.last.iter().rev().take(ENDS), begin) / size;
        let back = miss(later.first.iter().take(ENDS), end) / size;
        let distance = (on + back) / 2.0;
        (growth < MAX_GROWTH && distance < MAX_DISTANCE).then_some(distance)
    }

    /// This end and that beginning, when both are long enough and one is soon after the other.
    fn near_in_time<'a>(&'a self, later: &'a Self) -> Option<(&'a Place, &'a Place)> {
        let (end, begin) = (self.last.back()?, later.first.first()?);
        let gap = begin.frame_number.saturating_sub(end.frame_number);
        let passed = begin.ts_micros.saturating_sub(end.ts_micros);
        let is_near = (1..=MAX_GAP_FRAMES).contains(&gap) && passed <= MAX_GAP_MICROS;
        let is_long = self.last.len() >= LEAST && later.first.len() >= ENDS;
        (is_near && is_long).then_some((end, begin))
    }

    /// What a network is asked of this end and that beginning, where it is worth asking.
    fn question(&self, later: &Self) -> Option<TrackPair> {
        let (end, begin) = self.near_in_time(later)?;
        let ([_, left, top], [_, next_left, next_top]) = (end.told(), begin.told());
        let is_near = (left - next_left).hypot(top - next_top) <= MAX_PIXELS;
        is_near.then(|| TrackPair {
            earlier: self.last.iter().map(Place::told).collect(),
            later: later.first.iter().map(Place::told).collect(),
        })
    }
}

/// How far the straight way through places passes from another one, in pixels.
fn miss<'a>(places: impl Iterator<Item = &'a Place> + Clone, other: &Place) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "frames of a gap")]
    let at: Vec<f64> =
        places.clone().map(|place| (place.frame_number - other.frame_number) as f64).collect();
    let (x, _) = line(&at, places.clone().map(|place| place.x));
    let (y, _) = line(&at, places.map(|place| place.y));
    (x - other.x).hypot(y - other.y)
}

/// The tracks that have ended lately, and the assignment's buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Linker<L> {
    ended: Vec<Track<Motion<L>>>,
    pairs: Vec<Pair>,
    assigner: Assigner,
    /// Which earlier and later tracks a network was asked about, and how likely they are one.
    questions: Vec<(TrackId, TrackId)>,
    answers: Vec<f32>,
}

impl<L: Looks> Linker<L> {
    /// Remembers a track that has ended.
    pub fn ended(&mut self, mut track: Track<Motion<L>>) {
        if track.life.id.is_some() && track.life.state != TrackState::Tentative {
            track.life.state = TrackState::Ended;
            self.ended.push(track);
        }
    }

    /// The camera moved.
    pub fn move_with(&mut self, motion: &CameraMotion) {
        for track in &mut self.ended {
            track.motion.ends.move_with(motion);
        }
    }

    /// The tracks that have just become long enough to be asked about.
    fn asked(&mut self, tracks: &[Track<Motion<L>>], frame_number: i64) -> Vec<usize> {
        // A track may be asked about ENDS detections after it began, and those may have gaps.
        let oldest = frame_number.saturating_sub(4 * MAX_GAP_FRAMES);
        self.ended.retain(|track| track.life.last_frame >= oldest);
        (0..tracks.len())
            .filter(|index| {
                let Track { life, motion } = &tracks[*index];
                life.state == TrackState::Active
                    && !motion.ends.is_asked
                    && motion.ends.first.len() >= ENDS
            })
            .collect()
    }

    /// The tracks that may go on: those that have ended lately, then those that are lost.
    fn earlier<'a>(
        &'a self,
        tracks: &'a [Track<Motion<L>>],
    ) -> impl Iterator<Item = &'a Track<Motion<L>>> {
        let lost = tracks.iter().filter(|track| track.life.state == TrackState::Lost);
        self.ended.iter().chain(lost)
    }

    /// Links the tracks that have just become long enough with those that ended or are lost.
    pub fn link(
        &mut self,
        tracks: &mut Vec<Track<Motion<L>>>,
        frame_number: i64,
        options: &TrackOptions,
        book: &Book,
        out: &mut Assignment,
    ) {
        let asked = self.asked(tracks, frame_number);
        if asked.is_empty() {
            return;
        }
        let mut links = Vec::new();
        for index in asked {
            for earlier in self.earlier(tracks) {
                if let Some(cost) = cost(earlier, &tracks[index], options)
                    && let (Some(earlier), Some(later)) = (earlier.life.id, tracks[index].life.id)
                {
                    links.push((earlier, later, cost));
                }
            }
            tracks[index].motion.ends.is_asked = true;
        }
        self.join_best(&links, MAX_DISTANCE, tracks, book, out);
    }

    /// What a network is to be asked of the tracks that have just become long enough.
    pub fn questions(
        &mut self,
        tracks: &mut [Track<Motion<L>>],
        frame_number: i64,
        options: &TrackOptions,
    ) -> Vec<TrackPair> {
        self.questions.clear();
        self.answers.clear();
        let mut questions = Vec::new();
        let mut of = Vec::new();
        for index in self.asked(tracks, frame_number) {
            let later = &tracks[index];
            for earlier in self.earlier(tracks) {
                if !is_other(earlier, later, options)
                    && let Some(question) = earlier.motion.ends.question(&later.motion.ends)
                    && let (Some(earlier), Some(later)) = (earlier.life.id, later.life.id)
                {
                    questions.push(question);
                    of.push((earlier, later));
                }
            }
            tracks[index].motion.ends.is_asked = true;
        }
        self.questions = of;
        questions
    }

    /// The network's answer.
    pub fn answered(&mut self, probabilities: &[f32]) {
        self.answers.clear();
        self.answers.extend_from_slice(probabilities);
    }

    /// Links what the network's answer says is one object.
    pub fn link_answered(
        &mut self,
        tracks: &mut Vec<Track<Motion<L>>>,
        book: &Book,
        out: &mut Assignment,
    ) {
        let answered = self.questions.drain(..).zip(self.answers.drain(..));
        let links: Vec<_> = answered
            .map(|((earlier, later), probability)| (earlier, later, 1.0 - f64::from(probability)))
            .collect();
        self.join_best(&links, MAX_DOUBT, tracks, book, out);
    }

    /// Of links, each of an earlier and a later track at a cost, those of the assignment with the
    /// least total cost are made; what costs `limit` or more is not.
    fn join_best(
        &mut self,
        links: &[(TrackId, TrackId, f64)],
        limit: f64,
        tracks: &mut Vec<Track<Motion<L>>>,
        book: &Book,
        out: &mut Assignment,
    ) {
        let distinct = |ids: &mut Vec<TrackId>| {
            ids.sort_unstable();
            ids.dedup();
        };
        let mut earlier: Vec<TrackId> = links.iter().map(|(earlier, _, _)| *earlier).collect();
        let mut later: Vec<TrackId> = links.iter().map(|(_, later, _)| *later).collect();
        distinct(&mut earlier);
        distinct(&mut later);
        let place = |ids: &[TrackId], id: TrackId| {
            ids.binary_search(&id).ok().and_then(|place| u32::try_from(place).ok())
        };
        self.pairs.clear();
        for (from, to, cost) in links {
            if let (Some(row), Some(column)) = (place(&later, *to), place(&earlier, *from)) {
                self.pairs.push(Pair { row, column, cost: *cost });
            }
        }
        self.assigner.solve(later.len(), earlier.len(), &mut self.pairs, limit);
        for (row, id) in later.iter().enumerate() {
            let Some(column) = self.assigner.column(row) else { continue };
            let is = |id: TrackId| move |track: &Track<Motion<L>>| track.life.id == Some(id);
            // The frame that has come meanwhile may have found the earlier one, or lost the later.
            let goes_on = |track: &Track<Motion<L>>| track.life.state != TrackState::Active;
            let from = earlier[column];
            let ended = self.ended.iter().position(is(from));
            let lost = tracks.iter().position(|track| is(from)(track) && goes_on(track));
            let can = tracks.iter().any(|track| is(*id)(track) && !goes_on(track));
            let earlier = match (ended, lost) {
                (Some(place), _) if can => self.ended.remove(place),
                (None, Some(place)) if can => tracks.remove(place),
                _ => continue,
            };
            if let Some(later) = tracks.iter_mut().find(|track| is(*id)(track)) {
                join(earlier, later, book, out);
            }
        }
    }
}

/// Whether two tracks are of different classes.
fn is_other<L>(
    earlier: &Track<Motion<L>>,
    later: &Track<Motion<L>>,
    options: &TrackOptions,
) -> bool {
    !options.class_agnostic && earlier.life.classes.best() != later.life.classes.best()
}

fn cost<L: Looks>(
    earlier: &Track<Motion<L>>,
    later: &Track<Motion<L>>,
    options: &TrackOptions,
) -> Option<f64> {
    let looks = earlier.motion.looks.apart(&later.motion.looks);
    let looks_other = looks.is_some_and(|apart| apart > options.max_cosine_distance);
    if is_other(earlier, later, options) || looks_other {
        return None;
    }
    earlier.motion.ends.distance(&later.motion.ends)
}

/// `later` turns out to be `earlier`.
fn join<L: Looks>(
    earlier: Track<Motion<L>>,
    later: &mut Track<Motion<L>>,
    book: &Book,
    out: &mut Assignment,
) {
    let Some(first) = later.motion.first else { return };
    let Some(track) = book.join(&earlier.life, &mut later.life, &first, out) else { return };
    let mut motion = earlier.motion;
    motion.ends.extend(&later.motion.ends);
    motion.curve.extend(std::mem::take(&mut later.motion.curve));
    motion.curve.note_filled(track, &out.corrections);
    (later.motion.ends, later.motion.curve) = (motion.ends, motion.curve);
    later.motion.first = motion.first;
}
