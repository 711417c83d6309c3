//! `embed`: the meaning of a text as a vector.
//!
//! The function is stable: a constant text is embedded once for a query, when it is planned. A
//! column is embedded batch by batch, each different text of a batch once.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use vigil_models::ModelError;

use crate::ModelCalls;
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;
use crate::vector::{MODEL_TAG, VectorColumn, field_type_names, tagged};

/// How many texts go to the model in one call: enough to fill its batches, few enough to bound
/// what waits in its queue.
const TEXTS_PER_CALL: usize = 256;

static DOC: FunctionDoc = FunctionDoc {
    name: "embed",
    section: super::SECTION,
    syntax: &["embed(text) → vector", "embed(text, model) → vector"],
    description: "The text's embedding by a sentence model, L2-normalised: texts of similar meaning have vectors of small cosine distance. A constant text is embedded once, when the query is planned. Without `model` it is the engine's default embedder, the one that embeds captions. The vector knows its model: a distance to a row of `captions` or `embeddings`, or to a text, that another model made is an error (22023).",
    arguments: &[
        ("text", "what to embed"),
        ("model", "name of an embedder in `vigil_catalog.models`, a constant"),
    ],
    examples: &[
        Example { sql: "SELECT vector_dims(embed('two people walking together'))", result: "384" },
        Example { sql: "SELECT embed(NULL)", result: "" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |models| {
        let signature = Signature::user_defined(Volatility::Stable);
        ScalarUDF::from(Embed { signature, models: Arc::clone(models) })
    })
}

#[derive(Debug)]
struct Embed {
    signature: Signature,
    models: Arc<dyn ModelCalls>,
}

impl PartialEq for Embed {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.models, &other.models)
    }
}

impl Eq for Embed {}

impl Hash for Embed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.models).cast::<()>().hash(state);
    }
}

impl ScalarUDFImpl for Embed {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Texts stay as they are, so that a constant model is still one when the type is asked for.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", DOC.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let text = |field: &FieldRef| field.data_type().is_string() || field.data_type().is_null();
        if !matches!(args.arg_fields.len(), 1 | 2) || !args.arg_fields.iter().all(text) {
            let arguments = field_type_names(args.arg_fields);
            return Err(UdfError::NoFunction { function: DOC.name, arguments }.into());
        }
        let model = match args.scalar_arguments {
            [_] => None,
            [_, Some(model)] => model.try_as_str().flatten(),
            _ => return Err(UdfError::ModelNotConstant { function: DOC.name }.into()),
        };
        let dimensions = self.models.dimensions(model).map_err(external)?;
        let dimensions = i32::try_from(dimensions)
            .map_err(|_| wrong_output("a vector length", dimensions.to_string()))?;
        let mut field = tagged(DOC.name, Some(dimensions));
        let id = self.models.model_id(model).map_err(external)?;
        field.metadata_mut().insert(MODEL_TAG.to_owned(), id);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_field.data_type().clone();
        let model = match args.args.get(1) {
            None => None,
            Some(ColumnarValue::Scalar(model)) => match model.try_as_str().flatten() {
                Some(model) => Some(model.to_owned()),
                None => return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&data_type)?)),
            },
            Some(ColumnarValue::Array(_)) => {
                return Err(UdfError::ModelNotConstant { function: DOC.name }.into());
            }
        };
        let (texts, constant) = match args.args.first() {
            Some(ColumnarValue::Array(texts)) => (Arc::clone(texts), false),
            Some(ColumnarValue::Scalar(text)) => (text.to_array()?, true),
            None => return internal_err!("{} without an argument", DOC.name),
        };
        let texts = cast(&texts, &DataType::Utf8)?;
        let vectors = self.embed(model.as_deref(), texts.as_string(), &data_type)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&vectors, 0)?));
        }
        Ok(ColumnarValue::Array(vectors))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

impl Embed {
    fn embed(
        &self,
        model: Option<&str>,
        texts: &StringArray,
        data_type: &DataType,
    ) -> Result<Arc<dyn Array>> {
        let mut distinct = Vec::new();
        let mut positions = HashMap::new();
        for text in texts.iter().flatten() {
            positions.entry(text).or_insert_with(|| {
                distinct.push(text);
                distinct.len() - 1
            });
        }
        let mut vectors = Vec::with_capacity(distinct.len());
        for texts in distinct.chunks(TEXTS_PER_CALL) {
            let answer = self.models.embed(model, texts).map_err(external)?;
            if answer.len() != texts.len() {
                let (expected, found) = (texts.len(), answer.len());
                return Err(wrong_output(&format!("{expected} vectors"), format!("{found}")));
            }
            vectors.extend(answer);
        }
        let mut column = VectorColumn::new(data_type, texts.len())?;
        for text in texts {
            match text.and_then(|text| positions.get(text)) {
                Some(position) => column.push(vectors[*position].iter().copied())?,
                None => column.push_null(),
            }
        }
        column.finish()
    }
}

/// The model's error as it is, so that its SQLSTATE and hint reach the client.
fn external(error: ModelError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn wrong_output(expected: &str, found: String) -> DataFusionError {
    UdfError::WrongModelOutput { expected: expected.to_owned(), found }.into()
}
