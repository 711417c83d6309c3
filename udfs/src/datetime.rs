//! Dates, times and zones where PostgreSQL answers otherwise than DataFusion, or has a function that
//! DataFusion has not.

mod make;
mod part;
mod timezone;

use datafusion::logical_expr::ScalarUDF;

use crate::doc::Function;

const SECTION: &str = "Dates and times";

/// `timezone(zone, time)`, for casts that a session's zone has a part in.
pub fn timezone_function() -> ScalarUDF {
    timezone::udf()
}

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    let mut all = vec![part::function(), timezone::function()];
    all.extend(make::functions());
    all
}
