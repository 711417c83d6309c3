//! A text as tokens, one statement after the other.
//!
//! sqlparser makes a token of every space, and its tokens are large. So a long text is read in parts, of
//! which only what somebody will read is kept, and a statement that is too deep or too wide is refused
//! where it becomes so: ten megabytes of parentheses take no gigabyte to be told of.

use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::depth::Depth;
use super::{Lines, Postgres, numbers, token_error};
use crate::SqlError;

/// Bytes that are read at a time, more where a token goes on.
const PART_BYTES: usize = 64 << 10;

/// The tokens of each statement of `sql` without white space and comments; statements without any are
/// left out.
///
/// # Errors
/// [`SqlError::Token`], and what [`Depth`] refuses.
pub(super) fn statements(sql: &str, lines: &Lines) -> Result<Vec<Vec<TokenWithSpan>>, SqlError> {
    let (mut statements, mut current) = (Vec::new(), Vec::new());
    let mut depth = Depth::default();
    let dialect = Postgres::for_text(sql);
    let mut start = Location { line: 1, column: 1 };
    for part in Parts(sql) {
        let mut tokens = Vec::new();
        Tokenizer::new(&dialect, part)
            .tokenize_with_location_into_buf_with_mapper(&mut tokens, |token| TokenWithSpan {
                span: Span::new(moved(token.span.start, start), moved(token.span.end, start)),
                token: token.token,
            })
            .map_err(|error| {
                token_error(&error.message, lines.character(moved(error.location, start)))
            })?;
        numbers::check(&tokens, lines)?;
        for token in vigil_udfs::join_operators(tokens) {
            match token.token {
                Token::Whitespace(_) => {}
                Token::SemiColon => {
                    depth = Depth::default();
                    if !current.is_empty() {
                        statements.push(std::mem::take(&mut current));
                    }
                }
                _ => {
                    depth.enter(&token.token)?;
                    current.push(token);
                }
            }
        }
        start = end_of(part, start);
    }
    if !current.is_empty() {
        statements.push(current);
    }
    Ok(statements)
}

/// A place in a part that begins at `start`, as a place in the whole.
fn moved(place: Location, start: Location) -> Location {
    // sqlparser's place of something that has none.
    if place.line == 0 {
        return place;
    }
    let column = if place.line == 1 { start.column + place.column - 1 } else { place.column };
    Location { line: start.line + place.line - 1, column }
}

fn end_of(part: &str, start: Location) -> Location {
    let line = start.line + part.bytes().filter(|byte| *byte == b'\n').count() as u64;
    let column = match part.rsplit_once('\n') {
        Some((_, last)) => 1 + last.chars().count() as u64,
        None => start.column + part.chars().count() as u64,
    };
    Location { line, column }
}

/// A text in parts that end between two tokens.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = self.0.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let next = after(bytes, at);
            // After these no token goes on, and the next one does not ask what was before it.
            if next >= PART_BYTES
                && matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b';' | b'(' | b',')
            {
                at = next;
                break;
            }
            at = next;
        }
        // It never is in the middle of a character; if it were, the rest would be one part.
        let (part, rest) = self.0.split_at_checked(at).unwrap_or((self.0, ""));
        self.0 = rest;
        Some(part)
    }
}

/// Where what begins at `at` is over, as far as something in it could look like the end of a token.
fn after(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let length = match rest {
        [b'\'', ..] => quoted(rest, b'\''),
        [b'"', ..] => quoted(rest, b'"'),
        [b'-', b'-', ..] => found(rest, b"\n", 2),
        [b'/', b'*', ..] => comment(rest),
        [b'$', ..] => dollars(rest),
        [b'e' | b'E', b'\'', ..] => escaped(rest),
        [first, ..] if is_word(*first) && !first.is_ascii_digit() => {
            rest.iter().position(|byte| !is_word(*byte) && *byte != b'$').unwrap_or(rest.len())
        }
        _ => 1,
    };
    at + length
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// A doubled quote is the end of one text and the beginning of the next, which comes to the same.
fn quoted(rest: &[u8], quote: u8) -> usize {
    rest.iter().skip(1).position(|byte| *byte == quote).map_or(rest.len(), |at| at + 2)
}

/// `E'…'`, where a backslash takes the next character with it.
fn escaped(rest: &[u8]) -> usize {
    let mut at = 2;
    while let Some(byte) = rest.get(at) {
        match (byte, rest.get(at + 1)) {
            (b'\\', _) | (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `/* … */`, with others in it.
fn comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1_usize);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// `$1`, or a text between `$tag$` and `$tag$`.
fn dollars(rest: &[u8]) -> usize {
    let tag = 1 + rest.iter().skip(1).position(|byte| !is_word(*byte)).unwrap_or(rest.len() - 1);
    match rest.get(tag) {
        Some(b'$') => found(rest, &rest[..=tag], tag + 1),
        _ => tag,
    }
}

/// The place after the next `what`, from `from` on.
fn found(rest: &[u8], what: &[u8], from: usize) -> usize {
    rest.get(from..)
        .and_then(|rest| rest.windows(what.len()).position(|window| window == what))
        .map_or(rest.len(), |at| from + at + what.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each token that what ends a part may be in, and places that count characters.
    const TEXT: &str = "SELECT 'it''s; (', E'a\\'; b', \"x; \"\"y\", $$ ; ( $$, $a$ $$ ; $a$, $1, \
        /* a /* ; */ ( */ -- ; (\n 1.5e3 <=> a$b, 'ä;', ä$x; \u{1F600}, a <+> b ;;\n ; VALUES (1),\n (2)";

    fn whole(sql: &str) -> Vec<TokenWithSpan> {
        let tokens = Tokenizer::new(&Postgres::for_text(sql), sql).tokenize_with_location();
        vigil_udfs::join_operators(tokens.expect("tokens"))
            .into_iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::SemiColon))
            .collect()
    }

    #[test]
    fn parts_have_the_tokens_and_places_of_the_whole() {
        let statement = format!("{};\n", TEXT.replace('\u{1F600}', "ö"));
        // The parts end at other places of the text each time.
        for shift in 0..statement.len() {
            let before = "x".repeat(PART_BYTES - shift - 5);
            let sql = format!("/*{before}*/ {}", statement.repeat(3));
            let read = statements(&sql, &Lines::new(&sql)).expect("tokens").concat();
            assert_eq!(read, whole(&sql), "{shift}");
            let spans = |tokens: &[TokenWithSpan]| -> Vec<Span> {
                tokens.iter().map(|token| token.span).collect()
            };
            assert_eq!(spans(&read), spans(&whole(&sql)), "{shift}");
        }
        let long = statement.repeat(2 * PART_BYTES / statement.len());
        assert!(Parts(&long).count() > 1);
        assert_eq!(Parts(&long).collect::<String>(), long);
    }

    #[test]
    fn errors_in_a_later_part_have_their_place_in_the_whole() {
        let sql = format!("{}\n  'ä", "1, ".repeat(PART_BYTES));
        let error = statements(&sql, &Lines::new(&sql)).expect_err("is not closed");
        assert_eq!(error.position(), Some(3 * PART_BYTES + 4));
    }
}
