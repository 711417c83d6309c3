//! `frames`: a row is a processed frame.

use super::column::{self, Column};

pub(super) const COMMENT: &str = "Processed frames, one row each";

pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("source", "name of the source"),
        column::bigint(
            "frame_number",
            "number of the frame in the video, from 0, in presentation order",
        ),
        column::timestamptz("ts", "when the camera saw it: start_time + pts for files"),
        column::bigint(
            "pts_ms",
            "presentation time in the video, milliseconds from its first frame",
        ),
        column::integer("width", "width of the picture, pixels"),
        column::integer("height", "height of the picture, pixels"),
        column::boolean("keyframe", "kept as a picture and captioned"),
        column::integer(
            "total_objects",
            "detections at or above the source's confidence_threshold",
        ),
        column::integer("unique_classes", "different classes among them"),
        column::real("avg_confidence", "their mean confidence, 0..1; null when there is none")
            .nullable(),
        column::double_precision(
            "processing_ms",
            "measured time from leaving the decoder to being tracked, milliseconds",
        ),
        column::text("frame_uri", "where the picture of a key frame is kept (JPEG)").nullable(),
        column::text(
            "detector",
            "model and version that looked at it; null for detector none and when detection failed",
        )
        .nullable(),
    ]
}
