//! A vector knows its model. Where a distance compares a column of vectors with one whose model is
//! known, the column is wrapped into a check of each row's model: the distance of vectors of two
//! models would be a number without a meaning.
//!
//! What knows its model: what `embed` gives (its field says so, [`MODEL_TAG`]), and a column whose
//! field names the column with the models ([`MODEL_COLUMN_TAG`]) as long as that one is there as
//! well. What keeps a vector in its space (`KEEPS_SPACE`) keeps its model. A literal, a parameter and what
//! was computed otherwise have no model and compare with everything.
//! A row that `WHERE` takes out is not compared and raises nothing.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Column, DFSchema, TableReference, exec_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};

use crate::error::UdfError;

/// The key of the metadata of a field whose vectors are all of one model, which is the value.
pub const MODEL_TAG: &str = "vigil.model";

/// The key of the metadata of a column of vectors; the value names the column with their models.
pub const MODEL_COLUMN_TAG: &str = "vigil.model_column";

/// The name of the check: the vector, its model, the model that it must be of.
pub const MODEL_CHECK: &str = "of_model";

/// The functions that compare two vectors.
const COMPARISONS: [&str; 4] = ["cosine_distance", "l2_distance", "l1_distance", "inner_product"];

/// The functions whose answer is in the space of their first argument.
const KEEPS_SPACE: [&str; 4] = ["l2_normalize", "subvector", "to_vector", "to_halfvec"];

/// The field of a vector that is in the space of a function's first argument.
pub(super) fn in_space_of(mut field: Field, args: &[FieldRef]) -> Field {
    let known = args.first().map(|first| first.metadata());
    for key in [MODEL_TAG, MODEL_COLUMN_TAG] {
        if let Some(value) = known.and_then(|known| known.get(key)) {
            field.metadata_mut().insert(key.to_owned(), value.clone());
        }
    }
    field
}

/// The column whose vectors an expression has, perhaps normalised, cut or cast.
pub fn source_column(vector: &Expr) -> Option<&Column> {
    match vector {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => source_column(&alias.expr),
        Expr::ScalarFunction(call) if KEEPS_SPACE.contains(&call.name()) => {
            source_column(call.args.first()?)
        }
        _ => None,
    }
}

/// Whether an expression is the distance of two vectors, or their inner product.
pub fn compares_vectors(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if COMPARISONS.contains(&call.name()))
}

/// Refuses vectors of two models.
///
/// # Errors
/// [`UdfError::DifferentModels`] (22023).
pub fn check_model(found: &str, expected: &str) -> Result<(), UdfError> {
    if found == expected {
        return Ok(());
    }
    Err(UdfError::DifferentModels { found: found.to_owned(), expected: expected.to_owned() })
}

/// Wraps columns of vectors that are compared into the check.
#[derive(Debug)]
pub struct ModelRewrite {
    check: Arc<ScalarUDF>,
}

impl Default for ModelRewrite {
    fn default() -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { check: Arc::new(ScalarUDF::from(OfModel { signature })) }
    }
}

impl FunctionRewrite for ModelRewrite {
    fn name(&self) -> &str {
        "vector_model"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let call = match expr {
            Expr::ScalarFunction(call) if COMPARISONS.contains(&call.name()) => call,
            other => return Ok(Transformed::no(other)),
        };
        let args = match <[Expr; 2]>::try_from(call.args) {
            Ok(args) => args,
            Err(args) => {
                let call = ScalarFunction { func: call.func, args };
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            }
        };
        let models = [model_of(&args[0], schema), model_of(&args[1], schema)];
        let [left, right] = args;
        let check = |vector, model, expected| self.checked(vector, model, expected);
        let (left, right, is_checked) = match models {
            [Some(Model::Each(model)), Some(other)] => {
                (check(left, model, other.into_expr()), right, true)
            }
            [Some(Model::All(expected)), Some(Model::Each(model))] => {
                (left, check(right, model, lit(expected)), true)
            }
            // Two texts: no row tells more than the statement does.
            [Some(Model::All(found)), Some(Model::All(expected))] => {
                check_model(&found, &expected)?;
                (left, right, false)
            }
            _ => (left, right, false),
        };
        let call = ScalarFunction { func: call.func, args: vec![left, right] };
        let call = Expr::ScalarFunction(call);
        Ok(if is_checked { Transformed::yes(call) } else { Transformed::no(call) })
    }
}

impl ModelRewrite {
    /// The vector with the check around the column that it is made of.
    fn checked(&self, vector: Expr, model: Column, expected: Expr) -> Expr {
        match vector {
            Expr::ScalarFunction(mut call) if KEEPS_SPACE.contains(&call.name()) => {
                if let Some(first) = call.args.first_mut() {
                    *first = self.checked(std::mem::take(first), model, expected);
                }
                Expr::ScalarFunction(call)
            }
            Expr::Alias(alias) => self.checked(*alias.expr, model, expected),
            vector => self.check.call(vec![vector, Expr::Column(model), expected]),
        }
    }
}

/// What is known of a vector's model.
enum Model {
    /// All have this one.
    All(String),
    /// The column says it for each row.
    Each(Column),
}

impl Model {
    fn into_expr(self) -> Expr {
        match self {
            Self::All(model) => lit(model),
            Self::Each(column) => Expr::Column(column),
        }
    }
}

fn model_of(vector: &Expr, schema: &DFSchema) -> Option<Model> {
    let (_, field) = vector.to_field(schema).ok()?;
    if let Some(model) = field.metadata().get(MODEL_TAG) {
        return Some(Model::All(model.clone()));
    }
    let name = field.metadata().get(MODEL_COLUMN_TAG)?;
    let column = source_column(vector)?;
    // A column without a table would find the models of any table.
    let (table, _) = schema.qualified_field_from_column(column).ok()?;
    let is_model =
        |(of, field): (Option<&TableReference>, &FieldRef)| of == table && field.name() == name;
    let model = Column::new(table.cloned(), name);
    schema.iter().any(is_model).then_some(Model::Each(model))
}

/// The columns of vectors in a comparison that lack the column with their models: they are compared with vectors
/// whose models are known, over a schema without it.
pub fn vectors_without_models(expr: &Expr, schema: &DFSchema) -> Vec<Column> {
    let Expr::ScalarFunction(call) = expr else { return Vec::new() };
    let [left, right] = call.args.as_slice() else { return Vec::new() };
    if !COMPARISONS.contains(&call.name()) {
        return Vec::new();
    }
    let is_known = |vector: &Expr, keys: &[&str]| {
        let field = vector.to_field(schema).map(|(_, field)| field);
        field.is_ok_and(|field| keys.iter().any(|key| field.metadata().contains_key(*key)))
    };
    let lacks = |vector: &Expr, other: &Expr| {
        let column = source_column(vector)?;
        let is_it = is_known(vector, &[MODEL_COLUMN_TAG])
            && is_known(other, &[MODEL_TAG, MODEL_COLUMN_TAG])
            && model_of(vector, schema).is_none();
        is_it.then(|| column.clone())
    };
    lacks(left, right).into_iter().chain(lacks(right, left)).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfModel {
    signature: Signature,
}

impl ScalarUDFImpl for OfModel {
    fn name(&self) -> &str {
        MODEL_CHECK
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {MODEL_CHECK} is in its return field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [vector, _, _] => Ok(Arc::clone(vector)),
            _ => internal_err!("{MODEL_CHECK} takes a vector and two models"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [vector, model, expected] = take_function_args(MODEL_CHECK, args.args)?;
        let arrays = [vector.to_array(rows)?, model.to_array(rows)?, expected.to_array(rows)?];
        let text = |array: usize| {
            let no_text = || exec_datafusion_err!("the name of a model is no text");
            arrays[array].as_string_opt::<i32>().ok_or_else(no_text)
        };
        let pairs = text(1)?.iter().zip(text(2)?.iter());
        for (row, (found, expected)) in pairs.enumerate() {
            if let (Some(found), Some(expected)) = (found, expected)
                && arrays[0].is_valid(row)
            {
                check_model(found, expected)?;
            }
        }
        Ok(vector)
    }
}
