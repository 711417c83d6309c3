//! HOTA (Luiten et al., "HOTA: A higher order metric for evaluating multi-object tracking", IJCV
//! 2021), as TrackEval computes it: the mean over nineteen thresholds of the geometric mean of how
//! well objects are detected and how well they are kept apart.

use super::sequence::{Best, Sequence};

/// Thresholds of IoU: 0.05, 0.10, … 0.95.
const THRESHOLDS: usize = 19;

/// Counts of one or more sequences, by threshold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HotaCounts {
    hits: [f64; THRESHOLDS],
    misses: [f64; THRESHOLDS],
    false_alarms: [f64; THRESHOLDS],
    /// The sum over hits of how well the hit's object and track belong together.
    association: [f64; THRESHOLDS],
}

impl HotaCounts {
    /// The counts of a sequence.
    pub(super) fn of(sequence: &Sequence) -> Self {
        let mut counts = Self::default();
        let columns = sequence.track_boxes.len();
        let size = sequence.object_boxes.len() * columns;
        let alike = global_alignment(sequence);
        let mut matches = vec![vec![0_u32; size]; THRESHOLDS];
        let mut best = Best::default();
        for frame in &sequence.frames {
            let (objects, tracks) = (frame.objects.len(), frame.tracks.len());
            let matched = best.of(objects, tracks, |object, track| {
                let global = alike[frame.objects[object] * columns + frame.tracks[track]];
                global * frame.iou(object, track)
            });
            for (threshold, matches) in matches.iter_mut().enumerate() {
                let least = level(threshold) - f64::EPSILON;
                let hits = matched.iter().filter(|(o, t)| frame.iou(*o, *t) >= least);
                let mut count = 0;
                for (object, track) in hits {
                    count += 1;
                    let pair = frame.objects[*object] * columns + frame.tracks[*track];
                    matches[pair] += 1;
                }
                counts.hits[threshold] += f64::from(count);
                counts.misses[threshold] += number(objects) - f64::from(count);
                counts.false_alarms[threshold] += number(tracks) - f64::from(count);
            }
        }
        for (threshold, matches) in matches.iter().enumerate() {
            for (pair, count) in matches.iter().enumerate().filter(|(_, count)| **count > 0) {
                let of_object = number(sequence.object_boxes[pair / columns]);
                let of_track = number(sequence.track_boxes[pair % columns]);
                let count = f64::from(*count);
                let either = (of_object + of_track - count).max(1.0);
                counts.association[threshold] += count * count / either;
            }
        }
        counts
    }

    /// Adds those of another sequence.
    pub fn add(&mut self, other: &Self) {
        for threshold in 0..THRESHOLDS {
            self.hits[threshold] += other.hits[threshold];
            self.misses[threshold] += other.misses[threshold];
            self.false_alarms[threshold] += other.false_alarms[threshold];
            self.association[threshold] += other.association[threshold];
        }
    }

    fn detection_at(&self, threshold: usize) -> f64 {
        let all = self.hits[threshold] + self.misses[threshold] + self.false_alarms[threshold];
        self.hits[threshold] / all.max(1.0)
    }

    fn association_at(&self, threshold: usize) -> f64 {
        self.association[threshold] / self.hits[threshold].max(1.0)
    }

    /// HOTA, 0..=1.
    pub fn hota(&self) -> f64 {
        mean(|threshold| (self.detection_at(threshold) * self.association_at(threshold)).sqrt())
    }

    /// DetA, 0..=1.
    pub fn deta(&self) -> f64 {
        mean(|threshold| self.detection_at(threshold))
    }

    /// AssA, 0..=1.
    pub fn assa(&self) -> f64 {
        mean(|threshold| self.association_at(threshold))
    }
}

/// How well each object and track go together over the whole sequence: the Jaccard index of their
/// boxes, where a frame counts as much as they are alike among all that are there.
fn global_alignment(sequence: &Sequence) -> Vec<f64> {
    let columns = sequence.track_boxes.len();
    let mut together = vec![0.0; sequence.object_boxes.len() * columns];
    for frame in &sequence.frames {
        let (objects, tracks) = (frame.objects.len(), frame.tracks.len());
        let of_object: Vec<f64> =
            (0..objects).map(|o| (0..tracks).map(|t| frame.iou(o, t)).sum()).collect();
        let of_track: Vec<f64> =
            (0..tracks).map(|t| (0..objects).map(|o| frame.iou(o, t)).sum()).collect();
        for (object, of_object) in of_object.iter().enumerate() {
            for (track, of_track) in of_track.iter().enumerate() {
                let iou = frame.iou(object, track);
                let either = of_object + of_track - iou;
                if either > f64::EPSILON {
                    let pair = frame.objects[object] * columns + frame.tracks[track];
                    together[pair] += iou / either;
                }
            }
        }
    }
    for (pair, together) in together.iter_mut().enumerate() {
        let of_object = number(sequence.object_boxes[pair / columns]);
        let of_track = number(sequence.track_boxes[pair % columns]);
        *together /= of_object + of_track - *together;
    }
    together
}

fn mean(value: impl Fn(usize) -> f64) -> f64 {
    (0..THRESHOLDS).map(value).sum::<f64>() / number(THRESHOLDS)
}

fn level(threshold: usize) -> f64 {
    // The same sum as in TrackEval: IoU of exactly a threshold is not rare.
    0.05 + number(threshold) * 0.05
}

#[expect(clippy::cast_precision_loss, reason = "numbers of boxes")]
fn number(count: usize) -> f64 {
    count as f64
}
