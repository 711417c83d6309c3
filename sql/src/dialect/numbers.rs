//! Numbers with something right behind them, such as `1a`, `0x1F` and `1_000`: PostgreSQL 15 refuses them, where
//! sqlparser reads a number and an alias, bytes, and a number with digits in groups.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Lines;
use crate::SqlError;

/// # Errors
/// SQLSTATE 42601 at the number.
pub(super) fn check(tokens: &[TokenWithSpan], lines: &Lines) -> Result<(), SqlError> {
    for (at, token) in tokens.iter().enumerate() {
        let (start, end) = (token.span.start, token.span.end);
        // The text itself is found by counting its line's characters, too long for each number of a list.
        let width = end.column.saturating_sub(start.column) as usize;
        let has_own_junk = match &token.token {
            Token::Number(digits, is_long) => {
                *is_long || digits.contains('_') || width != digits.len()
            }
            // `0x1F` where `x'1F'` has one more sign.
            Token::HexStringLiteral(digits) => width == digits.len() + 2,
            _ => continue,
        };
        let word = match tokens.get(at + 1) {
            Some(TokenWithSpan { token: Token::Word(word), span })
                if word.quote_style.is_none() && span.start == end =>
            {
                Some(span.end)
            }
            _ => None,
        };
        let is_number = matches!(token.token, Token::Number(..));
        let has_junk = has_own_junk || (is_number && word.is_some());
        if has_junk {
            let near = lines.text(start, word.unwrap_or(end));
            return Err(SqlError::Token {
                message: format!("trailing junk after numeric literal at or near \"{near}\""),
                position: lines.character(start),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::dialect::parse;

    /// As PostgreSQL 15 answers.
    #[test]
    fn a_number_with_junk_is_refused() {
        for (sql, near) in [
            ("SELECT 1a", "1a"),
            ("SELECT 123abc", "123abc"),
            ("SELECT 0x1F", "0x1F"),
            ("SELECT 0b11", "0b11"),
            ("SELECT 1_000", "1_000"),
            ("SELECT 1L", "1L"),
        ] {
            let error = parse(sql).expect_err(sql);
            let message = format!("trailing junk after numeric literal at or near \"{near}\"");
            assert_eq!((error.to_string(), error.position()), (message, Some(8)), "{sql}");
        }
        for sql in
            ["SELECT 1 a", "SELECT 1e5", "SELECT x'1F'", "SELECT 1.5 AS l", "SELECT a1 FROM t"]
        {
            parse(sql).expect(sql);
        }
    }
}
