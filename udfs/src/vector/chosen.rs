//! `coalesce`, `nullif`, `greatest` and `least`: of vectors they give one.
//!
//! DataFusion's own forget what marks a `vector`, and refuse a literal beside one. Here the answer is marked, and a
//! literal is let through: [`VectorLiterals`](super::VectorLiterals) makes a vector of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::binary::comparison_coercion;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::kind::VectorKind;
use super::types::{field_of, field_type_names, kind_of};
use crate::error::UdfError;

/// The functions that give one of their arguments.
pub(super) const CHOOSE: [&str; 4] = ["coalesce", "nullif", "greatest", "least"];

/// Puts them around DataFusion's, which must be there.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for name in CHOOSE {
        let signature = Signature::user_defined(Volatility::Immutable);
        let function = Chosen { name, inner: registry.udf(name)?, signature };
        registry.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Chosen {
    name: &'static str,
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Chosen {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let united = match self.name {
            "nullif" => united_pair(types),
            _ => self.inner.coerce_types(types),
        };
        match united {
            Err(_) if types.iter().any(is_text) && types.iter().all(may_be_beside_vectors) => {
                Ok(types.to_vec())
            }
            united => united,
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = args.arg_fields;
        let is_vector = fields.iter().any(|field| kind_of(field).is_some());
        let is_refused =
            |field: &FieldRef, value: bool| is_text(field.data_type()) && !(is_vector && value);
        let values = args.scalar_arguments.iter().map(Option::is_some);
        let is_mixed = fields.iter().any(|field| is_list(field.data_type()));
        if is_mixed && fields.iter().zip(values).any(|(field, value)| is_refused(field, value)) {
            let arguments = field_type_names(fields);
            return Err(UdfError::NoFunction { function: self.name, arguments }.into());
        }
        if !is_vector {
            return self.inner.return_field_from_args(args);
        }
        let dimensions = match fields {
            [first, rest @ ..] if rest.iter().all(|one| one.data_type() == first.data_type()) => {
                match first.data_type() {
                    DataType::FixedSizeList(_, dimensions) => Some(*dimensions),
                    _ => None,
                }
            }
            _ => None,
        };
        Ok(Arc::new(field_of(VectorKind::of_fields(fields), self.name, dimensions)))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// The type that both arguments of `nullif` are read as: that of `Signature::comparable`.
fn united_pair(types: &[DataType]) -> Result<Vec<DataType>> {
    let [left, right] = types else {
        return plan_err!("Function 'nullif' expects 2 arguments but received {}", types.len());
    };
    match comparison_coercion(left, right) {
        Some(united) if united.is_null() => Ok(vec![DataType::Utf8View; 2]),
        Some(united) => Ok(vec![united; 2]),
        None => plan_err!("For function 'nullif' {left} and {right} is not comparable"),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

fn may_be_beside_vectors(data_type: &DataType) -> bool {
    is_text(data_type) || is_list(data_type) || data_type.is_null()
}
