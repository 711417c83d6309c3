//! `embeddings`: a row is a vector.

use super::column::{self, Column};

pub(super) const COMMENT: &str = "Vectors for search by meaning and by appearance, one row each";

pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("source", "name of the source"),
        column::bigint("frame_number", "the frame that it comes from"),
        column::timestamptz("ts", "when the camera saw that frame"),
        column::text("kind", "caption or appearance"),
        column::bigint(
            "track_id",
            "the track whose appearance it is; null for captions and where the track was noise",
        )
        .nullable(),
        column::vector("embedding", "the vector, L2-normalised").of_model_in("model"),
        column::text(
            "model",
            "model and version that made it; vectors of different models do not compare",
        ),
    ]
}
