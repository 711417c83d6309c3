//! The engine as SQL sees it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use vigil_sql::catalog::StandardTable;
use vigil_sql::{
    CreateIndex, CreateModel, CreateSource, Cut, EngineError, FrontierInfo, IndexBuild, IndexInfo,
    ModelInfo, ModelMetrics, OperatorInfo, SourceFault, SourceInfo,
};
use vigil_udfs::ModelCalls;

use super::calls::EngineCalls;
use super::models::metrics;
use super::{Engine, Error};
use crate::decode;
use crate::index::{SortInSearches, UseIndexes, is_search, is_short_search};
use crate::keyframe::{StoreError, encode_jpeg};
use crate::source::SourceSpec;
use crate::tables::{Progress, SourceTables, StandardTableProvider};

impl Engine {
    /// Runs blocking work on the threads for input and output, and starts it on one of them: a
    /// thread inherits the priority of the one that starts it, and query threads have a low one.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let handle = self.io.handle().ok_or_else(stopping)?;
        let started = handle.spawn(async { tokio::task::spawn_blocking(work).await });
        started.await.and_then(|done| done).map_err(|_| stopping())?
    }
}

#[async_trait]
impl vigil_sql::Engine for Engine {
    fn cut(&self) -> Cut {
        let snapshot: Arc<dyn Any + Send + Sync> = self.tables.snapshot();
        Cut(snapshot)
    }

    fn table(&self, table: StandardTable) -> Arc<dyn TableProvider> {
        Arc::new(StandardTableProvider::new(table, Arc::clone(&self.tables)))
    }

    async fn create_source(&self, source: CreateSource) -> Result<(), EngineError> {
        let engine = self.this.upgrade().ok_or_else(stopping)?;
        let made = self.blocking(move || engine.create_source_blocking(&source)).await;
        made.map_err(Into::into)
    }

    async fn drop_source(&self, name: &str) -> Result<(), EngineError> {
        self.drop_source_named(name).await.map_err(Into::into)
    }

    async fn wait_for_source(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<(), EngineError> {
        self.wait_until_ended(name, timeout).await.map_err(Into::into)
    }

    async fn frame_image(&self, source: &str, frame_number: i64) -> Result<Bytes, EngineError> {
        let running = self.source(source).map_err(EngineError::from)?;
        match self.frames.get(source, frame_number).await {
            Err(StoreError::NotFound { .. }) if running.spec.is_replayable() => {
                let quality = running.spec.options.jpeg_quality;
                let again = move || decode_again(&running.spec, frame_number, quality);
                self.blocking(again).await.map_err(Into::into)
            }
            kept => kept.map_err(|error| Error::from(error).into()),
        }
    }

    fn sources(&self) -> Vec<SourceInfo> {
        self.all_sources().iter().map(|source| source.info()).collect()
    }

    fn source_faults(&self) -> Vec<SourceFault> {
        let sources = self.all_sources();
        sources.iter().flat_map(|source| source.faults().rows(&source.spec.name)).collect()
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.model_infos()
    }

    async fn create_model(&self, model: CreateModel) -> Result<(), EngineError> {
        let engine = self.this.upgrade().ok_or_else(stopping)?;
        let made = self.blocking(move || engine.create_model_blocking(&model)).await;
        made.map_err(Into::into)
    }

    async fn drop_model(&self, name: &str) -> Result<(), EngineError> {
        let (engine, name) = (self.this.upgrade().ok_or_else(stopping)?, name.to_owned());
        self.blocking(move || engine.drop_model_blocking(&name)).await.map_err(Into::into)
    }

    fn model_metrics(&self) -> Vec<ModelMetrics> {
        self.service.loaded().iter().map(metrics).collect()
    }

    fn operators(&self) -> Vec<OperatorInfo> {
        let workers = self.workers.count();
        let sources = self.all_sources();
        sources
            .iter()
            .flat_map(|source| source.metrics.rows(&source.spec.name, source.owner(workers)))
            .collect()
    }

    fn frontiers(&self, cut: Option<&Cut>) -> Vec<FrontierInfo> {
        let snapshot = self.tables.at(cut);
        snapshot.sources().flat_map(|tables| frontiers(tables)).collect()
    }

    async fn create_index(&self, index: CreateIndex) -> Result<String, EngineError> {
        let indexes = Arc::clone(&self.indexes);
        self.blocking(move || Ok(indexes.create(&index)?)).await.map_err(Into::into)
    }

    async fn drop_index(&self, name: &str) -> Result<(), EngineError> {
        Ok(self.indexes.drop_index(name)?)
    }

    async fn reindex(&self, name: &str) -> Result<(), EngineError> {
        let (indexes, name) = (Arc::clone(&self.indexes), name.to_owned());
        self.blocking(move || Ok(indexes.reindex(&name)?)).await.map_err(Into::into)
    }

    fn indexes(&self) -> Vec<IndexInfo> {
        self.indexes.infos()
    }

    fn index_builds(&self) -> Vec<IndexBuild> {
        self.indexes.builds()
    }

    fn physical_rules(&self) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        vec![Arc::new(UseIndexes { indexes: Arc::clone(&self.indexes) })]
    }

    fn last_physical_rules(&self) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        vec![Arc::new(SortInSearches)]
    }

    fn may_run_again(&self, node: &dyn ExecutionPlan) -> bool {
        is_search(node)
    }

    fn is_short(&self, leaf: &dyn ExecutionPlan) -> bool {
        is_short_search(leaf)
    }

    fn plan_generation(&self) -> u64 {
        self.indexes.generation()
    }

    fn model_calls(&self) -> Arc<dyn ModelCalls> {
        let default_embedder = self.config.defaults.embedder.clone();
        Arc::new(EngineCalls::new(Arc::clone(&self.service), default_embedder))
    }
}

pub(super) fn stopping() -> Error {
    Error::Thread("the engine is stopping".to_owned())
}

fn frontiers(tables: &SourceTables) -> impl Iterator<Item = FrontierInfo> {
    StandardTable::ALL.into_iter().map(|table| {
        let progress = match table {
            StandardTable::Frames | StandardTable::Detections | StandardTable::Tracks => {
                tables.frame_progress
            }
            StandardTable::Captions | StandardTable::Embeddings => tables.caption_progress,
        };
        let Progress { tick, last_frame } = progress;
        FrontierInfo {
            source: tables.context.source.clone(),
            table: table.name().to_owned(),
            tick: tick.and_then(|tick| i64::try_from(tick).ok()),
            frame_number: last_frame.map(|(frame_number, _)| frame_number),
            ts_micros: last_frame.map(|(_, ts_micros)| ts_micros),
        }
    })
}

/// Reads a frame that was not kept from its video again.
fn decode_again(spec: &SourceSpec, frame_number: i64, quality: u8) -> Result<Bytes, Error> {
    match decode::read_frame(spec, frame_number)? {
        Some(frame) => Ok(encode_jpeg(&frame.image, quality)?),
        None => Err(Error::NoSuchFrame { name: spec.name.clone(), frame_number }),
    }
}
