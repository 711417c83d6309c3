//! What the table providers put into plans: a scan that [`super::plan`] may replace.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use vigil_sql::SearchSettings;
use vigil_sql::catalog::StandardTable;

use crate::tables::Tables;

/// A scan that an index may take the place of; it is in no plan that runs.
#[derive(Debug)]
pub struct IndexableScan {
    /// The scan without an index.
    pub scan: Arc<dyn ExecutionPlan>,
    /// The table.
    pub table: StandardTable,
    /// The columns that are read; `None` is all.
    pub projection: Option<Vec<usize>>,
    /// Where a search finds what its query sees.
    pub tables: Arc<Tables>,
    /// How the session wants to search.
    pub settings: SearchSettings,
}

impl DisplayAs for IndexableScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "IndexableScan: table={}", self.table)
    }
}

impl ExecutionPlan for IndexableScan {
    fn name(&self) -> &'static str {
        "IndexableScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.scan.execute(partition, context)
    }
}
