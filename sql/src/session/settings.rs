//! The settings of a session, as `SET`, `SHOW` and `RESET` see them.
//!
//! [`known`] lists PostgreSQL's parameters that mean something, [`accepted`] those that clients set or
//! ask for without that. `datafusion.*` passes on
//! to DataFusion, and a name with any other prefix is kept without meaning, as PostgreSQL does.

mod accepted;
mod known;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::timezone::Tz;
use datafusion::prelude::SessionConfig;

use self::accepted::ACCEPTED;
use self::known::{KNOWN, Known, Takes};
use self::units::{Size, parse_duration, written_duration};
use crate::database::DEFAULT_SCHEMA;
use crate::views::TEMPORARY;
use crate::{SearchSettings, SqlError};

/// The prefix of the settings of indexes.
const INDEX_PREFIX: &str = "hnsw.";

/// What a session has set; everything else is at its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    set: BTreeMap<&'static str, String>,
    /// Names with a prefix, `datafusion.…` among them.
    prefixed: BTreeMap<String, String>,
    /// What the session cannot change, such as who it is.
    fixed: BTreeMap<&'static str, String>,
    /// The role before `SET LOCAL ROLE`, for the end of the block.
    pub(super) role_before: Option<String>,
    /// Another number after each change; that of before when a change is taken back.
    generation: u64,
}

/// The number of the last change of any session.
static GENERATIONS: AtomicU64 = AtomicU64::new(0);

impl Settings {
    /// Sets `name` to `value`.
    ///
    /// # Errors
    /// SQLSTATE 42704 for a name that is unknown, 22023 for a value that it does not take, 55P02
    /// for a name that only tells.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        self.changes();
        let lower = name.to_ascii_lowercase();
        if lower.contains('.') && find(&lower).is_none() {
            if lower.starts_with(INDEX_PREFIX) {
                return Err(SqlError::Invalid {
                    sqlstate: "42602",
                    message: format!("invalid configuration parameter name \"{lower}\""),
                    hint: Some(
                        "Its prefix is reserved for ef_search, iterative_scan, max_scan_tuples and \
                         scan_mem_multiplier."
                            .into(),
                    ),
                    position: None,
                });
            }
            if lower.starts_with("datafusion.") {
                may_be_set(&lower, value)?;
                let refused = |hint: String| SqlError::InvalidSetting {
                    name: lower.clone(),
                    value: value.to_owned(),
                    hint: Some(hint),
                };
                SessionConfig::new()
                    .options_mut()
                    .set(&lower, value)
                    .map_err(|error| refused(format!("DataFusion says: {}.", error.message())))?;
            }
            self.prefixed.insert(lower, value.to_owned());
            return Ok(());
        }
        let known = find(&lower).ok_or_else(|| unknown(name))?;
        let value = check(known, value)?;
        self.set.insert(known.name, value);
        Ok(())
    }

    /// Back to the default.
    ///
    /// # Errors
    /// SQLSTATE 42704 for a name that is unknown.
    pub(crate) fn reset(&mut self, name: &str) -> Result<(), SqlError> {
        self.changes();
        let lower = name.to_ascii_lowercase();
        if self.prefixed.remove(&lower).is_none() {
            let known = find(&lower).ok_or_else(|| unknown(name))?;
            self.set.remove(known.name);
        }
        Ok(())
    }

    /// Everything back to its default.
    pub(crate) fn reset_all(&mut self) {
        self.changes();
        *self = Self { fixed: std::mem::take(&mut self.fixed), ..Self::default() };
    }

    /// Gives a parameter that the session cannot change its value.
    pub(crate) fn fix(&mut self, name: &'static str, value: &str) {
        self.changes();
        self.fixed.insert(name, value.to_owned());
    }

    fn changes(&mut self) {
        self.generation = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
    }

    /// The same number as long as nothing has changed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The name as PostgreSQL writes it, and the value.
    ///
    /// # Errors
    /// SQLSTATE 42704 for a name that is unknown.
    pub(crate) fn show(&self, name: &str) -> Result<(String, String), SqlError> {
        let lower = name.to_ascii_lowercase();
        if let Some(value) = self.prefixed.get(&lower) {
            return Ok((lower, value.clone()));
        }
        if lower.starts_with("datafusion.") {
            let config = SessionConfig::new();
            let entry = config.options().entries().into_iter().find(|entry| entry.key == lower);
            return match entry {
                Some(entry) => Ok((lower, entry.value.unwrap_or_default())),
                None => Err(unknown(name)),
            };
        }
        let known = find(&lower).ok_or_else(|| unknown(name))?;
        Ok((known.name.to_owned(), self.value(known).to_owned()))
    }

    /// The value that the session has set; `None` for one that is at its default.
    pub(crate) fn own(&self, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        let known = || self.set.get(find(&lower)?.name);
        self.prefixed.get(&lower).or_else(known).cloned()
    }

    /// Name, value and meaning of each, by name.
    pub(crate) fn show_all(&self) -> Vec<(String, String, String)> {
        let known =
            all().map(|known| (known.name.into(), self.value(known).into(), known.meaning.into()));
        let prefixed =
            self.prefixed.iter().map(|(name, value)| (name.clone(), value.clone(), String::new()));
        let mut all: Vec<_> = known.chain(prefixed).collect();
        all.sort_by_key(|(name, _, _)| name.to_ascii_lowercase());
        all
    }

    /// The parameters that a client is told of when they change, with their values.
    pub(crate) fn reported(&self) -> Vec<(&'static str, String)> {
        let reported = all().filter(|known| known.reported);
        reported.map(|known| (known.name, self.value(known).to_owned())).collect()
    }

    /// `statement_timeout`; `None` when there is no limit.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let value = self.set.get("statement_timeout")?;
        parse_duration(value).filter(|timeout| !timeout.is_zero())
    }

    /// The schema that unqualified names are looked up in: the first of `search_path` that is
    /// none of PostgreSQL's placeholders.
    pub(crate) fn default_schema(&self) -> String {
        let path = self.set.get("search_path").map_or("", String::as_str);
        path.split(',')
            .map(|schema| schema.trim().trim_matches('"'))
            .find(|schema| {
                !matches!(*schema, "" | "$user" | "pg_catalog") && !schema.starts_with(TEMPORARY)
            })
            .unwrap_or(DEFAULT_SCHEMA)
            .to_owned()
    }

    /// How indexes are searched.
    fn search(&self) -> SearchSettings {
        let default = SearchSettings::default();
        let number = |name: &str| self.set.get(name).and_then(|value| value.parse().ok());
        SearchSettings {
            ef_search: number("hnsw.ef_search").unwrap_or(default.ef_search),
            max_scan_tuples: number("hnsw.max_scan_tuples").unwrap_or(default.max_scan_tuples),
            iterative_scan: self.set.get("hnsw.iterative_scan").is_none_or(|value| value != "off"),
        }
    }

    /// Gives DataFusion what concerns it.
    pub(crate) fn apply(&self, config: &mut SessionConfig) {
        config.set_extension(Arc::new(self.search()));
        let schema = self.default_schema();
        if config.options().catalog.default_schema != schema {
            config.options_mut().catalog.default_schema = schema;
        }
        for (name, value) in &self.prefixed {
            if name.starts_with("datafusion.") {
                // `set` has tried it on a configuration of its own.
                let _ = config.options_mut().set(name, value);
            }
        }
        if let Some(zone) = self.set.get("TimeZone") {
            config.options_mut().execution.time_zone = Some(zone.clone());
        }
    }

    /// `idle_in_transaction_session_timeout`; `None` when there is no limit.
    pub(crate) fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        let value = self.set.get("idle_in_transaction_session_timeout")?;
        parse_duration(value).filter(|timeout| !timeout.is_zero())
    }

    /// `application_name`.
    pub(crate) fn application_name(&self) -> String {
        self.set.get("application_name").cloned().unwrap_or_default()
    }

    fn value(&self, known: &Known) -> &str {
        if let Some(fixed) = self.fixed.get(known.name) {
            return fixed;
        }
        if let Some(value) = self.set.get(known.name) {
            return value;
        }
        // A transaction that was not told otherwise is as the session's are.
        let default = match known.name {
            "transaction_isolation" => self.set.get("default_transaction_isolation"),
            "transaction_read_only" => self.set.get("default_transaction_read_only"),
            "transaction_deferrable" => self.set.get("default_transaction_deferrable"),
            _ => None,
        };
        default.map_or(known.default, String::as_str)
    }
}

fn all() -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().chain(ACCEPTED)
}

fn find(name: &str) -> Option<&'static Known> {
    all().find(|known| known.name.eq_ignore_ascii_case(name))
}

/// DataFusion's numbers that a session may choose, with the largest of each. Anything larger takes
/// memory and threads before there is a query that could be asked to stop.
const NUMBERS: [(&str, u64); 2] =
    [("datafusion.execution.batch_size", 65_536), ("datafusion.execution.target_partitions", 64)];

/// Refuses what would change more than how a query is run or explained: how deep statements may nest,
/// where files are, how much is kept.
fn may_be_set(name: &str, value: &str) -> Result<(), SqlError> {
    if let Some((_, most)) = NUMBERS.into_iter().find(|(number, _)| *number == name) {
        return match value.trim().parse::<u64>() {
            Ok(number) if (1..=most).contains(&number) => Ok(()),
            _ => Err(SqlError::InvalidSetting {
                name: name.to_owned(),
                value: value.to_owned(),
                hint: Some(format!("It is a whole number from 1 to {most}.")),
            }),
        };
    }
    let is_truth = ["true", "false"].contains(&value.trim().to_ascii_lowercase().as_str());
    let is_free = name.starts_with("datafusion.explain.")
        || (name.starts_with("datafusion.optimizer.") && is_truth);
    if is_free {
        return Ok(());
    }
    Err(SqlError::Invalid {
        sqlstate: "55P02",
        message: format!("parameter \"{name}\" cannot be changed"),
        hint: Some(
            "Of DataFusion's, sessions may set batch_size, target_partitions, what EXPLAIN shows, and \
             the optimizer's switches (true or false)."
                .into(),
        ),
        position: None,
    })
}

fn unknown(name: &str) -> SqlError {
    let nearest = all()
        .map(|known| (strsim::damerau_levenshtein(known.name, name), known.name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, near)| *distance <= near.len() / 3)
        .map(|(_, near)| near.to_owned());
    SqlError::UnknownSetting { name: name.to_owned(), nearest }
}

/// The value as `SHOW` gives it back.
fn check(known: &Known, value: &str) -> Result<String, SqlError> {
    let refused = |hint: String| SqlError::InvalidSetting {
        name: known.name.to_owned(),
        value: value.to_owned(),
        hint: Some(hint),
    };
    if known.name == "client_encoding" {
        return encoding(value).ok_or_else(|| refused("Available values: UTF8, SQL_ASCII.".into()));
    }
    match known.takes {
        Takes::Text => Ok(value.to_owned()),
        Takes::Nothing => Err(SqlError::FixedSetting { name: known.name.to_owned() }),
        Takes::Boolean => match value.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok("on".into()),
            "off" | "false" | "no" | "0" => Ok("off".into()),
            _ => Err(refused("It takes on or off.".into())),
        },
        Takes::OneOf(values) => values
            .iter()
            .find(|allowed| allowed.eq_ignore_ascii_case(value))
            .map(|allowed| (*allowed).to_owned())
            .ok_or_else(|| refused(format!("Available values: {}.", values.join(", ")))),
        Takes::Integer(low, high) => {
            let number = value.trim().parse::<f64>().map(f64::round_ties_even).ok();
            match number.filter(|number| number.is_finite()) {
                Some(number) if number.abs() > f64::from(i32::MAX) => {
                    Err(refused("Value exceeds integer range.".into()))
                }
                Some(number) if (low as f64..=high as f64).contains(&number) => {
                    Ok((number as i64).to_string())
                }
                Some(number) => {
                    Err(outside(known, &number.to_string(), &format!("{low} .. {high}")))
                }
                None => Err(refused(format!("It takes a whole number from {low} to {high}."))),
            }
        }
        Takes::Number(low, high) => match value.trim().parse::<f64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(number.to_string()),
            Ok(number) if number.is_finite() => {
                Err(outside(known, &number.to_string(), &format!("{low} .. {high}")))
            }
            _ => Err(refused(format!("It takes a number from {low} to {high}."))),
        },
        Takes::Duration => match parse_duration(value) {
            Some(duration) => Ok(written_duration(duration)),
            None => match value.trim().strip_prefix('-').and_then(parse_duration) {
                Some(duration) => {
                    let millis = format!("-{} ms", duration.as_millis());
                    Err(outside(known, &millis, &format!("0 ms .. {} ms", i32::MAX)))
                }
                None => Err(refused(
                    "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"."
                        .into(),
                )),
            },
        },
        Takes::Memory => match value.parse::<Size>() {
            Ok(size) => Ok(size.to_string()),
            Err(()) => Err(refused(
                "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".".into(),
            )),
        },
        Takes::TimeZone => {
            let zone = match value.to_ascii_lowercase().as_str() {
                "utc" | "gmt" | "etc/utc" | "local" | "default" => "UTC",
                _ => value,
            };
            zone.parse::<Tz>()
                .map(|_| zone.to_owned())
                .map_err(|_| refused("It takes a name such as Europe/Berlin or +02:00.".into()))
        }
    }
}

/// A number that is too small or too large, in PostgreSQL's words.
fn outside(known: &Known, value: &str, range: &str) -> SqlError {
    SqlError::Invalid {
        sqlstate: "22023",
        message: format!(
            "{value} is outside the valid range for parameter \"{}\" ({range})",
            known.name
        ),
        hint: None,
        position: None,
    }
}

/// The encoding of this name; as PostgreSQL does, only letters and digits of it count.
fn encoding(name: &str) -> Option<String> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Some("UTF8".into()),
        "sqlascii" => Some("SQL_ASCII".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
