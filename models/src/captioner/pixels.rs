//! Pictures as CLIP-like vision encoders take them: scaled to the input's size without regard to
//! proportions, bicubically as Pillow does, with CLIP's mean and deviation.

use crate::backend::{Element, Input, RunsOn, Session};
use crate::image::{Filter, Resizer};
use crate::{Image, ModelError};

const PIXELS: &str = "pixel_values";
const STATES: &str = "last_hidden_state";

/// Mean and standard deviation of CLIP's pictures (R, G, B), with which BLIP and BLIP-2 were
/// trained.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// A vision encoder: `pixel_values` (batch × 3 × H × W) to `last_hidden_state` (batch × positions
/// × width).
pub(super) struct VisionEncoder {
    session: Session,
    /// (width, height) of its picture.
    size: (u32, u32),
    /// Pictures in one run, where the graph does not take any number.
    fixed_batch: Option<usize>,
    resizer: Resizer,
    pixels: Vec<f32>,
}

/// What an encoder says about some pictures.
pub(super) struct States {
    /// Pictures × positions × width.
    pub(super) shape: [usize; 3],
    /// The numbers, picture after picture.
    pub(super) data: Vec<f32>,
}

impl VisionEncoder {
    /// Checks the graph's tensors. `default_side` is the picture's where the graph leaves it open,
    /// pixels.
    pub(super) fn new(session: Session, default_side: u32) -> Result<Self, ModelError> {
        let pixels = session.expect_input(PIXELS, Element::F32, &[None, Some(3), None, None])?;
        let dimension = |at: usize| pixels.shape.get(at).copied().flatten();
        let side = |at: usize| {
            dimension(at).and_then(|side| u32::try_from(side).ok()).unwrap_or(default_side)
        };
        let (size, fixed_batch) = ((side(3), side(2)), dimension(0));
        session.expect_output(STATES, Element::F32, &[None, None, None])?;
        Ok(Self { session, size, fixed_batch, resizer: Resizer::default(), pixels: Vec::new() })
    }

    /// The device that it runs on, and why.
    pub(super) fn runs_on(&self) -> &RunsOn {
        self.session.runs_on()
    }

    /// The states of some pictures, at least one.
    pub(super) fn encode(&mut self, images: &[&Image]) -> Result<States, ModelError> {
        let mut all = States { shape: [0; 3], data: Vec::new() };
        for batch in images.chunks(self.fixed_batch.unwrap_or(images.len()).max(1)) {
            let (shape, data) = self.run(batch)?;
            all.shape = [all.shape[0] + batch.len(), shape[1], shape[2]];
            all.data.extend_from_slice(&data[..batch.len() * shape[1] * shape[2]]);
        }
        Ok(all)
    }

    /// One run; a fixed batch that is not full ends in black pictures.
    fn run(&mut self, images: &[&Image]) -> Result<([usize; 3], Vec<f32>), ModelError> {
        let (width, height) = self.size;
        let plane = width as usize * height as usize;
        let batch = self.fixed_batch.unwrap_or(images.len());
        self.pixels.clear();
        self.pixels.resize(batch * 3 * plane, 0.0);
        for (image, tensor) in images.iter().zip(self.pixels.chunks_exact_mut(3 * plane)) {
            let packed = self.resizer.resize(image, width, height, Filter::Bicubic)?;
            for (channel, values) in tensor.chunks_exact_mut(plane).enumerate() {
                let (mean, deviation) = (MEAN[channel], DEVIATION[channel]);
                for (value, pixel) in values.iter_mut().zip(packed.chunks_exact(3)) {
                    *value = (f32::from(pixel[channel]) / 255.0 - mean) / deviation;
                }
            }
        }
        let shape = [batch, 3, height as usize, width as usize];
        let name = self.session.name().to_owned();
        let outputs = self.session.run(&[Input::f32(PIXELS, &shape, &self.pixels)])?;
        let (found, data) = outputs.f32(STATES)?;
        match found[..] {
            [pictures, positions, width]
                if pictures == batch && data.len() == batch * positions * width =>
            {
                Ok(([batch, positions, width], data.to_vec()))
            }
            _ => Err(ModelError::Run {
                name,
                detail: format!("the encoder gave \"{STATES}\" of shape {found:?}"),
            }),
        }
    }
}
