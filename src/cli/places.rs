//! Where things are: the folders and the configuration that a command works with.
//!
//! What the command line says wins, then the environment, then the configuration file, then a
//! folder `.vigil` here or above, then the user's own folder.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;

use super::config::Config;
use super::error::CliError;
use crate::EngineConfig;
use crate::source::AllowedPlaces;

/// Where the server listens unless told otherwise.
pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:7432";

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigArguments {
    /// Configuration file [default: .vigil/vigil.toml here or in a folder above, if there is one]
    #[arg(long, value_name = "FILE", env = "VIGIL_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,
}

/// Where the models are.
#[derive(Clone, Debug, Args)]
pub(super) struct ModelArguments {
    /// Folder of the models [default: .vigil/models here or above, else ~/.local/share/vigil/models]
    #[arg(long, value_name = "DIR", env = "VIGIL_MODELS", hide_env_values = true)]
    pub(super) models: Option<PathBuf>,

    #[command(flatten)]
    pub(super) config: ConfigArguments,
}

/// How an engine is to be run.
#[derive(Clone, Debug, Args)]
pub(super) struct EngineArguments {
    /// Threads of the dataflow [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) workers: Option<u16>,

    /// Threads of one run of a network [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) inference_threads: Option<u16>,

    #[command(flatten)]
    pub(super) models: ModelArguments,
}

impl ConfigArguments {
    /// The configuration that applies here; without a file, the built-in one.
    pub(super) fn read(&self) -> Result<Config, CliError> {
        let named = self.config.clone().filter(|path| !path.as_os_str().is_empty());
        let file =
            named.or_else(|| dot_vigil().map(|dir| dir.join("vigil.toml")).filter(|f| f.is_file()));
        Ok(file.map_or_else(|| Ok(Config::default()), |file| Config::read(&file))?)
    }
}

impl ModelArguments {
    /// The folder of the models; it need not exist.
    pub(super) fn folder(&self, config: &Config) -> PathBuf {
        let given = self.models.clone().filter(|path| !path.as_os_str().is_empty());
        given
            .map(|path| std::path::absolute(&path).unwrap_or(path))
            .or_else(|| config.models.clone())
            .or_else(|| dot_vigil().map(|dir| dir.join("models")).filter(|dir| dir.is_dir()))
            .unwrap_or_else(|| user_folder().join("models"))
    }
}

impl EngineArguments {
    /// All that an engine needs to start, with its data in `data`.
    pub(super) fn engine_config(&self, config: &Config, data: String) -> EngineConfig {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.inference_threads.map(usize::from).or(config.inference_threads);
        EngineConfig {
            data,
            models_dir: self.models.folder(config),
            workers: self.workers.map(usize::from).or(config.workers).unwrap_or(1),
            inference_threads: threads.unwrap_or(cores),
            defaults: config.defaults.clone(),
            base_dir: env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            places: AllowedPlaces {
                folders: config.allowed_folders.clone(),
                local_addresses: config.local_addresses,
            },
        }
    }
}

/// Where data is kept: a folder, absolute, or a URL.
pub(super) fn data(given: Option<&str>, config: &Config) -> String {
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        return if given.contains("://") { given.to_owned() } else { absolute(Path::new(given)) };
    }
    let beside = || dot_vigil().map(|dir| absolute(&dir.join("data")));
    config.data.clone().or_else(beside).unwrap_or_else(|| absolute(&user_folder().join("data")))
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The folder `.vigil` here or in the nearest folder above.
fn dot_vigil() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().map(|dir| dir.join(".vigil")).find(|dir| dir.is_dir())
}

/// The folder for what belongs to this user, as the XDG base directories say.
pub(super) fn user_folder() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(env::temp_dir)
        .join("vigil")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_wins_over_the_configuration() {
        let config = Config {
            data: Some("/from/config".into()),
            models: Some("/models/from/config".into()),
            workers: Some(3),
            ..Config::default()
        };
        assert_eq!(data(Some("/given"), &config), "/given");
        assert_eq!(data(Some("s3://bucket/prefix"), &config), "s3://bucket/prefix");
        assert_eq!(data(Some(""), &config), "/from/config");
        assert_eq!(data(None, &config), "/from/config");
        let mut arguments = EngineArguments {
            workers: None,
            inference_threads: Some(4),
            models: ModelArguments { models: None, config: ConfigArguments { config: None } },
        };
        let engine = arguments.engine_config(&config, "/d".into());
        assert_eq!((engine.workers, engine.inference_threads), (3, 4));
        assert_eq!(engine.models_dir, Path::new("/models/from/config"));
        arguments.models.models = Some("/given".into());
        assert_eq!(arguments.engine_config(&config, "/d".into()).models_dir, Path::new("/given"));
    }
}
