//! Functions that take JSON apart: `json_typeof`, `json_array_length`, and the lists that
//! `json_array_elements`, `json_each` and `json_object_keys` give as rows. Parts are as they are written.

use super::text::{is_valid, unescaped};

/// The parts of an array or an object, as written; texts with their quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parts<'a> {
    Array(Vec<&'a str>),
    Object(Vec<(&'a str, &'a str)>),
    /// A value without parts.
    Scalar,
}

/// The parts of `text`; `None` if it is no JSON.
pub(super) fn parts(text: &str) -> Option<Parts<'_>> {
    if !is_valid(text) {
        return None;
    }
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let inner = |close: char| text.get(1..)?.strip_suffix(close);
    Some(match text.as_bytes().first()? {
        b'[' => Parts::Array(split(inner(']')?, ',')),
        b'{' => {
            let fields = split(inner('}')?, ',').into_iter().filter_map(|field| {
                match split(field, ':').as_slice() {
                    [name, value] => Some((*name, *value)),
                    _ => None,
                }
            });
            Parts::Object(fields.collect())
        }
        _ => Parts::Scalar,
    })
}

/// What is between those signs that are in no text, array or object. The text is valid.
fn split(text: &str, sign: char) -> Vec<&str> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if in_text => is_escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            next if next == sign && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + next.len_utf8();
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() || !parts.is_empty() {
        parts.push(last);
    }
    parts
}

/// A part as a text: without quotes, `None` for `null`.
pub(super) fn as_text(part: &str) -> Option<String> {
    if part == "null" {
        return None;
    }
    Some(unescaped(part).unwrap_or_else(|| part.to_owned()))
}

/// The name of a value's kind; `None` if it is no JSON.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    if !is_valid(text) {
        return None;
    }
    Some(match text.trim_start().as_bytes().first()? {
        b'{' => "object",
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "boolean",
        b'n' => "null",
        _ => "number",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_they_are_written() {
        assert_eq!(
            parts(r#" [1, "a,b]", {"x": [2, 3]}, null] "#),
            Some(Parts::Array(vec!["1", r#""a,b]""#, r#"{"x": [2, 3]}"#, "null"]))
        );
        assert_eq!(
            parts(r#"{"a": 1, "b\":": {"c":"d"}}"#),
            Some(Parts::Object(vec![(r#""a""#, "1"), (r#""b\":""#, r#"{"c":"d"}"#)]))
        );
        assert_eq!(parts("[]"), Some(Parts::Array(Vec::new())));
        assert_eq!(parts("{ }"), Some(Parts::Object(Vec::new())));
        assert_eq!(parts("5"), Some(Parts::Scalar));
        assert_eq!(parts("[1"), None);
        assert_eq!(as_text(r#""a\"b""#).as_deref(), Some("a\"b"));
        assert_eq!(as_text("1.50").as_deref(), Some("1.50"));
        assert_eq!(as_text("null"), None);
        assert_eq!(kind(" -1"), Some("number"));
        assert_eq!(kind("nul"), None);
    }
}
