//! Tracking by appearance and motion: what DeepSORT and StrongSORT have in common. How looks are
//! remembered, and what a pair costs, is in their own files.
//!
//! Where a frame has no appearance vectors, overlap alone decides.

mod link;

use std::sync::Arc;

use vigil_models::Detection;

use self::link::{Ends, Linker};

use super::association::{Association, Offered, advance, finish, prepare, with_class};
use super::input::is_box_in;
use super::kalman::BoxFilter;
use super::life::{Book, Track};
use super::options::{AssociationMethod, TrackOptions};
use super::similarity::{Compared, likeness};
use super::smooth::Curve;
use super::{Assignment, CameraMotion, FrameInput, Needs, TrackState};

/// The 0.95 quantile of χ² with four degrees of freedom, which gates the squared Mahalanobis
/// distance (Wojke et al. 2017).
pub(super) const GATE: f32 = 9.4877;
/// The highest cost of the association by overlap, 1 - likeness (as published).
const OVERLAP_LIMIT: f32 = 0.7;
/// From this IoU a detection may be a track's.
const CLAIM: f32 = 0.1;
/// Frames after which a track's appearance is looked at again, needed or not.
const FRESH_FRAMES: u32 = 10;

/// What is remembered of a track's looks.
pub(super) trait Looks: Default + Clone {
    /// Remembers an appearance.
    fn learn(&mut self, feature: &Arc<[f32]>, options: &TrackOptions);

    /// The distance of an appearance, 1 - cosine (0..=2); `None` when nothing is remembered.
    fn distance(&self, feature: &[f32]) -> Option<f32>;

    /// The distance of another track's looks; `None` when nothing is remembered of one of them.
    fn apart(&self, other: &Self) -> Option<f32>;

    /// What a pair costs whose appearance is so far and whose motion is so far in units of the
    /// gate (0..=1).
    fn cost(appearance: f32, motion: f32, options: &TrackOptions) -> f32;

    /// Whether tracks that were seen lately come first.
    const CASCADE: bool;

    /// Whether tracks that are one object are linked later, and filled gaps smoothed.
    const LINKS: bool;

    /// The scale of the measurement's noise for a confidence.
    fn noise(confidence: f32) -> f32;
}

#[derive(Clone, Debug)]
struct Motion<L> {
    filter: BoxFilter,
    looks: L,
    /// Frames since its appearance was last looked at.
    unlooked: u32,
    /// Its first detection.
    first: Option<Detection>,
    ends: Ends,
    curve: Curve,
}

impl<L: Looks> Motion<L> {
    fn move_with(&mut self, motion: &CameraMotion) {
        self.filter.move_with(motion);
        self.ends.move_with(motion);
    }
}

/// The state of a tracker.
#[derive(Clone, Debug)]
pub(super) struct AppearanceTracker<L> {
    options: TrackOptions,
    book: Book,
    tracks: Vec<Track<Motion<L>>>,
    association: Association,
    linker: Linker<L>,
}

/// One of the associations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Of tracks that were missed in so many frames, or of all.
    Appearance(Option<u32>),
    Overlap,
    Low,
}

impl<L: Looks> AppearanceTracker<L> {
    pub fn new(options: &TrackOptions) -> Self {
        Self {
            options: options.clone(),
            book: Book::new(options),
            tracks: Vec::new(),
            association: Association::default(),
            linker: Linker::default(),
        }
    }

    /// The detections whose appearance decides: with `association_method = 'cosine'` all, else
    /// those that no track or several claim, those of a track that claims several or was lost, and
    /// those of tracks not looked at for long.
    pub fn needs(&mut self, frame: &FrameInput<'_>) -> Needs {
        let mut needs = Needs {
            appearance: Vec::new(),
            camera_motion: !L::CASCADE && self.options.camera_motion,
            links: Vec::new(),
        };
        if L::LINKS && self.options.links_by_model {
            needs.links =
                self.linker.questions(&mut self.tracks, frame.frame_number, &self.options);
        }
        if !self.options.appearance_embedding {
            return needs;
        }
        let can = |index: usize| {
            let detection = &frame.detections[index];
            is_box_in(detection, frame) && detection.confidence >= self.options.track_high_thresh
        };
        let able: Vec<usize> = (0..frame.detections.len()).filter(|index| can(*index)).collect();
        // The tracks that claim each of these: how many, and the last of them.
        let mut claimed: Vec<(u32, usize)> = vec![(0, 0); able.len()];
        let mut claims: Vec<u32> = vec![0; self.tracks.len()];
        for (at, track) in self.tracks.iter().enumerate() {
            let expected = track.motion.filter.bbox();
            for (place, index) in able.iter().enumerate() {
                if expected.iou(&frame.detections[*index].bbox) >= CLAIM {
                    claimed[place] = (claimed[place].0 + 1, at);
                    claims[at] += 1;
                }
            }
        }
        let asks_all = self.options.association_method == AssociationMethod::Cosine;
        for (index, (count, at)) in able.iter().zip(claimed) {
            let is_clear = count == 1 && claims[at] == 1 && {
                let track = &self.tracks[at];
                track.life.missed == 0 && track.motion.unlooked < FRESH_FRAMES
            };
            if asks_all || !is_clear {
                needs.appearance.push(u32::try_from(*index).unwrap_or(u32::MAX));
            }
        }
        needs
    }

    fn associate(&mut self, round: Round, frame: &FrameInput<'_>, out: &mut Assignment) {
        let Self { options, book, tracks, association, .. } = self;
        let feature = |index: usize| frame.features.get(index).and_then(Option::as_ref);
        let expected = |track: &Track<Motion<L>>| {
            let life = &track.life;
            let takes_part = match round {
                Round::Appearance(age) => {
                    !life.is_candidate() && age.is_none_or(|age| life.missed == age)
                }
                Round::Overlap => true,
                Round::Low => !life.is_candidate() && life.missed == 0,
            };
            takes_part.then(|| track.motion.filter.bbox())
        };
        let cost = |row: &Compared, column: &Compared| {
            let motion = &tracks[row.index as usize].motion;
            if let Round::Appearance(_) = round {
                let far = motion.filter.distance(&column.bbox) / GATE;
                if far > 1.0 {
                    return None;
                }
                let appearance = motion.looks.distance(feature(column.index as usize)?)?;
                let is_other = !options.class_agnostic && row.class_id != column.class_id;
                let allowed = appearance <= options.max_cosine_distance && !is_other;
                let cost = match options.association_method {
                    AssociationMethod::Cosine => appearance,
                    _ => L::cost(appearance, far, options),
                };
                return allowed.then_some(cost);
            }
            let alike = likeness(options.association_method, &row.bbox, &column.bbox);
            let alike = with_class(alike, row, column, options);
            if options.association_method == AssociationMethod::Cosine
                && let Some(feature) = feature(column.index as usize)
                && let Some(appearance) = motion.looks.distance(feature)
            {
                let allowed = alike > 0.0 && appearance <= options.max_cosine_distance;
                return allowed.then_some(appearance);
            }
            (alike > 0.0).then_some(1.0 - alike)
        };
        let (offered, method, limit) = match round {
            // Far boxes are compared too: the gate decides.
            Round::Appearance(_) => (Offered::High, AssociationMethod::Euclidean, 1.0),
            Round::Overlap => (Offered::High, options.association_method, OVERLAP_LIMIT),
            Round::Low => (Offered::Low, options.association_method, 0.5),
        };
        association.round(tracks, offered, method, limit, expected, cost);
        for (index, column) in association.matches.iter().copied() {
            let track = &mut tracks[index];
            let detection = &frame.detections[column];
            track.motion.filter.correct(&detection.bbox, L::noise(detection.confidence));
            track.motion.unlooked = track.motion.unlooked.saturating_add(1);
            // What is half hidden looks like what hides it.
            if let Some(feature) = feature(column).filter(|_| round != Round::Low) {
                track.motion.looks.learn(feature, options);
                track.motion.unlooked = 0;
            }
            book.seen(&mut track.life, frame, column, out);
            if options.track_smoothing {
                out.boxes[column] = track.motion.filter.bbox();
            }
        }
    }

    /// The answer to the links of the last needs.
    pub fn linked(&mut self, probabilities: &[f32]) {
        self.linker.answered(probabilities);
    }

    pub fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        prepare(frame, &self.options, out);
        let Some(frames) = self.book.turn_to(frame) else { return };
        let predict = |track: &mut Track<Motion<L>>| {
            if let Some(motion) = &frame.motion {
                track.motion.move_with(motion);
            }
            if track.life.missed > 0 {
                track.motion.filter.freeze_height();
            }
            track.motion.filter.predict(frames);
        };
        if let Some(motion) = &frame.motion {
            self.linker.move_with(motion);
        }
        let linker = &mut self.linker;
        let ended = |track, out: &mut Assignment| leave(track, linker, out);
        advance(&mut self.tracks, &self.book, out, predict, ended);
        self.association.turn_to(frame, &self.options, self.tracks.len());
        if L::CASCADE {
            let oldest = self.tracks.iter().map(|track| track.life.missed).max().unwrap_or(0);
            for age in 0..=oldest {
                if self.tracks.iter().any(|track| track.life.missed == age) {
                    self.associate(Round::Appearance(Some(age)), frame, out);
                }
            }
        } else {
            self.associate(Round::Appearance(None), frame, out);
        }
        self.associate(Round::Overlap, frame, out);
        self.associate(Round::Low, frame, out);
        let Self { options, book, tracks, association, linker } = self;
        let begin = |index: usize| {
            let mut looks = L::default();
            let feature = frame.features.get(index).and_then(Option::as_ref);
            if let Some(feature) = feature {
                looks.learn(feature, options);
            }
            let filter = BoxFilter::new(&frame.detections[index].bbox);
            let unlooked = if feature.is_some() { 0 } else { FRESH_FRAMES };
            let first = Some(frame.detections[index]);
            let (ends, curve) = (Ends::default(), Curve::default());
            Motion { filter, looks, unlooked, first, ends, curve }
        };
        let expected = |motion: &Motion<L>| motion.filter.bbox();
        let ended = |track, out: &mut Assignment| leave(track, linker, out);
        association.close(frame, options, tracks, book, expected, begin, ended, out);
        if L::LINKS {
            let number = frame.frame_number;
            for Track { life, motion } in tracks.iter_mut().filter(|t| t.life.last_frame == number)
            {
                motion.ends.note(number, life.last_ts_micros, &life.last.bbox);
                motion.curve.note(life.id, number, &life.last.bbox, &mut out.corrections);
            }
            if options.links_by_model {
                linker.link_answered(tracks, book, out);
            } else {
                linker.link(tracks, number, options, book, out);
            }
        }
    }

    pub fn finish_into(&mut self, out: &mut Assignment) {
        let linker = &mut self.linker;
        let ended = |track, out: &mut Assignment| leave(track, linker, out);
        finish(&mut self.tracks, &self.book, out, ended);
    }
}

/// A track has ended: its gaps are smoothed with all that is known, and it may be linked later.
fn leave<L: Looks>(mut track: Track<Motion<L>>, linker: &mut Linker<L>, out: &mut Assignment) {
    let Some(id) = track.life.id.filter(|_| L::LINKS && track.life.state != TrackState::Tentative)
    else {
        return;
    };
    track.motion.curve.smooth(id, &mut out.corrections);
    linker.ended(track);
}
