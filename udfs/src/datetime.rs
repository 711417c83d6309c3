//! Dates, times and zones where PostgreSQL answers otherwise than DataFusion, or has a function that
//! DataFusion has not.

mod make;
mod part;
mod timezone;

use crate::doc::Function;

const SECTION: &str = "Dates and times";

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    let mut all = vec![part::function(), timezone::function()];
    all.extend(make::functions());
    all
}
