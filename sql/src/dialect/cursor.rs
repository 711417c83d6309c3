//! A place in the tokens of one statement, and what our statements' grammars read from there.

use datafusion::sql::sqlparser::keywords::RESERVED_FOR_IDENTIFIER;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::Lines;
use crate::SqlError;
use crate::database::DEFAULT_SCHEMA;

/// Words that cannot be a name without quotes, beside sqlparser's own: they begin the next part
/// of a statement of ours.
const RESERVED: [&str; 12] =
    ["all", "and", "as", "create", "for", "from", "not", "or", "select", "table", "where", "with"];

/// Reads the tokens of a statement one after the other.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    /// No white space, no comments, no semicolon.
    tokens: &'a [TokenWithSpan],
    next: usize,
    lines: &'a Lines<'a>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(tokens: &'a [TokenWithSpan], lines: &'a Lines<'a>) -> Self {
        Self { tokens, next: 0, lines }
    }

    /// True when the statement begins with these keywords; nothing is consumed.
    pub(crate) fn begins_with(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(ahead, keyword)| self.is_keyword(ahead, keyword))
    }

    fn is_keyword(&self, ahead: usize, keyword: &str) -> bool {
        match self.tokens.get(self.next + ahead).map(|token| &token.token) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => {
                value.eq_ignore_ascii_case(keyword)
            }
            _ => false,
        }
    }

    /// Consumes the keywords if all of them come next.
    pub(crate) fn accept(&mut self, keywords: &[&str]) -> bool {
        let found = self.begins_with(keywords);
        if found {
            self.next += keywords.len();
        }
        found
    }

    /// Consumes the keywords.
    ///
    /// # Errors
    /// A syntax error at the first token that is none of them.
    pub(crate) fn expect(&mut self, keywords: &[&str]) -> Result<(), SqlError> {
        keywords.iter().try_for_each(|keyword| {
            if self.accept(&[keyword]) { Ok(()) } else { Err(self.unexpected()) }
        })
    }

    /// True when a sign such as `(` comes next; nothing is consumed.
    pub(crate) fn sees_sign(&self, sign: &Token) -> bool {
        self.tokens.get(self.next).is_some_and(|token| token.token == *sign)
    }

    /// Consumes a sign such as `(` if it comes next.
    pub(crate) fn accept_sign(&mut self, sign: &Token) -> bool {
        let found = self.sees_sign(sign);
        self.next += usize::from(found);
        found
    }

    /// Consumes a sign such as `(`.
    ///
    /// # Errors
    /// A syntax error at any other token.
    pub(crate) fn expect_sign(&mut self, sign: &Token) -> Result<(), SqlError> {
        if self.accept_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The end of the statement.
    ///
    /// # Errors
    /// A syntax error when there is one more token.
    pub(crate) fn expect_end(&self) -> Result<(), SqlError> {
        if self.next == self.tokens.len() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// A name: folded to lower case unless quoted, without a schema.
    ///
    /// # Errors
    /// A syntax error when none comes next; SQLSTATE 0A000 for a name with a schema.
    pub(crate) fn name(&mut self) -> Result<String, SqlError> {
        let position = self.position();
        let name = self.identifier()?;
        if self.sees_sign(&Token::Period) {
            return Err(SqlError::Invalid {
                sqlstate: "0A000",
                message: "sources and models are in no schema".into(),
                hint: Some(
                    "Write the name alone; a name with a dot in it needs double quotes.".into(),
                ),
                position: Some(position),
            });
        }
        Ok(name)
    }

    /// A word: folded to lower case unless quoted.
    ///
    /// # Errors
    /// A syntax error when none comes next.
    pub(crate) fn identifier(&mut self) -> Result<String, SqlError> {
        let name = match self.tokens.get(self.next).map(|token| &token.token) {
            Some(Token::Word(Word { value, quote_style: Some(_), .. })) if !value.is_empty() => {
                value.clone()
            }
            Some(Token::Word(Word { value, quote_style: None, keyword })) => {
                let lower = value.to_lowercase();
                let reserved =
                    RESERVED.contains(&lower.as_str()) || RESERVED_FOR_IDENTIFIER.contains(keyword);
                if reserved {
                    return Err(self.unexpected());
                }
                lower
            }
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(name)
    }

    /// The name of an index or of its table, perhaps with the schema `public` before it.
    ///
    /// # Errors
    /// A syntax error when none comes next; SQLSTATE 42P01 for another schema.
    pub(crate) fn index_name(&mut self) -> Result<String, SqlError> {
        let position = self.position();
        let name = self.identifier()?;
        if !self.accept_sign(&Token::Period) {
            return Ok(name);
        }
        let of_schema = self.identifier()?;
        if name == DEFAULT_SCHEMA {
            return Ok(of_schema);
        }
        Err(SqlError::Invalid {
            sqlstate: "42P01",
            message: format!("relation \"{name}.{of_schema}\" does not exist"),
            hint: Some("Tables with vectors and their indexes are in the schema public.".into()),
            position: Some(position),
        })
    }

    /// A text in single quotes, without them.
    ///
    /// # Errors
    /// A syntax error when none comes next.
    pub(crate) fn string(&mut self) -> Result<String, SqlError> {
        let text = match self.tokens.get(self.next).map(|token| &token.token) {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                text.clone()
            }
            Some(Token::DollarQuotedString(text)) => text.value.clone(),
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(text)
    }

    /// A whole number with or without sign, if one comes next.
    pub(crate) fn accept_integer(&mut self) -> Result<Option<i64>, SqlError> {
        let start = self.next;
        let negative = self.accept_sign(&Token::Minus);
        if !negative {
            self.accept_sign(&Token::Plus);
        }
        let Some(Token::Number(number, _)) = self.tokens.get(self.next).map(|token| &token.token)
        else {
            self.next = start;
            return Ok(None);
        };
        let Ok(number) = number.parse::<i64>() else { return Err(self.unexpected()) };
        self.next += 1;
        Ok(Some(if negative { -number } else { number }))
    }

    /// All tokens that are left.
    pub(crate) fn rest(&mut self) -> &'a [TokenWithSpan] {
        let rest = &self.tokens[self.next.min(self.tokens.len())..];
        self.next = self.tokens.len();
        rest
    }

    /// The tokens between the parenthesis that comes next and its partner.
    ///
    /// # Errors
    /// A syntax error when none comes next or the partner is missing.
    pub(crate) fn parenthesised(&mut self) -> Result<&'a [TokenWithSpan], SqlError> {
        self.expect_sign(&Token::LParen)?;
        let start = self.next;
        let mut depth = 1_usize;
        while let Some(token) = self.tokens.get(self.next) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            self.next += 1;
            if depth == 0 {
                return Ok(&self.tokens[start..self.next - 1]);
            }
        }
        Err(self.unexpected())
    }

    /// The tokens of a name that may have a schema before it: `a.b.c`.
    ///
    /// # Errors
    /// A syntax error when none comes next.
    pub(crate) fn qualified_name(&mut self) -> Result<&'a [TokenWithSpan], SqlError> {
        let start = self.next;
        self.identifier()?;
        while self.accept_sign(&Token::Period) {
            self.identifier()?;
        }
        Ok(&self.tokens[start..self.next])
    }

    /// What was written for these tokens.
    pub(crate) fn text_of(&self, tokens: &[TokenWithSpan]) -> &'a str {
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => self.lines.text(first.span.start, last.span.end),
            _ => "",
        }
    }

    /// The places in the text that the tokens come from.
    pub(crate) fn lines(&self) -> &'a Lines<'a> {
        self.lines
    }

    /// `(name = value, …)` as names in lower case and values as written, unquoted.
    ///
    /// # Errors
    /// A syntax error where the list is none; SQLSTATE 22023 for a name that comes twice.
    pub(crate) fn options(&mut self) -> Result<Vec<(String, String)>, SqlError> {
        self.expect_sign(&Token::LParen)?;
        let mut options: Vec<(String, String)> = Vec::new();
        loop {
            let position = self.position();
            let name = self.identifier()?.to_lowercase();
            if options.iter().any(|(known, _)| *known == name) {
                return Err(SqlError::Invalid {
                    sqlstate: "22023",
                    message: format!("option \"{name}\" specified more than once"),
                    hint: None,
                    position: Some(position),
                });
            }
            self.expect_sign(&Token::Eq)?;
            let value = self.option_value()?;
            options.push((name, value));
            if !self.accept_sign(&Token::Comma) {
                break;
            }
        }
        self.expect_sign(&Token::RParen)?;
        Ok(options)
    }

    /// A text, a number with or without sign, or a word (`true`, `bytetrack`).
    fn option_value(&mut self) -> Result<String, SqlError> {
        let sign = if self.accept_sign(&Token::Minus) {
            "-"
        } else if self.accept_sign(&Token::Plus) {
            "+"
        } else {
            ""
        };
        match self.tokens.get(self.next).map(|token| &token.token) {
            Some(Token::Number(number, _)) => {
                self.next += 1;
                Ok(format!("{}{number}", sign.trim_start_matches('+')))
            }
            Some(Token::Word(word)) if sign.is_empty() => {
                self.next += 1;
                Ok(word.value.clone())
            }
            _ if sign.is_empty() => self.string(),
            _ => Err(self.unexpected()),
        }
    }

    /// Everything up to the end of the statement, as written.
    ///
    /// # Errors
    /// A syntax error when nothing is left.
    pub(crate) fn rest_as_written(&mut self) -> Result<String, SqlError> {
        let (Some(first), Some(last)) = (self.tokens.get(self.next), self.tokens.last()) else {
            return Err(self.unexpected());
        };
        self.next = self.tokens.len();
        Ok(self.lines.text(first.span.start, last.span.end).to_owned())
    }

    /// A number as written, without a sign.
    ///
    /// # Errors
    /// A syntax error when none comes next.
    pub(crate) fn number(&mut self) -> Result<String, SqlError> {
        match self.tokens.get(self.next).map(|token| &token.token) {
            Some(Token::Number(number, _)) => {
                self.next += 1;
                Ok(number.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Where the next token begins, in characters from 1.
    pub(crate) fn position(&self) -> usize {
        match (self.tokens.get(self.next), self.tokens.last()) {
            (Some(token), _) => self.lines.character(token.span.start),
            (None, Some(last)) => self.lines.character(last.span.end),
            (None, None) => self.lines.end(),
        }
    }

    /// The syntax error at the next token.
    pub(crate) fn unexpected(&self) -> SqlError {
        SqlError::Syntax {
            near: self
                .tokens
                .get(self.next)
                .map(|token| self.lines.text(token.span.start, token.span.end).to_owned()),
            position: self.position(),
        }
    }
}
