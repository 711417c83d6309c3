//! Letterboxing: a picture of any shape goes into a network's input, as its family wants it.
//!
//! Out come a planar tensor and the [`Placement`] that leads back from its pixels to the
//! picture's. Where the aspect is kept, what is left over is filled with grey. Rounding follows
//! Ultralytics' `LetterBox` and `scale_boxes`, and YOLOX's `preproc`, so that boxes agree.

use crate::image::{Filter, Resizer};
use crate::{BBox, Image, ModelError};

/// The grey of the borders, as in the training of YOLO networks.
const BORDER: u8 = 114;

/// How a family wants its pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fit {
    /// Where the picture lies in the input.
    pub(crate) place: Place,
    /// How it is scaled.
    pub(crate) filter: Filter,
    /// The order of the planes.
    pub(crate) order: Order,
    /// What a byte of each plane is divided by. The references divide, too, and a product with the
    /// inverse is another number for a few of the 256: in int8 graphs that moves boxes.
    pub(crate) divisor: [f32; 3],
    /// What is added to it then.
    pub(crate) offset: [f32; 3],
}

/// Where a picture lies in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the middle, the aspect kept.
    Centre,
    /// In the top left corner, the aspect kept.
    TopLeft,
    /// Everywhere: width and height are scaled each for itself.
    Stretch,
}

/// The order of the planes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// How a picture is shown to the network: as it is, or one of the ways of test-time augmentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    /// 1, or less for a smaller picture with more border.
    pub(crate) scale: f64,
    /// Left to right.
    pub(crate) mirrored: bool,
}

impl View {
    /// The picture as it is.
    pub(crate) const PLAIN: Self = Self { scale: 1.0, mirrored: false };

    /// The three views of test-time augmentation, with the scales and flips of Ultralytics'
    /// `_predict_augment`.
    pub(crate) const AUGMENTED: [Self; 3] =
        [Self::PLAIN, Self { scale: 0.83, mirrored: true }, Self { scale: 0.67, mirrored: false }];
}

/// Where a picture lies in the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// Input pixels per picture pixel, across and down.
    scale: (f32, f32),
    /// Columns of border before the picture.
    left: u32,
    /// Rows of border above the picture.
    top: u32,
    /// The picture's width in the input.
    width: u32,
    /// The picture's height in the input.
    height: u32,
    /// Whether left and right are exchanged.
    mirrored: bool,
}

impl Placement {
    /// The placement of a `picture` in an `input`, both (width, height) in pixels.
    pub(crate) fn new(place: Place, view: View, picture: (u32, u32), input: (u32, u32)) -> Self {
        let ratio = |to: u32, from: u32| f64::from(to) / f64::from(from) * view.scale;
        let (across, down) = (ratio(input.0, picture.0), ratio(input.1, picture.1));
        let least = across.min(down);
        let (across, down) = match place {
            Place::Centre | Place::TopLeft => (least, least),
            Place::Stretch => (across, down),
        };
        // A picture of one row or column keeps one, however long it is.
        let scaled = |side: u32, scale: f64, limit: u32| {
            let side = f64::from(side) * scale;
            let side = if place == Place::TopLeft { side } else { side.round_ties_even() };
            (side as u32).clamp(1, limit)
        };
        let width = scaled(picture.0, across, input.0);
        let height = scaled(picture.1, down, input.1);
        let (left, top) = match place {
            // Half of the border, an odd pixel at the right and below.
            Place::Centre => ((input.0 - width) / 2, (input.1 - height) / 2),
            Place::TopLeft | Place::Stretch => (0, 0),
        };
        let scale = (across as f32, down as f32);
        Self { scale, left, top, width, height, mirrored: view.mirrored }
    }

    /// A box of the input in the picture's pixels, not clipped.
    pub(crate) fn to_picture(self, bbox: BBox) -> BBox {
        let (left, top) = (self.left as f32, self.top as f32);
        let (x1, x2) = (bbox.x1 - left, bbox.x2 - left);
        let width = self.width as f32;
        let (x1, x2) = if self.mirrored { (width - x2, width - x1) } else { (x1, x2) };
        BBox::new(
            x1 / self.scale.0,
            (bbox.y1 - top) / self.scale.1,
            x2 / self.scale.0,
            (bbox.y2 - top) / self.scale.1,
        )
    }

    /// The share of the input's pixels that show the picture, 0..=1.
    pub(crate) fn filled(self, input: (u32, u32)) -> f64 {
        f64::from(self.width) * f64::from(self.height) / (f64::from(input.0) * f64::from(input.1))
    }
}

/// Letterboxes pictures into tensors; keeps its buffers.
#[derive(Default)]
pub(crate) struct Letterbox {
    resizer: Resizer,
}

impl Letterbox {
    /// Writes `image` into `tensor`, which has 3 × height × width floats for an `input` of (width,
    /// height); all are written.
    ///
    /// # Errors
    /// [`ModelError::BadImage`] when the picture cannot be scaled.
    pub(crate) fn fill(
        &mut self,
        image: &Image,
        fit: &Fit,
        view: View,
        input: (u32, u32),
        tensor: &mut [f32],
    ) -> Result<Placement, ModelError> {
        let placement = Placement::new(fit.place, view, (image.width(), image.height()), input);
        let pixels = self.resizer.resize(image, placement.width, placement.height, fit.filter)?;
        let numbers = numbers(fit);
        border(&numbers, placement, input, tensor);
        let columns = input.0 as usize;
        let (width, top) = (placement.width as usize, placement.top as usize);
        let (red, rest) = tensor.split_at_mut(columns * input.1 as usize);
        let (green, blue) = rest.split_at_mut(columns * input.1 as usize);
        for (y, row) in pixels.chunks_exact(width * 3).enumerate() {
            let at = (top + y) * columns + placement.left as usize;
            let planes =
                [&mut red[at..][..width], &mut green[at..][..width], &mut blue[at..][..width]];
            planar_row(row, fit.order, &numbers, planes);
        }
        if view.mirrored {
            mirror(placement, columns, tensor);
        }
        Ok(placement)
    }
}

/// Exchanges left and right where the picture is.
fn mirror(placement: Placement, columns: usize, tensor: &mut [f32]) {
    let (left, width) = (placement.left as usize, placement.width as usize);
    let (top, height) = (placement.top as usize, placement.height as usize);
    for plane in tensor.chunks_exact_mut(tensor.len() / 3) {
        for row in plane.chunks_exact_mut(columns).skip(top).take(height) {
            row[left..left + width].reverse();
        }
    }
}

/// What each byte becomes in each plane. Looking it up is faster than computing it for each pixel.
fn numbers(fit: &Fit) -> [[f32; 256]; 3] {
    let number = |plane: usize, byte: u8| f32::from(byte) / fit.divisor[plane] + fit.offset[plane];
    [0, 1, 2].map(|plane| std::array::from_fn(|byte| number(plane, byte as u8)))
}

/// Fills the borders.
fn border(numbers: &[[f32; 256]; 3], placement: Placement, input: (u32, u32), tensor: &mut [f32]) {
    let columns = input.0 as usize;
    let (left, width) = (placement.left as usize, placement.width as usize);
    let (top, height) = (placement.top as usize, placement.height as usize);
    let planes = tensor.chunks_exact_mut(columns * input.1 as usize);
    for (plane, numbers) in planes.zip(numbers) {
        let grey = numbers[usize::from(BORDER)];
        plane[..top * columns].fill(grey);
        plane[(top + height) * columns..].fill(grey);
        if width < columns {
            for row in plane[top * columns..(top + height) * columns].chunks_mut(columns) {
                row[..left].fill(grey);
                row[left + width..].fill(grey);
            }
        }
    }
}

/// One row from packed bytes to floats in three planes.
fn planar_row(
    packed: &[u8],
    order: Order,
    [a, b, c]: &[[f32; 256]; 3],
    [first, second, third]: [&mut [f32]; 3],
) {
    let (red, blue) = match order {
        Order::Rgb => (0, 2),
        Order::Bgr => (2, 0),
    };
    let planes = first.iter_mut().zip(second).zip(third);
    for (pixel, ((first, second), third)) in packed.as_chunks::<3>().0.iter().zip(planes) {
        *first = a[usize::from(pixel[red])];
        *second = b[usize::from(pixel[1])];
        *third = c[usize::from(pixel[blue])];
    }
}

#[cfg(test)]
mod tests;
