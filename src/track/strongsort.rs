//! StrongSORT++ (Du et al., "StrongSORT: make DeepSORT great again", 2023): an averaged appearance,
//! a filter that trusts confident detections more, the camera's motion, one association by
//! appearance and motion; tracks that are one object are linked (`appearance/link.rs`), and filled
//! gaps are smoothed (`smooth.rs`).

use std::sync::Arc;

use super::appearance::{AppearanceTracker, Looks};
use super::options::TrackOptions;
use super::similarity::cosine;
use super::{Assignment, FrameInput, Needs, Tracker};

/// A track's appearance, averaged exponentially.
#[derive(Clone, Debug, Default)]
struct Average(Vec<f32>);

impl Looks for Average {
    fn learn(&mut self, feature: &Arc<[f32]>, options: &TrackOptions) {
        let length = feature.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_finite() || length <= 0.0 {
            return;
        }
        if self.0.len() != feature.len() {
            self.0 = feature.iter().map(|x| x / length).collect();
            return;
        }
        let alpha = options.ema_alpha;
        for (mean, x) in self.0.iter_mut().zip(feature.iter()) {
            *mean = alpha * *mean + (1.0 - alpha) * x / length;
        }
        // As the authors' code does: else the mean of looks that differ grows short, and the next
        // one counts for more than it should.
        let length = self.0.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            self.0.iter_mut().for_each(|mean| *mean /= length);
        }
    }

    fn distance(&self, feature: &[f32]) -> Option<f32> {
        (!self.0.is_empty()).then(|| 1.0 - cosine(&self.0, feature))
    }

    fn apart(&self, other: &Self) -> Option<f32> {
        (!self.0.is_empty() && !other.0.is_empty()).then(|| 1.0 - cosine(&self.0, &other.0))
    }

    fn cost(appearance: f32, motion: f32, options: &TrackOptions) -> f32 {
        let weight = options.appearance_weight;
        weight * appearance + (1.0 - weight) * motion
    }

    const CASCADE: bool = false;
    const LINKS: bool = true;

    /// NSA: the more confident, the less noise; never none.
    fn noise(confidence: f32) -> f32 {
        (1.0 - confidence).clamp(0.05, 1.0)
    }
}

/// The tracker's state.
#[derive(Clone, Debug)]
pub struct StrongSort(AppearanceTracker<Average>);

impl StrongSort {
    /// A tracker that has seen nothing.
    pub fn new(options: &TrackOptions) -> Self {
        Self(AppearanceTracker::new(options))
    }
}

impl Tracker for StrongSort {
    fn name(&self) -> &'static str {
        "strongsort"
    }

    fn needs(&mut self, frame: &FrameInput<'_>) -> Needs {
        self.0.needs(frame)
    }

    fn linked(&mut self, probabilities: &[f32]) {
        self.0.linked(probabilities);
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        self.0.update_into(frame, out);
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        self.0.finish_into(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the half of each, the average goes half the angle to what is seen, again and again, as
    /// only an average of length 1 does.
    #[test]
    fn the_average_keeps_its_length() {
        let options = TrackOptions { ema_alpha: 0.5, ..TrackOptions::default() };
        let looks = |degrees: f32| -> Arc<[f32]> {
            // Of any length: the direction counts.
            [3.0 * degrees.to_radians().cos(), 3.0 * degrees.to_radians().sin()].into()
        };
        let mut average = Average::default();
        average.learn(&looks(0.0), &options);
        for expected in [45.0_f32, 67.5, 78.75] {
            average.learn(&looks(90.0), &options);
            let distance = average.distance(&looks(0.0)).expect("something is remembered");
            assert!((distance - (1.0 - expected.to_radians().cos())).abs() < 1e-5, "{expected}");
        }
    }

    /// NSA (Du et al. 2021) scales the noise by 1 - confidence.
    #[test]
    fn a_sure_detection_has_little_noise() {
        for (confidence, expected) in [(0.0, 1.0), (0.3, 0.7), (0.9, 0.1)] {
            assert!((Average::noise(confidence) - expected).abs() < 1e-6, "{confidence}");
        }
        assert!(Average::noise(1.0) > 0.0, "the filter would believe it and nothing else");
    }
}
