//! `vector_search(table, text [, k [, similarity_threshold [, metric [, model]]]])`: the rows of a table that
//! mean nearly the same as a text.

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, col, lit};
use vigil_udfs::{Example, FunctionDoc};

use super::arguments::{Arguments, refused};
use crate::Engine;
use crate::access::VisibleTable;
use crate::catalog::StandardTable;

pub(super) static DOC: FunctionDoc = FunctionDoc {
    name: "vector_search",
    section: "Search",
    syntax: &[
        "vector_search(table, text [, k [, similarity_threshold [, metric [, model]]]]) → rows",
    ],
    description: "The rows of `captions` or `embeddings` whose vectors are nearest to that of a text, nearest first: all columns of the table, then `distance` and `rank`, from 1. It is used like a table, in `FROM`. `k` is 10 without it and 100 at most. A `similarity_threshold` leaves out rows whose cosine similarity, one minus the distance, is below it. The metric is `cosine`, `euclidean` or `manhattan`. Arguments may have their names: `similarity_threshold => 0.7`.",
    arguments: &[
        ("table", "`captions` or `embeddings`, a constant text"),
        ("text", "what to search for, a constant text or a parameter; `model` embeds it"),
        ("k", "how many rows, a constant or a parameter from 1 to 100"),
        (
            "similarity_threshold",
            "-1..1, a constant or a parameter, or NULL; with the metric `cosine` alone",
        ),
        ("metric", "`cosine`, `euclidean` or `manhattan`, a constant text"),
        (
            "model",
            "an embedder, a constant text: rows of that model alone are searched. Without it the default one, and rows of others are an error",
        ),
    ],
    examples: &[Example {
        sql: "SELECT count(*) <= 5 FROM vector_search('captions', 'a red truck', 5)",
        result: "t",
    }],
};

/// Rows without `k`.
pub(super) const DEFAULT_ROWS: usize = 10;
/// The most rows.
pub(super) const MAX_ROWS: usize = 100;

/// The function over the tables of an engine.
#[derive(Debug)]
pub(super) struct VectorSearch {
    pub(super) engine: Arc<dyn Engine>,
}

const CALL: &str = "Call it as vector_search('captions', 'a red truck', 10).";

impl VectorSearch {
    fn plan(&self, values: &[Expr]) -> Result<LogicalPlan> {
        let arguments = Arguments { function: DOC.name, call: CALL, values };
        arguments.at_most(6)?;
        let name = arguments.needed_text(0, "a table")?;
        let words = arguments.needed_text(1, "a text")?;
        let table = [StandardTable::Captions, StandardTable::Embeddings]
            .into_iter()
            .find(|table| table.name() == name)
            .ok_or_else(|| {
                refused(
                    format!("table \"{name}\" has no vectors"),
                    "The tables with vectors are captions and embeddings.",
                )
            })?;
        let rows = arguments.rows(2, DEFAULT_ROWS, MAX_ROWS)?;
        let metric = arguments.text(4, "the metric")?.unwrap_or("cosine").to_ascii_lowercase();
        let function = match metric.as_str() {
            "cosine" => "cosine_distance",
            "euclidean" => "l2_distance",
            "manhattan" => "l1_distance",
            other => {
                return Err(refused(
                    format!("unknown metric \"{other}\""),
                    "The metrics are cosine, euclidean and manhattan.",
                ));
            }
        };
        let threshold = arguments.similarity(3)?;
        if threshold.is_some() && metric != "cosine" {
            return Err(refused(
                "a similarity threshold needs the metric cosine",
                "Write WHERE distance < … around the function instead.",
            ));
        }
        let model = arguments.text(5, "the model")?;
        let nearest = nearest(&self.engine, table, (words, model), function, rows)?;
        let nearest = match threshold {
            None => nearest,
            Some(threshold) => nearest.filter(col("distance").lt_eq(lit(1.0 - threshold)))?,
        };
        let rank = row_number().order_by(vec![col("distance").sort(true, false)]).build()?;
        nearest.window(vec![rank.alias("rank")])?.sort(vec![col("rank").sort(true, false)])?.build()
    }
}

/// The `rows` rows of a table that are nearest to a text by a function, with their `distance`; those of a model
/// alone where one is named.
pub(super) fn nearest(
    engine: &Arc<dyn Engine>,
    table: StandardTable,
    (words, model): (&str, Option<&str>),
    function_name: &str,
    rows: usize,
) -> Result<LogicalPlanBuilder> {
    let functions = vigil_udfs::functions(engine.model_calls());
    let function = |name: &str| {
        let found = functions.iter().find(|function| function.name() == name);
        found.ok_or_else(|| DataFusionError::Internal(format!("{name} is not there")))
    };
    let text = std::iter::once(words).chain(model).map(lit).collect();
    let query = function("embed")?.call(text);
    let distance = function(function_name)?.call(vec![col("embedding"), query]);
    let schema = table.schema();
    let columns: Vec<Expr> = schema.fields().iter().map(|field| col(field.name())).collect();
    let mut plan = LogicalPlanBuilder::scan(
        table.name(),
        provider_as_source(Arc::new(VisibleTable::new(table, engine.table(table)))),
        None,
    )?;
    // Those of appearances come from another model.
    if table == StandardTable::Embeddings {
        plan = plan.filter(col("kind").eq(lit("caption")))?;
    }
    if let Some(model) = model {
        let id = engine.model_calls().model_id(Some(model));
        let id = id.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let of_model = if table == StandardTable::Embeddings { "model" } else { "embedder" };
        plan = plan.filter(col(of_model).eq(lit(id)))?;
    }
    // A limit of its own: one within the sort would let a condition above it through.
    plan.sort(vec![distance.clone().sort(true, false)])?
        .limit(0, Some(rows))?
        .project(columns.into_iter().chain([distance.alias("distance")]))
}

impl TableFunctionImpl for VectorSearch {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(ViewTable::new(self.plan(arguments.exprs())?, None)))
    }
}
