//! What the tests with real models share: the folder with models and data, pictures, fixtures.
//!
//! Models and photos are in the test data; without it the tests say so and pass.

#![allow(dead_code, reason = "no program uses all of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vigil_models::{Image, InferenceService, Registry, ServiceOptions};

/// The folder with models and data, or `None` with a word about it.
pub fn shared() -> Option<PathBuf> {
    vigil_test_data::folder("models")?;
    vigil_test_data::folder("data")?;
    Some(vigil_test_data::root())
}

/// A service of the models in a folder, with one thread for each run.
pub fn service(models: &Path, max_batch: usize) -> Arc<InferenceService> {
    let registry = Arc::new(Registry::open(models).unwrap());
    let options = ServiceOptions { intra_threads: 1, max_batch, ..ServiceOptions::default() };
    InferenceService::new(registry, options)
}

/// A decoded photo.
pub fn photo(path: &Path) -> Arc<Image> {
    let decoded = image::open(path).unwrap().into_rgb8();
    let (width, height) = decoded.dimensions();
    Arc::new(Image::new(width, height, decoded.into_raw()).unwrap())
}

/// A grey picture.
pub fn grey(width: u32, height: u32) -> Arc<Image> {
    let rgb = vec![128; width as usize * height as usize * 3];
    Arc::new(Image::new(width, height, rgb).unwrap())
}

/// The folder with what references found.
pub fn fixtures() -> PathBuf {
    vigil_test_data::top_level().join("models/tests/fixtures")
}

/// A file of references' answers.
pub fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join(name)).unwrap()).unwrap()
}

/// The cosine of the angle between two vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
