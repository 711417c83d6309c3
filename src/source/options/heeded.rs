//! Which trackers heed which options: what a statement gives to a tracker that does not heed it is
//! refused, as it would seem to do something.

use crate::source::error::SourceError;
use crate::track::TrackerKind;

/// Trackers that move boxes, which is all of them but the guide's.
const MOVING: &[&str] = &["bytetrack", "ocsort", "deepsort", "strongsort"];
/// Trackers that look at pictures.
const LOOKING: &[&str] = &["deepsort", "strongsort"];

/// Options of trackers that not all trackers heed, with those that do.
pub(in crate::source) const HEEDED: &[(&str, &[&str])] = &[
    ("track_iou_threshold", &["iou"]),
    ("max_missed_frames", &["iou"]),
    ("min_track_confidence", &["iou"]),
    ("track_high_thresh", MOVING),
    ("new_track_thresh", MOVING),
    ("match_thresh", &["bytetrack"]),
    ("track_buffer", MOVING),
    ("track_evidence", MOVING),
    ("association_method", MOVING),
    ("kalman_filter", &["bytetrack"]),
    ("appearance_embedding", LOOKING),
    ("reid_model", LOOKING),
    ("link_model", &["strongsort"]),
    ("occlusion_handling", MOVING),
    ("track_interpolation", MOVING),
    ("max_interpolation_gap", MOVING),
    ("track_smoothing", MOVING),
    ("class_agnostic", MOVING),
    ("frame_rate", MOVING),
    ("delta_t", &["ocsort"]),
    ("inertia", &["ocsort"]),
    ("max_cosine_distance", LOOKING),
    ("nn_budget", &["deepsort"]),
    ("ema_alpha", &["strongsort"]),
    ("appearance_weight", &["strongsort"]),
    ("camera_motion", &["strongsort"]),
];

/// Options that every tracker heeds.
const OF_ALL: &[&str] =
    &["confidence_threshold", "track_low_threshold", "min_track_length", "max_tracks"];

/// Whether a tracker without pictures and models can heed an option of that name.
pub fn is_of_trackers(name: &str) -> bool {
    let is_model = matches!(name, "reid_model" | "link_model");
    !is_model && (OF_ALL.contains(&name) || HEEDED.iter().any(|(heeded, _)| *heeded == name))
}

/// That the tracker heeds the option `name`, which a statement gives. Where nothing is tracked, no
/// option seems to do anything.
///
/// # Errors
/// [`SourceError::Conflict`] with the trackers that do.
pub(in crate::source) fn check(tracker: TrackerKind, name: &str) -> Result<(), SourceError> {
    let entry = HEEDED.iter().find(|(heeded, _)| *heeded == name);
    let Some((option, trackers)) = entry else { return Ok(()) };
    if tracker == TrackerKind::NONE || trackers.contains(&tracker.name) {
        return Ok(());
    }
    let (last, others) = trackers.split_last().unwrap_or((&"none", &[]));
    let quoted = |name: &&str| format!("'{name}'");
    let who = match others {
        [] => format!("'{last}' does"),
        others => {
            let others: Vec<String> = others.iter().map(quoted).collect();
            format!("{} and '{last}' do", others.join(", "))
        }
    };
    Err(SourceError::Conflict {
        option,
        other: "tracker",
        reason: format!("The tracker '{}' does not heed it; {who}.", tracker.name),
    })
}

#[cfg(test)]
mod tests {
    use super::super::options;
    use super::*;

    /// The reference says of each option who heeds it.
    #[test]
    fn the_documentation_names_those_that_heed_an_option() {
        for (name, trackers) in HEEDED {
            let entry = options().iter().find(|entry| entry.name == *name);
            let doc = entry.unwrap_or_else(|| panic!("{name} is no option")).doc;
            let said = if *trackers == MOVING {
                "(all trackers but iou)".to_owned()
            } else {
                format!("({})", trackers.join(", "))
            };
            assert!(doc.contains(&said), "{name}: {doc:?} without {said:?}");
            for tracker in *trackers {
                assert!(TrackerKind::from_name(tracker).is_some(), "{tracker}");
            }
        }
    }

    #[test]
    fn an_option_that_does_nothing_is_refused() {
        let kind = |name| TrackerKind::from_name(name).expect("a tracker");
        for (tracker, option) in [("iou", "match_thresh"), ("bytetrack", "delta_t")] {
            let error = check(kind(tracker), option).expect_err(option);
            assert!(error.to_string().contains(option), "{error}");
        }
        for (tracker, option) in [("bytetrack", "match_thresh"), ("none", "delta_t")] {
            assert!(check(kind(tracker), option).is_ok(), "{option}");
        }
    }
}
