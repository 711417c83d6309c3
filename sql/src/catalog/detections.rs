//! `detections`: a row is an object in a frame.

use super::column::{self, Column};

pub(super) const COMMENT: &str = "Objects in frames, one row for each box";

pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("source", "name of the source"),
        column::bigint("frame_number", "the frame it was seen in"),
        column::timestamptz("ts", "when the camera saw it"),
        column::bigint("track_id", "the track it belongs to; null when it belongs to none")
            .nullable(),
        column::integer("class_id", "the class's index in the model's labels"),
        column::text("class_name", "the class, such as person"),
        column::real("confidence", "the detector's score, 0..1"),
        column::real("x1", "left edge, pixels of the frame"),
        column::real("y1", "top edge, pixels of the frame"),
        column::real("x2", "right edge, pixels of the frame"),
        column::real("y2", "bottom edge, pixels of the frame"),
        column::real("cx", "horizontal centre, pixels of the frame"),
        column::real("cy", "vertical centre, pixels of the frame"),
        column::boolean(
            "interpolated",
            "not seen, but filled in between two sightings of its track",
        ),
        column::text("detector", "model and version that found it"),
    ]
}
