//! Values of JSON compared, joined and changed, as PostgreSQL does with `jsonb`.

use super::text::{Value, in_order, write, write_text};

impl Value {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
            Self::Plain(word) => match word.as_str() {
                "null" => "null",
                "true" | "false" => "boolean",
                _ => "number",
            },
        }
    }

    /// As `jsonb` writes it.
    pub(super) fn written(&self) -> String {
        let mut out = String::new();
        write(self, &mut out);
        out
    }

    /// As `->>` gives it: a text without its quotes, and nothing for `null`.
    pub(super) fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Plain(word) if word == "null" => None,
            other => Some(other.written()),
        }
    }

    pub(super) fn without_nulls(self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.into_iter().map(Self::without_nulls).collect()),
            Self::Object(fields) => {
                let fields = fields.into_iter().filter(|(_, value)| value.type_name() != "null");
                Self::Object(fields.map(|(name, value)| (name, value.without_nulls())).collect())
            }
            other => other,
        }
    }

    /// Numbers are equal when they are the same number, however they are written.
    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(left), Self::Plain(right)) => {
                left == right
                    || matches!((left.parse::<f64>(), right.parse::<f64>()),
                        (Ok(left), Ok(right)) if left.total_cmp(&right).is_eq())
            }
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Array(left), Self::Array(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Self::Object(left), Self::Object(right)) => {
                let (left, right) = (in_order(left), in_order(right));
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(&right)
                        .all(|((a, left), (b, right))| a == b && left.equals(right))
            }
            _ => false,
        }
    }

    /// `@>`.
    pub(super) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            // An array of its own contains a scalar that is one of its elements.
            (Self::Array(items), Self::Plain(_) | Self::Text(_)) => {
                items.iter().any(|item| item.equals(other))
            }
            _ => self.contains_same(other),
        }
    }

    fn contains_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(fields), Self::Object(wanted)) => {
                let fields = in_order(fields);
                in_order(wanted).into_iter().all(|(name, wanted)| {
                    let found = fields.iter().find(|(known, _)| *known == name);
                    found.is_some_and(|(_, value)| value.contains_same(wanted))
                })
            }
            (Self::Array(items), Self::Array(wanted)) => {
                wanted.iter().all(|wanted| items.iter().any(|item| item.contains_same(wanted)))
            }
            (left, right) => left.equals(right),
        }
    }

    /// `||`.
    pub(super) fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Object(mut left), Self::Object(right)) => {
                left.extend(right);
                Self::Object(left)
            }
            (left, right) => {
                let items = |value| match value {
                    Self::Array(items) => items,
                    other => vec![other],
                };
                let mut all = items(left);
                all.extend(items(right));
                Self::Array(all)
            }
        }
    }

    /// `-` with names.
    pub(super) fn without_names(self, names: &[String]) -> Result<Self, &'static str> {
        let has = |name: &String| names.contains(name);
        match self {
            Self::Object(mut fields) => {
                fields.retain(|(name, _)| !has(name));
                Ok(Self::Object(fields))
            }
            Self::Array(mut items) => {
                items.retain(|item| !matches!(item, Self::Text(text) if has(text)));
                Ok(Self::Array(items))
            }
            _ => Err("cannot delete from scalar"),
        }
    }

    /// `-` with a number, which counts from the end where it is negative.
    pub(super) fn without_element(self, number: i64) -> Result<Self, &'static str> {
        match self {
            Self::Array(mut items) => {
                if let Some(at) = place(number, items.len()) {
                    items.remove(at);
                }
                Ok(Self::Array(items))
            }
            Self::Object(_) => Err("cannot delete from object using integer index"),
            _ => Err("cannot delete from scalar"),
        }
    }

    /// `?`.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Object(fields) => fields.iter().any(|(known, _)| known == name),
            Self::Array(items) => {
                items.iter().any(|item| matches!(item, Self::Text(text) if text == name))
            }
            Self::Text(text) => text == name,
            Self::Plain(_) => false,
        }
    }

    /// The value with `new` at `path`, or without what is there.
    pub(super) fn changed_at(self, path: &[String], new: Option<&Self>, creates: bool) -> Self {
        let Some((first, rest)) = path.split_first() else { return self };
        match self {
            Self::Object(fields) => {
                let found = in_order(&fields).into_iter().any(|(name, _)| name == first);
                let mut changed = Vec::with_capacity(fields.len() + 1);
                for (name, value) in fields {
                    match (name == *first, rest.is_empty(), new) {
                        (false, ..) => changed.push((name, value)),
                        (true, true, None) => {}
                        (true, true, Some(new)) => changed.push((name, new.clone())),
                        (true, false, _) => {
                            let value = value.changed_at(rest, new, creates);
                            changed.push((name, value));
                        }
                    }
                }
                if let (false, true, true, Some(new)) = (found, creates, rest.is_empty(), new) {
                    changed.push((first.clone(), new.clone()));
                }
                Self::Object(changed)
            }
            Self::Array(mut items) => {
                let Ok(number) = first.parse::<i64>() else { return Self::Array(items) };
                match (place(number, items.len()), rest.is_empty(), new) {
                    (Some(at), true, None) => {
                        items.remove(at);
                    }
                    (Some(at), true, Some(new)) => {
                        if let Some(item) = items.get_mut(at) {
                            *item = new.clone();
                        }
                    }
                    (Some(at), false, _) => {
                        if let Some(item) = items.get_mut(at) {
                            *item = item.clone().changed_at(rest, new, creates);
                        }
                    }
                    (None, true, Some(new)) if creates => {
                        let at = if number < 0 { 0 } else { items.len() };
                        items.insert(at, new.clone());
                    }
                    (None, ..) => {}
                }
                Self::Array(items)
            }
            other => other,
        }
    }

    pub(super) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(0, &mut out);
        out
    }

    fn write_pretty(&self, depth: usize, out: &mut String) {
        let line = |depth: usize, out: &mut String| {
            out.push('\n');
            out.extend(std::iter::repeat_n("    ", depth));
        };
        match self {
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    line(depth + 1, out);
                    item.write_pretty(depth + 1, out);
                }
                line(depth, out);
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (at, (name, value)) in in_order(fields).into_iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    line(depth + 1, out);
                    write_text(name, out);
                    out.push_str(": ");
                    value.write_pretty(depth + 1, out);
                }
                line(depth, out);
                out.push('}');
            }
            scalar => write(scalar, out),
        }
    }
}

/// The place of an element, whose number counts from 0 or, negative, from the end.
fn place(number: i64, length: usize) -> Option<usize> {
    let at = match usize::try_from(number) {
        Ok(at) => at,
        Err(_) => length.checked_sub(usize::try_from(number.unsigned_abs()).ok()?)?,
    };
    (at < length).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::super::text::{array, read};
    use super::Value;

    fn value(text: &str) -> Value {
        read(text).expect(text)
    }

    #[test]
    fn paths_are_texts_of_arrays() {
        assert_eq!(array("{a, b}").expect("is one"), ["a", "b"]);
        assert_eq!(array(r#"{"a b","c\"d",1}"#).expect("is one"), ["a b", "c\"d", "1"]);
        assert_eq!(array("{}").expect("is one"), Vec::<String>::new());
        for text in ["a", "{a,}", "{a", "{{a}}", "{\"a}"] {
            assert_eq!(array(text), None, "{text}");
        }
    }

    /// As PostgreSQL 15 answers.
    #[test]
    fn what_contains_what() {
        for (left, right, contains) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1.0}"#, true),
            (r#"{"a": {"b": [1, 2]}}"#, r#"{"a": {"b": [2]}}"#, true),
            (r#"[1, 2, [1, 3]]"#, r#"[1, 1]"#, true),
            (r#"[1, [1, 3]]"#, r#"[3]"#, false),
            (r#"["foo", "bar"]"#, r#""bar""#, true),
            (r#""bar""#, r#"["bar"]"#, false),
            (r#"{"a": 1}"#, r#"{}"#, true),
            ("[]", "{}", false),
        ] {
            assert_eq!(value(left).contains(&value(right)), contains, "{left} @> {right}");
        }
    }

    /// As PostgreSQL 15 answers.
    #[test]
    fn values_are_joined_and_changed() {
        let joined = |left, right| value(left).joined(value(right)).written();
        assert_eq!(joined(r#"{"a": 1}"#, r#"{"a": 2, "b": 3}"#), r#"{"a": 2, "b": 3}"#);
        assert_eq!(joined("[1]", r#"{"a": 2}"#), r#"[1, {"a": 2}]"#);
        assert_eq!(joined("1", "2"), "[1, 2]");
        let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let set = |text, names: &[&str], creates| {
            value(text).changed_at(&path(names), Some(&value("9")), creates).written()
        };
        assert_eq!(set(r#"{"a": [1, 2]}"#, &["a", "-1"], true), r#"{"a": [1, 9]}"#);
        assert_eq!(set(r#"{"a": 1}"#, &["b"], true), r#"{"a": 1, "b": 9}"#);
        assert_eq!(set(r#"{"a": 1}"#, &["b"], false), r#"{"a": 1}"#);
        assert_eq!(set("[1]", &["5"], true), "[1, 9]");
        assert_eq!(set(r#"{"a": 1}"#, &["b", "c"], true), r#"{"a": 1}"#);
        let less = value("[1, 2, 3]").without_element(-1).expect("is an array");
        assert_eq!(less.written(), "[1, 2]");
        value("1").without_names(&path(&["a"])).expect_err("is a scalar");
        assert_eq!(
            value(r#"{"a": [1, {}], "b": "x"}"#).pretty(),
            "{\n    \"a\": [\n        1,\n        {\n        }\n    ],\n    \"b\": \"x\"\n}"
        );
    }
}
