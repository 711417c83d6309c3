//! YOLOX (Ge et al. 2021, arXiv:2107.08430), with grids that are not decoded: `images` batch × 3 ×
//! H × W, blue first, in 0..=255, to `output` batch × anchors × (5 + classes).
//!
//! An anchor is a cell of a grid of stride 8, 16 or 32, row by row, the finest grid first. It has
//! the centre's offset from the cell in cells, the logarithm of width and height in cells, the
//! objectness, and a score for each class; the confidence is the product of the last two. The
//! picture lies in the top left corner.

use super::grid::{self, Family, Run, Tensors};
use super::letterbox::{Fit, Order, Place};
use crate::backend::{Outputs, Session, SessionOptions};
use crate::image::Filter;
use crate::manifest::ModelEntry;
use crate::{BBox, DetectOptions, Detection, Detector, ModelError, Registry};

const INPUT: &str = "images";
const OUTPUT: &str = "output";

/// The strides of the grids, pixels.
const STRIDES: [u32; 3] = [8, 16, 32];

/// Values of an anchor before the classes: the box and the objectness.
const BEFORE_CLASSES: usize = 5;

/// Opens the detector of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Detector>, ModelError> {
    grid::open::<Yolox>(registry, entry, options)
}

#[derive(Default)]
struct Yolox;

impl Family for Yolox {
    const PLACE: Place = Place::TopLeft;
    const STRIDE: u32 = 32;
    const DEFAULT_SIZE: u32 = 640;
    const SUPPRESSES: bool = true;

    fn check(session: &Session, labels: &[String]) -> Result<Tensors, ModelError> {
        let values = BEFORE_CLASSES + labels.len();
        grid::expect_floats(session, OUTPUT, &[None, None, Some(values)])?;
        let fit = Fit {
            place: Self::PLACE,
            filter: Filter::Bilinear,
            order: Order::Bgr,
            divisor: [1.0; 3],
            offset: [0.0; 3],
        };
        Ok(Tensors { input: INPUT, sizes: None, fit })
    }

    fn candidates(
        &mut self,
        outputs: &Outputs<'_>,
        run: &Run<'_>,
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let (shape, data) = outputs.floats(OUTPUT)?;
        let values = BEFORE_CLASSES + run.labels.len();
        let cells: usize = cells(run.size).count();
        match shape[..] {
            [batch, anchors, found]
                if batch >= run.options.len() && anchors == cells && found == values => {}
            _ => {
                let detail = format!(
                    "the run gave \"{OUTPUT}\" of shape {shape:?}, expected {cells} anchors of \
                     {values} values"
                );
                return Err(run.wrong(detail));
            }
        }
        let mut answers = Vec::with_capacity(run.options.len());
        for (anchors, options) in data.chunks_exact((cells * values).max(1)).zip(&run.options) {
            let found = decode(anchors, values, run.size, options);
            answers.push(found.ok_or_else(|| run.wrong("a score or box is no number"))?);
        }
        Ok(answers)
    }
}

/// The cells of all grids of an input, in the order of the anchors: (column, row, stride).
fn cells((width, height): (u32, u32)) -> impl Iterator<Item = (f32, f32, f32)> {
    STRIDES.into_iter().flat_map(move |stride| {
        let (columns, rows) = (width / stride, height / stride);
        (0..rows).flat_map(move |row| {
            (0..columns).map(move |column| (column as f32, row as f32, stride as f32))
        })
    })
}

/// The anchors of one picture that pass the options, with boxes in input pixels; `None` when one of
/// their numbers is none.
fn decode(
    anchors: &[f32],
    values: usize,
    size: (u32, u32),
    options: &DetectOptions,
) -> Option<Vec<Detection>> {
    let mut found = Vec::new();
    for (anchor, (column, row, stride)) in anchors.chunks_exact(values).zip(cells(size)) {
        let (&[x, y, width, height, objectness], classes) =
            anchor.split_first_chunk::<BEFORE_CLASSES>()?;
        if !objectness.is_finite() {
            return None;
        }
        // No class has more than 1.
        if objectness < options.confidence_threshold {
            continue;
        }
        let mut best = (0, f32::NEG_INFINITY);
        for (class_id, &score) in (0..).zip(classes) {
            if score.is_nan() {
                return None;
            }
            if options.multi_label && options.wants(class_id, score * objectness) {
                let bbox = cell_box([x, y, width, height], column, row, stride)?;
                found.push(Detection { class_id, confidence: score * objectness, bbox });
            }
            best = if score > best.1 { (class_id, score) } else { best };
        }
        let (class_id, confidence) = (best.0, best.1 * objectness);
        if !options.multi_label && options.wants(class_id, confidence) {
            let bbox = cell_box([x, y, width, height], column, row, stride)?;
            found.push(Detection { class_id, confidence, bbox });
        }
    }
    Some(found)
}

/// The box of a cell, in input pixels; `None` when it is no box.
fn cell_box([x, y, width, height]: [f32; 4], column: f32, row: f32, stride: f32) -> Option<BBox> {
    let (x, y) = ((x + column) * stride, (y + row) * stride);
    BBox::from_centre(x, y, width.exp() * stride, height.exp() * stride)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 21 anchors of a 32×32 input with two classes: 16 cells of stride 8, 4 of 16, 1 of 32.
    fn anchors() -> Vec<[f32; 7]> {
        vec![[0.0; 7]; 21]
    }

    fn decoded(anchors: &[[f32; 7]], options: &DetectOptions) -> Option<Vec<Detection>> {
        decode(anchors.as_flattened(), 7, (32, 32), options)
    }

    #[test]
    fn cells_are_decoded_by_their_grids() {
        let mut anchors = anchors();
        // Column 2, row 1 of the finest grid; then the only cell of the coarsest.
        anchors[6] = [0.5, 0.25, 0.0, std::f32::consts::LN_2, 0.9, 0.8, 0.1];
        anchors[20] = [0.5, 0.5, 0.0, 0.0, 0.75, 0.0, 1.0];
        let found = decoded(&anchors, &DetectOptions::default()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].class_id, found[1].class_id), (0, 1));
        assert!((found[0].confidence - 0.72).abs() < 1e-6 && found[1].confidence == 0.75);
        let expected = [BBox::new(16.0, 2.0, 24.0, 18.0), BBox::new(0.0, 0.0, 32.0, 32.0)];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.bbox.iou(&expected) > 0.9999, "{found:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for at in 0..6 {
            let mut anchors = anchors();
            anchors[3] = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0];
            anchors[3][at] = f32::NAN;
            assert!(decoded(&anchors, &DetectOptions::default()).is_none(), "{at}");
        }
    }
}
