//! The options of `CREATE MODEL … WITH (…)`: a line each.

use vigil_models::NewModelOptions;

use crate::source::{OptionDoc, SourceError, apply_options};

/// What the options of a model are read into.
#[derive(Clone, Debug, Default)]
pub struct ModelOptions(NewModelOptions);

/// Every option that `CREATE MODEL … WITH (…)` takes.
pub fn model_options() -> &'static [OptionDoc<ModelOptions>] {
    OPTIONS
}

/// Reads the options that were given.
pub(super) fn read(given: &[(String, String)]) -> Result<NewModelOptions, SourceError> {
    let mut options = ModelOptions::default();
    apply_options(OPTIONS, &mut options, given)?;
    Ok(options.0)
}

const OPTIONS: &[OptionDoc<ModelOptions>] = &[
    OptionDoc::new(
        ("family", "text", "the only one of the type, if there is one"),
        "a family: yolov8, yolox, detr or ssd; osnet; blip or blip2; minilm or mpnet; cross-encoder; aflink",
        "Which code reads the model: what its inputs and outputs mean.",
        |model: &mut ModelOptions, text| {
            model.0.family = Some(not_empty(text)?.to_ascii_lowercase());
            Some(())
        },
    ),
    OptionDoc::new(
        ("labels", "text", "none; a detector needs them"),
        "a set of labels (coco80, coco91, coco91-id) or class names separated by commas",
        "The classes of a detector, by class id.",
        |model, text| {
            let named = text.split(',').all(|label| !label.trim().is_empty());
            model.0.labels = Some(text.to_owned()).filter(|_| named);
            model.0.labels.as_ref().map(|_| ())
        },
    ),
    OptionDoc::new(
        ("input", "text", "the graph's own"),
        "a width and a height in pixels, such as 640x640",
        "The picture that a detector (not an SSD) or re-identification network of one graph takes; a graph of another size is refused.",
        |model, text| {
            model.0.input = Some(sides(text)?);
            Some(())
        },
    ),
    OptionDoc::new(
        ("max_tokens", "integer", "256 for minilm, 384 for mpnet"),
        "an integer from 3 to 1000000",
        "Longer texts are cut to so many tokens, with the special ones.",
        |model, text| {
            let tokens = text.parse().ok().filter(|tokens| (3..=1_000_000).contains(tokens))?;
            model.0.max_tokens = Some(tokens);
            Some(())
        },
    ),
    OptionDoc::new(
        ("sha256", "text", "not compared"),
        "64 hex digits, or file=digest pairs separated by commas where FROM names a folder",
        "What the files' sha256 must be; the model is refused when one is another.",
        |model, text| {
            model.0.sha256 = digests(text)?;
            Some(())
        },
    ),
    OptionDoc::new(
        ("version", "text", "1"),
        "letters, digits, dots, dashes and underscores",
        "Rows name the model with it: name:version.",
        |model, text| {
            model.0.version = not_empty(text)?.to_owned();
            Some(())
        },
    ),
    OptionDoc::new(
        ("licence", "text", "unknown"),
        "a licence's SPDX name",
        "Shown in vigil_catalog.models.",
        |model, text| {
            model.0.licence = not_empty(text)?.to_owned();
            Some(())
        },
    ),
    OptionDoc::new(
        ("description", "text", "empty"),
        "a sentence",
        "Kept with the model, for people.",
        |model, text| {
            model.0.description = text.to_owned();
            Some(())
        },
    ),
];

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `640x480`: width and height.
fn sides(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once(['x', 'X', '×'])?;
    let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=16_384).contains(side));
    side(width).zip(side(height))
}

/// Each digest in lower case, with the name of its file where one is given.
fn digests(text: &str) -> Option<Vec<(Option<String>, String)>> {
    let one = |part: &str| {
        let (file, digest) = match part.split_once('=') {
            Some((file, digest)) => (Some(not_empty(file.trim())?.to_owned()), digest.trim()),
            None => (None, part.trim()),
        };
        let hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| (file, digest.to_ascii_lowercase()))
    };
    let digests: Vec<_> = text.split(',').map(one).collect::<Option<_>>()?;
    // A digest without a name is that of the only file.
    (digests.len() == 1 || digests.iter().all(|(file, _)| file.is_some())).then_some(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, value: &str) -> Result<NewModelOptions, SourceError> {
        read(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn sizes_and_digests_are_read() {
        assert_eq!(given("input", "640x480").unwrap().input, Some((640, 480)));
        let digest = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6";
        let upper = digest.to_uppercase();
        assert_eq!(given("sha256", &upper).unwrap().sha256, [(None, digest.to_owned())]);
        let two = format!("a.onnx={digest}, vocab.txt = {upper}");
        let expected = ["a.onnx", "vocab.txt"].map(|file| (Some(file.into()), digest.to_owned()));
        assert_eq!(given("sha256", &two).unwrap().sha256, expected);
    }

    #[test]
    fn what_is_none_is_refused_with_what_there_is() {
        for (name, value) in [
            ("input", "640"),
            ("input", "0x640"),
            ("input", "640x-1"),
            ("sha256", "abc"),
            ("sha256", ""),
            ("labels", ""),
            ("labels", "cat,,dog"),
            ("max_tokens", "2"),
            ("version", ""),
        ] {
            let error = given(name, value).unwrap_err();
            assert!(matches!(error, SourceError::InvalidValue { .. }), "{name} {value}: {error:?}");
        }
        let error = given("labls", "cat").unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("Perhaps you meant \"labels\"."));
    }
}
