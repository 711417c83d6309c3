//! The configuration file `vigil.toml`: text goes in, checked values come out.
//! `examples/vigil.toml` has every key.
//!
//! Every key may be left out; a key that is not known is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use super::security::LimitsConfig;
use crate::engine::InferenceConfig;
use crate::source::{LocalAddresses, SourceDefaults, Tracker, nearest};

/// What a configuration file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Config {
    /// Where the server listens: address and port.
    pub(super) listen: Option<String>,
    /// Where data is kept: an absolute folder or a URL.
    pub(super) data: Option<String>,
    /// The folder of the models, absolute.
    pub(super) models: Option<PathBuf>,
    /// Workers of the dataflow.
    pub(super) workers: Option<usize>,
    /// Threads of one run of a network.
    pub(super) inference_threads: Option<usize>,
    /// The certificate for TLS, absolute.
    pub(super) tls_cert: Option<PathBuf>,
    /// Its key, absolute.
    pub(super) tls_key: Option<PathBuf>,
    /// The folders that sources may be read from, absolute.
    pub(super) allowed_folders: Option<Vec<PathBuf>>,
    /// Whether URLs may lead to link-local and metadata addresses.
    pub(super) local_addresses: LocalAddresses,
    /// How models are run for all sources.
    pub(super) inference: InferenceConfig,
    /// What clients and queries may use.
    pub(super) limits: LimitsConfig,
    /// What sources have when their statement does not say.
    pub(super) defaults: SourceDefaults,
}

/// Why a configuration file is not used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("configuration file \"{}\": {problem}", .path.display())]
pub(super) struct ConfigError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum Problem {
    #[error("could not be read: {0}")]
    Unreadable(String),
    #[error("is not valid TOML")]
    Toml(String),
    #[error("unrecognized key \"{key}\"")]
    UnknownKey { key: String, nearest: Option<String>, known: String },
    #[error("invalid value for \"{key}\"")]
    Value { key: String, takes: &'static str },
}

impl ConfigError {
    pub(super) fn detail(&self) -> Option<String> {
        match &self.problem {
            Problem::Toml(message) => Some(format!("{message}.")),
            Problem::UnknownKey { known, .. } => Some(format!("The keys there are: {known}.")),
            Problem::Unreadable(_) | Problem::Value { .. } => None,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match &self.problem {
            Problem::UnknownKey { nearest, .. } => {
                nearest.as_ref().map(|near| format!("Perhaps you meant \"{near}\"."))
            }
            Problem::Value { key, takes } => Some(format!("\"{key}\" takes {takes}.")),
            Problem::Unreadable(_) => {
                Some("Name a file that can be read with --config or in VIGIL_CONFIG.".into())
            }
            Problem::Toml(_) => Some(
                "Texts stand in quotes and tables in [brackets]; \"vigil serve --help\" lists the keys."
                    .into(),
            ),
        }
    }
}

/// The keys of a table, for the nearest name.
type Keys = &'static [&'static str];

const KEYS: Keys = &[
    "listen",
    "data",
    "models",
    "workers",
    "inference_threads",
    "tls_cert",
    "tls_key",
    "allowed_folders",
    "allow_local_addresses",
    "inference",
    "limits",
    "defaults",
];
const INFERENCE_KEYS: Keys = &["max_batch", "max_wait_ms", "keep_loaded_seconds", "caption_cache"];
const LIMITS_KEYS: Keys = &[
    "connections",
    "query_memory_mb",
    "total_query_memory_mb",
    "message_mb",
    "max_rows",
    "authentication_seconds",
    "failed_authentications",
];
const DEFAULTS_KEYS: Keys = &["detector", "captioner", "embedder", "tracker"];

impl Config {
    /// Reads the file; relative paths in it are relative to its folder.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let fail = |problem| ConfigError { path: path.to_owned(), problem };
        let text = fs::read_to_string(path)
            .map_err(|error| fail(Problem::Unreadable(super::error::reason(&error))))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("."))).map_err(fail)
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, Problem> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().lines().next().unwrap_or_default();
            Problem::Toml(match line {
                Some(line) => format!("Line {line}: {message}"),
                None => message.to_owned(),
            })
        })?;
        let top = Section { table: &table, prefix: "" };
        top.check_keys(KEYS)?;
        let empty = Table::new();
        let defaults = match table.get("defaults") {
            None => &empty,
            Some(Value::Table(defaults)) => defaults,
            Some(_) => return Err(top.wrong("defaults", "a table: [defaults] on a line alone")),
        };
        let defaults = Section { table: defaults, prefix: "defaults." };
        defaults.check_keys(DEFAULTS_KEYS)?;
        let inference = match table.get("inference") {
            None => &empty,
            Some(Value::Table(inference)) => inference,
            Some(_) => return Err(top.wrong("inference", "a table: [inference] on a line alone")),
        };
        let inference = Section { table: inference, prefix: "inference." };
        inference.check_keys(INFERENCE_KEYS)?;
        let limits = match table.get("limits") {
            None => &empty,
            Some(Value::Table(limits)) => limits,
            Some(_) => return Err(top.wrong("limits", "a table: [limits] on a line alone")),
        };
        let limits = Section { table: limits, prefix: "limits." };
        limits.check_keys(LIMITS_KEYS)?;
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let data = top.text("data")?.map(|data| {
            let is_url = data.contains("://");
            if is_url { data } else { folder.join(data).display().to_string() }
        });
        Ok(Self {
            listen: top.text("listen")?,
            data,
            models: top.text("models")?.map(|models| folder.join(models)),
            workers: top.count("workers")?,
            inference_threads: top.count("inference_threads")?,
            tls_cert: top.text("tls_cert")?.map(|file| folder.join(file)),
            tls_key: top.text("tls_key")?.map(|file| folder.join(file)),
            allowed_folders: top.folders("allowed_folders", &folder)?,
            local_addresses: top.local_addresses("allow_local_addresses")?,
            inference: inference.inference()?,
            limits: limits.limits()?,
            defaults: defaults.source_defaults()?,
        })
    }
}

/// A table of the file and what its keys are called in messages.
struct Section<'a> {
    table: &'a Table,
    prefix: &'static str,
}

impl Section<'_> {
    fn check_keys(&self, known: Keys) -> Result<(), Problem> {
        let Some(key) = self.table.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        Err(Problem::UnknownKey {
            key: format!("{}{key}", self.prefix),
            nearest: nearest(key, known.iter().copied()),
            known: known.join(", "),
        })
    }

    fn wrong(&self, key: &str, takes: &'static str) -> Problem {
        Problem::Value { key: format!("{}{key}", self.prefix), takes }
    }

    fn text(&self, key: &str) -> Result<Option<String>, Problem> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(key, "a text in quotes")),
        }
    }

    fn count(&self, key: &str) -> Result<Option<usize>, Problem> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::Integer(count @ 1..=1024)) => Ok(usize::try_from(*count).ok()),
            Some(_) => Err(self.wrong(key, "an integer from 1 to 1024")),
        }
    }

    fn folders(&self, key: &str, beside: &Path) -> Result<Option<Vec<PathBuf>>, Problem> {
        let wrong = || self.wrong(key, "a list of folders: [\"/srv/video\"]");
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let folders = value.as_array().ok_or_else(wrong)?.iter();
        let folders = folders.map(|folder| folder.as_str().map(|folder| beside.join(folder)));
        folders.collect::<Option<Vec<_>>>().map(Some).ok_or_else(wrong)
    }

    fn local_addresses(&self, key: &str) -> Result<LocalAddresses, Problem> {
        match self.table.get(key) {
            None | Some(Value::Boolean(false)) => Ok(LocalAddresses::Refused),
            Some(Value::Boolean(true)) => Ok(LocalAddresses::Allowed),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    fn limit(&self, key: &str) -> Result<Option<usize>, Problem> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::Integer(limit @ 1..=1_000_000_000_000)) => Ok(usize::try_from(*limit).ok()),
            Some(_) => Err(self.wrong(key, "an integer from 1")),
        }
    }

    /// An integer from `least` to a million.
    fn number(&self, key: &str, least: i64, takes: &'static str) -> Result<Option<usize>, Problem> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::Integer(number)) if (least..=1_000_000).contains(number) => {
                Ok(usize::try_from(*number).ok())
            }
            Some(_) => Err(self.wrong(key, takes)),
        }
    }

    fn inference(&self) -> Result<InferenceConfig, Problem> {
        const FROM_0: &str = "an integer from 0 to 1000000";
        const FROM_1: &str = "an integer from 1 to 1000000";
        let built_in = InferenceConfig::default();
        let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
        let wait = self.number("max_wait_ms", 0, FROM_0)?;
        let keep = self.number("keep_loaded_seconds", 1, FROM_1)?;
        Ok(InferenceConfig {
            max_batch: self.count("max_batch")?.unwrap_or(built_in.max_batch),
            max_wait: wait.map_or(built_in.max_wait, |wait| millis(wait as u64)),
            keep_loaded: keep.map_or(built_in.keep_loaded, |keep| seconds(keep as u64)),
            caption_cache: self
                .number("caption_cache", 0, FROM_0)?
                .unwrap_or(built_in.caption_cache),
        })
    }

    fn limits(&self) -> Result<LimitsConfig, Problem> {
        Ok(LimitsConfig {
            connections: self.limit("connections")?,
            query_memory_mb: self.limit("query_memory_mb")?,
            total_query_memory_mb: self.limit("total_query_memory_mb")?,
            message_mb: self.limit("message_mb")?,
            max_rows: self.limit("max_rows")?,
            authentication_seconds: self.limit("authentication_seconds")?,
            failed_authentications: self.limit("failed_authentications")?,
        })
    }

    fn source_defaults(&self) -> Result<SourceDefaults, Problem> {
        let built_in = SourceDefaults::default();
        let tracker = match self.text("tracker")? {
            None => built_in.tracker,
            Some(name) => Tracker::from_name(&name).ok_or_else(|| {
                self.wrong(
                    "tracker",
                    "\"iou\", \"bytetrack\", \"ocsort\", \"deepsort\", \"strongsort\" or \"none\"",
                )
            })?,
        };
        Ok(SourceDefaults {
            detector: self.text("detector")?.unwrap_or(built_in.detector),
            captioner: self.text("captioner")?.unwrap_or(built_in.captioner),
            embedder: self.text("embedder")?.unwrap_or(built_in.embedder),
            tracker,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Problem> {
        Config::parse(text, Path::new("/etc/vigil"))
    }

    #[test]
    fn the_example_is_read() {
        let config = parse(include_str!("../../examples/vigil.toml")).unwrap();
        assert_eq!(config.listen.as_deref(), Some("127.0.0.1:7432"));
        assert_eq!(config.defaults.captioner, "none");
    }

    #[test]
    fn every_key_is_read_and_paths_are_beside_the_file() {
        let text = r#"
            listen = "0.0.0.0:5433"
            data = "data"
            models = "/srv/models"
            workers = 2
            inference_threads = 4
            tls_cert = "a.crt"
            tls_key = "/etc/a.key"
            allowed_folders = ["video", "/srv"]
            allow_local_addresses = true
            [inference]
            max_batch = 8
            max_wait_ms = 5
            keep_loaded_seconds = 60
            caption_cache = 0
            [limits]
            connections = 7
            [defaults]
            detector = "ssd-mobilenet-v2"
            captioner = "none"
            embedder = "none"
            tracker = "none"
        "#;
        let expected = Config {
            listen: Some("0.0.0.0:5433".into()),
            data: Some("/etc/vigil/data".into()),
            models: Some("/srv/models".into()),
            workers: Some(2),
            inference_threads: Some(4),
            tls_cert: Some("/etc/vigil/a.crt".into()),
            tls_key: Some("/etc/a.key".into()),
            allowed_folders: Some(vec!["/etc/vigil/video".into(), "/srv".into()]),
            local_addresses: LocalAddresses::Allowed,
            inference: InferenceConfig {
                max_batch: 8,
                max_wait: Duration::from_millis(5),
                keep_loaded: Duration::from_secs(60),
                caption_cache: 0,
            },
            limits: LimitsConfig { connections: Some(7), ..LimitsConfig::default() },
            defaults: SourceDefaults {
                detector: "ssd-mobilenet-v2".into(),
                captioner: "none".into(),
                embedder: "none".into(),
                tracker: Tracker::NONE,
            },
        };
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(parse(""), Ok(Config::default()));
        assert_eq!(parse("data = \"s3://bucket/p\"").unwrap().data.unwrap(), "s3://bucket/p");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |text: &str| {
            let error =
                ConfigError { path: "vigil.toml".into(), problem: parse(text).unwrap_err() };
            assert!(!error.to_string().contains('\n'));
            (error.to_string(), error.hint())
        };
        let (message, hint) = told("lisen = \"a\"");
        assert_eq!(message, "configuration file \"vigil.toml\": unrecognized key \"lisen\"");
        assert_eq!(hint.as_deref(), Some("Perhaps you meant \"listen\"."));
        let (message, hint) = told("[defaults]\ndetektor = \"a\"");
        assert!(message.ends_with("unrecognized key \"defaults.detektor\""));
        assert_eq!(hint.as_deref(), Some("Perhaps you meant \"detector\"."));
        assert!(told("workers = 0").1.unwrap().contains("from 1 to 1024"));
        let (message, hint) = told("[inference]\nkeep_loaded_seconds = 0");
        assert!(message.ends_with("invalid value for \"inference.keep_loaded_seconds\""));
        assert!(hint.unwrap().contains("from 1 to 1000000"));
        assert!(told("listen = 7432").0.ends_with("invalid value for \"listen\""));
        assert!(told("[defaults]\ntracker = \"sort\"").1.unwrap().contains("\"iou\""));
        assert!(told("defaults = 1").1.unwrap().contains("[defaults]"));
        assert!(told("listen = a").1.unwrap().contains("in quotes"));
        let Err(Problem::Toml(message)) = parse("listen = \"a\"\nworkers = = 2") else {
            panic!("accepted");
        };
        assert!(message.starts_with("Line 2: "), "{message}");
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let error = Config::read(Path::new("/nowhere/vigil.toml")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "configuration file \"/nowhere/vigil.toml\": could not be read: no such file or directory"
        );
        assert!(error.hint().unwrap().contains("--config"));
    }
}
