//! What the four distances share: the DataFusion function around a kernel over two slices.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use arrow::array::builder::Float64Builder;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use half::f16;

use super::kind::VectorKind;
use super::operand::{Elements, Operand};
use super::text::parse;
use super::types::{check_operands, coerce};
use crate::doc::FunctionDoc;
use crate::error::UdfError;

/// A distance, or another number made of two vectors of the same length.
pub(super) trait Distance: Debug + Eq + Hash + Send + Sync + 'static {
    /// The documentation, which has the name.
    const DOC: &'static FunctionDoc;

    /// Where the documentation is kept in DataFusion's shape.
    fn documentation() -> &'static LazyLock<Documentation>;

    /// The number for `left` and `right`, which are of the same length.
    fn between<L: Element, R: Element>(left: &[L], right: &[R]) -> f64;
}

/// An element of a vector; sums over them are kept in `f64`.
pub(super) trait Element: Copy {
    fn widen(self) -> f64;
}

impl Element for f32 {
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    fn widen(self) -> f64 {
        self
    }
}

/// Independent sums, so that the compiler may use vector instructions: an addition of floats
/// may not be reordered otherwise.
const LANES: usize = 8;

/// The `N` sums over all pairs of what `terms` makes of a pair.
///
/// The order of the additions depends on the length alone, so equal input gives equal output.
pub(super) fn sums<L: Element, R: Element, const N: usize>(
    left: &[L],
    right: &[R],
    terms: impl Fn(f64, f64) -> [f64; N],
) -> [f64; N] {
    let mut lanes = [[0.0; LANES]; N];
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        for lane in 0..LANES {
            let terms = terms(left[lane].widen(), right[lane].widen());
            for (sums, term) in lanes.iter_mut().zip(terms) {
                sums[lane] += term;
            }
        }
    }
    let mut totals = lanes.map(|sums| sums.iter().sum());
    for (left, right) in left_rest.iter().zip(right_rest) {
        for (total, term) in totals.iter_mut().zip(terms(left.widen(), right.widen())) {
            *total += term;
        }
    }
    totals
}

/// The function of a distance.
pub(super) fn udf<D: Distance>() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(DistanceFunction::<D> { signature, distance: PhantomData })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DistanceFunction<D> {
    signature: Signature,
    distance: PhantomData<D>,
}

impl<D: Distance> ScalarUDFImpl for DistanceFunction<D> {
    fn name(&self) -> &str {
        D::DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(coerce(types))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        check_operands(D::DOC.name, 2, args.arg_fields)?;
        Ok(Arc::new(Field::new(D::DOC.name, DataType::Float64, true)))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // What has no type yet is no `halfvec`.
        let of = |arg| info.get_data_type(arg).unwrap_or(DataType::Null);
        let types: Vec<DataType> = args.iter().map(of).collect();
        fold_texts(args, VectorKind::of(&types), |args| {
            Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(udf::<D>()), args))
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [left, right] = take_function_args(self.name(), args.args)?;
        let left = Operand::read(&left, kind)?;
        let right = Operand::read(&right, kind)?;
        if left.is_constant() && right.is_constant() {
            let value = each_row::<D>(kind, &left, &right, 1)?.finish();
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(each_row::<D>(kind, &left, &right, rows)?.finish())))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(D::documentation())
    }
}

/// Parses text literals while the query is planned: a wrong one is an error also where no row
/// would meet it, and a right one is parsed once.
fn fold_texts(
    args: Vec<Expr>,
    kind: VectorKind,
    call: impl Fn(Vec<Expr>) -> Expr,
) -> Result<ExprSimplifyResult> {
    let is_text = |arg: &Expr| {
        matches!(
            arg,
            Expr::Literal(
                ScalarValue::Utf8(Some(_))
                    | ScalarValue::LargeUtf8(Some(_))
                    | ScalarValue::Utf8View(Some(_)),
                _
            )
        )
    };
    if !args.iter().any(is_text) {
        return Ok(ExprSimplifyResult::Original(args));
    }
    let args = args.into_iter().map(|arg| match arg {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)),
            _,
        ) => Ok(Expr::Literal(list_of(kind, parse(&text, kind)?), None)),
        other => Ok(other),
    });
    Ok(ExprSimplifyResult::Simplified(call(args.collect::<Result<_>>()?)))
}

/// A vector as a scalar of the type of a list.
pub(super) fn list_of(kind: VectorKind, values: Vec<f32>) -> ScalarValue {
    let element = |value| match kind {
        VectorKind::Vector => ScalarValue::Float32(Some(value)),
        VectorKind::Halfvec => ScalarValue::Float16(Some(f16::from_f32(value))),
    };
    let values: Vec<ScalarValue> = values.into_iter().map(element).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&values, &kind.element()))
}

fn each_row<D: Distance>(
    kind: VectorKind,
    left: &Operand,
    right: &Operand,
    rows: usize,
) -> Result<Float64Builder> {
    use Elements::{F32, F64};
    match (&left.elements, &right.elements) {
        (F32(l), F32(r)) => each_row_of::<D, f32, f32>(kind, (left, l), (right, r), rows),
        (F32(l), F64(r)) => each_row_of::<D, f32, f64>(kind, (left, l), (right, r), rows),
        (F64(l), F32(r)) => each_row_of::<D, f64, f32>(kind, (left, l), (right, r), rows),
        (F64(l), F64(r)) => each_row_of::<D, f64, f64>(kind, (left, l), (right, r), rows),
    }
}

fn each_row_of<D: Distance, L: Element, R: Element>(
    kind: VectorKind,
    (left, left_elements): (&Operand, &[L]),
    (right, right_elements): (&Operand, &[R]),
    rows: usize,
) -> Result<Float64Builder> {
    let mut results = Float64Builder::with_capacity(rows);
    for row in 0..rows {
        let (Some(l), Some(r)) = (left.span(row)?, right.span(row)?) else {
            results.append_null();
            continue;
        };
        if l.len() != r.len() {
            let error = UdfError::DifferentDimensions { kind, left: l.len(), right: r.len() };
            return Err(error.into());
        }
        let result = D::between(&left_elements[l], &right_elements[r]);
        // Vectors are finite, so only the cosine of a vector of zeros is no number: it has none.
        results.append_option(Some(result).filter(|result| !result.is_nan()));
    }
    Ok(results)
}
