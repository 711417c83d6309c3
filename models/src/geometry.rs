//! Boxes in the frame: corner form, in pixels of the frame, `f32`.
//!
//! In goes geometry, out comes geometry; nothing here knows of tensors or tables.

/// An axis-aligned box in the frame's pixels: `(x1, y1)` is the top left corner and
/// `(x2, y2)` the bottom right one, with x to the right and y down.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BBox {
    /// Left edge, pixels.
    pub x1: f32,
    /// Top edge, pixels.
    pub y1: f32,
    /// Right edge, pixels.
    pub x2: f32,
    /// Bottom edge, pixels.
    pub y2: f32,
}

impl BBox {
    /// A box from its corners.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// A box from its centre and sides; `None` when one of them is no number or infinite.
    pub(crate) fn from_centre(x: f32, y: f32, width: f32, height: f32) -> Option<Self> {
        let (right, down) = (width / 2.0, height / 2.0);
        let bbox = Self::new(x - right, y - down, x + right, y + down);
        (bbox.x1 + bbox.y1 + bbox.x2 + bbox.y2).is_finite().then_some(bbox)
    }

    /// Width in pixels; zero for an inverted box.
    pub fn width(&self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Height in pixels; zero for an inverted box.
    pub fn height(&self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// Area in square pixels; zero for an inverted box.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The centre, `(x, y)` in pixels.
    pub fn center(&self) -> (f32, f32) {
        ((self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0)
    }

    /// Intersection over union, in 0..=1; 0 where the boxes do not overlap or have no area.
    pub fn iou(&self, other: &Self) -> f32 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1);
        let height = self.y2.min(other.y2) - self.y1.max(other.y1);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let intersection = width * height;
        let union = self.area() + other.area() - intersection;
        if union > 0.0 { intersection / union } else { 0.0 }
    }

    /// The part of the box that lies in a frame of `width` × `height` pixels.
    pub fn clipped(&self, width: f32, height: f32) -> Self {
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }
}
