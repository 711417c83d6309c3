//! Values of the catalog: what a row of `pg_class` holds, how two of them compare, how they are
//! written.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::scalar::ScalarValue;

use super::types::{Reg, Target};
use super::{Stop, times};

/// A value. Integers of all sizes and OIDs are one kind; what they are on the wire is the column's
/// business.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// An OID that is shown as the name of what it stands for.
    Reg(Reg, i64),
    /// The elements and the number of the first: 1, but 0 in `int2vector` and `oidvector`.
    Array(Arc<Vec<Value>>, i64),
    Record(Arc<Vec<(Arc<str>, Value)>>),
    /// What the catalog only passes on, such as a timestamp.
    Other(Box<ScalarValue>),
}

/// What values are found by in an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Int(i64),
    Text(Arc<str>),
}

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn array(values: Vec<Value>) -> Self {
        Self::Array(Arc::new(values), 1)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// True, false, or neither.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Int(value) => Some(*value != 0),
            Self::Text(text) => match text.to_ascii_lowercase().as_str() {
                "t" | "true" | "on" | "yes" | "1" => Some(true),
                "f" | "false" | "off" | "no" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn of_truth(truth: Option<bool>) -> Self {
        truth.map_or(Self::Null, Self::Bool)
    }

    /// As a whole number, where it is one or is written as one.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) | Self::Reg(_, value) => Some(*value),
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Text(text) => text.trim().parse().ok(),
            other => other.int().map(|value| value as f64),
        }
    }

    /// The elements of an array, in `{…}` too.
    pub(super) fn elements(&self) -> Option<Arc<Vec<Value>>> {
        match self {
            Self::Array(values, _) => Some(Arc::clone(values)),
            Self::Text(text) => read_array(text).map(Arc::new),
            _ => None,
        }
    }

    /// For finding it in an index; what compares in another way than it hashes has none.
    pub(super) fn key(&self) -> Option<Key> {
        match self {
            Self::Int(value) | Self::Reg(_, value) => Some(Key::Int(*value)),
            Self::Text(text) => Some(Key::Text(Arc::clone(text))),
            _ => None,
        }
    }

    /// PostgreSQL's text of it; `None` for NULL.
    pub(super) fn written(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => value.to_string(),
            Self::Int(value) | Self::Reg(_, value) => value.to_string(),
            Self::Float(value) => crate::text::float8(*value),
            Self::Text(text) => text.to_string(),
            Self::Array(values, 0) => {
                let parts: Vec<_> = values.iter().filter_map(Value::written).collect();
                parts.join(" ")
            }
            Self::Array(values, _) => {
                let parts: Vec<_> = values.iter().map(as_element).collect();
                format!("{{{}}}", parts.join(","))
            }
            Self::Record(fields) => {
                let parts: Vec<_> = fields
                    .iter()
                    .map(|(_, value)| match value.written() {
                        Some(text)
                            if text.is_empty() || text.contains([',', '(', ')', '"', ' ']) =>
                        {
                            format!("\"{}\"", text.replace('"', "\"\""))
                        }
                        Some(text) => text,
                        None => String::new(),
                    })
                    .collect();
                format!("({})", parts.join(","))
            }
            Self::Other(value) => value.to_string(),
        })
    }

    /// The value as JSON.
    pub(super) fn json(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) if value.is_finite() => value.to_string(),
            Self::Array(values, _) => {
                let parts: Vec<_> = values.iter().map(Value::json).collect();
                format!("[{}]", parts.join(", "))
            }
            Self::Record(fields) => {
                let parts: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| format!("{}:{}", json_text(name), value.json()))
                    .collect();
                format!("{{{}}}", parts.join(","))
            }
            other => json_text(&other.written().unwrap_or_default()),
        }
    }
}

/// A text as JSON writes it.
pub(super) fn json_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn as_element(value: &Value) -> String {
    match value.written() {
        None => "NULL".into(),
        Some(text) if matches!(value, Value::Array(..)) => text,
        Some(text)
            if text.is_empty()
                || text.eq_ignore_ascii_case("null")
                || text.contains(['{', '}', ',', '"', '\\', ' ', '\t', '\n']) =>
        {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Some(text) => text,
    }
}

/// The elements of an array of one dimension as PostgreSQL writes it: `{a,"b c",NULL}`.
pub(super) fn read_array(text: &str) -> Option<Vec<Value>> {
    // As the library's export of PostgreSQL's catalog has some of them.
    if text.starts_with('[') {
        let values: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
        let values = values.into_iter().map(|value| match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::String(text) => Value::text(text),
            other => other.as_i64().map_or_else(|| Value::text(other.to_string()), Value::Int),
        });
        return Some(values.collect());
    }
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut values = Vec::new();
    let mut element = String::new();
    let (mut quoted, mut was_quoted, mut escaped) = (false, false, false);
    let mut end = |element: &mut String, was_quoted: &mut bool| {
        let is_null = !*was_quoted && element.trim().eq_ignore_ascii_case("null");
        let text = if *was_quoted { element.clone() } else { element.trim().to_owned() };
        values.push(if is_null { Value::Null } else { Value::text(text) });
        element.clear();
        *was_quoted = false;
    };
    for character in inner.chars() {
        match character {
            _ if escaped => {
                element.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => end(&mut element, &mut was_quoted),
            '{' | '}' if !quoted => return None,
            other => element.push(other),
        }
    }
    if !inner.trim().is_empty() {
        end(&mut element, &mut was_quoted);
    }
    Some(values)
}

/// How two values compare; `None` when one of them is NULL.
///
/// # Errors
/// For kinds that do not compare.
pub(super) fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, Stop> {
    use Value as V;
    Ok(Some(match (left, right) {
        (V::Null, _) | (_, V::Null) => return Ok(None),
        (V::Text(left), V::Text(right)) => left.as_ref().cmp(right.as_ref()),
        (V::Int(left) | V::Reg(_, left), V::Int(right) | V::Reg(_, right)) => left.cmp(right),
        (V::Bool(left), V::Bool(right)) => left.cmp(right),
        (V::Bool(left), V::Text(_)) => match right.truth() {
            Some(right) => left.cmp(&right),
            None => return Err(unlike(left, right)),
        },
        (V::Text(_), V::Bool(_)) => return Ok(compare(right, left)?.map(Ordering::reverse)),
        (V::Float(_), _) | (_, V::Float(_)) => match (left.float(), right.float()) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => return Err(unlike(left, right)),
        },
        // The library's catalog has the names of procedures, not their OIDs, and "-" for none.
        (V::Text(name), V::Int(0)) if left.int().is_none() => {
            if name.as_ref() == "-" {
                Ordering::Equal
            } else {
                Ordering::Greater
            }
        }
        (V::Int(0), V::Text(_)) if right.int().is_none() => {
            return Ok(compare(right, left)?.map(Ordering::reverse));
        }
        (V::Int(_) | V::Reg(..), V::Text(_)) | (V::Text(_), V::Int(_) | V::Reg(..)) => {
            match (left.int(), right.int()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => return Err(unlike(left, right)),
            }
        }
        (V::Array(..), _) | (_, V::Array(..)) => {
            let (Some(left), Some(right)) = (left.elements(), right.elements()) else {
                return Err(unlike(left, right));
            };
            return compare_all(left.iter(), right.iter());
        }
        (V::Record(left), V::Record(right)) => {
            let values = |fields: &'_ Arc<Vec<(Arc<str>, Value)>>| -> Vec<Value> {
                fields.iter().map(|(_, value)| value.clone()).collect()
            };
            return compare_all(values(left).iter(), values(right).iter());
        }
        (V::Other(left), V::Other(right)) => {
            if let (
                ScalarValue::IntervalMonthDayNano(Some(left)),
                ScalarValue::IntervalMonthDayNano(Some(right)),
            ) = (&**left, &**right)
            {
                return Ok(Some(times::length(left).cmp(&times::length(right))));
            }
            return Ok(left.partial_cmp(right));
        }
        (V::Other(other), V::Text(text)) => {
            let right = ScalarValue::try_from_string(text.to_string(), &other.data_type())
                .map_err(|error| Stop::Error(error.into()))?;
            return Ok(other.as_ref().partial_cmp(&right));
        }
        (V::Text(_), V::Other(_)) => return Ok(compare(right, left)?.map(Ordering::reverse)),
        _ => return Err(unlike(left, right)),
    }))
}

fn compare_all<'a>(
    mut left: impl Iterator<Item = &'a Value>,
    mut right: impl Iterator<Item = &'a Value>,
) -> Result<Option<Ordering>, Stop> {
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ok(Some(Ordering::Equal)),
            (None, Some(_)) => return Ok(Some(Ordering::Less)),
            (Some(_), None) => return Ok(Some(Ordering::Greater)),
            (Some(left), Some(right)) => match compare(left, right)? {
                Some(Ordering::Equal) => {}
                other => return Ok(other),
            },
        }
    }
}

fn unlike(left: &impl std::fmt::Debug, right: &impl std::fmt::Debug) -> Stop {
    Stop::Unsupported(format!("comparing {left:?} with {right:?}"))
}

/// The order of sorting: NULL last, and what does not compare stays as it is.
pub(super) fn sort_order(left: &Value, right: &Value) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare(left, right).ok().flatten().unwrap_or(Ordering::Equal),
    }
}

/// Rows are the same when all of their values are, NULL among them.
pub(super) fn same_key(values: &[Value]) -> String {
    let mut key = String::new();
    for value in values {
        match value.written() {
            // Writing to a text cannot fail.
            Some(text) => drop(write!(key, "{}:{text}", text.len())),
            None => key.push('~'),
        }
    }
    key
}

/// A value of a type as a cast to it gives it, where no name has to be looked up.
pub(super) fn cast(value: Value, target: &Target) -> Result<Value, Stop> {
    let refused = |value: &Value| {
        let text = value.written().unwrap_or_default();
        Stop::invalid(
            "22P02",
            format!("invalid input syntax for type {}: \"{text}\"", target.name()),
        )
    };
    if value.is_null() {
        return Ok(Value::Null);
    }
    Ok(match target {
        Target::Bool => Value::Bool(value.truth().ok_or_else(|| refused(&value))?),
        Target::Int2 | Target::Int4 | Target::Int8 | Target::Oid => match &value {
            Value::Float(float) => Value::Int(float.round_ties_even() as i64),
            other => Value::Int(other.int().ok_or_else(|| refused(&value))?),
        },
        Target::Float4 | Target::Float8 | Target::Numeric => match &value {
            Value::Int(_) if *target == Target::Numeric => value,
            other => Value::Float(other.float().ok_or_else(|| refused(&value))?),
        },
        Target::Text | Target::Json => Value::text(value.written().unwrap_or_default()),
        Target::Char => {
            let text = value.written().unwrap_or_default();
            Value::text(text.chars().next().map(String::from).unwrap_or_default())
        }
        Target::Array(item) => {
            let elements = value.elements().ok_or_else(|| refused(&value))?;
            let elements = elements.iter().map(|element| cast(element.clone(), item));
            Value::array(elements.collect::<Result<_, _>>()?)
        }
        // Names are looked up by whoever has the catalog.
        Target::Reg(kind) => Value::Reg(*kind, value.int().ok_or_else(|| refused(&value))?),
        Target::Record => value,
        Target::Other(data_type) => match &value {
            Value::Other(other) => Value::Other(Box::new(
                other.cast_to(data_type).map_err(|error| Stop::Error(error.into()))?,
            )),
            other => {
                let text = other.written().unwrap_or_default();
                let scalar = ScalarValue::Utf8(Some(text)).cast_to(data_type);
                Value::Other(Box::new(scalar.map_err(|error| Stop::Error(error.into()))?))
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_they_are_written() {
        for text in ["{}", "{a,b}", "{\"a b\",NULL,\"null\",\"q\\\"\"}", "{1,2}"] {
            let values = read_array(text).expect("is an array");
            assert_eq!(Value::array(values).written().as_deref(), Some(text));
        }
        assert!(read_array("no").is_none());
        let vector = Value::Array(Arc::new(vec![Value::Int(1), Value::Int(2)]), 0);
        assert_eq!(vector.written().as_deref(), Some("1 2"));
    }

    #[test]
    fn literals_take_the_type_of_what_they_are_compared_with() {
        let equal = |left: Value, right: Value| compare(&left, &right).expect("compare");
        assert_eq!(equal(Value::Int(16), Value::text("16")), Some(Ordering::Equal));
        assert_eq!(equal(Value::Bool(true), Value::text("t")), Some(Ordering::Equal));
        assert_eq!(equal(Value::Null, Value::Int(1)), None);
        // `typreceive <> 0`
        assert_eq!(equal(Value::text("boolrecv"), Value::Int(0)), Some(Ordering::Greater));
        assert_eq!(equal(Value::Int(0), Value::text("-")), Some(Ordering::Equal));
        assert_eq!(
            equal(Value::array(vec![Value::Int(1)]), Value::text("{1}")),
            Some(Ordering::Equal)
        );
    }
}
