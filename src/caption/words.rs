//! The words of a caption: `a man rides a bike. Detected objects: 1 bicycle, 2 cars, and 3
//! persons`, classes in alphabetical order, English plurals.

use std::collections::BTreeMap;

/// Nouns whose plural no rule gives. `person` becomes `persons`, as detectors count them.
const IRREGULAR: &[(&str, &str)] = &[
    ("broccoli", "broccoli"),
    ("child", "children"),
    ("deer", "deer"),
    ("fish", "fish"),
    ("foot", "feet"),
    ("goose", "geese"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("loaf", "loaves"),
    ("luggage", "luggage"),
    ("man", "men"),
    ("mouse", "mice"),
    ("person", "persons"),
    ("scissors", "scissors"),
    ("sheep", "sheep"),
    ("shelf", "shelves"),
    ("skis", "skis"),
    ("tooth", "teeth"),
    ("wolf", "wolves"),
    ("woman", "women"),
];

/// The caption of a frame: the scene, the objects, or both; `None` when there is neither.
pub fn caption(scene: Option<&str>, objects: &BTreeMap<String, u32>) -> Option<String> {
    let objects = list(objects).map(|list| format!("Detected objects: {list}"));
    match (scene, objects) {
        (Some(scene), Some(objects)) => Some(format!("{scene}. {objects}")),
        (Some(scene), None) => Some(scene.to_owned()),
        (None, objects) => objects,
    }
}

/// `1 bicycle, 2 cars, and 3 persons`; `None` for no objects.
fn list(objects: &BTreeMap<String, u32>) -> Option<String> {
    let parts: Vec<String> = objects
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(class, count)| match count {
            1 => format!("1 {class}"),
            _ => format!("{count} {}", plural(class)),
        })
        .collect();
    match parts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        [one, other] => Some(format!("{one} and {other}")),
        [most @ .., last] => Some(format!("{}, and {last}", most.join(", "))),
    }
}

/// The English plural of a noun; of several words the last one changes.
fn plural(noun: &str) -> String {
    let (before, last) = noun.rsplit_once(' ').map_or(("", noun), |(before, last)| (before, last));
    let last = match IRREGULAR.iter().find(|(singular, _)| *singular == last) {
        Some((_, plural)) => (*plural).to_owned(),
        None => regular_plural(last),
    };
    if before.is_empty() { last } else { format!("{before} {last}") }
}

fn regular_plural(word: &str) -> String {
    let vowel = |c: char| "aeiou".contains(c);
    if ["s", "x", "z", "ch", "sh"].iter().any(|ending| word.ends_with(ending)) {
        return format!("{word}es");
    }
    match word.strip_suffix('y') {
        Some(stem) if stem.chars().last().is_some_and(|before| !vowel(before)) => {
            format!("{stem}ies")
        }
        _ => format!("{word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(counts: &[(&str, u32)]) -> BTreeMap<String, u32> {
        counts.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect()
    }

    #[test]
    fn scene_and_objects_are_one_text() {
        let counts = objects(&[("person", 3), ("car", 2), ("bicycle", 1)]);
        assert_eq!(
            caption(Some("a man rides a bike"), &counts).as_deref(),
            Some("a man rides a bike. Detected objects: 1 bicycle, 2 cars, and 3 persons"),
        );
        assert_eq!(
            caption(None, &objects(&[("bus", 2), ("sheep", 4)])).as_deref(),
            Some("Detected objects: 2 buses and 4 sheep"),
        );
        assert_eq!(caption(Some("a street"), &objects(&[])).as_deref(), Some("a street"));
        assert_eq!(caption(None, &objects(&[])), None);
    }

    #[test]
    fn plurals_of_detectors_classes() {
        for (one, many) in [
            ("person", "persons"),
            ("bus", "buses"),
            ("bench", "benches"),
            ("wine glass", "wine glasses"),
            ("toothbrush", "toothbrushes"),
            ("knife", "knives"),
            ("mouse", "mice"),
            ("teddy bear", "teddy bears"),
            ("skis", "skis"),
            ("box", "boxes"),
            ("lorry", "lorries"),
            ("toy", "toys"),
            ("giraffe", "giraffes"),
        ] {
            assert_eq!(plural(one), many);
        }
    }
}
