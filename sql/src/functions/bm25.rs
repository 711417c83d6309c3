//! How well texts match some words: BM25 as Robertson and Zaragoza describe it ("The Probabilistic
//! Relevance Framework: BM25 and Beyond", 2009), with the weights of Lucene, which are never
//! negative. Texts come in, a score for each comes out.
//!
//! A word is a run of letters and digits in lower case without its plural's ending (Harman's
//! S-stemmer, "How effective is suffixing?", 1991).

use std::collections::BTreeMap;

/// How soon more occurrences of a word count no more.
const K1: f64 = 1.2;
/// How much the length of a text counts.
const B: f64 = 0.75;

/// The words of a text.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| singular(word.to_lowercase()))
}

fn singular(mut word: String) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    let cut = if word.chars().count() < 4 {
        0
    } else if ends(&["ies"]) && !ends(&["eies", "aies"]) {
        3
    } else if (ends(&["es"]) && !ends(&["aes", "ees", "oes"]))
        || (ends(&["s"]) && !ends(&["us", "ss", "es"]))
    {
        1
    } else {
        0
    };
    word.truncate(word.len() - cut);
    if cut == 3 {
        word.push('y');
    }
    word
}

/// The scores of `texts` for the words of `query`; 0 for a text that has none of them.
pub(super) fn scores<'a>(query: &str, texts: impl Iterator<Item = Option<&'a str>>) -> Vec<f64> {
    // Each word once, in an order that is always the same: sums depend on it.
    let places: BTreeMap<String, usize> = {
        let mut wanted: Vec<String> = words(query).collect();
        wanted.sort();
        wanted.dedup();
        wanted.into_iter().enumerate().map(|(place, word)| (word, place)).collect()
    };
    let mut having = vec![0_u32; places.len()];
    let mut lengths = Vec::new();
    // For each text the wanted words that it has, and how often.
    let mut found: Vec<Vec<(usize, u32)>> = Vec::new();
    for text in texts {
        let mut counts = vec![0_u32; places.len()];
        let mut length = 0_u32;
        for word in text.into_iter().flat_map(words) {
            length += 1;
            if let Some(place) = places.get(&word) {
                counts[*place] += 1;
            }
        }
        let counts: Vec<(usize, u32)> =
            counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
        counts.iter().for_each(|(place, _)| having[*place] += 1);
        lengths.push(length);
        found.push(counts);
    }
    let with_words = lengths.iter().filter(|length| **length > 0).count();
    let count = f64::from(u32::try_from(with_words).unwrap_or(u32::MAX));
    let mean = lengths.iter().map(|length| f64::from(*length)).sum::<f64>() / count.max(1.0);
    let weights: Vec<f64> = having
        .iter()
        .map(|having| (1.0 + (count - f64::from(*having) + 0.5) / (f64::from(*having) + 0.5)).ln())
        .collect();
    let score = |(counts, length): (Vec<(usize, u32)>, u32)| -> f64 {
        let norm = K1 * (1.0 - B + B * f64::from(length) / mean.max(f64::MIN_POSITIVE));
        counts
            .into_iter()
            .map(|(place, count)| {
                let count = f64::from(count);
                weights[place] * count * (K1 + 1.0) / (count + norm)
            })
            .sum()
    };
    found.into_iter().zip(lengths).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_singular_and_in_lower_case() {
        let found: Vec<String> = words("Two Dogs' puppies, buses & glass-houses: 3 gas").collect();
        assert_eq!(found, ["two", "dog", "puppy", "buse", "glass", "house", "3", "gas"]);
    }

    /// By hand: three texts of 3, 2 and 4 words (mean 3); "dog" is in two of them, "red" in one.
    #[test]
    fn scores_are_those_of_the_formula() {
        let texts = [Some("a red dog"), Some("the dog"), Some("a car and houses"), None];
        let found = scores("Red dogs", texts.into_iter());
        let weight = |n: f64| (1.0 + (3.0 - n + 0.5) / (n + 0.5)).ln();
        let part = |length: f64| 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * length / 3.0));
        let expected =
            [weight(2.0) * part(3.0) + weight(1.0) * part(3.0), weight(2.0) * part(2.0), 0.0, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(found.len(), 4);
        assert!(scores("", texts.into_iter()).iter().all(|score| *score == 0.0));
    }
}
