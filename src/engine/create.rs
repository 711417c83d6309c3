//! `CREATE SOURCE`: the statement is checked, the file opened, the models loaded; then the source
//! is registered, its dataflow built and its decoder started.

use std::sync::{Arc, PoisonError};

use vigil_models::{DetectOptions, Image, OpenOptions, label_set};
use vigil_sql::CreateSource;
use vigil_sql::catalog::CAPTION_DIMENSIONS;

use super::api::stopping;
use super::decoder;
use super::running::{RunningSource, SourceParts};
use super::{Engine, EngineConfig, Error};
use crate::caption::CaptionerChoice;
use crate::decode;
use crate::detect::DetectorChoice;
use crate::source::{SourceOptions, SourceSpec, nearest};
use crate::source_id::SourceId;
use crate::tables::RowContext;
use crate::track::{Appearance, CameraEstimator, Linking, Looker};

/// The value of a model option that names no model.
const NONE: &str = "none";
/// The detector of drawn frames.
const GROUND_TRUTH: &str = "ground_truth";
/// Undetected frames of a source that are let in at a time when nothing slow detects them.
const QUICK_CREDITS: usize = 4;

impl Engine {
    /// Makes a source. It blocks while files are opened and models loaded.
    ///
    /// # Errors
    /// [`Error::SourceExists`], or what is wrong with the statement, its file or its models.
    pub fn create_source_blocking(&self, statement: &CreateSource) -> Result<(), Error> {
        // The models that it takes stay until it is there.
        let _making = self.making.read().unwrap_or_else(PoisonError::into_inner);
        let id = self.reserve(&statement.name)?;
        // Pictures of an earlier source of this name, perhaps of an earlier run, are not this one's;
        // they stay for as long as there is nothing in their place.
        let made = self
            .make(id, statement)
            .and_then(|made| self.clear_pictures(&statement.name).map(|()| made));
        let mut sources = self.sources();
        sources.reserved.remove(&statement.name);
        let (source, reader) = made?;
        self.tables.add_source(id, source.context.clone());
        sources.running.insert(id, Arc::clone(&source));
        // Under the lock, so that nobody drops what is not started yet.
        let started = self.workers.start_source(Arc::clone(&source));
        if let Err(error) = started {
            sources.running.remove(&id);
            self.tables.remove_source(id);
            return Err(error);
        }
        drop(sources);
        decoder::start(source, reader)
    }

    fn clear_pictures(&self, name: &str) -> Result<(), Error> {
        let io = self.io.handle().ok_or_else(stopping)?;
        Ok(io.block_on(self.frames.remove(name))?)
    }

    fn reserve(&self, name: &str) -> Result<SourceId, Error> {
        let mut sources = self.sources();
        if sources.find(name).is_some() || !sources.reserved.insert(name.to_owned()) {
            return Err(Error::SourceExists(name.to_owned()));
        }
        sources.last_id += 1;
        Ok(SourceId(sources.last_id))
    }

    fn make(
        &self,
        id: SourceId,
        statement: &CreateSource,
    ) -> Result<(Arc<RunningSource>, Box<dyn decode::FrameReader>), Error> {
        let EngineConfig { defaults, base_dir, places, .. } = &self.config;
        let spec = SourceSpec::from_statement_in(statement, defaults, base_dir, places)?;
        let options = &spec.options;
        let reader = decode::open(&spec)?;
        let video = reader.video().clone();

        let mut context = RowContext {
            source: spec.name.clone(),
            detector: None,
            tracker: options.tracker.name().to_owned(),
            captioner: None,
            embedder: None,
            reid: None,
            labels: Arc::from([]),
        };
        let mut credits = QUICK_CREDITS;
        let detector = match options.detector.as_str() {
            NONE => DetectorChoice::None,
            GROUND_TRUTH => {
                context.detector = Some(GROUND_TRUTH.to_owned());
                context.labels = label_set("coco80").unwrap_or_default();
                DetectorChoice::GroundTruth(DetectOptions {
                    max_detections: options.max_detections,
                    classes: class_ids(options.classes.as_deref(), &context.labels)?,
                    ..DetectOptions::default()
                })
            }
            name => {
                let (device, half_precision) = (options.device, options.half_precision);
                let open = OpenOptions { device, half_precision };
                let network = self.service.detector_with(name, open)?;
                context.detector = Some(network.id().to_string());
                context.labels = Arc::clone(network.labels());
                let batch_size = options.batch_size;
                credits = batch_size;
                let options = DetectOptions {
                    confidence_threshold: options
                        .track_low_threshold
                        .min(options.confidence_threshold),
                    iou_threshold: options.iou_threshold,
                    max_detections: options.max_detections,
                    classes: class_ids(options.classes.as_deref(), network.labels())?,
                    image_size: options.image_size,
                    rect: options.rect,
                    augment: options.augment,
                    multi_label: false,
                };
                network.prepare((video.width, video.height), options.clone(), batch_size)?;
                DetectorChoice::Network(network, options)
            }
        };
        let captioner = match options.captioner.as_str() {
            NONE => CaptionerChoice::None,
            name => {
                let network = self.service.captioner_on(name, self.opened(name, options)?)?;
                context.captioner = Some(network.id().to_string());
                network.allow_batch(options.caption_batch_size);
                CaptionerChoice::Network(network, options.caption_options())
            }
        };
        let embedder = match options.embedder.as_str() {
            NONE => None,
            name => {
                let network = self.service.embedder_on(name, self.opened(name, options)?)?;
                if i32::try_from(network.dimensions()) != Ok(CAPTION_DIMENSIONS) {
                    let embedder = network.id().to_string();
                    return Err(Error::Dimensions { embedder, found: network.dimensions() });
                }
                context.embedder = Some(network.id().to_string());
                Some(network)
            }
        };
        let looker = self.looker(&spec, &mut context)?;
        let parts = SourceParts {
            id,
            spec,
            video,
            context,
            credits,
            detector,
            captioner,
            embedder,
            looker,
        };
        Ok((RunningSource::new(parts), reader))
    }
}

impl Engine {
    /// How a model that is no detector is opened: in float16 if that is asked for and it can be had.
    fn opened(&self, name: &str, options: &SourceOptions) -> Result<OpenOptions, Error> {
        let registry = self.service.registry();
        let half_precision = options.half_precision && registry.entry(name)?.has_half();
        Ok(OpenOptions { device: options.device, half_precision })
    }

    /// Who looks at the frames of a source, when its tracker asks. The model's name goes into
    /// `context`.
    fn looker(&self, spec: &SourceSpec, context: &mut RowContext) -> Result<Option<Looker>, Error> {
        let options = spec.options.track_options();
        if !spec.options.tracker.asks_appearance {
            return Ok(None);
        }
        let appearance: Option<Appearance> = if options.appearance_embedding {
            let name = &spec.options.reid_model;
            let network = self.service.reid_on(name, self.opened(name, &spec.options)?)?;
            context.reid = Some(network.id().to_string());
            Some(Box::new(move |image, boxes, reply| network.submit(image, boxes, reply)))
        } else {
            None
        };
        let linking: Option<Linking> = match spec.options.link_model.as_str() {
            NONE => None,
            name => {
                let network = self.service.linker_on(name, spec.options.device)?;
                Some(Box::new(move |pairs| network.link(pairs)))
            }
        };
        let mut camera = CameraEstimator::default();
        let motion = Box::new(move |image: &Image| camera.next(image));
        Looker::start(&spec.name, appearance, linking, motion).map(Some)
    }
}

/// The ids of classes that were given by name or by id.
fn class_ids(classes: Option<&[String]>, labels: &[String]) -> Result<Option<Arc<[u32]>>, Error> {
    let Some(classes) = classes else { return Ok(None) };
    let ids: Result<Vec<u32>, Error> = classes
        .iter()
        .map(|class| {
            let by_name = labels.iter().position(|label| label.eq_ignore_ascii_case(class));
            let by_id = || class.parse::<usize>().ok().filter(|id| *id < labels.len());
            by_name.or_else(by_id).and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                let nearest = nearest(class, labels.iter().map(String::as_str));
                Error::UnknownClass { class: class.clone(), nearest }
            })
        })
        .collect();
    Ok(Some(ids?.into()))
}
