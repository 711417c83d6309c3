//! Links tracks that are one object: an object that was away for too long, or came back elsewhere
//! than it was looked for, has begun a new track; once that is long enough to tell where it comes
//! from, the two become one, and the rows say so.
//!
//! This has the place of AFLink in StrongSORT (Du et al., "StrongSORT: make DeepSORT great again",
//! 2023, section 3.4): one assignment of ends to beginnings, by place and time alone. AFLink asks a
//! trained network; what is asked here is whether the straight way on from the end and the straight
//! way back from the beginning both meet the other, measured in sizes of the object. Where both
//! tracks have an appearance, they must look alike, too.

use std::collections::VecDeque;

use vigil_models::BBox;

use super::super::assignment::{Assigner, Pair};
use super::super::life::{Book, Track};
use super::super::options::TrackOptions;
use super::super::smooth::line;
use super::super::{Assignment, CameraMotion, TrackState};
use super::{Looks, Motion};

/// Detections at an end of a track that tell which way it goes, and which a new track must have.
const ENDS: usize = 10;
/// Detections that the earlier track must have.
const LEAST: usize = 5;
/// Frames from an end to a beginning, at most (AFLink's temporal threshold).
const MAX_GAP_FRAMES: i64 = 30;
/// Distance of the place foretold and the true one, in sizes of the object, from which tracks are
/// not linked.
const MAX_DISTANCE: f64 = 1.0;
/// The larger size over the smaller, from which tracks are not linked.
const MAX_GROWTH: f64 = 1.5;

/// A place on a track's way.
#[derive(Clone, Copy, Debug)]
struct Place {
    frame_number: i64,
    x: f64,
    y: f64,
    /// The square root of the box's area.
    size: f64,
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
    pub fn note(&mut self, frame_number: i64, bbox: &BBox) {
        let (x, y) = bbox.center();
        let size = f64::from(bbox.area().max(1.0)).sqrt();
        let place = Place { frame_number, x: x.into(), y: y.into(), size };
        if self.first.len() < ENDS {
            self.first.push(place);
        }
        if self.last.len() == ENDS {
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
        let surplus = self.last.len().saturating_sub(ENDS);
        self.last.drain(..surplus);
        self.is_asked = true;
    }

    /// How far the way on from this end and the way back from that beginning miss each other, in
    /// sizes; `None` when one cannot go on as the other.
    fn distance(&self, later: &Self) -> Option<f64> {
        let (end, begin) = (self.last.back()?, later.first.first()?);
        let gap = begin.frame_number.saturating_sub(end.frame_number);
        let is_near_in_time = (1..=MAX_GAP_FRAMES).contains(&gap);
        if self.last.len() < LEAST || later.first.len() < ENDS || !is_near_in_time {
            return None;
        }
        let growth = end.size.max(begin.size) / end.size.min(begin.size);
        let size = (end.size * begin.size).sqrt();
        let on = miss(self.last.iter(), begin) / size;
        let back = miss(later.first.iter(), end) / size;
        let distance = (on + back) / 2.0;
        (growth < MAX_GROWTH && distance < MAX_DISTANCE).then_some(distance)
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

    /// Links the tracks that have just become long enough with those that ended or are lost.
    pub fn link(
        &mut self,
        tracks: &mut Vec<Track<Motion<L>>>,
        frame_number: i64,
        options: &TrackOptions,
        book: &Book,
        out: &mut Assignment,
    ) {
        // A track may be asked about ENDS detections after it began, and those may have gaps.
        let oldest = frame_number.saturating_sub(4 * MAX_GAP_FRAMES);
        self.ended.retain(|track| track.life.last_frame >= oldest);
        let asked: Vec<usize> = (0..tracks.len())
            .filter(|index| {
                let Track { life, motion } = &tracks[*index];
                life.state == TrackState::Active
                    && !motion.ends.is_asked
                    && motion.ends.first.len() >= ENDS
            })
            .collect();
        if asked.is_empty() {
            return;
        }
        let lost = tracks.iter().enumerate().filter(|(_, t)| t.life.state == TrackState::Lost);
        let lost: Vec<usize> = lost.map(|(index, _)| index).collect();
        let earlier: Vec<&Track<Motion<L>>> =
            self.ended.iter().chain(lost.iter().map(|index| &tracks[*index])).collect();
        self.pairs.clear();
        for (row, index) in (0_u32..).zip(&asked) {
            let later = &tracks[*index];
            for (column, earlier) in (0_u32..).zip(&earlier) {
                if let Some(cost) = cost(earlier, later, options) {
                    self.pairs.push(Pair { row, column, cost });
                }
            }
        }
        self.assigner.solve(asked.len(), earlier.len(), &mut self.pairs, MAX_DISTANCE);
        for index in &asked {
            tracks[*index].motion.ends.is_asked = true;
        }
        let mut gone = Vec::new();
        for (row, index) in asked.iter().enumerate() {
            let Some(column) = self.assigner.column(row) else { continue };
            let earlier = match column.checked_sub(self.ended.len()) {
                None => self.ended[column].clone(),
                Some(place) => tracks[lost[place]].clone(),
            };
            gone.push(earlier.life.id);
            join(earlier, &mut tracks[*index], book, out);
        }
        let is_gone = |track: &Track<Motion<L>>| {
            track.life.state != TrackState::Active && gone.contains(&track.life.id)
        };
        self.ended.retain(|track| !is_gone(track));
        tracks.retain(|track| !is_gone(track));
    }
}

fn cost<L: Looks>(
    earlier: &Track<Motion<L>>,
    later: &Track<Motion<L>>,
    options: &TrackOptions,
) -> Option<f64> {
    let is_other = earlier.life.classes.best() != later.life.classes.best();
    let looks = earlier.motion.looks.apart(&later.motion.looks);
    if (is_other && !options.class_agnostic)
        || looks.is_some_and(|apart| apart > options.max_cosine_distance)
    {
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
