//! Models of the engine: registering and removing them, and what they did so far.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use vigil_models::{LoadedModel, ModelEntry, ModelError, ModelPlaces, ModelState, Registry};
use vigil_sql::{CreateModel, ModelInfo, ModelMetrics};

use super::running::RunningSource;
use super::{Engine, Error};
use crate::model;

impl Engine {
    /// Registers a model. It blocks while files are copied or fetched and the model is tried.
    ///
    /// # Errors
    /// What is wrong with the statement, or with the model's files.
    pub fn create_model_blocking(&self, statement: &CreateModel) -> Result<(), Error> {
        // Before anything is looked for, as with sources.
        let registry = self.service.registry();
        if registry.entries().iter().any(|entry| entry.name == statement.name) {
            return Err(ModelError::Exists { name: statement.name.clone() }.into());
        }
        let new = model::new_model(statement, &self.config.base_dir, &self.config.places)?;
        let places: Arc<dyn ModelPlaces> = Arc::new(self.config.places.clone());
        Ok(self.service.create_model(&new, &places)?)
    }

    /// Removes a model that was registered. It blocks while sources are being made and files
    /// removed.
    ///
    /// # Errors
    /// [`Error::ModelInUse`], or that there is none of that name that could be removed.
    pub fn drop_model_blocking(&self, name: &str) -> Result<(), Error> {
        // No source is being made meanwhile that could take the model.
        let _making = self.making.write().unwrap_or_else(PoisonError::into_inner);
        let registry = self.service.registry();
        let entry = registry.entry(name)?;
        let sources = self.all_sources();
        let users = sources.iter().filter(|source| uses(source, entry));
        let users: Vec<String> = users.map(|source| source.spec.name.clone()).collect();
        if entry.made.is_some() && !users.is_empty() {
            return Err(Error::ModelInUse { name: entry.name.clone(), sources: users });
        }
        Ok(self.service.drop_model(name)?)
    }

    /// The models as the catalog shows them.
    pub(super) fn model_infos(&self) -> Vec<ModelInfo> {
        let registry = self.service.registry();
        let mut loaded: BTreeMap<String, Vec<LoadedModel>> = BTreeMap::new();
        for model in self.service.loaded().into_iter().filter(|model| model.resident) {
            loaded.entry(model.id.to_string()).or_default().push(model);
        }
        let entries = registry.entries().iter();
        entries
            .map(|entry| info(&registry, entry, loaded.get(&entry.id()).map_or(&[], Vec::as_slice)))
            .collect()
    }
}

/// Whether a source was made with the model, be it for what it still does or for the rows that it
/// has.
fn uses(source: &RunningSource, entry: &ModelEntry) -> bool {
    let id = entry.id();
    let context = &source.context;
    let named = [&context.detector, &context.captioner, &context.embedder];
    let options = &source.spec.options;
    let asked = [&options.reid_model, &options.link_model];
    let looks =
        source.looker.is_some() && asked.into_iter().any(|of| *of == entry.name || *of == id);
    looks || named.into_iter().any(|of| of.as_deref() == Some(&*id))
}

/// One model; `loaded` are its sessions in memory.
fn info(registry: &Registry, entry: &ModelEntry, loaded: &[LoadedModel]) -> ModelInfo {
    // A model that was asked for in several ways runs in several places.
    let devices: Vec<String> =
        loaded.iter().filter_map(|model| model.runs_on.as_ref()).map(ToString::to_string).collect();
    let state = match registry.state(entry) {
        _ if !loaded.is_empty() => "loaded",
        ModelState::Present => "present",
        ModelState::Missing => "missing",
    };
    ModelInfo {
        name: entry.name.clone(),
        version: entry.version.clone(),
        task: entry.task.name().to_owned(),
        family: entry.family.clone(),
        licence: entry.licence.clone(),
        size_bytes: i64::try_from(registry.size_bytes(entry)).unwrap_or(i64::MAX),
        state: state.to_owned(),
        device: (!devices.is_empty()).then(|| devices.join(", ")),
        create_sql: model::create_sql(entry),
    }
}

/// What a model did so far, as the catalog shows it.
pub(super) fn metrics(model: &LoadedModel) -> ModelMetrics {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let latency = model.latency;
    let millis = |time: Duration| (latency.count > 0).then_some(time.as_secs_f64() * 1000.0);
    ModelMetrics {
        model: model.id.to_string(),
        task: model.task.name().to_owned(),
        provider: model.runs_on.as_ref().map(|on| on.device.name().to_owned()),
        provider_reason: model.runs_on.as_ref().map(|on| on.reason.clone()),
        loaded_at_micros: model.loaded_at_micros,
        calls: count(latency.count),
        items: count(model.items),
        batches: count(model.runs),
        errors: count(model.failed),
        queue_length: i64::try_from(model.queued).unwrap_or(i64::MAX),
        latency_p50_ms: millis(latency.p50),
        latency_p95_ms: millis(latency.p95),
        latency_p99_ms: millis(latency.p99),
        caption_cache_hits: model.cache.map(|cache| count(cache.hits)),
        caption_cache_misses: model.cache.map(|cache| count(cache.misses)),
    }
}
