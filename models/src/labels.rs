//! The class names that come with the crate: the name of a set goes in, its names come out.
//!
//! A set is a text file below `models/labels/`, one name a line, the line number (from 0) being
//! the class id in [`crate::Detection`]. A line `-` is an id that the set does not use; it becomes
//! an empty name, and a detector never gives it.

use std::sync::Arc;

/// Each set with the text it is read from.
const SETS: &[(&str, &str)] = &[
    // The 80 classes of COCO in the order in which YOLO models give them.
    ("coco80", include_str!("../labels/coco80.txt")),
    // COCO's own ids 1 to 91 of which 80 are used; id 1 is the first line.
    ("coco91", include_str!("../labels/coco91.txt")),
    // The same with the ids themselves as places: 0 to 90, id 0 unused.
    ("coco91-id", include_str!("../labels/coco91-id.txt")),
];

/// The names of a built-in set, by class id; an unused id has the empty name. `None` when there is
/// no such set.
pub fn label_set(name: &str) -> Option<Arc<[String]>> {
    let (_, text) = SETS.iter().find(|(set, _)| *set == name)?;
    Some(text.lines().map(|line| if line == "-" { String::new() } else { line.into() }).collect())
}

/// The names of the built-in sets.
pub fn label_set_names() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_have_cocos_names() {
        let eighty = label_set("coco80").unwrap();
        let ninety_one = label_set("coco91").unwrap();
        assert_eq!((eighty.len(), ninety_one.len()), (80, 91));
        assert_eq!((eighty[0].as_str(), eighty[79].as_str()), ("person", "toothbrush"));
        // COCO's id 90 is the toothbrush; the file starts with id 1.
        assert_eq!((ninety_one[0].as_str(), ninety_one[89].as_str()), ("person", "toothbrush"));
        assert!(ninety_one[11].is_empty() && ninety_one[90].is_empty());
        let by_id = label_set("coco91-id").unwrap();
        assert!(by_id.len() == 91 && by_id[0].is_empty() && by_id[1..] == ninety_one[..90]);
        let used: Vec<_> = ninety_one.iter().filter(|name| !name.is_empty()).collect();
        assert!(used.iter().copied().eq(eighty.iter()), "both name the same classes in one order");
    }

    #[test]
    fn an_unknown_set_is_none() {
        assert!(label_set("coco").is_none());
    }
}
