//! The options of key frames, and of how much of the video is held and at which size.

use super::table::BOOLEAN;
use crate::source::option::OptionDoc;
use crate::source::value;

pub(super) const KEYFRAMES: &[OptionDoc] = &[
    OptionDoc {
        name: "keyframe_interval",
        kind: "interval",
        default: "10 seconds",
        range: "a time above 0 and up to 1 day: seconds, or a number with ms, seconds, minutes or hours",
        doc: "There is a key frame at the latest so long after the last one, in time of the video.",
        set: |o, text| {
            let seconds = value::seconds(text)?;
            o.keyframe_interval = Some(seconds).filter(|s| *s > 0.0 && *s <= 86_400.0)?;
            Some(())
        },
    },
    OptionDoc {
        name: "keyframe_first",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "The first frame is a key frame.",
        set: |o, text| {
            o.keyframe_first = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "keyframe_new_track",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "A new track that has lasted keyframe_track_frames makes a key frame.",
        set: |o, text| {
            o.keyframe_new_track = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "keyframe_class_change",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "A changed set of detected classes makes a key frame.",
        set: |o, text| {
            o.keyframe_class_change = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "keyframe_track_frames",
        kind: "integer",
        default: "5",
        range: "an integer from 1 to 1000000",
        doc: "After so many frames a new track makes a key frame.",
        set: |o, text| {
            o.keyframe_track_frames = value::integer(text, 1, 1_000_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "jpeg_quality",
        kind: "integer",
        default: "90",
        range: "an integer from 1 to 100",
        doc: "Quality of the pictures that are kept of key frames.",
        set: |o, text| {
            o.jpeg_quality = value::integer(text, 1, 100)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_bytes_in_flight",
        kind: "bytes",
        default: "64MB",
        range: "a size from 1MB to 64GB: bytes, or a number with kB, MB or GB",
        doc: "Decoded pictures that wait in the dataflow take at most so much memory; at least one picture always fits.",
        set: |o, text| {
            let bytes = value::bytes(text)?;
            o.max_bytes_in_flight = Some(bytes).filter(|b| (1 << 20..=64 << 30).contains(b))?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_width",
        kind: "integer",
        default: "the video's own width",
        range: "an integer from 16 to 16384",
        doc: "Wider pictures are scaled down to this width while they are decoded, the aspect kept.",
        set: |o, text| {
            o.max_width = Some(value::integer(text, 16, 16_384)?);
            Some(())
        },
    },
];
