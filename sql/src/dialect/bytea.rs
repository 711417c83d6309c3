//! Texts that are cast to `bytea` as the bytes that they mean: PostgreSQL's hex format `\x00ff`
//! and its escape format `\000\377`.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, DataType, Expr, Value, VisitMut, VisitorMut};

use crate::SqlError;

/// Rewrites the literals in `statement`.
///
/// # Errors
/// SQLSTATE 22P02 for a text that is in neither format.
pub(super) fn read_literals(statement: &mut ast::Statement) -> Result<(), SqlError> {
    match statement.visit(&mut Reader) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Reader;

impl VisitorMut for Reader {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let value = match expr {
            Expr::Cast { expr: inner, data_type: DataType::Bytea, .. } => match inner.as_mut() {
                Expr::Value(value) => value,
                _ => return ControlFlow::Continue(()),
            },
            Expr::TypedString(typed) if typed.data_type == DataType::Bytea => &mut typed.value,
            _ => return ControlFlow::Continue(()),
        };
        let (Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) = &value.value
        else {
            return ControlFlow::Continue(());
        };
        match bytes(text) {
            Ok(bytes) => {
                let mut hex = String::with_capacity(2 * bytes.len());
                for byte in bytes {
                    // Writing to a text cannot fail.
                    let _ = write!(hex, "{byte:02x}");
                }
                let mut value = value.clone();
                value.value = Value::HexStringLiteral(hex);
                *expr = Expr::Value(value);
                ControlFlow::Continue(())
            }
            Err(message) => ControlFlow::Break(SqlError::Invalid {
                sqlstate: "22P02",
                message,
                hint: None,
                position: None,
            }),
        }
    }
}

/// The bytes that a text means.
///
/// # Errors
/// What is wrong with it, in PostgreSQL's words.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    match text.strip_prefix("\\x") {
        Some(hex) => from_hex(hex),
        None => from_escapes(text.as_bytes()),
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high: Option<u32> = None;
    for character in text.chars() {
        let Some(digit) = character.to_digit(16) else {
            // White space is allowed between pairs.
            if character.is_ascii_whitespace() && high.is_none() {
                continue;
            }
            return Err(format!("invalid hexadecimal digit: \"{character}\""));
        };
        high = match high {
            Some(high) => {
                bytes.extend(u8::try_from(high * 16 + digit));
                None
            }
            None => Some(digit),
        };
    }
    if high.is_some() {
        return Err("invalid hexadecimal data: odd number of digits".into());
    }
    Ok(bytes)
}

fn from_escapes(mut text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        text = match (first, rest) {
            (b'\\', [b'\\', rest @ ..]) => {
                bytes.push(b'\\');
                rest
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest
            }
            (b'\\', _) => return Err("invalid input syntax for type bytea".into()),
            (byte, rest) => {
                bytes.push(*byte);
                rest
            }
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn both_formats_are_read() {
        assert_eq!(bytes("\\x00fF"), Ok(vec![0, 255]));
        assert_eq!(bytes("\\xde ad"), Ok(vec![0xde, 0xad]));
        assert_eq!(bytes("a\\\\b\\000\\377"), Ok(vec![b'a', b'\\', b'b', 0, 255]));
        assert_eq!(bytes(""), Ok(vec![]));
        for wrong in ["\\x0", "\\xzz", "\\x0 0", "\\9", "a\\"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
