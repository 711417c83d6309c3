//! What functions of PostgreSQL take: the types of their parameters, where those are no texts.

use datafusion::sql::sqlparser::ast::{DataType, Expr, TimezoneInfo, Value};

/// The type of an argument, where the function has it in all of its forms.
pub(super) fn of_function(name: &str, at: usize, count: usize) -> Option<DataType> {
    Some(match (name, at) {
        ("split_part", 2)
        | ("left" | "right" | "repeat" | "lpad" | "rpad" | "round" | "trunc", 1)
        | ("lag" | "lead" | "nth_value", 1)
        | ("chr" | "ntile", 0) => DataType::Integer(None),
        ("to_timestamp", 0) if count == 1 => DataType::DoublePrecision,
        // The seconds come last, and may have a fraction.
        ("make_interval", 6) => DataType::DoublePrecision,
        ("make_interval", _) => DataType::Integer(None),
        ("abs" | "sign" | "round" | "trunc" | "floor" | "ceil" | "ceiling", 0)
        | ("sqrt" | "cbrt" | "exp" | "ln" | "log" | "log10" | "power" | "pow", _)
        | ("sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "atan2", _)
        | ("sinh" | "cosh" | "tanh" | "degrees" | "radians", _)
        | ("pg_sleep", _) => DataType::DoublePrecision,
        ("date_bin", 0) => DataType::Interval { fields: None, precision: None },
        ("date_bin", _) | ("age", _) => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        _ => return None,
    })
}

/// Whether a function's arguments have one type, which is that of the others for one that has none.
pub(super) fn are_alike(name: &str) -> bool {
    matches!(name, "coalesce" | "greatest" | "least" | "nullif" | "make_array")
}

/// Whether one of these says what type it has.
pub(super) fn has_type<'a>(mut exprs: impl Iterator<Item = &'a Expr>) -> bool {
    exprs.any(|expr| match expr {
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_) | Value::Null),
        _ => true,
    })
}

/// Whether an expression is written as a whole number.
pub(super) fn is_whole_number(expr: &Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    matches!(&value.value, Value::Number(digits, _) if digits.bytes().all(|byte| byte.is_ascii_digit()))
}
