//! `tracks`: a row is one object over time.

use super::column::{self, Column};

pub(super) const COMMENT: &str = "Objects over time, one row each, kept right as detections arrive";

pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("source", "name of the source"),
        column::bigint("track_id", "number of the track in its source, from 1"),
        column::text("class_name", "the class of the object"),
        column::text("state", "tentative, active, lost or ended"),
        column::bigint("first_frame", "the frame it was first seen in"),
        column::bigint("last_frame", "the frame it was last seen in"),
        column::timestamptz("first_ts", "when it was first seen"),
        column::timestamptz("last_ts", "when it was last seen"),
        column::bigint("detections", "number of detections in it"),
        column::real("avg_confidence", "mean confidence of its detections, 0..1"),
        column::real("max_confidence", "highest confidence of its detections, 0..1"),
        column::real("x1", "left edge of its last box, pixels of the frame"),
        column::real("y1", "top edge of its last box, pixels of the frame"),
        column::real("x2", "right edge of its last box, pixels of the frame"),
        column::real("y2", "bottom edge of its last box, pixels of the frame"),
        column::positions(
            "positions",
            "its last centres (max_history of them), oldest first: frame number, x and y in pixels",
        ),
        column::text("tracker", "the tracker that followed it"),
    ]
}
