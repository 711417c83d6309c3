//! An entry as the text that [`super::parse`] reads back: what is kept of a model that a user
//! registered. Places to fetch from are not written, as such a model has its files.

use toml::{Table, Value};

use super::{ModelEntry, ModelFile, Precision};

/// A manifest with this entry alone.
pub(crate) fn write(entry: &ModelEntry) -> String {
    let mut model = Table::new();
    let mut put = |key: &str, value: Value| {
        model.insert(key.to_owned(), value);
    };
    put("name", text(&entry.name));
    put("version", text(&entry.version));
    put("task", text(entry.task.name()));
    put("family", text(&entry.family));
    put("description", text(&entry.description));
    put("licence", text(&entry.licence));
    if let Some(size) = entry.input {
        put("input", sides(size));
    }
    if let Some(tokens) = entry.max_tokens.and_then(|tokens| i64::try_from(tokens).ok()) {
        put("max_tokens", Value::Integer(tokens));
    }
    if !entry.labels.is_empty() {
        put("labels", Value::Array(entry.labels.iter().map(|label| text(label)).collect()));
    }
    put("file", Value::Array(entry.files.iter().map(file).collect()));
    if let Some(made) = &entry.made {
        let pair = |(name, value): &(String, String)| Value::Array(vec![text(name), text(value)]);
        let mut table = Table::new();
        table.insert("from".into(), text(&made.from));
        table.insert("options".into(), Value::Array(made.options.iter().map(pair).collect()));
        put("made", Value::Table(table));
    }
    let mut manifest = Table::new();
    manifest.insert("model".into(), Value::Array(vec![Value::Table(model)]));
    manifest.to_string()
}

fn file(file: &ModelFile) -> Value {
    let mut table = Table::new();
    table.insert("name".into(), text(&file.name));
    if let Some(sha256) = &file.sha256 {
        table.insert("sha256".into(), text(sha256));
    }
    if let Some(bytes) = file.bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
        table.insert("bytes".into(), Value::Integer(bytes));
    }
    if let Some(size) = file.input {
        table.insert("input".into(), sides(size));
    }
    if file.optional {
        table.insert("optional".into(), Value::Boolean(true));
    }
    if file.precision == Precision::Half {
        table.insert("precision".into(), text("float16"));
    }
    Value::Table(table)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn sides((width, height): (u32, u32)) -> Value {
    Value::Array([width, height].map(|side| Value::Integer(side.into())).to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::{Made, Task, parse};
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let digest = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6";
        let file = |name: &str, input, precision| ModelFile {
            name: name.into(),
            sha256: Some(digest.into()),
            bytes: Some(7),
            input,
            precision,
            optional: precision == Precision::Half,
        };
        let entry = ModelEntry {
            name: "helmets".into(),
            version: "2".into(),
            task: Task::Detector,
            family: "yolov8".into(),
            description: "a \"quoted\" word,\na line and ünïcode".into(),
            licence: "MIT".into(),
            input: Some((640, 480)),
            max_tokens: None,
            labels: ["helmet", "it's a \\ head"].map(String::from).into(),
            files: vec![
                file("model.onnx", None, Precision::Full),
                file("half.onnx", Some((320, 320)), Precision::Half),
            ],
            sources: Vec::new(),
            made: Some(Made {
                from: "/videos/it's.onnx".into(),
                options: vec![("family".into(), "yolov8".into())],
            }),
        };
        assert_eq!(parse("here", &write(&entry)).unwrap(), std::slice::from_ref(&entry));
        let embedder = ModelEntry {
            task: Task::Embedder,
            family: "minilm".into(),
            input: None,
            max_tokens: Some(128),
            labels: [].into(),
            made: None,
            ..entry
        };
        assert_eq!(parse("here", &write(&embedder)).unwrap(), [embedder]);
    }
}
