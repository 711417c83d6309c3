//! `hybrid_search(table, text [, k [, model]])`: what means nearly the same as a text and what has its words,
//! fused by the reciprocals of their ranks (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion
//! Outperforms Condorcet and Individual Rank Learning Methods", SIGIR 2009).

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, JoinType};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, col, lit, when,
};
use vigil_udfs::{Example, FunctionDoc};

use super::arguments::{Arguments, refused};
use super::text_matches::{SCORE, TextMatches};
use super::vector_search::{DEFAULT_ROWS, MAX_ROWS, nearest};
use crate::Engine;
use crate::access::VisibleTable;
use crate::catalog::StandardTable;

pub(super) static DOC: FunctionDoc = FunctionDoc {
    name: "hybrid_search",
    section: "Search",
    syntax: &["hybrid_search(table, text [, k [, model]]) → rows"],
    description: "The rows of `captions` that match a text best by meaning and by words together, best first: all columns of the table, then `score`, `rank` from 1, `vector_rank` and `distance` (NULL for a row that is not among the 100 nearest), `text_rank` and `text_score` (NULL for a row that is not among the 100 with the best words). `score` is the sum of `1 / (60 + rank)` over the two ranks. Words are compared in lower case and without the ending of a plural, and scored by BM25 over the rows of the moment. It is used like a table, in `FROM`. `k` is 10 without it and 100 at most. To rank the answer again by a cross-encoder, `ORDER BY rerank('text', caption, 'model') DESC`.",
    arguments: &[
        ("table", "`captions`, a constant text"),
        ("text", "what to search for, a constant text or a parameter; `model` embeds it"),
        ("k", "how many rows, a constant or a parameter from 1 to 100"),
        (
            "model",
            "an embedder, a constant text: by meaning, rows of that model alone are searched. Without it the default one, and rows of others are an error",
        ),
    ],
    examples: &[Example {
        sql: "SELECT count(*) <= 5 FROM hybrid_search('captions', 'a red truck', 5)",
        result: "t",
    }],
};

const CALL: &str = "Call it as hybrid_search('captions', 'a red truck', 10).";

/// Rows of either kind that are fused.
const CANDIDATES: usize = 100;

/// What is added to a rank before its reciprocal is taken, as in the paper.
const K: f64 = 60.0;

/// The function over the tables of an engine.
#[derive(Debug)]
pub(super) struct HybridSearch {
    pub(super) engine: Arc<dyn Engine>,
}

fn ranked(plan: LogicalPlanBuilder, by: Vec<SortExpr>, name: &str) -> Result<LogicalPlanBuilder> {
    plan.window(vec![row_number().order_by(by).build()?.alias(name)])
}

impl HybridSearch {
    fn plan(&self, values: &[Expr]) -> Result<LogicalPlan> {
        let arguments = Arguments { function: DOC.name, call: CALL, values };
        arguments.at_most(4)?;
        let name = arguments.needed_text(0, "a table")?;
        let words = arguments.needed_text(1, "a text")?;
        let table = StandardTable::Captions;
        if name != table.name() {
            return Err(refused(
                format!("table \"{name}\" has no texts with vectors"),
                "The table with texts and their vectors is captions.",
            ));
        }
        let rows = arguments.rows(2, DEFAULT_ROWS, MAX_ROWS)?;
        let key = ["source", "frame_number"];
        let by_key = || key.map(|name| col(name).sort(true, false));

        let model = arguments.text(3, "the model")?;
        let of_text = (words, model);
        let by_meaning = nearest(&self.engine, table, of_text, "cosine_distance", CANDIDATES)?
            .filter(col("distance").is_not_null())?;
        let order = std::iter::once(col("distance").sort(true, false)).chain(by_key());
        let by_meaning = ranked(by_meaning, order.collect(), "vector_rank")?.alias("v")?;

        let visible = Arc::new(VisibleTable::new(table, self.engine.table(table)));
        let matches = TextMatches::new(visible, "caption", words)?;
        let best_first =
            || std::iter::once(col(SCORE).sort(false, false)).chain(by_key()).collect::<Vec<_>>();
        let by_words =
            LogicalPlanBuilder::scan("matches", provider_as_source(Arc::new(matches)), None)?
                .sort(best_first())?
                .limit(0, Some(CANDIDATES))?;
        let by_words = ranked(by_words, best_first(), "text_rank")?.alias("t")?;

        let side = |side: &str, name: &str| Expr::Column(Column::new(Some(side), name));
        let keys = |side: &str| key.map(|name| Column::new(Some(side), name)).to_vec();
        let both =
            by_meaning.join(by_words.build()?, JoinType::Full, (keys("v"), keys("t")), None)?;

        let schema = table.schema();
        let mut columns = Vec::new();
        for field in schema.fields() {
            let value = when(side("v", "source").is_null(), side("t", field.name()))
                .otherwise(side("v", field.name()))?;
            let metadata = FieldMetadata::from(field.as_ref());
            columns.push(value.alias_with_metadata(field.name(), Some(metadata)));
        }
        let part = |rank: Expr| {
            when(rank.clone().is_null(), lit(0.0)).otherwise(lit(1.0) / (lit(K) + rank))
        };
        let score = part(side("v", "vector_rank"))? + part(side("t", "text_rank"))?;
        columns.push(score.alias("score"));
        for (of, name) in
            [("v", "vector_rank"), ("v", "distance"), ("t", "text_rank"), ("t", SCORE)]
        {
            columns.push(side(of, name).alias(name));
        }
        let best_first =
            || std::iter::once(col("score").sort(false, false)).chain(by_key()).collect::<Vec<_>>();
        let best = both.project(columns)?.sort(best_first())?.limit(0, Some(rows))?;
        let best = ranked(best, best_first(), "rank")?;
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let names = names.chain(["score", "rank", "vector_rank", "distance", "text_rank", SCORE]);
        let names: Vec<Expr> = names.map(col).collect();
        best.project(names)?.sort(vec![col("rank").sort(true, false)])?.build()
    }
}

impl TableFunctionImpl for HybridSearch {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(ViewTable::new(self.plan(arguments.exprs())?, None)))
    }
}
