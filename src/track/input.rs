//! What of a frame's detections can be tracked, sorted by how sure they are.

use vigil_models::Detection;

use super::FrameInput;
use super::options::TrackOptions;
use super::similarity::Compared;

/// The detections of a frame that can be tracked.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    /// From `track_high_thresh`.
    pub high: Vec<Compared>,
    /// Below it, from `track_low_thresh`.
    pub low: Vec<Compared>,
}

impl Candidates {
    /// Sorts the detections of a frame; what is no box or no confidence is left out.
    pub fn sort(&mut self, frame: &FrameInput<'_>, options: &TrackOptions) {
        self.high.clear();
        self.low.clear();
        for (index, detection) in (0_u32..).zip(frame.detections) {
            if !is_box_in(detection, frame) {
                continue;
            }
            let Detection { class_id, bbox, confidence } = *detection;
            let compared = Compared { bbox, class_id, index };
            if confidence >= options.track_high_thresh {
                self.high.push(compared);
            } else if confidence >= options.track_low_thresh {
                self.low.push(compared);
            }
        }
    }
}

/// Whether a detection has a finite box with an area of which a part lies in the frame, where the
/// frame's size is known, and a confidence from 0 to 1.
pub(super) fn is_box_in(detection: &Detection, frame: &FrameInput<'_>) -> bool {
    let bbox = &detection.bbox;
    let is_finite = [bbox.x1, bbox.y1, bbox.x2, bbox.y2].iter().all(|edge| edge.is_finite());
    #[expect(clippy::cast_precision_loss, reason = "the size of a picture")]
    let (width, height) = (frame.width as f32, frame.height as f32);
    let has_size = frame.width > 0 && frame.height > 0;
    let is_inside = bbox.x2 > 0.0 && bbox.y2 > 0.0 && bbox.x1 < width && bbox.y1 < height;
    is_finite
        && bbox.x2 > bbox.x1
        && bbox.y2 > bbox.y1
        && bbox.area().is_finite()
        && (!has_size || is_inside)
        && (0.0..=1.0).contains(&detection.confidence)
}
