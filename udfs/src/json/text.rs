//! Texts of JSON: whether they are, and how `jsonb` writes them.

use std::fmt::Write;

/// Values in values that are read; PostgreSQL's own bound is its stack.
const MAX_DEPTH: usize = 1000;

/// A value whose scalars are as written; texts are unescaped.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `true`, `false`, `null` and numbers.
    Plain(String),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// Whether `text` is one value.
pub(super) fn is_valid(text: &str) -> bool {
    read(text).is_some()
}

/// `text` as `jsonb` writes it: keys by length and then by bytes, the last of those that are equal, a
/// space after each comma and colon. `None` if it is no value.
pub(super) fn normal(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    write(&read(text)?, &mut out);
    Some(out)
}

/// Writes `text` with its quotes.
pub(super) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

pub(super) fn write(value: &Value, out: &mut String) {
    match value {
        Value::Plain(text) => out.push_str(text),
        Value::Text(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (at, (name, value)) in in_order(fields).into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_text(name, out);
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// Names by length and then by bytes, the last of those that are equal.
pub(super) fn in_order(fields: &[(String, Value)]) -> Vec<(&str, &Value)> {
    let mut sorted: Vec<(&str, &Value)> = Vec::with_capacity(fields.len());
    // The last one of a name comes first here, and stays.
    for (name, value) in fields.iter().rev() {
        sorted.push((name, value));
    }
    sorted.sort_by_key(|(name, _)| (name.len(), *name));
    sorted.dedup_by_key(|(name, _)| *name);
    sorted
}

/// The value that `text` is.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let value = reader.value(MAX_DEPTH)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

/// The elements of an array that is written as a text, `{a,"b c"}`; `None` for what is none.
pub(super) fn array(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let after = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (mut element, mut characters) = (String::new(), quoted.chars());
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => element.push(characters.next()?),
                        other => element.push(other),
                    }
                }
                elements.push(element);
                characters.as_str().trim_start()
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let element = rest.get(..end)?.trim();
                if element.is_empty() || element.contains(['{', '}', '"']) {
                    return None;
                }
                elements.push(element.to_owned());
                rest.get(end..)?
            }
        };
        rest = match after.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => next.trim_start(),
            None if after.is_empty() => after,
            _ => return None,
        };
    }
    Some(elements)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Whether `sign` comes next; it is taken then.
    fn take(&mut self, sign: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.skip_space();
        match self.rest.chars().next()? {
            '{' => self.object(depth),
            '[' => self.array(depth),
            '"' => self.text().map(Value::Text),
            '-' | '0'..='9' => self.number().map(Value::Plain),
            _ => ["true", "false", "null"].into_iter().find_map(|word| {
                self.rest = self.rest.strip_prefix(word)?;
                let ends = !self.rest.starts_with(|next: char| next.is_alphanumeric());
                ends.then(|| Value::Plain(word.into()))
            }),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.take('[').then_some(())?;
        if self.take(']') {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.take(']') {
                return Some(Value::Array(items));
            }
            self.take(',').then_some(())?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut fields = Vec::new();
        self.take('{').then_some(())?;
        if self.take('}') {
            return Some(Value::Object(fields));
        }
        loop {
            self.skip_space();
            let name = self.text()?;
            self.take(':').then_some(())?;
            fields.push((name, self.value(depth)?));
            if self.take('}') {
                return Some(Value::Object(fields));
            }
            self.take(',').then_some(())?;
        }
    }

    fn number(&mut self) -> Option<String> {
        let end = self
            .rest
            .find(|next: char| !matches!(next, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'))
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let is_number = digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && fraction.is_none_or(digits)
            && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
        is_number.then(|| {
            self.rest = rest;
            number.to_owned()
        })
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.strip_prefix('"')?.chars();
        loop {
            match characters.next()? {
                '"' => {
                    self.rest = characters.as_str();
                    return Some(text);
                }
                '\\' => match characters.next()? {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    plain @ ('"' | '\\' | '/') => text.push(plain),
                    'u' => {
                        let mut unit = code_unit(&mut characters)?;
                        if (0xd800..0xdc00).contains(&unit) {
                            let pair = (characters.next()?, characters.next()?) == ('\\', 'u');
                            let low = code_unit(&mut characters)?;
                            if !pair || !(0xdc00..0xe000).contains(&low) {
                                return None;
                            }
                            unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        }
                        text.push(char::from_u32(unit)?);
                    }
                    _ => return None,
                },
                control if control < ' ' => return None,
                other => text.push(other),
            }
        }
    }
}

fn code_unit(characters: &mut std::str::Chars) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + characters.next()?.to_digit(16)?))
}
