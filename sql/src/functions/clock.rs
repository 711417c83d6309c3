//! Functions of the clock: `pg_sleep`, `clock_timestamp`, and when the server was started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use chrono::Utc;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::interrupt;

/// How long a wait goes on before it asks whether it is still wanted.
const STEP: Duration = Duration::from_millis(5);

/// The functions; `started_micros` is when the database was opened, microseconds since the Unix epoch.
pub(super) fn functions(started_micros: i64) -> Vec<ScalarUDF> {
    let nullary = TypeSignature::Nullary;
    [
        ("pg_sleep", Kind::Sleep, TypeSignature::Any(1), Volatility::Volatile),
        ("clock_timestamp", Kind::Now, nullary.clone(), Volatility::Volatile),
        ("pg_postmaster_start_time", Kind::Started, nullary.clone(), Volatility::Stable),
        // What the command line says is read once.
        ("pg_conf_load_time", Kind::Started, nullary, Volatility::Stable),
    ]
    .map(|(name, kind, arguments, volatility)| {
        let signature = Signature::new(arguments, volatility);
        ScalarUDF::new_from_impl(Clock { name, kind, started_micros, signature })
    })
    .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sleep,
    Now,
    Started,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Clock {
    name: &'static str,
    kind: Kind,
    started_micros: i64,
    signature: Signature,
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            // PostgreSQL's `void` is an empty text.
            Kind::Sleep => DataType::Utf8,
            Kind::Now | Kind::Started => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let micros = match self.kind {
            Kind::Sleep => {
                let rows = args.number_rows;
                let [seconds] = take_function_args(self.name, args.args)?;
                let seconds = cast(&seconds.to_array(rows)?, &DataType::Float64)?;
                let seconds = seconds.as_primitive::<Float64Type>();
                for row in (0..rows).filter(|row| seconds.is_valid(*row)) {
                    sleep(seconds.value(row))?;
                }
                let nothing = (0..rows).map(|row| seconds.is_valid(row).then_some(""));
                return Ok(ColumnarValue::Array(Arc::new(nothing.collect::<StringArray>())));
            }
            Kind::Now => Utc::now().timestamp_micros(),
            Kind::Started => self.started_micros,
        };
        let moment = ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        Ok(ColumnarValue::Scalar(moment))
    }
}

fn sleep(seconds: f64) -> Result<()> {
    // NaN and what is below 0 is no time at all.
    let wanted = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let began = Instant::now();
    wait_until(|| began.elapsed() >= wanted)
}

/// Waits on a thread of queries, whose other work goes to another thread meanwhile.
///
/// # Errors
/// SQLSTATE 57014 when the statement is no longer wanted.
pub(super) fn wait_until(mut is_done: impl FnMut() -> bool) -> Result<()> {
    if is_done() {
        return Ok(());
    }
    let mut wait = || {
        loop {
            interrupt::check()?;
            std::thread::sleep(STEP);
            if is_done() {
                return Ok(());
            }
        }
    };
    match tokio::runtime::Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(wait)
        }
        _ => wait(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_as_long_as_is_asked_for() {
        let began = Instant::now();
        sleep(0.02).expect("nobody stops it");
        assert!(began.elapsed() >= Duration::from_millis(20));
        sleep(-1.0).expect("is no time");
        sleep(f64::NAN).expect("is no time");
    }
}
