//! Planning that can be stopped: DataFusion's rules, each of which asks whether the statement is still wanted
//! before it looks at a node, or at the whole plan where it walks through that itself.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::analyzer::Analyzer;
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};

use super::check;

/// DataFusion's rules of optimisation.
pub(crate) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let rules = Optimizer::new().rules.into_iter();
    rules.map(|rule| Arc::new(Asking(rule)) as _).collect()
}

/// DataFusion's rules of analysis.
pub(crate) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let rules = Analyzer::new().rules.into_iter();
    rules.map(|rule| Arc::new(Asking(rule)) as _).collect()
}

#[derive(Debug)]
struct Asking<R>(R);

impl OptimizerRule for Asking<Arc<dyn OptimizerRule + Send + Sync>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        check()?;
        self.0.rewrite(plan, config)
    }
}

impl AnalyzerRule for Asking<Arc<dyn AnalyzerRule + Send + Sync>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        check()?;
        self.0.analyze(plan, config)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::optimizer::OptimizerContext;

    use super::super::{Entered, Interrupt};
    use super::*;
    use crate::SqlError;

    #[test]
    fn a_statement_that_is_stopped_is_not_planned_on() {
        let plan = || LogicalPlanBuilder::empty(false).build().expect("is a plan");
        let optimized = || {
            let optimizer = Optimizer::with_rules(optimizer_rules());
            optimizer.optimize(plan(), &OptimizerContext::new(), |_, _| ())
        };
        let analyzed = || {
            let analyzer = Analyzer::with_rules(analyzer_rules());
            analyzer.execute_and_check(plan(), &ConfigOptions::default(), |_, _| ())
        };
        let interrupt = Interrupt::new(None);
        let _entered = Entered::new(Some(Arc::clone(&interrupt)));
        optimized().expect("is wanted");
        analyzed().expect("is wanted");
        interrupt.stop();
        for outcome in [optimized(), analyzed()] {
            let error = SqlError::from(outcome.expect_err("is stopped"));
            assert_eq!(error.sqlstate(), "57014", "{error}");
        }
    }
}
