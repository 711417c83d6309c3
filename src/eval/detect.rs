//! COCO's mean average precision of detections, by the definition of pycocotools 2.0
//! (`COCOeval`, `iouType = 'bbox'`, all areas, no crowds).
//!
//! For each class that is true somewhere and each IoU threshold, the detections of a picture claim
//! true boxes in the order of falling confidence, at most [`MAX_DETECTIONS`] of a class and
//! picture; then precision is taken at 101 recalls from 0 to 1, each the best that is reached at
//! that recall or a higher one. The figure is the mean over thresholds, classes and recalls.

use std::collections::BTreeMap;

use vigil_models::{BBox, Detection};

/// Detections of a class in a picture that count at most, the most confident first.
pub const MAX_DETECTIONS: usize = 100;

/// IoU thresholds: 0.5, 0.55 … 0.95.
const THRESHOLDS: usize = 10;

/// Recalls at which precision is taken: 0, 0.01 … 1.
const RECALLS: usize = 101;

/// A picture's true objects and what was found in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// True objects: class id, box in pixels.
    pub truths: Vec<(u32, BBox)>,
    /// Detections, boxes in the same pixels; any order, of equals the first counts first.
    pub found: Vec<Detection>,
}

/// Mean average precision, 0..=1; 0 where nothing is true.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AveragePrecision {
    /// At an IoU of 0.5.
    pub map50: f64,
    /// The mean over the IoU thresholds from 0.5 to 0.95.
    pub map50_95: f64,
}

/// The figures of a set of pictures.
pub fn average_precision(pictures: &[Picture]) -> AveragePrecision {
    let mut classes: BTreeMap<u32, usize> = BTreeMap::new();
    for (class_id, _) in pictures.iter().flat_map(|picture| &picture.truths) {
        *classes.entry(*class_id).or_default() += 1;
    }
    let mut sums = [0.0; THRESHOLDS];
    for (&class_id, &truths) in &classes {
        let claims = claims_of_class(pictures, class_id);
        for (threshold, sum) in sums.iter_mut().enumerate() {
            *sum += precision_over_recalls(&claims, truths, threshold);
        }
    }
    let count = classes.len().max(1) as f64;
    let means = sums.map(|sum| sum / count);
    AveragePrecision { map50: means[0], map50_95: means.iter().sum::<f64>() / THRESHOLDS as f64 }
}

/// A detection and the thresholds at which it found a true object.
struct Claim {
    confidence: f32,
    is_true: [bool; THRESHOLDS],
}

/// The detections of a class in all pictures, by falling confidence; ties in the pictures' order.
fn claims_of_class(pictures: &[Picture], class_id: u32) -> Vec<Claim> {
    let mut claims = Vec::new();
    for picture in pictures {
        let truths: Vec<BBox> = picture
            .truths
            .iter()
            .filter(|(class, _)| *class == class_id)
            .map(|&(_, bbox)| bbox)
            .collect();
        let mut found: Vec<&Detection> =
            picture.found.iter().filter(|found| found.class_id == class_id).collect();
        found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        found.truncate(MAX_DETECTIONS);
        claims.extend(claims_of_picture(&found, &truths));
    }
    claims.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    claims
}

fn claims_of_picture(found: &[&Detection], truths: &[BBox]) -> Vec<Claim> {
    let mut taken = vec![[false; THRESHOLDS]; truths.len()];
    let claim = |found: &&Detection| {
        let overlaps: Vec<f64> = truths.iter().map(|truth| iou(&found.bbox, truth)).collect();
        let mut is_true = [false; THRESHOLDS];
        for (index, is_true) in is_true.iter_mut().enumerate() {
            let mut best = threshold(index).min(1.0 - 1e-10);
            let mut claimed = None;
            for (truth, &overlap) in overlaps.iter().enumerate() {
                // Of equal overlaps the last wins.
                if !taken[truth][index] && overlap >= best {
                    (best, claimed) = (overlap, Some(truth));
                }
            }
            if let Some(truth) = claimed {
                taken[truth][index] = true;
                *is_true = true;
            }
        }
        Claim { confidence: found.confidence, is_true }
    };
    found.iter().map(claim).collect()
}

/// The IoU threshold of an index.
fn threshold(index: usize) -> f64 {
    const STEP: f64 = (0.95 - 0.5) / (THRESHOLDS - 1) as f64;
    0.5 + index as f64 * STEP
}

/// Intersection over union in double precision, as the reference computes it.
fn iou(a: &BBox, b: &BBox) -> f64 {
    let side = |low_a: f32, high_a: f32, low_b: f32, high_b: f32| {
        (f64::from(high_a).min(f64::from(high_b)) - f64::from(low_a).max(f64::from(low_b))).max(0.0)
    };
    let area = |bbox: &BBox| f64::from(bbox.x2 - bbox.x1) * f64::from(bbox.y2 - bbox.y1);
    let shared = side(a.x1, a.x2, b.x1, b.x2) * side(a.y1, a.y2, b.y1, b.y2);
    let union = area(a) + area(b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

/// The mean of the precision at 101 recalls.
fn precision_over_recalls(claims: &[Claim], truths: usize, threshold: usize) -> f64 {
    let mut right = 0_usize;
    let mut curve: Vec<(f64, f64)> = Vec::with_capacity(claims.len());
    for (index, claim) in claims.iter().enumerate() {
        right += usize::from(claim.is_true[threshold]);
        let recall = right as f64 / truths as f64;
        curve.push((recall, right as f64 / (index + 1) as f64));
    }
    // Precision at a recall is the best of that recall and all higher ones.
    let mut best = 0.0_f64;
    for (_, precision) in curve.iter_mut().rev() {
        best = best.max(*precision);
        *precision = best;
    }
    let at = |index: usize| {
        let recall = index as f64 * 0.01;
        let reached = curve.partition_point(|&(found, _)| found < recall);
        curve.get(reached).map_or(0.0, |&(_, precision)| precision)
    };
    (0..RECALLS).map(at).sum::<f64>() / RECALLS as f64
}

#[cfg(test)]
mod tests;
