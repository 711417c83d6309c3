//! `EXPLAIN`: DataFusion's plan as PostgreSQL shows plans, a column `QUERY PLAN` with a row a line.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{DescribeAlias, Expr, Statement, UtilityOption, Value};
use futures::TryStreamExt;

use super::Session;
use crate::SqlError;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, false)]))
});

/// The one column.
pub(super) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// How much of the planning is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// The plan that runs.
    Physical,
    /// Every step from the statement to that plan.
    Verbose,
}

/// `EXPLAIN (ANALYZE, VERBOSE) …` as the `EXPLAIN ANALYZE VERBOSE …` that DataFusion knows.
pub(super) fn normalise(statement: Statement) -> Result<(Statement, Detail), SqlError> {
    let Statement::Explain { mut analyze, mut verbose, statement, options, .. } = statement else {
        return Ok((statement, Detail::Physical));
    };
    for option in options.iter().flatten() {
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => analyze = is_on(option),
            "verbose" => verbose = is_on(option),
            "costs" | "buffers" | "timing" | "summary" | "settings" | "wal" | "memory" => {}
            "format" if is_text_format(option) => {}
            name => {
                return Err(SqlError::Unsupported {
                    what: format!("EXPLAIN option \"{name}\" with this value"),
                    hint: Some("EXPLAIN takes ANALYZE and VERBOSE.".into()),
                });
            }
        }
    }
    let detail = if verbose { Detail::Verbose } else { Detail::Physical };
    let explain = Statement::Explain {
        describe_alias: DescribeAlias::Explain,
        analyze,
        verbose,
        query_plan: false,
        estimate: false,
        statement,
        format: None,
        options: None,
    };
    Ok((explain, detail))
}

fn is_on(option: &UtilityOption) -> bool {
    match &option.arg {
        None => true,
        Some(value) => {
            !matches!(value.to_string().to_ascii_lowercase().as_str(), "false" | "off" | "0")
        }
    }
}

fn is_text_format(option: &UtilityOption) -> bool {
    match &option.arg {
        Some(Expr::Identifier(word)) => word.value.eq_ignore_ascii_case("text"),
        Some(Expr::Value(value)) => {
            matches!(&value.value, Value::SingleQuotedString(text) if text.eq_ignore_ascii_case("text"))
        }
        _ => false,
    }
}

impl Session {
    /// The lines of DataFusion's explanation.
    pub(super) async fn explain(
        &self,
        plan: LogicalPlan,
        detail: Detail,
        parameters: Vec<ScalarValue>,
    ) -> Result<RecordBatch, SqlError> {
        let batches: Vec<RecordBatch> =
            self.query(plan, &None, parameters).await?.try_collect().await?;
        let mut lines: Vec<String> = Vec::new();
        for batch in &batches {
            let (Some(kinds), Some(plans)) =
                (batch.column(0).as_string_opt::<i32>(), batch.column(1).as_string_opt::<i32>())
            else {
                continue;
            };
            for (kind, plan) in kinds.iter().zip(plans).filter_map(|(kind, plan)| kind.zip(plan)) {
                if detail == Detail::Verbose {
                    lines.push(format!("-- {kind}"));
                } else if !matches!(kind, "physical_plan" | "Plan with Metrics") {
                    continue;
                }
                lines.extend(plan.trim_end().lines().map(str::to_owned));
            }
        }
        let column = Arc::new(StringArray::from(lines));
        Ok(RecordBatch::try_new(schema(), vec![column]).map_err(DataFusionError::from)?)
    }
}
