//! What a session says about its tensors and what it is given: names, element types, shapes.

use std::fmt;

use half::f16;

use super::Device;

/// How a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads that work on one operation of the graph, the calling one included; at least 1.
    pub intra_threads: usize,
    /// Where it runs.
    pub device: Device,
    /// Whether the model's float16 graphs are taken rather than its float32 ones.
    pub half_precision: bool,
    /// Whether a GPU reads and writes tensors in locked memory that is kept from run to run. Without
    /// it a run is a plain one, which is what it is measured against; a CPU's runs are plain.
    pub bind: bool,
}

impl Default for SessionOptions {
    /// One thread for each core, the best device there is, float32.
    fn default() -> Self {
        let intra_threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Self { intra_threads, device: Device::Auto, half_precision: false, bind: true }
    }
}

/// The type of a tensor's elements, as far as models here use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point, IEEE 754's.
    F16,
    /// Unsigned bytes.
    U8,
    /// 64-bit integers.
    I64,
    /// Any other, by the name that ONNX Runtime gives it.
    Other(String),
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => f.write_str("float32"),
            Self::F16 => f.write_str("float16"),
            Self::U8 => f.write_str("uint8"),
            Self::I64 => f.write_str("int64"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in the graph.
    pub name: String,
    /// The type of its elements.
    pub element: Element,
    /// Its dimensions; `None` is one that the graph leaves open. Empty also where the graph does
    /// not even say how many there are.
    pub shape: Vec<Option<usize>>,
}

impl TensorInfo {
    /// Whether a tensor of this type and shape can be what `element` and `shape` ask for. A
    /// dimension that either side leaves open fits any.
    pub fn fits(&self, element: &Element, shape: &[Option<usize>]) -> bool {
        self.element == *element
            && (self.shape.is_empty()
                || self.shape.len() == shape.len()
                    && self.shape.iter().zip(shape).all(|(found, expected)| {
                        match (found, expected) {
                            (Some(found), Some(expected)) => found == expected,
                            _ => true,
                        }
                    }))
    }
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" {}[", self.name, self.element)?;
        for (i, dimension) in self.shape.iter().enumerate() {
            let separator = if i == 0 { "" } else { "x" };
            match dimension {
                Some(size) => write!(f, "{separator}{size}")?,
                None => write!(f, "{separator}?")?,
            }
        }
        f.write_str("]")
    }
}

/// A tensor that goes into a run: borrowed, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    pub(super) data: Data<'a>,
}

/// The elements of an [`Input`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Data<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    U8(&'a [u8]),
    I64(&'a [i64]),
}

impl<'a> Input<'a> {
    /// Floats for the input `name`; `data` has as many elements as `shape` says.
    pub fn f32(name: &'a str, shape: &'a [usize], data: &'a [f32]) -> Self {
        Self { name, shape, data: Data::F32(data) }
    }

    /// Half floats for the input `name`; `data` has as many elements as `shape` says.
    pub fn f16(name: &'a str, shape: &'a [usize], data: &'a [f16]) -> Self {
        Self { name, shape, data: Data::F16(data) }
    }

    /// Bytes for the input `name`; `data` has as many elements as `shape` says.
    pub fn u8(name: &'a str, shape: &'a [usize], data: &'a [u8]) -> Self {
        Self { name, shape, data: Data::U8(data) }
    }

    /// Integers for the input `name`; `data` has as many elements as `shape` says.
    pub fn i64(name: &'a str, shape: &'a [usize], data: &'a [i64]) -> Self {
        Self { name, shape, data: Data::I64(data) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(shape: &[Option<usize>]) -> TensorInfo {
        TensorInfo { name: "images".into(), element: Element::F32, shape: shape.to_vec() }
    }

    #[test]
    fn open_dimensions_fit_any_size() {
        let found = images(&[None, Some(3), Some(640), Some(640)]);
        assert!(found.fits(&Element::F32, &[Some(4), Some(3), None, None]));
        assert!(!found.fits(&Element::F32, &[None, Some(1), None, None]));
        assert!(!found.fits(&Element::F32, &[None, Some(3), None]));
        assert!(!found.fits(&Element::U8, &[None, Some(3), None, None]));
        assert!(images(&[]).fits(&Element::F32, &[None, Some(3)]));
    }

    #[test]
    fn a_tensor_reads_like_its_shape() {
        assert_eq!(images(&[None, Some(3), Some(8)]).to_string(), "\"images\" float32[?x3x8]");
    }
}
