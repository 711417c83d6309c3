//! What detectors that take one picture tensor share: choosing and loading graphs, letterboxing, batches,
//! test-time augmentation, and the way back to the picture. A [`Family`] says how pictures go in
//! and what the outputs mean.

use std::path::PathBuf;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::inputs::{self, Choice, GraphInput};
use super::letterbox::{Fit, Letterbox, Place, Placement, View};
use super::nms;
use crate::backend::{Element, Input, Outputs, RunsOn, Session, SessionOptions};
use crate::manifest::{ModelEntry, ModelFile, Precision};
use crate::registry::no_half;
use crate::{DetectOptions, Detection, Detector, Image, ModelError, Registry};

/// Pictures in one run at most, so that a long list does not need a tensor of its length.
const MAX_BATCH: usize = 16;

/// A family of detectors that take pictures as batch × 3 × height × width.
pub(super) trait Family: Default + Send {
    /// How pictures lie in the input.
    const PLACE: Place;
    /// What the sides of an open input are multiples of.
    const STRIDE: u32;
    /// The longer side of an open input where nobody gives one, pixels.
    const DEFAULT_SIZE: u32;
    /// Whether overlapping boxes of a class are one object.
    const SUPPRESSES: bool;

    /// Checks the outputs of a graph and says what its input is called and takes.
    ///
    /// # Errors
    /// [`ModelError::WrongTensors`].
    fn check(session: &Session, labels: &[String]) -> Result<Tensors, ModelError>;

    /// The candidates of each of the run's pictures, in pixels of the input, in any order. The run
    /// may have had more pictures than there are options; those are not looked at.
    ///
    /// # Errors
    /// What is wrong with the outputs, a clause: a shape, or a number that is none.
    fn candidates(
        &mut self,
        outputs: &Outputs<'_>,
        run: &Run<'_>,
    ) -> Result<Vec<Vec<Detection>>, ModelError>;
}

/// The inputs of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensors {
    /// The name of the input for pictures.
    pub(super) input: &'static str,
    /// The name of another input, batch × 2 integers, for the width and height of what boxes are
    /// to be in. They are given those of the pictures' input, so that a [`Placement`] leads from
    /// there to the picture whatever the graph does.
    pub(super) sizes: Option<&'static str>,
    /// How a picture becomes its numbers.
    pub(super) fit: Fit,
}

/// What a family has to know of a run.
pub(super) struct Run<'a> {
    /// The model's name, for errors.
    pub(super) name: &'a str,
    /// The class names.
    pub(super) labels: &'a [String],
    /// (width, height) of the input, pixels.
    pub(super) size: (u32, u32),
    /// The options of each picture.
    pub(super) options: Vec<&'a DetectOptions>,
}

impl Run<'_> {
    /// The error of a run whose output cannot be used.
    pub(super) fn wrong(&self, detail: impl Into<String>) -> ModelError {
        ModelError::Run { name: self.name.to_owned(), detail: detail.into() }
    }
}

/// Whether an output can have floats of this `shape`, in either precision.
///
/// # Errors
/// [`ModelError::WrongTensors`].
pub(super) fn expect_floats(
    session: &Session,
    output: &str,
    shape: &[Option<usize>],
) -> Result<(), ModelError> {
    session
        .expect_output(output, Element::F16, shape)
        .or_else(|_| session.expect_output(output, Element::F32, shape))
        .map(|_| ())
}

/// A file of the model that may be loaded.
struct GraphFile {
    input: GraphInput,
    path: PathBuf,
}

/// A loaded graph.
struct Graph {
    session: Session,
    tensors: Tensors,
    /// Whether the input is float16.
    half: bool,
    /// How many pictures a run takes; `None` when any number.
    batch: Option<usize>,
}

/// A detector of a family: its graphs, each loaded when it is first needed, and its buffers.
struct GridDetector<F> {
    name: String,
    labels: Arc<[String]>,
    options: SessionOptions,
    default_size: u32,
    files: Vec<GraphFile>,
    loaded: Vec<Option<Graph>>,
    runs_on: RunsOn,
    letterbox: Letterbox,
    tensor: Vec<f32>,
    half_tensor: Vec<f16>,
    family: F,
}

/// Opens the detector of a manifest entry: its first graph is loaded, the others are when a
/// picture is best put into them.
pub(super) fn open<F: Family + 'static>(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Detector>, ModelError> {
    let mut files = Vec::new();
    for file in graphs(entry, options.half_precision)? {
        let size = file.input.or(entry.input);
        let input = GraphInput { file: file.name.clone(), size };
        files.push(GraphFile { input, path: registry.file(entry, &file.name)? });
    }
    let Some(first) = files.first() else {
        let detail = "The manifest lists no graph (a file that ends with .onnx) for it.";
        return Err(ModelError::MissingFiles { name: entry.name.clone(), detail: detail.into() });
    };
    let (graph, size) = load::<F>(&entry.name, &entry.labels, first, options)?;
    if options.half_precision && !graph.half && !is_half(entry, &first.input.file) {
        return Err(no_half(entry));
    }
    let longer = size.or(entry.input).map(|(width, height)| width.max(height));
    let runs_on = graph.session.runs_on().clone();
    let mut loaded: Vec<Option<Graph>> = files.iter().map(|_| None).collect();
    loaded[0] = Some(graph);
    files[0].input.size = size;
    Ok(Box::new(GridDetector::<F> {
        name: entry.name.clone(),
        labels: Arc::clone(&entry.labels),
        options,
        default_size: longer.unwrap_or(F::DEFAULT_SIZE),
        files,
        loaded,
        runs_on,
        letterbox: Letterbox::default(),
        tensor: Vec::new(),
        half_tensor: Vec::new(),
        family: F::default(),
    }))
}

/// The entry's graphs of the wanted precision. An entry that does not say of any graph that it is
/// float16 may have one all the same, which shows when it is loaded.
fn graphs(entry: &ModelEntry, half: bool) -> Result<Vec<&ModelFile>, ModelError> {
    let graphs = || entry.files.iter().filter(|file| file.is_graph());
    let of = |precision| graphs().filter(|file| file.precision == precision).collect::<Vec<_>>();
    let (full, halves) = (of(Precision::Full), of(Precision::Half));
    match (half, full.is_empty(), halves.is_empty()) {
        (true, _, false) | (false, true, false) => Ok(halves),
        (true, false, true) if full.len() > 1 => Err(no_half(entry)),
        _ => Ok(full),
    }
}

fn is_half(entry: &ModelEntry, file: &str) -> bool {
    entry.files.iter().any(|known| known.name == file && known.precision == Precision::Half)
}

/// Loads a graph and checks its tensors, also against the size that the manifest gives it; the
/// size is `None` when the graph takes any.
fn load<F: Family>(
    name: &str,
    labels: &[String],
    file: &GraphFile,
    options: SessionOptions,
) -> Result<(Graph, Option<(u32, u32)>), ModelError> {
    let about = |error| match error {
        ModelError::WrongTensors { name, detail } => {
            ModelError::WrongTensors { name, detail: format!("{}: {detail}", file.input.file) }
        }
        other => other,
    };
    let session = Session::open(name, &file.path, options)?;
    let tensors = F::check(&session, labels).map_err(about)?;
    let any = [None, Some(3), None, None];
    let (info, half) = match session.expect_input(tensors.input, Element::F16, &any) {
        Ok(info) => (info, true),
        Err(_) => (session.expect_input(tensors.input, Element::F32, &any).map_err(about)?, false),
    };
    let (batch, size) = match info.shape[..] {
        [batch, _, Some(height), Some(width)] => {
            (batch, u32::try_from(width).ok().zip(u32::try_from(height).ok()))
        }
        [batch, ..] => (batch, None),
        [] => (None, None),
    };
    if let (Some(listed), Some(found)) = (file.input.size, size)
        && listed != found
    {
        return Err(about(ModelError::WrongTensors {
            name: name.to_owned(),
            detail: format!(
                "The manifest says that it takes {}x{} pixels, its input is {info}.",
                listed.0, listed.1
            ),
        }));
    }
    Ok((Graph { session, tensors, half, batch: batch.filter(|&batch| batch > 0) }, size))
}

/// One way of showing one picture.
struct Job {
    picture: usize,
    view: View,
    choice: Choice,
}

impl<F: Family> GridDetector<F> {
    fn choose(&self, picture: (u32, u32), options: &DetectOptions) -> Result<Choice, ModelError> {
        let graphs: Vec<GraphInput> = self.files.iter().map(|file| file.input.clone()).collect();
        let sides = (F::STRIDE, self.default_size);
        inputs::choose(&self.name, &graphs, F::PLACE, picture, options, sides)
    }

    /// Loads the graph, if it is not yet.
    fn graph(&mut self, index: usize) -> Result<&mut Graph, ModelError> {
        let slot = &mut self.loaded[index];
        match slot {
            Some(graph) => Ok(graph),
            None => {
                let file = &self.files[index];
                let (graph, _) = load::<F>(&self.name, &self.labels, file, self.options)?;
                Ok(slot.insert(graph))
            }
        }
    }

    /// The jobs of pictures, those of one graph and size together.
    fn jobs(&self, images: &[(&Image, &DetectOptions)]) -> Result<Vec<Job>, ModelError> {
        let mut jobs = Vec::with_capacity(images.len());
        for (picture, (image, options)) in images.iter().enumerate() {
            let choice = self.choose((image.width(), image.height()), options)?;
            let views = if options.augment {
                &View::AUGMENTED[..]
            } else {
                std::slice::from_ref(&View::PLAIN)
            };
            jobs.extend(views.iter().map(|&view| Job { picture, view, choice }));
        }
        jobs.sort_by_key(|job| job.choice);
        Ok(jobs)
    }

    /// One run on jobs of one choice; adds what it finds to `found`, in pixels of the pictures.
    fn run(
        &mut self,
        jobs: &[Job],
        images: &[(&Image, &DetectOptions)],
        found: &mut [Vec<Detection>],
    ) -> Result<(), ModelError> {
        let Some(choice) = jobs.first().map(|job| job.choice) else { return Ok(()) };
        let size = choice.size;
        self.graph(choice.graph)?;
        let Some(graph) = self.loaded[choice.graph].as_mut() else { return Ok(()) };
        // A graph of a fixed batch runs with what is there; the rest of its input stays as it was.
        let batch = graph.batch.unwrap_or(jobs.len());
        let picture_len = 3 * size.0 as usize * size.1 as usize;
        self.tensor.resize(batch * picture_len, 0.0);
        let mut placements: Vec<Placement> = Vec::with_capacity(jobs.len());
        for (job, tensor) in jobs.iter().zip(self.tensor.chunks_exact_mut(picture_len)) {
            let (image, _) = images[job.picture];
            let fit = &graph.tensors.fit;
            placements.push(self.letterbox.fill(image, fit, job.view, size, tensor)?);
        }
        let shape = [batch, 3, size.1 as usize, size.0 as usize];
        let name = graph.tensors.input;
        let pictures = if graph.half {
            self.half_tensor.resize(self.tensor.len(), f16::ZERO);
            self.half_tensor.convert_from_f32_slice(&self.tensor);
            Input::f16(name, &shape, &self.half_tensor)
        } else {
            Input::f32(name, &shape, &self.tensor)
        };
        let outputs = match graph.tensors.sizes {
            Some(name) => {
                let sizes = [i64::from(size.0), i64::from(size.1)].repeat(batch);
                graph.session.run(&[pictures, Input::i64(name, &[batch, 2], &sizes)])?
            }
            None => graph.session.run(&[pictures])?,
        };
        let options = jobs.iter().map(|job| images[job.picture].1).collect();
        let run = Run { name: &self.name, labels: &self.labels, size, options };
        let candidates = self.family.candidates(&outputs, &run)?;
        for ((job, placement), candidates) in jobs.iter().zip(placements).zip(candidates) {
            found[job.picture].extend(candidates.into_iter().map(|detection| Detection {
                bbox: placement.to_picture(detection.bbox),
                ..detection
            }));
        }
        Ok(())
    }
}

impl<F: Family> Detector for GridDetector<F> {
    fn labels(&self) -> &Arc<[String]> {
        &self.labels
    }

    fn runs_on(&self) -> &RunsOn {
        &self.runs_on
    }

    fn prepare(
        &mut self,
        picture: (u32, u32),
        options: &DetectOptions,
        batch_size: usize,
    ) -> Result<(), ModelError> {
        let choice = self.choose(picture, options)?;
        let batch = self.graph(choice.graph)?.batch;
        if let Some(most) = batch.filter(|&most| most < batch_size) {
            return Err(ModelError::Unsupported {
                name: self.name.clone(),
                option: "batch_size",
                value: batch_size.to_string(),
                detail: format!(
                    "A run of its graph {} takes {most}.",
                    self.files[choice.graph].input.file
                ),
            });
        }
        Ok(())
    }

    fn detect(
        &mut self,
        images: &[(&Image, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let mut found = vec![Vec::new(); images.len()];
        let jobs = self.jobs(images)?;
        for jobs in jobs.chunk_by(|a, b| a.choice == b.choice) {
            let most = match jobs.first() {
                Some(job) => self.graph(job.choice.graph)?.batch.unwrap_or(MAX_BATCH),
                None => MAX_BATCH,
            };
            for batch in jobs.chunks(most) {
                self.run(batch, images, &mut found)?;
            }
        }
        let finish = |(found, (image, options)): (Vec<Detection>, &(&Image, &DetectOptions))| {
            finish(found, image, options, F::SUPPRESSES || options.augment)
        };
        Ok(found.into_iter().zip(images).map(finish).collect())
    }
}

/// Suppresses, clips and sorts the candidates of one picture.
fn finish(
    candidates: Vec<Detection>,
    image: &Image,
    options: &DetectOptions,
    suppresses: bool,
) -> Vec<Detection> {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let iou_threshold = if suppresses { options.iou_threshold } else { f32::INFINITY };
    let mut kept = nms::suppress(candidates, iou_threshold, options.max_detections);
    for detection in &mut kept {
        detection.bbox = detection.bbox.clipped(width, height);
    }
    // A box that lies in the border only has nothing left.
    kept.retain(|detection| detection.bbox.area() > 0.0);
    // Clipping can change the order of ties.
    kept.sort_by(nms::by_confidence);
    kept
}
