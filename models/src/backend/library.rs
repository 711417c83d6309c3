//! Where the ONNX Runtime library may lie on this machine.
//!
//! Out come the paths of the library's candidates, best first; none of them is opened here.

use std::path::{Path, PathBuf};

/// The environment variable that names the library outright.
pub(super) const VARIABLE: &str = "ORT_DYLIB_PATH";

/// What was found, and where it was looked for when nothing was.
pub(super) struct Search {
    /// Files that may be the library, best first.
    pub(super) candidates: Vec<PathBuf>,
    /// The folders that were looked at, for the error.
    pub(super) looked_at: Vec<PathBuf>,
}

/// Looks at `ORT_DYLIB_PATH` (which, when set, is the only candidate), beside the executable, and
/// in the virtual environment `.venv` of the current folder, its parents, and the executable's.
pub(super) fn search() -> Search {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Search { candidates: vec![PathBuf::from(path)], looked_at: Vec::new() };
    }
    let executable = std::env::current_exe().ok();
    let beside = executable.as_deref().and_then(Path::parent);
    let current = std::env::current_dir().ok();
    search_in(beside, current.as_deref())
}

fn search_in(beside: Option<&Path>, current: Option<&Path>) -> Search {
    let mut search = Search { candidates: Vec::new(), looked_at: Vec::new() };
    if let Some(folder) = beside {
        search.look_at(folder.to_path_buf());
    }
    let environments = current.into_iter().chain(beside).flat_map(Path::ancestors);
    for folder in environments {
        for python in entries(&folder.join(".venv/lib"), "python3") {
            search.look_at(python.join("site-packages/onnxruntime/capi"));
        }
    }
    if search.candidates.is_empty()
        && let Some(current) = current
    {
        search.looked_at.push(current.join(".venv"));
    }
    search
}

impl Search {
    /// Adds the libraries of one folder, unless it was looked at before.
    fn look_at(&mut self, folder: PathBuf) {
        if !self.looked_at.contains(&folder) {
            self.candidates.extend(entries(&folder, "libonnxruntime.so"));
            self.looked_at.push(folder);
        }
    }
}

/// What in `folder` has a name that starts with `prefix`, the greatest name first: of several
/// versions the newest, as names of this kind go.
fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = listing
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_beside_the_executable_and_in_the_environment() {
        let root = std::env::temp_dir().join(format!("vigil-library-{}", std::process::id()));
        let bin = root.join("target/fast");
        let capi = root.join(".venv/lib/python3.11/site-packages/onnxruntime/capi");
        let inner = root.join("examples/deep");
        for folder in [&bin, &capi, &inner] {
            std::fs::create_dir_all(folder).unwrap();
        }
        assert!(search_in(Some(&bin), Some(&inner)).candidates.is_empty());
        std::fs::write(capi.join("libonnxruntime.so.1.24.0"), "").unwrap();
        std::fs::write(capi.join("libonnxruntime.so.1.32.0"), "").unwrap();
        std::fs::write(capi.join("libonnxruntime_providers_shared.so"), "").unwrap();
        let found = search_in(Some(&bin), Some(&inner)).candidates;
        assert_eq!(
            found,
            [capi.join("libonnxruntime.so.1.32.0"), capi.join("libonnxruntime.so.1.24.0")]
        );
        std::fs::write(bin.join("libonnxruntime.so"), "").unwrap();
        let found = search_in(Some(&bin), None).candidates;
        assert_eq!(found.first(), Some(&bin.join("libonnxruntime.so")));
        assert_eq!(found.len(), 3, "the executable's parents have the environment, too");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
