//! Patterns: `LIKE`, and PostgreSQL's regular expressions by the crate `regex`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

use super::Stop;
use super::value::Value;

/// Expressions that are kept; clients send few different ones.
const MAX_KEPT: usize = 64;

static KEPT: LazyLock<Mutex<HashMap<(String, bool), Regex>>> = LazyLock::new(Mutex::default);

/// `text ~ pattern`.
pub(super) fn matches(
    text: &Value,
    pattern: &Value,
    ignores_case: bool,
) -> Result<Option<bool>, Stop> {
    let (Some(text), Some(pattern)) = (text.written(), pattern.written()) else { return Ok(None) };
    Ok(Some(expression(&pattern, ignores_case)?.is_match(&text)))
}

/// PostgreSQL's regular expression as one of the crate's.
pub(super) fn expression(pattern: &str, ignores_case: bool) -> Result<Regex, Stop> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (pattern.to_owned(), ignores_case);
    if let Some(found) = kept.get(&key) {
        return Ok(found.clone());
    }
    // `***:` and `***=` begin PostgreSQL's directors.
    let literal = pattern.strip_prefix("***=").map(regex::escape);
    let plain = literal.as_deref().unwrap_or(pattern.strip_prefix("***:").unwrap_or(pattern));
    let made = RegexBuilder::new(plain).case_insensitive(ignores_case).build().map_err(|_| {
        Stop::invalid("2201B", format!("invalid regular expression: \"{pattern}\""))
    })?;
    if kept.len() >= MAX_KEPT {
        kept.clear();
    }
    kept.insert(key, made.clone());
    Ok(made)
}

/// `text LIKE pattern`; NULL where one of them is.
pub(super) fn like(
    text: &Value,
    pattern: &Value,
    escape: Option<char>,
    ignores_case: bool,
) -> Option<bool> {
    let (mut text, mut pattern) = (text.written()?, pattern.written()?);
    if ignores_case {
        text = text.to_lowercase();
        pattern = pattern.to_lowercase();
    }
    let text: Vec<char> = text.chars().collect();
    let mut parts = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        parts.push(match character {
            escaped if Some(escaped) == escape => Part::One(characters.next().unwrap_or(escaped)),
            '%' => Part::Many,
            '_' => Part::Any,
            other => Part::One(other),
        });
    }
    Some(fits(&text, &parts))
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    One(char),
    Any,
    Many,
}

/// Goes back to the last `%` where the rest does not fit, so that it takes no more than text times
/// pattern.
fn fits(text: &[char], parts: &[Part]) -> bool {
    let (mut at, mut part) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Many) => {
                back = Some((at, part + 1));
                part += 1;
            }
            Some(Part::Any) => {
                at += 1;
                part += 1;
            }
            Some(Part::One(character)) if *character == text[at] => {
                at += 1;
                part += 1;
            }
            _ => match back {
                Some((from, after)) => {
                    back = Some((from + 1, after));
                    at = from + 1;
                    part = after;
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(|part| *part == Part::Many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_is_postgresqls() {
        for (text, pattern, found) in [
            ("pg_class", "pg\\_%", true),
            ("pgaclass", "pg\\_%", false),
            ("frames", "%am%", true),
            ("frames", "f_a_es", true),
            ("", "%", true),
            ("aaa", "a%a%a%a", false),
        ] {
            let like = like(&Value::text(text), &Value::text(pattern), Some('\\'), false);
            assert_eq!(like, Some(found), "{text} LIKE {pattern}");
        }
        assert_eq!(like(&Value::Null, &Value::text("%"), None, false), None);
        let matches = |text, pattern| matches(&Value::text(text), &Value::text(pattern), false);
        assert_eq!(matches("frames", "^(frames)$").expect("is valid"), Some(true));
        assert!(matches("a", "(").is_err());
    }
}
