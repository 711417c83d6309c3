//! DeepSORT (Wojke et al., "Simple online and realtime tracking with a deep association metric",
//! 2017): a gallery of a track's appearances, gated by motion, tracks that were seen last first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::appearance::{AppearanceTracker, Looks};
use super::options::TrackOptions;
use super::similarity::cosine;
use super::{Assignment, FrameInput, Needs, Tracker};

/// The last appearances of a track.
#[derive(Clone, Debug, Default)]
struct Gallery(VecDeque<Arc<[f32]>>);

impl Looks for Gallery {
    fn learn(&mut self, feature: &Arc<[f32]>, options: &TrackOptions) {
        while self.0.len() >= options.nn_budget.max(1) {
            self.0.pop_front();
        }
        self.0.push_back(Arc::clone(feature));
    }

    fn distance(&self, feature: &[f32]) -> Option<f32> {
        self.0.iter().map(|kept| 1.0 - cosine(kept, feature)).min_by(f32::total_cmp)
    }

    fn apart(&self, other: &Self) -> Option<f32> {
        other.0.iter().filter_map(|feature| self.distance(feature)).min_by(f32::total_cmp)
    }

    fn cost(appearance: f32, _motion: f32, _options: &TrackOptions) -> f32 {
        appearance
    }

    const CASCADE: bool = true;
    const LINKS: bool = false;

    fn noise(_confidence: f32) -> f32 {
        1.0
    }
}

/// The tracker's state.
#[derive(Clone, Debug)]
pub struct DeepSort(AppearanceTracker<Gallery>);

impl DeepSort {
    /// A tracker that has seen nothing.
    pub fn new(options: &TrackOptions) -> Self {
        Self(AppearanceTracker::new(options))
    }
}

impl Tracker for DeepSort {
    fn name(&self) -> &'static str {
        "deepsort"
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
