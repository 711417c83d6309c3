//! AFLink with random weights, compared with torch (`models/export/tiny_aflink.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{fixture, fixtures, service};
use serde::Deserialize;
use vigil_models::backend::Device;
use vigil_models::{ModelError, Place, TrackPair};

#[derive(Deserialize)]
struct Linked {
    earlier: Vec<Place>,
    later: Vec<Place>,
    probability: f32,
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[[model]]\nname = \"tiny-aflink\"\nversion = \"1\"\ntask = \"linker\"\n\
                    family = \"aflink\"\nlicence = \"Apache-2.0\"\n\
                    [[model.file]]\nname = \"model.onnx\"\n";
    std::fs::create_dir(folder.path().join("tiny-aflink")).unwrap();
    let from = fixtures().join("tiny-aflink/model.onnx");
    std::fs::copy(from, folder.path().join("tiny-aflink/model.onnx")).unwrap();
    std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

#[test]
fn probabilities_are_those_of_the_reference() {
    let folder = folder();
    let service = service(folder.path(), 1);
    let linker = service.linker_on("tiny-aflink", Device::Cpu).unwrap();
    let expected: Vec<Linked> = fixture("tiny-aflink/links.json");
    let pair = |of: &Linked| TrackPair { earlier: of.earlier.clone(), later: of.later.clone() };
    let found = linker.link(expected.iter().map(pair).collect()).unwrap();
    assert_eq!(found.len(), expected.len());
    let (mut least, mut most) = (1.0_f32, 0.0_f32);
    for (found, expected) in found.iter().zip(&expected) {
        let wanted = expected.probability;
        assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
        (least, most) = (least.min(wanted), most.max(wanted));
    }
    assert!(most - least > 0.2, "pairs are told apart: {least} {most}");
    assert!(linker.link(Vec::new()).unwrap().is_empty());
    // More pairs than go into a run, and each alone.
    let many = vec![pair(&expected[0]); 150];
    assert!(linker.link(many).unwrap().iter().all(|one| (one - found[0]).abs() < 1e-6));
}

#[test]
fn other_models_are_no_linkers() {
    let folder = folder();
    let service = service(folder.path(), 1);
    assert!(matches!(service.reid("tiny-aflink"), Err(ModelError::WrongTask { .. })));
    let unknown = service.linker_on("nothing", Device::Cpu);
    assert!(matches!(unknown, Err(ModelError::UnknownModel { .. })));
}
