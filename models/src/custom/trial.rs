//! Trying a new model before it is registered: its graphs are loaded, their inputs and outputs
//! checked, and it is run once on something that is easy to make. What a graph leaves open shows
//! only then.

use std::path::Path;

use crate::backend::{Device, Element, Session, SessionOptions, TensorInfo};
use crate::manifest::{ModelEntry, Precision, Task};
use crate::{
    BBox, DetectOptions, EmbedOptions, Image, ModelError, Registry, TrackPair, open_captioner,
    open_detector, open_embedder, open_linker, open_reid, open_reranker,
};

/// Sides of the picture that is shown to a network of any size, pixels.
const SIDES: (u32, u32) = (64, 48);

/// The grey that it is of.
const GREY: u8 = 128;

/// The words of a text that is longer than an embedder's own limit, whichever family it is of.
const LONG_TEXT: usize = 512;

/// No longer text is tried: the memory of a run grows with the square of its tokens, and graphs with
/// a fixed number of positions mostly have fewer.
const LONGEST_TEXT: usize = 2048;

/// Opens and tries the model in `models_dir`, and adds to its files what their graphs say of
/// themselves.
///
/// # Errors
/// What is wrong with its graphs; [`ModelError::Incomplete`] when a file is missing.
pub(super) fn run(models_dir: &Path, entry: &mut ModelEntry) -> Result<(), ModelError> {
    let options =
        SessionOptions { intra_threads: 1, device: Device::Cpu, ..SessionOptions::default() };
    if entry.task == Task::Detector {
        look_at_graphs(models_dir, entry, options)?;
    }
    let registry = Registry::of(models_dir, vec![entry.clone()]);
    let tried = |options| match entry.task {
        Task::Detector => detector(&registry, entry, options),
        Task::Captioner => open_captioner(&registry, entry, options).map(drop),
        Task::Embedder => embedder(&registry, entry, options),
        Task::Reid => reid(&registry, entry, options),
        Task::Reranker => reranker(&registry, entry, options),
        Task::Linker => linker(&registry, entry, options),
    };
    let mut all = tried(options);
    // A detector's graphs were tried in both precisions.
    if entry.task != Task::Detector && entry.has_half() {
        all = all.and_then(|()| tried(SessionOptions { half_precision: true, ..options }));
    }
    all.map_err(|error| told(models_dir, entry, error))
}

/// An error of a file in the folder where the model was tried, which is not there any more when
/// somebody reads of it.
fn told(models_dir: &Path, entry: &ModelEntry, error: ModelError) -> ModelError {
    let folder = models_dir.join(&entry.name).display().to_string() + "/";
    match error {
        ModelError::MissingFiles { name, detail } => {
            let known = super::files::FamilyFiles::of(&entry.family);
            let hint = known.told(&entry.family);
            ModelError::Incomplete { name, detail: detail.replace(&folder, ""), hint }
        }
        ModelError::BadFile { file, detail } => ModelError::BadFile {
            file: file.replace(&folder, ""),
            detail: detail.replace(&folder, ""),
        },
        other => other,
    }
}

/// Notes the sizes and precisions of a detector's graphs, so that each stream gets the one that
/// fits.
fn look_at_graphs(
    models_dir: &Path,
    entry: &mut ModelEntry,
    options: SessionOptions,
) -> Result<(), ModelError> {
    let folder = models_dir.join(&entry.name);
    let several = entry.files.iter().filter(|file| file.is_graph()).count() > 1;
    if several && entry.input.is_some() {
        let detail = "FROM has several graphs, each of which says its own input.".into();
        return Err(ModelError::BadOptions { detail });
    }
    for at in 0..entry.files.len() {
        if !entry.files[at].is_graph() {
            continue;
        }
        let path = folder.join(&entry.files[at].name);
        let session = Session::open(&entry.name, &path, options)
            .map_err(|error| told(models_dir, entry, error))?;
        let Some(picture) = session.inputs().iter().find(|input| input.shape.len() == 4) else {
            continue;
        };
        if picture.element == Element::F16 {
            entry.files[at].precision = Precision::Half;
        }
        // The size of a single graph is what the options say, so that a mistake there is told.
        if several {
            entry.files[at].input = fixed_size(picture);
        }
    }
    Ok(())
}

/// (width, height) of an input batch × 3 × H × W; `None` when the graph leaves one open.
fn fixed_size(picture: &TensorInfo) -> Option<(u32, u32)> {
    match picture.shape[..] {
        [_, Some(3), Some(height), Some(width)] => {
            u32::try_from(width).ok().zip(u32::try_from(height).ok())
        }
        _ => None,
    }
}

fn grey((width, height): (u32, u32)) -> Result<Image, ModelError> {
    Image::new(width, height, vec![GREY; 3 * width as usize * height as usize])
}

/// Shows a picture to each graph of a detector.
fn detector(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<(), ModelError> {
    let precisions = [Precision::Full, Precision::Half];
    for precision in precisions {
        let graphs: Vec<_> = entry
            .files
            .iter()
            .filter(|file| file.is_graph() && file.precision == precision)
            .collect();
        if graphs.is_empty() {
            continue;
        }
        let options = SessionOptions { half_precision: precision == Precision::Half, ..options };
        let mut detector = open_detector(registry, entry, options)?;
        for graph in graphs {
            let size = graph.input.or(entry.input);
            let image = grey(size.unwrap_or(SIDES))?;
            // With the longer side given, a picture of a graph's own shape goes into that graph.
            let image_size = graph.input.map(|(width, height)| width.max(height));
            let detect = DetectOptions { image_size, ..DetectOptions::default() };
            detector.detect(&[(&image, &detect)])?;
        }
    }
    Ok(())
}

fn embedder(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<(), ModelError> {
    let texts = ["a person rides a bicycle", "a dog"];
    let mut embedder = open_embedder(registry, entry, options)?;
    embedder.embed(&texts, EmbedOptions::default())?;
    // A graph with fewer positions than its limit would fail at the first long text.
    let long = "a dog ".repeat(entry.max_tokens.unwrap_or(LONG_TEXT).min(LONGEST_TEXT));
    embedder.embed(&[&long], EmbedOptions::default()).map(drop).map_err(|error| {
        let said = error.detail().unwrap_or_default().trim_end_matches('.');
        let detail = format!(
            "It fails at a text that is as long as its limit: {said}. Give the number of tokens that \
             the network takes as max_tokens."
        );
        ModelError::BadOptions { detail }
    })
}

fn reranker(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<(), ModelError> {
    let mut reranker = open_reranker(registry, entry, options)?;
    reranker.rerank("who rides?", &["a person rides a bicycle", "a dog"]).map(drop)
}

fn linker(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<(), ModelError> {
    let pair = TrackPair { earlier: vec![[1.0, 10.0, 20.0]], later: vec![[3.0, 14.0, 20.0]] };
    open_linker(registry, entry, options)?.link(&[pair]).map(drop)
}

fn reid(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<(), ModelError> {
    let image = grey(SIDES)?;
    let all = BBox::new(0.0, 0.0, SIDES.0 as f32, SIDES.1 as f32);
    open_reid(registry, entry, options)?.appearance(&[(&image, &[all])]).map(drop)
}
