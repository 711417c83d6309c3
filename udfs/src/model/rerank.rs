//! `rerank`: how well a text answers a question, by a cross-encoder.
//!
//! It is for the few rows that a search has found: each costs a run of the network. The texts of a
//! batch that have the same question go to the model together.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use vigil_models::ModelError;

use crate::ModelCalls;
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;
use crate::vector::field_type_names;

static DOC: FunctionDoc = FunctionDoc {
    name: "rerank",
    section: super::SECTION,
    syntax: &["rerank(question, text, model) → float8"],
    description: "How well a text answers a question, by a network that reads both together (a model of the task `reranker`): the greater the better, on the model's own scale. It is for the rows that a search has found, such as `SELECT * FROM hybrid_search('captions', 'a red truck', 50) ORDER BY rerank('a red truck', caption, 'model') DESC LIMIT 10`.",
    arguments: &[
        ("question", "what is searched for"),
        ("text", "a text that was found"),
        ("model", "name of a reranker in `vigil_catalog.models`, a constant"),
    ],
    examples: &[Example { sql: "SELECT rerank('a dog', NULL, 'none')", result: "" }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |models| {
        let signature = Signature::user_defined(Volatility::Stable);
        ScalarUDF::from(Rerank { signature, models: Arc::clone(models) })
    })
}

#[derive(Debug)]
struct Rerank {
    signature: Signature,
    models: Arc<dyn ModelCalls>,
}

impl PartialEq for Rerank {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.models, &other.models)
    }
}

impl Eq for Rerank {}

impl Hash for Rerank {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.models).cast::<()>().hash(state);
    }
}

impl ScalarUDFImpl for Rerank {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let text = |field: &FieldRef| field.data_type().is_string() || field.data_type().is_null();
        if args.arg_fields.len() != 3 || !args.arg_fields.iter().all(text) {
            let arguments = field_type_names(args.arg_fields);
            return Err(UdfError::NoFunction { function: DOC.name, arguments }.into());
        }
        if !matches!(args.scalar_arguments, [_, _, Some(_)]) {
            return Err(UdfError::ModelNotConstant { function: DOC.name }.into());
        }
        Ok(Arc::new(Field::new(DOC.name, DataType::Float64, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [question, text, ColumnarValue::Scalar(model)] = args.args.as_slice() else {
            return internal_err!("{} takes two texts and a model", DOC.name);
        };
        let texts = |value: &ColumnarValue| -> Result<ArrayRef> {
            Ok(cast(&value.to_array(rows)?, &DataType::Utf8)?)
        };
        let (questions, texts) = (texts(question)?, texts(text)?);
        let model = model.try_as_str().flatten();
        let mut by_question: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        let pairs = questions.as_string::<i32>().iter().zip(texts.as_string::<i32>());
        for (row, pair) in pairs.enumerate() {
            if let (Some(question), Some(text)) = pair
                && model.is_some()
            {
                by_question.entry(question).or_default().push((row, text));
            }
        }
        let mut scores = vec![None; rows];
        for (question, found) in by_question {
            let texts: Vec<&str> = found.iter().map(|(_, text)| *text).collect();
            let answer = self
                .models
                .rerank(model.unwrap_or_default(), question, &texts)
                .map_err(external)?;
            for ((row, _), score) in found.iter().zip(answer) {
                scores[*row] = Some(f64::from(score));
            }
        }
        Ok(ColumnarValue::Array(Arc::new(Float64Array::from(scores))))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The model's error as it is, so that its SQLSTATE and hint reach the client.
fn external(error: ModelError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
