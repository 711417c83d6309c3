//! `EXPLAIN`: DataFusion's plan as PostgreSQL shows plans, a column `QUERY PLAN` with a row a line.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{DescribeAlias, Expr, Statement, UtilityOption, Value};
use futures::TryStreamExt;
use serde_json::{Map, Value as Json};

use super::Session;
use crate::SqlError;

static SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, false)])));

static JSON_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = vigil_udfs::json::json_field(Field::new("QUERY PLAN", DataType::Utf8, false));
    Arc::new(Schema::new(vec![field]))
});

/// The one column.
pub(super) fn schema(detail: Detail) -> SchemaRef {
    Arc::clone(if detail == Detail::Json { &JSON_SCHEMA } else { &SCHEMA })
}

/// How much of the planning is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// The plan that runs.
    Physical,
    /// Every step from the statement to that plan.
    Verbose,
    /// The plan that runs, as JSON.
    Json,
}

/// `EXPLAIN (ANALYZE, VERBOSE) …` as the `EXPLAIN ANALYZE VERBOSE …` that DataFusion knows.
pub(super) fn normalise(statement: Statement) -> Result<(Statement, Detail), SqlError> {
    let Statement::Explain { mut analyze, mut verbose, statement, options, .. } = statement else {
        return Ok((statement, Detail::Physical));
    };
    let mut is_json = false;
    for option in options.iter().flatten() {
        match option.name.value.to_ascii_lowercase().as_str() {
            "analyze" => analyze = is_on(option),
            "verbose" => verbose = is_on(option),
            "costs" | "buffers" | "timing" | "summary" | "settings" | "wal" | "memory" => {}
            "format" if is_format(option, "text") => is_json = false,
            "format" if is_format(option, "json") => is_json = true,
            name => {
                return Err(SqlError::Unsupported {
                    what: format!("EXPLAIN option \"{name}\" with this value"),
                    hint: Some(
                        "EXPLAIN takes ANALYZE, VERBOSE and the formats TEXT and JSON.".into(),
                    ),
                });
            }
        }
    }
    let detail = match (is_json, verbose) {
        (true, _) => Detail::Json,
        (false, true) => Detail::Verbose,
        (false, false) => Detail::Physical,
    };
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

fn is_format(option: &UtilityOption, format: &str) -> bool {
    match &option.arg {
        Some(Expr::Identifier(word)) => word.value.eq_ignore_ascii_case(format),
        Some(Expr::Value(value)) => {
            matches!(&value.value, Value::SingleQuotedString(text) if text.eq_ignore_ascii_case(format))
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
                let show = match detail {
                    Detail::Physical | Detail::Json => shortened,
                    Detail::Verbose => str::to_owned,
                };
                lines.extend(plan.trim_end().lines().map(show));
            }
        }
        if detail == Detail::Json {
            lines = vec![as_json(&lines)];
        }
        let column = Arc::new(StringArray::from(lines));
        Ok(RecordBatch::try_new(schema(detail), vec![column]).map_err(DataFusionError::from)?)
    }
}

/// The lines of a plan as PostgreSQL's tree: `[{"Plan": {"Node Type": …, "Plans": […]}}]`.
fn as_json(lines: &[String]) -> String {
    let depth = |line: &str| (line.len() - line.trim_start().len()) / SPACES_A_LEVEL;
    let mut nodes: Vec<(usize, Map<String, Json>)> = Vec::new();
    // A node is done when one comes that is not deeper, and then belongs to the one before it.
    let close = |nodes: &mut Vec<(usize, Map<String, Json>)>| {
        let Some((_, done)) = nodes.pop() else { return };
        if let Some((_, above)) = nodes.last_mut()
            && let Json::Array(plans) =
                above.entry("Plans").or_insert_with(|| Json::Array(Vec::new()))
        {
            plans.push(Json::Object(done));
        }
    };
    for line in lines {
        let level = depth(line);
        while nodes.len() > 1 && nodes.last().is_some_and(|(above, _)| *above >= level) {
            close(&mut nodes);
        }
        let line = line.trim();
        let end = line.find([':', ',']).unwrap_or(line.len());
        let (kind, detail) = (&line[..end], line[end..].trim_start_matches([':', ',', ' ']));
        let mut node = Map::new();
        node.insert("Node Type".into(), kind.into());
        if !detail.is_empty() {
            node.insert("Detail".into(), detail.into());
        }
        nodes.push((level, node));
    }
    while nodes.len() > 1 {
        close(&mut nodes);
    }
    let plan = nodes.pop().map_or(Json::Null, |(_, node)| Json::Object(node));
    format!("{:#}", serde_json::json!([{ "Plan": plan }]))
}

/// How far a line of a plan is moved in below the one above.
const SPACES_A_LEVEL: usize = 2;

/// Numbers of a list that a plan shows; a vector of hundreds would bury the plan.
const SHOWN_NUMBERS: usize = 3;

/// A line of a plan with the literal vectors in it cut short: `[0.1, 0.2, 0.3, … 384 numbers]`.
fn shortened(line: &str) -> String {
    let mut short = String::with_capacity(line.len().min(256));
    let mut rest = line;
    while let Some(start) = rest.find('[') {
        let list = rest[start + 1..].find(['[', ']']).map(|length| &rest[start + 1..][..length]);
        let numbers: Vec<&str> = list.unwrap_or_default().split(", ").collect();
        let is_vector = numbers.len() > 2 * SHOWN_NUMBERS
            && numbers.iter().all(|number| number.parse::<f64>().is_ok());
        let taken = if is_vector {
            let shown = numbers[..SHOWN_NUMBERS].join(", ");
            short.push_str(&rest[..=start]);
            short.push_str(&format!("{shown}, … {} numbers", numbers.len()));
            start + 1 + list.map_or(0, str::len)
        } else {
            short.push_str(&rest[..=start]);
            start + 1
        };
        rest = &rest[taken..];
    }
    short.push_str(rest);
    short
}

#[cfg(test)]
mod tests {
    use super::{as_json, shortened};

    #[test]
    fn lines_are_a_tree() {
        let lines = ["A: x=1", "  B", "    C, metrics=[]", "  D"].map(str::to_owned);
        let plan: serde_json::Value = serde_json::from_str(&as_json(&lines)).expect("is JSON");
        let expected = serde_json::json!([{ "Plan": {
            "Node Type": "A",
            "Detail": "x=1",
            "Plans": [
                { "Node Type": "B", "Plans": [{ "Node Type": "C", "Detail": "metrics=[]" }] },
                { "Node Type": "D" },
            ],
        } }]);
        assert_eq!(plan, expected);
    }

    #[test]
    fn vectors_are_cut_short_and_nothing_else_is() {
        let vector = (0..384).map(|n| format!("{n}.5")).collect::<Vec<_>>().join(", ");
        assert_eq!(
            shortened(&format!("SortExec: expr=[distance(embedding@2, [{vector}]) ASC], x=[1, 2]")),
            "SortExec: expr=[distance(embedding@2, [0.5, 1.5, 2.5, … 384 numbers]) ASC], x=[1, 2]",
        );
        let plain = "ProjectionExec: expr=[a@0 as a, b[1] as b], sizes=[1, 2, 3";
        assert_eq!(shortened(plain), plain);
    }
}
