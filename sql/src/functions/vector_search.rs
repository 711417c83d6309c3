//! `vector_search(table, text [, k [, similarity_threshold [, metric]]])`: the rows of a table that
//! mean nearly the same as a text.

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, ScalarUDF, col, lit,
};
use vigil_udfs::{Example, FunctionDoc};

use crate::access::VisibleTable;
use crate::catalog::StandardTable;
use crate::{Engine, SqlError};

pub(super) static DOC: FunctionDoc = FunctionDoc {
    name: "vector_search",
    section: "Search",
    syntax: &["vector_search(table, text [, k [, similarity_threshold [, metric]]]) → rows"],
    description: "The rows of `captions` or `embeddings` whose vectors are nearest to that of a text, nearest first: all columns of the table, then `distance` and `rank`, from 1. It is used like a table, in `FROM`. `k` is 10 without it and 100 at most. A `similarity_threshold` leaves out rows whose cosine similarity, one minus the distance, is below it. The metric is `cosine`, `euclidean` or `manhattan`.",
    arguments: &[
        ("table", "`captions` or `embeddings`, a constant text"),
        ("text", "what to search for, a constant text; the default embedder embeds it"),
        ("k", "how many rows, a constant from 1 to 100"),
        ("similarity_threshold", "0..1, a constant, or NULL; with the metric `cosine` alone"),
        ("metric", "`cosine`, `euclidean` or `manhattan`, a constant text"),
    ],
    examples: &[Example {
        sql: "SELECT count(*) <= 5 FROM vector_search('captions', 'a red truck', 5)",
        result: "t",
    }],
};

/// Rows without `k`.
const DEFAULT_ROWS: i64 = 10;
/// The most rows.
const MAX_ROWS: i64 = 100;

/// The function over the tables of an engine.
#[derive(Debug)]
pub(super) struct VectorSearch {
    pub(super) engine: Arc<dyn Engine>,
}

fn refused(message: impl Into<String>, hint: &str) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Invalid {
        sqlstate: "22023",
        message: message.into(),
        hint: Some(hint.to_owned()),
        position: None,
    }))
}

fn constant<'a>(arguments: &'a [Expr], at: usize, name: &str) -> Result<Option<&'a ScalarValue>> {
    match arguments.get(at) {
        None => Ok(None),
        Some(Expr::Literal(value, _)) => Ok(Some(value).filter(|value| !value.is_null())),
        Some(_) => Err(refused(
            format!("{name} of vector_search() must be a constant"),
            "Write it as a literal.",
        )),
    }
}

fn text<'a>(arguments: &'a [Expr], at: usize, name: &str) -> Result<Option<&'a str>> {
    match constant(arguments, at, name)? {
        None => Ok(None),
        Some(value) => match value.try_as_str().flatten() {
            Some(text) => Ok(Some(text)),
            None => Err(refused(format!("{name} of vector_search() must be a text"), CALL)),
        },
    }
}

const CALL: &str = "Call it as vector_search('captions', 'a red truck', 10).";

impl VectorSearch {
    fn function(&self, name: &str) -> Result<Arc<ScalarUDF>> {
        let functions = vigil_udfs::functions(self.engine.model_calls());
        functions
            .into_iter()
            .find(|function| function.name() == name)
            .ok_or_else(|| DataFusionError::Internal(format!("{name} is not there")))
    }

    fn plan(&self, arguments: &[Expr]) -> Result<LogicalPlan> {
        if arguments.len() > 5 {
            return Err(refused("vector_search() takes at most five arguments", CALL));
        }
        let name = text(arguments, 0, "the table")?
            .ok_or_else(|| refused("vector_search() needs a table", CALL))?;
        let words = text(arguments, 1, "the text")?
            .ok_or_else(|| refused("vector_search() needs a text", CALL))?;
        let table = [StandardTable::Captions, StandardTable::Embeddings]
            .into_iter()
            .find(|table| table.name() == name)
            .ok_or_else(|| {
                refused(
                    format!("table \"{name}\" has no vectors"),
                    "The tables with vectors are captions and embeddings.",
                )
            })?;
        let rows = match constant(arguments, 2, "k")? {
            None => DEFAULT_ROWS,
            Some(value) => match value {
                ScalarValue::Int64(Some(rows)) if (1..=MAX_ROWS).contains(rows) => *rows,
                other => {
                    return Err(refused(
                        format!("vector_search() cannot give {other} rows"),
                        "It gives from 1 to 100 rows; ORDER BY embedding <=> embed(…) LIMIT n gives any number.",
                    ));
                }
            },
        };
        let metric = text(arguments, 4, "the metric")?.unwrap_or("cosine");
        let function = match metric {
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
        let threshold = match constant(arguments, 3, "the similarity threshold")? {
            None => None,
            Some(value) => match value.cast_to(&arrow::datatypes::DataType::Float64)? {
                ScalarValue::Float64(Some(value)) if (-1.0..=1.0).contains(&value) => Some(value),
                _ => {
                    return Err(refused(
                        "the similarity threshold is out of range",
                        "It lies between -1 and 1.",
                    ));
                }
            },
        };
        if threshold.is_some() && metric != "cosine" {
            return Err(refused(
                "a similarity threshold needs the metric cosine",
                "Write WHERE distance < … around the function instead.",
            ));
        }
        let query = self.function("embed")?.call(vec![lit(words)]);
        let distance = self.function(function)?.call(vec![col("embedding"), query]);
        let schema = table.schema();
        let columns: Vec<Expr> = schema.fields().iter().map(|field| col(field.name())).collect();
        let mut plan = LogicalPlanBuilder::scan(
            table.name(),
            provider_as_source(Arc::new(VisibleTable::new(table, self.engine.table(table)))),
            None,
        )?;
        // Vectors of other lengths come from other models.
        if table == StandardTable::Embeddings {
            plan = plan.filter(col("kind").eq(lit("caption")))?;
        }
        let nearest = plan
            .sort_with_limit(vec![distance.clone().sort(true, false)], usize::try_from(rows).ok())?
            .project(columns.iter().cloned().chain([distance.alias("distance")]))?;
        let nearest = match threshold {
            None => nearest,
            Some(threshold) => nearest.filter(col("distance").lt_eq(lit(1.0 - threshold)))?,
        };
        let rank = row_number().order_by(vec![col("distance").sort(true, false)]).build()?;
        nearest.window(vec![rank.alias("rank")])?.sort(vec![col("rank").sort(true, false)])?.build()
    }
}

impl TableFunctionImpl for VectorSearch {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(ViewTable::new(self.plan(arguments.exprs())?, None)))
    }
}
