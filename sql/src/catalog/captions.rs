//! `captions`: a row is a captioned key frame.

use super::column::{self, Column};

pub(super) const COMMENT: &str = "Captions of key frames, one row each";

pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("source", "name of the source"),
        column::bigint("frame_number", "the frame that it describes"),
        column::timestamptz("ts", "when the camera saw it"),
        column::text("caption", "the model's words and the detected objects; null when there is neither").nullable(),
        column::text("scene", "the model's own words; null without a captioner or when it failed").nullable(),
        column::json("objects", "number of detected objects by class"),
        column::vector_384("embedding", "embedding of the caption, L2-normalised; null when there is no caption or the embedder failed").of_model_in("embedder").nullable(),
        column::text("captioner", "model and version that wrote the scene").nullable(),
        column::text("embedder", "model and version that made the embedding").nullable(),
    ]
}
