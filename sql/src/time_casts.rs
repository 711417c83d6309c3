//! Casts and parts of times, as PostgreSQL has them: the session's zone is between a `timestamptz` and what has none,
//! and texts of times, intervals and floats are those that a client is shown. DataFusion takes UTC and has
//! texts of its own.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast, lit,
};
use datafusion::scalar::ScalarValue;

use crate::text::{float4, float8, intervals, timestamps};

const UTC: &str = "UTC";

/// A cast and a part of a time as PostgreSQL means them; every other expression as it is. `zone` is the session's.
pub(crate) fn as_postgresql_means(
    expr: Expr,
    schema: &DFSchema,
    zone: Option<&str>,
) -> Transformed<Expr> {
    let zone = zone.unwrap_or(UTC);
    let Expr::Cast(Cast { expr: inner, field }) = expr else {
        return parts_in_zone(expr, schema, zone);
    };
    let from = inner.get_type(schema);
    let changed = match (&from, field.data_type()) {
        (
            Ok(DataType::Timestamp(_, Some(_))),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Time64(_),
        ) if zone != UTC => moment_in_zone(zone, *inner),
        (
            Ok(DataType::Timestamp(_, None) | DataType::Date32),
            DataType::Timestamp(_, Some(own)),
        ) if own.as_ref() != zone => {
            let shown = cast(*inner, DataType::Timestamp(TimeUnit::Microsecond, None));
            in_zone(zone, shown)
        }
        (
            Ok(
                DataType::Timestamp(..)
                | DataType::Interval(_)
                | DataType::Duration(_)
                | DataType::Float32
                | DataType::Float64,
            ),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8,
        ) if !is_written_number(&inner) => {
            let call = ScalarFunction::new_udf(Arc::clone(&TEXT), vec![*inner, lit(zone)]);
            Expr::ScalarFunction(call)
        }
        _ => return Transformed::no(Expr::Cast(Cast { expr: inner, field })),
    };
    if field.data_type() == &DataType::Utf8 {
        return Transformed::yes(changed);
    }
    Transformed::yes(Expr::Cast(Cast { expr: Box::new(changed), field }))
}

/// `date_part`, `date_trunc` and `to_char` of a moment: of what a clock of the zone shows then.
fn parts_in_zone(expr: Expr, schema: &DFSchema, zone: &str) -> Transformed<Expr> {
    let Expr::ScalarFunction(call) = &expr else { return Transformed::no(expr) };
    let (what, moment) = match (call.name(), call.args.as_slice()) {
        ("date_part" | "date_trunc", [part, moment]) => (part, moment),
        ("to_char", [moment, format]) => (format, moment),
        _ => return Transformed::no(expr),
    };
    let is_moment = matches!(moment.get_type(schema), Ok(DataType::Timestamp(_, Some(_))));
    if zone == UTC || !is_moment || is_of_moment(call.name(), what) {
        return Transformed::no(expr);
    }
    let (function, shown) = (Arc::clone(&call.func), moment_in_zone(zone, moment.clone()));
    let args = match call.name() {
        "to_char" => vec![shown, what.clone()],
        _ => vec![what.clone(), shown],
    };
    let truncated = (call.name() == "date_trunc").then(|| expr.get_type(schema));
    let part = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
    Transformed::yes(match truncated {
        Some(Ok(data_type)) => cast(in_zone(zone, part), data_type),
        _ => part,
    })
}

/// Whether a part is one of the moment itself, or of its zone, and not of what a clock shows.
fn is_of_moment(function: &str, what: &Expr) -> bool {
    let Expr::Literal(text, _) = what else { return false };
    let text = text.try_as_str().flatten().unwrap_or_default().to_ascii_lowercase();
    match function {
        "date_part" => text == "epoch" || text.starts_with("timezone"),
        "to_char" => text.contains("tz") || text.contains("of"),
        _ => false,
    }
}

/// What a clock of the zone shows at a moment.
fn moment_in_zone(zone: &str, moment: Expr) -> Expr {
    in_zone(zone, cast(moment, DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))))
}

/// A number with a point is a `numeric` in PostgreSQL, whose text has its zeros: `5.0`.
fn is_written_number(expr: &Expr) -> bool {
    const LARGE: f64 = 1e15;
    matches!(expr, Expr::Literal(ScalarValue::Float64(Some(number)), _)
        if number.fract() == 0.0 && number.abs() < LARGE)
}

/// `timezone(zone, time)`, which has the signs of POSIX in zones of hours.
fn in_zone(zone: &str, time: Expr) -> Expr {
    static TIMEZONE: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(vigil_udfs::datetime::timezone_function()));
    let turned = match zone.split_at_checked(1) {
        Some(("+", hours)) => format!("-{hours}"),
        Some(("-", hours)) => format!("+{hours}"),
        _ => zone.to_owned(),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&TIMEZONE), vec![lit(turned), time]))
}

static TEXT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Text { signature }))
});

/// The text of a value, with times in a zone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Text {
    signature: Signature,
}

impl ScalarUDFImpl for Text {
    fn name(&self) -> &str {
        "text_in_zone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values, zone] = take_function_args(self.name(), args.args)?;
        let zone = match &zone {
            ColumnarValue::Scalar(zone) => zone.try_as_str().flatten().unwrap_or(UTC),
            ColumnarValue::Array(_) => UTC,
        };
        let is_scalar = matches!(values, ColumnarValue::Scalar(_));
        let values = values.into_array(args.number_rows)?;
        let texts: ArrayRef = match values.data_type() {
            DataType::Float32 => {
                let values = values.as_primitive::<Float32Type>().iter();
                Arc::new(values.map(|value| value.map(float4)).collect::<StringArray>())
            }
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>().iter();
                Arc::new(values.map(|value| value.map(float8)).collect::<StringArray>())
            }
            DataType::Timestamp(..) => timestamps(&values, zone)
                .map_err(|error| DataFusionError::External(Box::new(error)))?,
            _ => Arc::new(intervals(&values)?),
        };
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?)
        } else {
            ColumnarValue::Array(texts)
        })
    }
}
