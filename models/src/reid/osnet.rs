//! OSNet (Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", 2019), and any
//! graph of its shape: one input, batch × 3 × height × width floats, and one output, batch ×
//! dimensions.
//!
//! A crop is scaled to the input's size (256 high and 128 wide where the graph leaves it open),
//! bilinearly as OpenCV does, whatever its own proportions; the channels are R, G, B with
//! ImageNet's mean and deviation. The output is scaled to length 1.

use super::crop::crop;
use crate::backend::{Element, Input, RunsOn, Session, SessionOptions};
use crate::image::{Filter, Resizer};
use crate::manifest::ModelEntry;
use crate::{BBox, Image, ModelError, ReId, Registry};

const GRAPH_FILE: &str = "model.onnx";

/// Width and height of a crop where neither the graph nor the manifest says another, pixels.
const DEFAULT_SIZE: (u32, u32) = (128, 256);

/// Crops in one run at most, where the graph takes any number.
const MAX_BATCH: usize = 32;

/// Mean and standard deviation of ImageNet's pictures (R, G, B), as in torchreid's extractor.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Opens the re-identification network of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn ReId>, ModelError> {
    let graph = registry.graph(entry, GRAPH_FILE, options.half_precision)?;
    let session = Session::open(&entry.name, &graph, options)?;
    let only = |side: &str, names: Vec<&str>| match names[..] {
        [name] => Ok(name.to_owned()),
        _ => Err(ModelError::WrongTensors {
            name: entry.name.clone(),
            detail: format!(
                "One {side} was expected, found {}: {}.",
                names.len(),
                names.join(", ")
            ),
        }),
    };
    let input = only("input", session.inputs().iter().map(|one| one.name.as_str()).collect())?;
    let output = only("output", session.outputs().iter().map(|one| one.name.as_str()).collect())?;
    let default = entry.input.unwrap_or(DEFAULT_SIZE);
    let pixels = session.expect_input(&input, Element::F32, &[None, Some(3), None, None])?;
    let dimension = |at: usize| pixels.shape.get(at).copied().flatten();
    let side = |at, default| dimension(at).and_then(|side| side.try_into().ok()).unwrap_or(default);
    let size = (side(3, default.0), side(2, default.1));
    let max_batch = dimension(0).map_or(MAX_BATCH, |fixed| fixed.max(1));
    let fixed_batch = dimension(0).is_some();
    let vectors = session.expect_output(&output, Element::F32, &[None, None])?;
    let dimensions = vectors.shape.get(1).copied().flatten().ok_or_else(|| {
        let detail = format!("The graph leaves the length of its vectors open: {vectors}.");
        ModelError::WrongTensors { name: entry.name.clone(), detail }
    })?;
    let (resizer, buffer) = (Resizer::default(), Vec::new());
    Ok(Box::new(OsNet {
        session,
        input,
        output,
        size,
        max_batch,
        fixed_batch,
        dimensions,
        resizer,
        buffer,
    }))
}

struct OsNet {
    session: Session,
    /// The names of the graph's input and output.
    input: String,
    output: String,
    /// Width and height of the network's picture, pixels.
    size: (u32, u32),
    max_batch: usize,
    /// Whether the graph takes `max_batch` crops and no other number.
    fixed_batch: bool,
    dimensions: usize,
    resizer: Resizer,
    buffer: Vec<f32>,
}

impl OsNet {
    /// One run: a vector for each of at most `max_batch` crops.
    fn run(&mut self, crops: &[(&Image, BBox)]) -> Result<Vec<Vec<f32>>, ModelError> {
        let (width, height) = self.size;
        let plane = width as usize * height as usize;
        let batch = if self.fixed_batch { self.max_batch } else { crops.len() };
        self.buffer.clear();
        self.buffer.resize(batch * 3 * plane, 0.0);
        for ((image, bbox), tensor) in crops.iter().zip(self.buffer.chunks_exact_mut(3 * plane)) {
            let cut = crop(image, bbox)?;
            let packed = self.resizer.resize(&cut, width, height, Filter::Bilinear)?;
            for (channel, values) in tensor.chunks_exact_mut(plane).enumerate() {
                let (mean, deviation) = (MEAN[channel], DEVIATION[channel]);
                for (value, pixel) in values.iter_mut().zip(packed.chunks_exact(3)) {
                    *value = (f32::from(pixel[channel]) / 255.0 - mean) / deviation;
                }
            }
        }
        let name = self.session.name().to_owned();
        let failed = |detail: String| ModelError::Run { name: name.clone(), detail };
        let shape = [batch, 3, height as usize, width as usize];
        let outputs = self.session.run(&[Input::f32(&self.input, &shape, &self.buffer)])?;
        let (found, vectors) = outputs.f32(&self.output)?;
        if found[..] != [batch, self.dimensions] {
            return Err(failed(format!("the run gave \"{}\" of shape {found:?}", self.output)));
        }
        let rows = vectors.chunks_exact(self.dimensions).take(crops.len());
        let directions: Option<Vec<Vec<f32>>> = rows.map(crate::vector::direction).collect();
        directions.ok_or_else(|| failed("a vector has no direction: it is zero or has NaN".into()))
    }
}

impl ReId for OsNet {
    fn runs_on(&self) -> &RunsOn {
        self.session.runs_on()
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn appearance(
        &mut self,
        requests: &[(&Image, &[BBox])],
    ) -> Result<Vec<Vec<Vec<f32>>>, ModelError> {
        let crops: Vec<(&Image, BBox)> = requests
            .iter()
            .flat_map(|(image, boxes)| boxes.iter().map(|bbox| (*image, *bbox)))
            .collect();
        let mut vectors = Vec::with_capacity(crops.len());
        for batch in crops.chunks(self.max_batch) {
            vectors.append(&mut self.run(batch)?);
        }
        let mut vectors = vectors.into_iter();
        Ok(requests.iter().map(|(_, boxes)| vectors.by_ref().take(boxes.len()).collect()).collect())
    }
}
