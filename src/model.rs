//! Models that users register: a parsed `CREATE MODEL` goes in, a checked
//! [`vigil_models::NewModel`] comes out, from places that the server allows.
//!
//! Nothing here reads or loads a model; `vigil_models` does.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::Url;
use vigil_models::{Made, ModelEntry, ModelOrigin, ModelPlaces, NewModel, Task};
use vigil_sql::CreateModel;

use crate::source::{AllowedPlaces, SourceError, StatementText, model_path};

mod options;

pub use self::options::{ModelOptions, model_options};

/// Checks a statement: its type, its options, and that what it names is there and may be read. A
/// relative path is looked for below `base_dir`.
///
/// # Errors
/// [`SourceError`], for the first thing that is wrong.
pub(crate) fn new_model(
    statement: &CreateModel,
    base_dir: &Path,
    places: &AllowedPlaces,
) -> Result<NewModel, SourceError> {
    let task =
        Task::ALL.into_iter().find(|task| task.name() == statement.task).ok_or_else(|| {
            SourceError::InvalidValue {
                option: "type".into(),
                value: statement.task.clone(),
                range: "detector, captioner, embedder, reid, reranker or linker",
            }
        })?;
    let options = options::read(&statement.options)?;
    let from = origin(&statement.from, base_dir, places)?;
    let made = Made { from: statement.from.clone(), options: statement.options.clone() };
    Ok(NewModel { name: statement.name.clone(), task, from, options, made })
}

fn origin(from: &str, base_dir: &Path, places: &AllowedPlaces) -> Result<ModelOrigin, SourceError> {
    let scheme = from.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme {
        Some(scheme) if !matches!(scheme.as_str(), "http" | "https" | "file") => {
            return Err(SourceError::UnsupportedModelScheme { scheme });
        }
        Some(scheme) if scheme.starts_with("http") => {}
        _ => return model_path(from, base_dir, places).map(ModelOrigin::Path),
    }
    let url = Url::parse(from).map_err(|error| SourceError::InvalidUrl {
        url: from.to_owned(),
        detail: format!("The URL has an {error}."),
    })?;
    places.url(&url)?;
    Ok(ModelOrigin::Url(url.into()))
}

/// The statement that makes a registered model again.
pub(crate) fn create_sql(entry: &ModelEntry) -> Option<String> {
    let made = entry.made.as_ref()?;
    let mut sql = StatementText::new("CREATE MODEL ");
    sql.identifier(&entry.name);
    sql.words(&format!(" TYPE {} FROM ", entry.task));
    sql.literal(&made.from);
    sql.options(" WITH", &made.options);
    Some(sql.into())
}

impl ModelPlaces for AllowedPlaces {
    fn file(&self, path: &Path) -> Option<PathBuf> {
        self.file(path).ok()
    }

    fn url(&self, url: &str) -> bool {
        let parsed = Url::parse(url).ok();
        let web = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
        web.is_some_and(|url| self.url(&url).is_ok())
    }

    fn address(&self, address: IpAddr) -> bool {
        self.allows_address(address)
    }
}
