//! Regular expressions of `regexp_split_to_array` and `regexp_matches`.

use std::collections::HashMap;

use datafusion::error::Result;
use regex::{Regex, RegexBuilder};

use crate::UdfError;

/// The patterns of a column, each compiled once.
#[derive(Default)]
pub(super) struct Patterns(HashMap<(String, String), Pattern>);

impl Patterns {
    /// # Errors
    /// SQLSTATE 2201B for what is no regular expression, 22023 for flags that there are not.
    pub(super) fn get(&mut self, pattern: &str, flags: &str) -> Result<&Pattern> {
        let key = (pattern.to_owned(), flags.to_owned());
        if !self.0.contains_key(&key) {
            self.0.insert(key.clone(), Pattern::new(pattern, flags)?);
        }
        self.0.get(&key).ok_or_else(|| UdfError::PatternSyntax { text: pattern.into() }.into())
    }
}

/// A regular expression with its flags.
pub(super) struct Pattern {
    expression: Regex,
    is_global: bool,
}

impl Pattern {
    fn new(pattern: &str, flags: &str) -> Result<Self> {
        let mut builder = RegexBuilder::new(pattern);
        let mut is_global = false;
        builder.dot_matches_new_line(true);
        for flag in flags.chars() {
            match flag {
                'g' => is_global = true,
                'i' => {
                    builder.case_insensitive(true);
                }
                'c' => {
                    builder.case_insensitive(false);
                }
                'n' | 'm' => {
                    builder.multi_line(true).dot_matches_new_line(false);
                }
                's' => {
                    builder.multi_line(false).dot_matches_new_line(true);
                }
                'x' => {
                    builder.ignore_whitespace(true);
                }
                flag => return Err(UdfError::PatternFlag { flag }.into()),
            }
        }
        let refused = |_| UdfError::PatternSyntax { text: pattern.to_owned() };
        Ok(Self { expression: builder.build().map_err(refused)?, is_global })
    }

    /// What stands between the matches. As in PostgreSQL, one of nothing at the start, at the end or
    /// right behind another match splits nothing.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut parts = Vec::new();
        let mut start = 0;
        for found in self.expression.find_iter(text) {
            if found.is_empty() && (found.end() == start || found.start() == text.len()) {
                continue;
            }
            parts.push(&text[start..found.start()]);
            start = found.end();
        }
        parts.push(&text[start..]);
        parts
    }

    /// The groups of the first match or of all.
    pub(super) fn matches<'a>(&self, text: &'a str) -> Vec<Vec<Option<&'a str>>> {
        let most = if self.is_global { usize::MAX } else { 1 };
        let found = self.expression.captures_iter(text).take(most);
        let groups = found.map(|captures| {
            let all = captures.iter().map(|group| group.map(|group| group.as_str()));
            if captures.len() == 1 { all.collect() } else { all.skip(1).collect() }
        });
        groups.collect()
    }

    /// The first match.
    pub(super) fn first<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.expression.find(text).map(|found| found.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_as_postgresql_splits_them() {
        let pattern = |text| Pattern::new(text, "").expect(text);
        assert_eq!(pattern(r"\s+").split("the quick  brown"), ["the", "quick", "brown"]);
        assert_eq!(pattern(r"\s*").split("a bc"), ["a", "b", "c"]);
        assert_eq!(pattern(",").split(",a,"), ["", "a", ""]);
        assert_eq!(pattern(",").split(""), [""]);
    }

    #[test]
    fn groups_are_those_of_each_match() {
        let pattern = Pattern::new("b(.)(x)?", "g").expect("is one");
        assert_eq!(pattern.matches("abcabdx"), [[Some("c"), None], [Some("d"), Some("x")]]);
        assert_eq!(Pattern::new("B.", "i").expect("is one").matches("abcabc"), [[Some("bc")]]);
        assert!(Pattern::new("(", "").is_err());
        assert!(Pattern::new("a", "?").is_err());
    }
}
