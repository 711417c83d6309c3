//! The engine as a session sees it: sources that it may not see are not there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use super::Access;
use crate::catalog::StandardTable;
use crate::catalog::system::SYSTEM_SCHEMA;
use crate::database::DEFAULT_SCHEMA;
use crate::roles::Rows;
use crate::{
    CreateIndex, CreateModel, CreateSource, Cut, Engine, EngineError, FrontierInfo, IndexBuild,
    IndexInfo, ModelInfo, ModelMetrics, OperatorInfo, SourceFault, SourceInfo, SqlError,
};

/// An engine behind what a session may see.
#[derive(Clone, Debug)]
pub(crate) struct VisibleEngine {
    inner: Arc<dyn Engine>,
    access: Arc<Access>,
    /// The system table that asks; statements ask without one.
    asking: Option<&'static str>,
}

impl VisibleEngine {
    /// As statements and functions see it.
    pub(crate) fn new(inner: Arc<dyn Engine>, access: Arc<Access>) -> Self {
        Self { inner, access, asking: None }
    }

    /// As a system table sees it.
    pub(crate) fn for_table(
        inner: Arc<dyn Engine>,
        access: Arc<Access>,
        table: &'static str,
    ) -> Self {
        Self { inner, access, asking: Some(table) }
    }

    /// The rows of a system table; nobody who may see none of them comes here, and if so, sees
    /// none.
    fn rows_of(&self, table: &str) -> Rows {
        let rows = self.access.rows_of(SYSTEM_SCHEMA, self.asking.unwrap_or(table));
        rows.unwrap_or(Rows::OfSources(Default::default()))
    }

    fn may_operate(&self, action: &str, what: Operated) -> Result<(), EngineError> {
        if self.access.privileges().map_err(as_engine_error)?.is_operator {
            return Ok(());
        }
        let (kind, detail) = match what {
            Operated::Source => {
                ("source", "Only members of vigil_operator may register and drop sources.")
            }
            Operated::Index => {
                ("index", "Only members of vigil_operator may make, build and drop indexes.")
            }
            Operated::Model => {
                ("model", "Only members of vigil_operator may register and drop models.")
            }
        };
        Err(EngineError {
            sqlstate: "42501",
            message: format!("permission denied to {action} {kind}"),
            detail: Some(detail.into()),
            hint: None,
        })
    }

    /// A source that is hidden is told of as one that does not exist.
    fn may_see(&self, rows: &Rows, source: &str) -> Result<(), EngineError> {
        if rows.has(source) {
            return Ok(());
        }
        Err(EngineError {
            sqlstate: "42704",
            message: format!("source \"{source}\" does not exist"),
            detail: None,
            hint: None,
        })
    }
}

/// What only operators make and remove.
#[derive(Clone, Copy, Debug)]
enum Operated {
    Source,
    Index,
    Model,
}

fn as_engine_error(error: SqlError) -> EngineError {
    EngineError {
        sqlstate: error.sqlstate(),
        message: error.to_string(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint(),
    }
}

#[async_trait]
impl Engine for VisibleEngine {
    fn cut(&self) -> Cut {
        self.inner.cut()
    }

    fn table(&self, table: StandardTable) -> Arc<dyn TableProvider> {
        self.inner.table(table)
    }

    async fn create_source(&self, source: CreateSource) -> Result<(), EngineError> {
        self.may_operate("create", Operated::Source)?;
        self.inner.create_source(source).await
    }

    async fn drop_source(&self, name: &str) -> Result<(), EngineError> {
        self.may_operate("drop", Operated::Source)?;
        self.inner.drop_source(name).await?;
        self.access.forget_source(name).map_err(as_engine_error)
    }

    async fn wait_for_source(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<(), EngineError> {
        self.may_see(&self.rows_of("sources"), name)?;
        self.inner.wait_for_source(name, timeout).await
    }

    async fn frame_image(&self, source: &str, frame_number: i64) -> Result<Bytes, EngineError> {
        let frames = StandardTable::Frames.name();
        let rows = self.access.rows_of(DEFAULT_SCHEMA, frames).map_err(as_engine_error)?;
        self.may_see(&rows, source)?;
        // Numbers about frames are one thing and what they show another.
        if !self.access.privileges().map_err(as_engine_error)?.may_see_pictures_of(source) {
            return Err(EngineError {
                sqlstate: "42501",
                message: format!("permission denied for pictures of source \"{source}\""),
                detail: Some("A grant on the table frames alone gives no pictures.".into()),
                hint: Some(format!("A member of vigil_admin can GRANT SELECT ON SOURCE {source}.")),
            });
        }
        self.inner.frame_image(source, frame_number).await
    }

    fn sources(&self) -> Vec<SourceInfo> {
        let rows = self.rows_of("sources");
        self.inner.sources().into_iter().filter(|source| rows.has(&source.name)).collect()
    }

    fn source_faults(&self) -> Vec<SourceFault> {
        let rows = self.rows_of("source_errors");
        self.inner.source_faults().into_iter().filter(|fault| rows.has(&fault.source)).collect()
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.inner.models()
    }

    async fn create_model(&self, model: CreateModel) -> Result<(), EngineError> {
        self.may_operate("create", Operated::Model)?;
        self.inner.create_model(model).await
    }

    async fn drop_model(&self, name: &str) -> Result<(), EngineError> {
        self.may_operate("drop", Operated::Model)?;
        self.inner.drop_model(name).await
    }

    /// The numbers of a model add up over all sources: whoever may not see all of them sees none.
    fn model_metrics(&self) -> Vec<ModelMetrics> {
        match self.rows_of("model_metrics") {
            Rows::All => self.inner.model_metrics(),
            Rows::OfSources(_) => Vec::new(),
        }
    }

    fn operators(&self) -> Vec<OperatorInfo> {
        let rows = self.rows_of("operators");
        self.inner.operators().into_iter().filter(|row| rows.has(&row.source)).collect()
    }

    fn frontiers(&self, cut: Option<&Cut>) -> Vec<FrontierInfo> {
        let rows = self.rows_of("frontiers");
        self.inner.frontiers(cut).into_iter().filter(|row| rows.has(&row.source)).collect()
    }

    async fn create_index(&self, index: CreateIndex) -> Result<String, EngineError> {
        self.may_operate("create", Operated::Index)?;
        self.inner.create_index(index).await
    }

    async fn drop_index(&self, name: &str) -> Result<(), EngineError> {
        self.may_operate("drop", Operated::Index)?;
        self.inner.drop_index(name).await
    }

    async fn reindex(&self, name: &str) -> Result<(), EngineError> {
        self.may_operate("rebuild", Operated::Index)?;
        self.inner.reindex(name).await
    }

    /// An index is over all sources, and its numbers tell of all: whoever may not see all of them
    /// sees no index.
    fn indexes(&self) -> Vec<IndexInfo> {
        match self.rows_of("indexes") {
            Rows::All => self.inner.indexes(),
            Rows::OfSources(_) => Vec::new(),
        }
    }

    fn index_builds(&self) -> Vec<IndexBuild> {
        match self.rows_of("indexes") {
            Rows::All => self.inner.index_builds(),
            Rows::OfSources(_) => Vec::new(),
        }
    }

    fn may_run_again(&self, node: &dyn ExecutionPlan) -> bool {
        self.inner.may_run_again(node)
    }

    fn is_short(&self, leaf: &dyn ExecutionPlan) -> bool {
        self.inner.is_short(leaf)
    }

    fn plan_generation(&self) -> u64 {
        self.inner.plan_generation()
    }

    fn physical_rules(&self) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        self.inner.physical_rules()
    }

    fn last_physical_rules(&self) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        self.inner.last_physical_rules()
    }

    fn model_calls(&self) -> Arc<dyn vigil_udfs::ModelCalls> {
        self.inner.model_calls()
    }
}
