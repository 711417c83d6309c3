//! What functions of one vector share: the DataFusion function around a kernel over a slice.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::kind::VectorKind;
use super::operand::Operand;
use super::types::{check_operands, coerce};
use crate::doc::FunctionDoc;

/// A function of one vector whose value is not a vector.
pub(super) trait Unary: Debug + Eq + Hash + Send + Sync + 'static {
    /// The documentation, which has the name.
    const DOC: &'static FunctionDoc;
    /// The type of the value.
    const TYPE: DataType;

    /// Other names.
    fn aliases() -> &'static LazyLock<Vec<String>>;

    /// Where the documentation is kept in DataFusion's shape.
    fn documentation() -> &'static LazyLock<Documentation>;

    /// The values of vectors; `None` is NULL.
    fn column(vectors: &mut dyn Iterator<Item = Result<Option<Vec<f64>>>>) -> Result<ArrayRef>;
}

/// No other names.
pub(super) static NO_ALIASES: LazyLock<Vec<String>> = LazyLock::new(Vec::new);

/// The function.
pub(super) fn udf<U: Unary>() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(UnaryFunction::<U> { signature, function: PhantomData })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct UnaryFunction<U> {
    signature: Signature,
    function: PhantomData<U>,
}

impl<U: Unary> ScalarUDFImpl for UnaryFunction<U> {
    fn name(&self) -> &str {
        U::DOC.name
    }

    fn aliases(&self) -> &[String] {
        U::aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(coerce(types))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(U::TYPE)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        check_operands(U::DOC.name, 1, args.arg_fields)?;
        Ok(Arc::new(Field::new(U::DOC.name, U::TYPE, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [vector] = take_function_args(U::DOC.name, args.args)?;
        let operand = Operand::read(&vector, kind)?;
        let rows = if operand.is_constant() { 1 } else { rows };
        let mut vectors = (0..rows).map(|row| {
            Ok(operand.span(row)?.map(|span| {
                let mut widened = Vec::new();
                operand.elements.widen_into(span, &mut widened);
                widened
            }))
        });
        let column = U::column(&mut vectors)?;
        if operand.is_constant() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(U::documentation())
    }
}
