//! pgvector's text format: `[1,2,3]` goes in, `float4` values come out. What is refused, and with
//! which words, is what pgvector's `vector_in` refuses.

use super::kind::VectorKind;
use super::types::MAX_DIMENSIONS;
use crate::error::UdfError;

/// The elements of a vector written as pgvector writes it, such as `[1, 2.5, -3e-2]`.
///
/// Spaces are allowed around elements and brackets.
///
/// # Errors
/// [`UdfError::VectorSyntax`] (22P02), [`UdfError::VectorRange`] (22003), [`UdfError::VectorNan`]
/// and [`UdfError::VectorInfinite`] (22000), [`UdfError::NoDimensions`] (22000),
/// [`UdfError::TooManyDimensions`] (54000).
pub fn parse_vector(text: &str) -> Result<Vec<f32>, UdfError> {
    parse(text, VectorKind::Vector)
}

/// The same of a `halfvec`: each element is the nearest that 16 bits can be.
///
/// # Errors
/// As [`parse_vector`].
pub fn parse_halfvec(text: &str) -> Result<Vec<f32>, UdfError> {
    parse(text, VectorKind::Halfvec)
}

pub(super) fn parse(text: &str, kind: VectorKind) -> Result<Vec<f32>, UdfError> {
    let mut values = Vec::new();
    parse_into(text, kind, &mut values)?;
    Ok(values)
}

/// Appends the elements to `values` and says how many they are; on an error `values` has some of
/// them.
pub(super) fn parse_into(
    text: &str,
    kind: VectorKind,
    values: &mut Vec<f32>,
) -> Result<usize, UdfError> {
    let syntax = |detail| UdfError::VectorSyntax { kind, text: text.to_owned(), detail };
    let inner = trim_start(text)
        .strip_prefix('[')
        .ok_or_else(|| syntax(Some("Vector contents must start with \"[\".")))?;
    let (inner, rest) = inner.split_once(']').ok_or_else(|| syntax(None))?;
    if trim_start(inner).is_empty() {
        return Err(UdfError::NoDimensions { kind });
    }
    let mut dimensions = 0;
    for element in inner.split(',') {
        if dimensions == MAX_DIMENSIONS {
            return Err(UdfError::TooManyDimensions { kind, max: MAX_DIMENSIONS });
        }
        let element = element.trim_matches(is_space);
        let value: f32 = element.parse().map_err(|_| syntax(None))?;
        let value = kind.nearest(value);
        if value.is_nan() {
            return Err(UdfError::VectorNan { kind });
        }
        if value.is_infinite() {
            let spelled_out = element.bytes().all(|byte| !byte.is_ascii_digit());
            return Err(if spelled_out {
                UdfError::VectorInfinite { kind }
            } else {
                UdfError::VectorRange { kind, element: element.to_owned() }
            });
        }
        values.push(value);
        dimensions += 1;
    }
    if !trim_start(rest).is_empty() {
        return Err(syntax(Some("Junk after closing right brace.")));
    }
    Ok(dimensions)
}

/// Whether a vector of `found` elements may have the type `vector(expected)`.
///
/// # Errors
/// [`UdfError::UnexpectedDimensions`] (22000) when the two differ.
pub fn check_dimensions(expected: usize, found: usize) -> Result<(), UdfError> {
    if expected == found { Ok(()) } else { Err(UdfError::UnexpectedDimensions { expected, found }) }
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// What PostgreSQL's scanner takes for a space.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_pgvector_reads() {
        assert_eq!(parse_vector("[1,2,3]"), Ok(vec![1.0, 2.0, 3.0]));
        assert_eq!(parse_vector(" [ 1.5 ,\t-2e-1, +3 ] \n"), Ok(vec![1.5, -0.2, 3.0]));
        assert_eq!(parse_vector("[1e-60]"), Ok(vec![0.0]));
    }

    #[test]
    fn refuses_what_pgvector_refuses() {
        let cases = [
            ("", "invalid input syntax for type vector: \"\"", "22P02"),
            ("1,2", "invalid input syntax for type vector: \"1,2\"", "22P02"),
            ("[1,2", "invalid input syntax for type vector: \"[1,2\"", "22P02"),
            ("[1,,2]", "invalid input syntax for type vector: \"[1,,2]\"", "22P02"),
            ("[1,2,]", "invalid input syntax for type vector: \"[1,2,]\"", "22P02"),
            ("[a]", "invalid input syntax for type vector: \"[a]\"", "22P02"),
            ("[1 2]", "invalid input syntax for type vector: \"[1 2]\"", "22P02"),
            ("[1]x", "invalid input syntax for type vector: \"[1]x\"", "22P02"),
            ("[1][2]", "invalid input syntax for type vector: \"[1][2]\"", "22P02"),
            ("[]", "vector must have at least 1 dimension", "22000"),
            ("[ ]", "vector must have at least 1 dimension", "22000"),
            ("[NaN,1]", "NaN not allowed in vector", "22000"),
            ("[Infinity]", "infinite value not allowed in vector", "22000"),
            ("[-inf]", "infinite value not allowed in vector", "22000"),
            ("[4e38]", "\"4e38\" is out of range for type vector", "22003"),
        ];
        for (text, message, sqlstate) in cases {
            let error = parse_vector(text).expect_err(text);
            assert_eq!((error.to_string().as_str(), error.sqlstate()), (message, sqlstate));
        }
        let long = format!("[{}]", vec!["1"; MAX_DIMENSIONS + 1].join(","));
        let error = parse_vector(&long).expect_err("too long");
        assert_eq!(error.to_string(), "vector cannot have more than 16000 dimensions");
        assert_eq!(error.sqlstate(), "54000");
    }

    #[test]
    fn a_halfvec_is_rounded_and_says_so_in_its_errors() {
        assert_eq!(
            parse_halfvec("[1.1,65519,6e-8]"),
            Ok(vec![1.099_609_4, 65_504.0, 5.960_464_5e-8])
        );
        let cases = [
            ("[1", "invalid input syntax for type halfvec: \"[1\""),
            ("[]", "halfvec must have at least 1 dimension"),
            ("[NaN]", "NaN not allowed in halfvec"),
            ("[Infinity]", "infinite value not allowed in halfvec"),
            ("[65520]", "\"65520\" is out of range for type halfvec"),
        ];
        for (text, message) in cases {
            assert_eq!(parse_halfvec(text).expect_err(text).to_string(), message);
        }
    }

    #[test]
    fn dimensions_of_a_type_are_held() {
        assert_eq!(check_dimensions(3, 3), Ok(()));
        let error = check_dimensions(3, 2).expect_err("too short");
        assert_eq!(error.to_string(), "expected 3 dimensions, not 2");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(values in prop::collection::vec(-1e30f32..1e30, 1..50)) {
            let text: Vec<String> = values.iter().map(f32::to_string).collect();
            prop_assert_eq!(parse_vector(&format!("[{}]", text.join(","))), Ok(values));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = parse_vector(&text);
        }
    }
}
