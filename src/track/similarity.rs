//! How alike boxes are, and which pairs of predicted boxes and detections are worth comparing.

use vigil_models::BBox;

use super::options::AssociationMethod;

/// A box and what is to be known of it for a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared {
    /// The box.
    pub bbox: BBox,
    /// The class.
    pub class_id: u32,
    /// Where it is in the list that it comes from.
    pub index: u32,
}

/// Generalised IoU, -1..=1: IoU less the share of the common hull that neither covers.
pub(super) fn giou(a: &BBox, b: &BBox) -> f32 {
    let iou = a.iou(b);
    let width = a.x2.max(b.x2) - a.x1.min(b.x1);
    let height = a.y2.max(b.y2) - a.y1.min(b.y1);
    let hull = width * height;
    // |A ∪ B| from IoU and the areas: I = iou·U and U = A + B - I.
    let union = (a.area() + b.area()) / (1.0 + iou);
    if hull > 0.0 { iou - (hull - union) / hull } else { iou }
}

/// Distance IoU, -1..=1: IoU less the squared distance of the centres over the squared diagonal
/// of the common hull.
pub(super) fn diou(a: &BBox, b: &BBox) -> f32 {
    let (ax, ay) = a.center();
    let (bx, by) = b.center();
    let width = a.x2.max(b.x2) - a.x1.min(b.x1);
    let height = a.y2.max(b.y2) - a.y1.min(b.y1);
    let diagonal = width * width + height * height;
    let distance = (ax - bx) * (ax - bx) + (ay - by) * (ay - by);
    if diagonal > 0.0 { a.iou(b) - distance / diagonal } else { a.iou(b) }
}

/// 1 less the distance of the centres in mean diagonals of the two boxes; 0 beyond one diagonal.
pub(super) fn nearness(a: &BBox, b: &BBox) -> f32 {
    let (ax, ay) = a.center();
    let (bx, by) = b.center();
    let diagonal = (a.width().hypot(a.height()) + b.width().hypot(b.height())) / 2.0;
    if diagonal > 0.0 { (1.0 - (ax - bx).hypot(ay - by) / diagonal).max(0.0) } else { 0.0 }
}

/// Likeness by geometry, at most 1; the higher, the more alike. What compares appearance begins
/// with the overlap.
pub(super) fn likeness(method: AssociationMethod, a: &BBox, b: &BBox) -> f32 {
    match method {
        AssociationMethod::Iou | AssociationMethod::Cosine => a.iou(b),
        AssociationMethod::Giou => giou(a, b),
        AssociationMethod::Diou => diou(a, b),
        AssociationMethod::Euclidean => nearness(a, b),
    }
}

/// Cosine of two vectors, -1..=1; 0 where one is zero or they differ in length.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa > 0.0 && bb > 0.0 { dot / (aa.sqrt() * bb.sqrt()) } else { 0.0 }
}

/// The share of `a`'s area that `b` covers, 0..=1.
pub(super) fn covered(a: &BBox, b: &BBox) -> f32 {
    let width = a.x2.min(b.x2) - a.x1.max(b.x1);
    let height = a.y2.min(b.y2) - a.y1.max(b.y1);
    let area = a.area();
    if width > 0.0 && height > 0.0 && area > 0.0 { width * height / area } else { 0.0 }
}

/// Calls `pair` with the places in both lists of all boxes that come near each other: those that
/// overlap, or with `reach` those whose sides are less than their own width apart. `columns` is
/// put in order of its left edges.
pub(super) fn near_pairs(
    rows: &[Compared],
    columns: &mut [Compared],
    method: AssociationMethod,
    mut pair: impl FnMut(&Compared, &Compared),
) {
    // Boxes come in any order of equal confidence; their place decides, not their order.
    columns.sort_unstable_by(|a, b| {
        a.bbox.x1.total_cmp(&b.bbox.x1).then_with(|| a.index.cmp(&b.index))
    });
    let reaches = method == AssociationMethod::Euclidean;
    let reach = |bbox: &BBox| if reaches { bbox.width() + bbox.height() } else { 0.0 };
    let widest = columns.iter().fold(0.0_f32, |most, c| most.max(c.bbox.width() + reach(&c.bbox)));
    for row in rows {
        let out = reach(&row.bbox);
        let from = row.bbox.x1 - out - widest;
        let until = row.bbox.x2 + out + if reaches { widest } else { 0.0 };
        let first = columns.partition_point(|column| column.bbox.x1 < from);
        for column in &columns[first..] {
            if column.bbox.x1 > until {
                break;
            }
            pair(row, column);
        }
    }
}
