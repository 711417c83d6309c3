//! `WAIT FOR SOURCE`: returns when a source has ended.

use std::sync::Arc;
use std::time::Duration;

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc, unknown_source};
use crate::SqlError;
use crate::dialect::Cursor;

static DOC: StatementDoc = StatementDoc {
    name: "WAIT FOR SOURCE",
    syntax: "WAIT FOR SOURCE name [ TIMEOUT [ INTERVAL ] 'interval' ]",
    description: "Returns when the source has ended: all of its rows are there then. It is an \
error when the source fails, with the source's own SQLSTATE, and when the time is over (57014). \
The time is an interval as PostgreSQL writes them; a plain number is seconds.",
    example: "CREATE SOURCE IF NOT EXISTS boxes FROM LOAD GENERATOR MOVING_BOXES (frames = 20);
WAIT FOR SOURCE boxes TIMEOUT '10 minutes';",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["WAIT"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    name: String,
    timeout: Option<Duration>,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    cursor.expect(&["FOR", "SOURCE"])?;
    let name = cursor.name()?;
    let timeout = if cursor.accept(&["TIMEOUT"]) {
        cursor.accept(&["INTERVAL"]);
        let position = cursor.position();
        Some(parse_interval(&cursor.string()?, position)?)
    } else {
        None
    };
    Ok(Arc::new(Statement { name, timeout }))
}

fn parse_interval(text: &str, position: usize) -> Result<Duration, SqlError> {
    const DAYS_PER_MONTH: i64 = 30;
    const NANOS_PER_DAY: i64 = 86_400_000_000_000;
    let refused = |sqlstate, message| SqlError::Invalid {
        sqlstate,
        message,
        hint: Some("Write the time like '90 seconds' or '1 hour 30 minutes'.".into()),
        position: Some(position),
    };
    let syntax = || refused("22007", format!("invalid input syntax for type interval: \"{text}\""));
    let written = if text.trim().parse::<f64>().is_ok() {
        format!("{} seconds", text.trim())
    } else {
        text.split_whitespace().map(clock_time_in_words).collect::<Vec<_>>().join(" ")
    };
    let interval = parse_interval_month_day_nano(&written).map_err(|_| syntax())?;
    let days = i64::from(interval.months) * DAYS_PER_MONTH + i64::from(interval.days);
    let nanos = days
        .checked_mul(NANOS_PER_DAY)
        .and_then(|nanos| nanos.checked_add(interval.nanoseconds))
        .ok_or_else(|| refused("22008", format!("interval out of range: \"{text}\"")))?;
    match u64::try_from(nanos) {
        Ok(nanos) => Ok(Duration::from_nanos(nanos)),
        Err(_) => Err(refused("22023", format!("timeout is negative: \"{text}\""))),
    }
}

/// `HH:MM` and `HH:MM:SS` in words, which is what the parser of intervals knows.
fn clock_time_in_words(word: &str) -> String {
    let mut parts = word.split(':');
    match (parts.next(), parts.next(), parts.next().unwrap_or("0"), parts.next()) {
        (Some(hours), Some(minutes), seconds, None) => {
            format!("{hours} hours {minutes} minutes {seconds} seconds")
        }
        _ => word.to_owned(),
    }
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let engine = context.engine;
        match engine.wait_for_source(&self.name, self.timeout).await {
            Ok(()) => Ok(Answer::Done(Vec::new())),
            Err(error) if error.sqlstate == "42704" => Err(unknown_source(engine, &self.name)),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_postgresqls() {
        let seconds = |text| parse_interval(text, 1).map(|time| time.as_secs_f64()).ok();
        assert_eq!(seconds("10 minutes"), Some(600.0));
        assert_eq!(seconds("1 hour 30 min"), Some(5400.0));
        assert_eq!(seconds("00:10:00"), Some(600.0));
        assert_eq!(seconds("90"), Some(90.0));
        assert_eq!(seconds("1.5 s"), Some(1.5));
        assert_eq!(seconds("250 ms"), Some(0.25));
        assert_eq!(seconds("2 days"), Some(172_800.0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds(""), None);
        assert_eq!(seconds("-5 seconds"), None);
    }

    #[test]
    fn a_wrong_interval_says_where_and_how() {
        let error = parse_interval("soon", 33).expect_err("is no interval");
        assert_eq!(error.sqlstate(), "22007");
        assert_eq!(error.position(), Some(33));
        assert!(error.hint().is_some());
    }
}
