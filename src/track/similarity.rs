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

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by hand from the definitions.
    #[test]
    fn likeness_is_as_defined() {
        let a = BBox::new(0.0, 0.0, 10.0, 10.0);
        let cases = [
            // Moved by half: 50 of 150 are common, the hull is the union.
            (BBox::new(5.0, 0.0, 15.0, 10.0), 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0 - 25.0 / 325.0),
            // Moved along the diagonal: 25 of 175; the hull has 225.
            (
                BBox::new(5.0, 5.0, 15.0, 15.0),
                1.0 / 7.0,
                1.0 / 7.0 - 50.0 / 225.0,
                1.0 / 7.0 - 50.0 / 450.0,
            ),
            // Apart: the hull has 300, of which 100 are in neither.
            (BBox::new(20.0, 0.0, 30.0, 10.0), 0.0, -1.0 / 3.0, -400.0 / 1000.0),
            (a, 1.0, 1.0, 1.0),
        ];
        for (b, iou, giou, diou) in cases {
            let found = |method| likeness(method, &a, &b);
            assert!((found(AssociationMethod::Iou) - iou).abs() < 1e-6, "{b:?}");
            assert!((found(AssociationMethod::Giou) - giou).abs() < 1e-6, "{b:?}");
            assert!((found(AssociationMethod::Diou) - diou).abs() < 1e-6, "{b:?}");
        }
        let near =
            |x: f32| likeness(AssociationMethod::Euclidean, &a, &BBox::new(x, 0.0, x + 10.0, 10.0));
        assert!((near(5.0) - (1.0 - 5.0 / 200.0_f32.sqrt())).abs() < 1e-6);
        assert_eq!(near(20.0), 0.0, "further apart than a diagonal");
    }

    /// Every pair whose boxes overlap is compared, whatever the order and the sizes.
    #[test]
    fn no_pair_that_overlaps_is_left_out() {
        let boxes = |seed: u32| -> Vec<Compared> {
            (0..60_u32)
                .map(|index| {
                    let number = |salt: u32| {
                        #[expect(clippy::cast_precision_loss, reason = "below 400")]
                        let number = ((index * 97 + salt * 61 + seed * 131) * 7919 % 400) as f32;
                        number
                    };
                    let (x, y) = (number(1), number(2));
                    let (width, height) = (1.0 + number(3) / 4.0, 1.0 + number(4) / 4.0);
                    Compared { bbox: BBox::new(x, y, x + width, y + height), class_id: 0, index }
                })
                .collect()
        };
        let (rows, mut columns) = (boxes(1), boxes(2));
        for method in AssociationMethod::ALL {
            let mut found = std::collections::BTreeSet::new();
            near_pairs(&rows, &mut columns, method, |row, column| {
                assert!(found.insert((row.index, column.index)), "a pair comes once");
            });
            for row in &rows {
                for column in &columns {
                    let is_alike = likeness(method, &row.bbox, &column.bbox) > 0.0;
                    let is_found = found.contains(&(row.index, column.index));
                    assert!(is_found || !is_alike, "{method:?}: {row:?} {column:?}");
                }
            }
        }
    }
}
