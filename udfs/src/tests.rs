//! Tests of the functions through DataFusion: a session with a model that counts its calls.

mod boxes;
mod casts;
mod distances;
mod embedding;
mod examples;
mod operands;
mod to_char;

use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;
use vigil_models::ModelError;

use crate::vector::tagged;
use crate::{ModelCalls, UdfError};

/// A model whose vectors say what it was given: the text's length, its number of words, and ones.
#[derive(Debug)]
struct CountingModel {
    dimensions: usize,
    calls: Mutex<Vec<Vec<String>>>,
}

impl CountingModel {
    fn new(dimensions: usize) -> Arc<Self> {
        Arc::new(Self { dimensions, calls: Mutex::default() })
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().expect("lock").clone()
    }
}

impl ModelCalls for CountingModel {
    fn embed(&self, model: Option<&str>, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.dimensions(model)?;
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        self.calls.lock().expect("lock").push(texts.clone());
        let vector = |text: &String| {
            let mut vector = vec![1.0; self.dimensions];
            vector[0] = text.len() as f32;
            vector[1] = text.split(' ').count() as f32;
            Arc::from(vector)
        };
        Ok(texts.iter().map(vector).collect())
    }

    fn dimensions(&self, model: Option<&str>) -> Result<usize, ModelError> {
        match model {
            None | Some("counting" | "other") => Ok(self.dimensions),
            Some(name) => {
                let nearest = Some("counting".to_owned());
                Err(ModelError::UnknownModel { name: name.to_owned(), nearest })
            }
        }
    }

    /// Whichever text has more of the question's letters.
    fn rerank(&self, model: &str, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        self.dimensions(Some(model))?;
        let score = |text: &&str| text.chars().filter(|letter| question.contains(*letter)).count();
        Ok(texts.iter().map(|text| score(text) as f32).collect())
    }

    fn model_id(&self, model: Option<&str>) -> Result<String, ModelError> {
        self.dimensions(model)?;
        Ok(format!("{}:1", model.unwrap_or("counting")))
    }
}

/// A session as the SQL crate makes it, as far as functions see it.
fn session_with(models: Arc<dyn ModelCalls>) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().set("datafusion.sql_parser.dialect", "postgres").expect("dialect");
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_type_planner(Arc::new(VectorTypes))
        .build();
    crate::register(&mut state, models).expect("register");
    let mut planners = crate::expr_planners();
    planners.extend(state.expr_planners().iter().cloned());
    let state = SessionStateBuilder::new_from_existing(state).with_expr_planners(planners).build();
    SessionContext::new_with_state(state)
}

/// The type `vector`, which the SQL crate plans.
#[derive(Debug)]
struct VectorTypes;

impl TypePlanner for VectorTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        if let ast::DataType::Bit(bits) = sql_type {
            return Ok(Some(Arc::new(crate::bit_field(bits.unwrap_or(1)))));
        }
        if let ast::DataType::BitVarying(most) = sql_type {
            return Ok(Some(Arc::new(crate::varbit_field(*most))));
        }
        let ast::DataType::Custom(name, modifiers) = sql_type else { return Ok(None) };
        let dimensions = modifiers.first().map(|n| n.parse().expect("a number"));
        if name.to_string() == "halfvec" {
            return Ok(Some(Arc::new(crate::halfvec_field(dimensions))));
        }
        Ok(Some(Arc::new(tagged("", dimensions))))
    }
}

fn session() -> SessionContext {
    session_with(CountingModel::new(384))
}

async fn query(session: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    plan(session, sql).await?.collect().await
}

/// The query as the SQL crate reads it, with the operators' tokens joined.
async fn plan(session: &SessionContext, sql: &str) -> Result<DataFrame> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().expect(sql);
    let mut parser =
        Parser::new(&dialect).with_tokens_with_locations(crate::join_operators(tokens));
    let statement = parser.parse_statement().expect(sql);
    let statement = Statement::Statement(Box::new(statement));
    let plan = session.state().statement_to_plan(statement).await?;
    session.execute_logical_plan(plan).await
}

/// The only value of a query, as psql shows it.
async fn value(sql: &str) -> Result<String> {
    let batches = query(&session(), sql).await?;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1, "{sql}");
    let column = batches.iter().find(|batch| batch.num_rows() > 0).expect("a row").column(0);
    Ok(shown(column, 0))
}

/// A value as psql shows it.
fn shown(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    match column.data_type() {
        DataType::Boolean => if column.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::FixedSizeList(item, _) if *item.data_type() == DataType::Boolean => {
            shown_bits(&column.as_fixed_size_list().value(row))
        }
        DataType::LargeList(_) => shown_bits(&column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => shown_vector(&column.as_fixed_size_list().value(row)),
        DataType::List(_) => shown_vector(&column.as_list::<i32>().value(row)),
        _ => {
            let formatter = ArrayFormatter::try_new(column, &FormatOptions::default());
            formatter.expect("displayable").value(row).to_string()
        }
    }
}

fn shown_bits(bits: &ArrayRef) -> String {
    crate::bits_text(bits.as_boolean().values().iter())
}

fn shown_vector(elements: &ArrayRef) -> String {
    let elements = cast(elements, &DataType::Float32).expect("numbers");
    let elements: Vec<String> =
        elements.as_primitive::<Float32Type>().values().iter().map(f32::to_string).collect();
    format!("[{}]", elements.join(","))
}

/// Message and SQLSTATE of the function error that the query ends with.
async fn refusal(sql: &str) -> (String, &'static str) {
    let error = value(sql).await.expect_err(sql);
    match UdfError::find(&error) {
        Some(error) => (error.to_string(), error.sqlstate()),
        None => panic!("{sql}: not an error of a function: {error}"),
    }
}
