//! Where the tests and benches of every crate find real input: the test data (videos, photos,
//! captions, ground truth) and the models.
//!
//! The test data is a folder beside the clone, or the one that `VIGIL_SHARED` names. It is not part
//! of the project: a test that needs it asks [`file`] or [`folder`] and ends when there is none,
//! which these have said by then.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The top level of the clone that runs: where Cargo says that the package lies, or else where it was
/// built. Several clones may share what was built, and then only the first is right.
pub fn top_level() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or(built.to_owned(), PathBuf::from);
    let top = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    top.map_or_else(|| package.clone(), Path::to_owned)
}

/// The folder of the test data, whether it is there or not.
pub fn root() -> PathBuf {
    std::env::var_os("VIGIL_SHARED").map_or_else(|| top_level().join("../shared"), PathBuf::from)
}

/// A file of the test data by its path below [`root`], or `None` after a line on standard error
/// that says what is missing.
pub fn file(name: &str) -> Option<PathBuf> {
    there(root().join(name), Path::is_file)
}

/// A folder of the test data by its path below [`root`], or `None` after a line on standard error
/// that says what is missing.
pub fn folder(name: &str) -> Option<PathBuf> {
    there(root().join(name), Path::is_dir)
}

/// The folder of models: that of the test data, or without it the one that `make setup` fills in
/// the clone, which has those models that could be had.
pub fn models() -> PathBuf {
    let of_data = root().join("models");
    if of_data.is_dir() { of_data } else { top_level().join(".vigil/models") }
}

/// The folder of a model in [`models`], or `None` after a line on standard error that says what is
/// missing.
pub fn model(name: &str) -> Option<PathBuf> {
    there(models().join(name), Path::is_dir)
}

fn there(path: PathBuf, is_there: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let is_there = is_there(&path);
    if !is_there {
        eprintln!("skipped: {} is not there (VIGIL_SHARED names the test data)", path.display());
    }
    is_there.then_some(path)
}

/// Flickr8k's sentences in the file's order, or `None` after a line on standard error.
pub fn sentences() -> Option<Vec<String>> {
    let text = std::fs::read_to_string(file("data/captions/flickr8k-captions.txt")?).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    Some(lines.map(|(_, sentence)| sentence.to_owned()).collect())
}

/// A vector of length 1 for a sentence, without a model: the sum of its words' directions, so that
/// sentences with words in common are near.
pub fn vector_of_words(sentence: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    for word in sentence.split_whitespace() {
        let mut hasher = DefaultHasher::new();
        word.to_lowercase().hash(&mut hasher);
        let mut bits = hasher.finish() | 1;
        for element in &mut vector {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            *element += f32::from((bits >> 56) as u8) / 128.0 - 1.0;
        }
    }
    let length = vector.iter().map(|element| element * element).sum::<f32>().sqrt();
    vector.iter().map(|element| element / length.max(f32::MIN_POSITIVE)).collect()
}
