//! Non-maximum suppression: many overlapping boxes go in, the most confident of each heap remain.

use std::cmp::Ordering;

use crate::Detection;

/// The order of a detector's answers: falling confidence; ties by class id, then x1, then y1, so
/// that the same boxes come in the same order however they were found.
pub(super) fn by_confidence(a: &Detection, b: &Detection) -> Ordering {
    b.confidence
        .total_cmp(&a.confidence)
        .then(a.class_id.cmp(&b.class_id))
        .then(a.bbox.x1.total_cmp(&b.bbox.x1))
        .then(a.bbox.y1.total_cmp(&b.bbox.y1))
}

/// Keeps at most `max_detections` boxes, the most confident first; drops a box that overlaps a
/// kept one of its class by more than `iou_threshold`.
pub(super) fn suppress(
    mut candidates: Vec<Detection>,
    iou_threshold: f32,
    max_detections: usize,
) -> Vec<Detection> {
    candidates.sort_unstable_by(by_confidence);
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in candidates {
        if kept.len() >= max_detections {
            break;
        }
        let covered = kept.iter().any(|best| {
            best.class_id == candidate.class_id && best.bbox.iou(&candidate.bbox) > iou_threshold
        });
        if !covered {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BBox;

    fn detection(class_id: u32, confidence: f32, x1: f32) -> Detection {
        Detection { class_id, confidence, bbox: BBox::new(x1, 0.0, x1 + 10.0, 10.0) }
    }

    #[test]
    fn the_best_of_a_class_hides_its_neighbours_only() {
        let best = detection(0, 0.9, 0.0);
        let near = detection(0, 0.8, 1.0);
        let other_class = detection(1, 0.7, 1.0);
        let far = detection(0, 0.6, 20.0);
        let kept = suppress(vec![far, near, other_class, best], 0.45, 300);
        assert_eq!(kept, [best, other_class, far]);
        assert_eq!(suppress(vec![far, near, best], 0.45, 1), [best]);
        assert!(suppress(vec![best], 0.45, 0).is_empty());
    }

    #[test]
    fn ties_have_an_order() {
        let boxes = [detection(0, 0.5, 0.0), detection(0, 0.5, 30.0), detection(2, 0.5, 0.0)];
        let reversed: Vec<Detection> = boxes.iter().rev().copied().collect();
        assert_eq!(suppress(reversed, 0.45, 300), boxes);
    }

    #[test]
    fn a_box_that_was_hidden_hides_nothing() {
        // The third overlaps the second, which the first hides, and not the first.
        let chain = vec![detection(0, 0.9, 0.0), detection(0, 0.8, 3.5), detection(0, 0.7, 7.0)];
        let kept = suppress(chain.clone(), 0.45, 300);
        assert_eq!(kept, [chain[0], chain[2]]);
    }
}
