//! Where models and videos are, and what the figures share: a source through the whole engine, and
//! medians.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use vigil::source::SourceDefaults;
use vigil::{Engine, EngineConfig};
use vigil_sql::{CreateSource, Engine as _, Origin};

/// What a figure may use.
pub struct Setting {
    /// The models folder.
    pub models: PathBuf,
    /// The folder of the shared data, which need not exist.
    pub data: PathBuf,
    /// Threads of a run of a network.
    pub threads: usize,
}

impl Setting {
    /// The models of `VIGIL_MODELS`, else those that setup fetched, else the shared ones.
    pub fn find() -> Result<Self> {
        let root = vigil_test_data::top_level();
        let own = root.join(".vigil/models");
        let found = if own.is_dir() { own } else { vigil_test_data::models() };
        let models = std::env::var_os("VIGIL_MODELS").map_or(found, PathBuf::from);
        let threads = std::thread::available_parallelism()?.get();
        Ok(Self { models, data: vigil_test_data::root().join("data"), threads })
    }

    /// Whether all these files are there; says on stderr which is not.
    pub fn has(&self, figure: &str, files: &[&Path]) -> bool {
        let missing = files.iter().find(|file| !file.is_file());
        if let Some(file) = missing {
            eprintln!("{figure} is not measured: there is no {}", file.display());
        }
        missing.is_none()
    }

    /// An engine with its data in `data`.
    pub fn engine(&self, data: &Path) -> Result<Arc<Engine>> {
        Ok(Engine::start(EngineConfig {
            data: data.display().to_string(),
            models_dir: self.models.clone(),
            workers: 1,
            inference_threads: self.threads,
            defaults: SourceDefaults::default(),
            base_dir: vigil_test_data::top_level(),
            places: Default::default(),
        })?)
    }
}

/// Frames a second of a video from file to visible rows, with these options.
#[expect(clippy::cast_precision_loss, reason = "hundreds of frames")]
pub fn frames_per_second(
    engine: &Arc<Engine>,
    video: &Path,
    name: &str,
    options: &[(&str, &str)],
) -> Result<f64> {
    let source = CreateSource {
        name: name.to_owned(),
        origin: Origin::Url(video.display().to_string()),
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let start = Instant::now();
        engine.create_source(source).await?;
        engine.wait_for_source(name, None).await?;
        let seconds = start.elapsed().as_secs_f64();
        let frames = engine.source(name)?.statistics().frames_processed;
        engine.drop_source(name).await?;
        Ok(frames as f64 / seconds)
    })
}

/// The value in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
