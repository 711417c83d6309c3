//! Where in a statement an error lies: the error and the statement's text go in, characters from 1 come out.
//!
//! PostgreSQL points at the token that it could not make sense of. DataFusion names it in its message, so the
//! token is looked for by that name. What could be in several places without a way to tell is pointed at
//! where it stands first, if it is a name, and not at all, if it is an operator.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::SqlError;
use crate::dialect::Lines;

impl SqlError {
    /// The same with its place in `text`, if that can be told, behind `before` characters of other statements.
    pub(crate) fn located(self, text: &str, before: usize) -> Self {
        if self.position().is_some() {
            return self;
        }
        let lines = Lines::new(text);
        let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location()
        else {
            return self;
        };
        let is_written = |token: &TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
        let tokens = Tokens { tokens: tokens.into_iter().filter(is_written).collect() };
        let error = tokens.with_aliases(self);
        match tokens.place(&error.to_string()).and_then(|at| tokens.tokens.get(at)) {
            Some(token) => {
                let position = before + lines.character(token.span.start);
                Self::At { error: Box::new(error), position }
            }
            None => error,
        }
    }
}

/// The tokens of a statement without what is between them.
struct Tokens {
    tokens: Vec<TokenWithSpan>,
}

impl Tokens {
    /// The number of the token that a message speaks of.
    fn place(&self, message: &str) -> Option<usize> {
        let quoted = quoted(message);
        if let Some(column) = unquoted_column(message) {
            return self.column(column);
        }
        let name = quoted.unwrap_or_default();
        if message.starts_with("column ") && message.contains("must appear in the GROUP BY") {
            return self.ungrouped(name);
        }
        if message.starts_with("column ") || message.starts_with("column reference ") {
            return self.column(name);
        }
        if message.starts_with("relation \"") {
            return self.relation(name);
        }
        if message.starts_with("missing FROM-clause entry")
            || message.starts_with("invalid reference to FROM-clause entry")
        {
            return self.find(|at| self.is_name(at, name) && self.is(at + 1, &Token::Period));
        }
        if let Some(call) = between(message, "function ", " does not exist") {
            let name = call.split('(').next()?.trim_matches('"');
            return self
                .find(|at| self.is_name(at, name) && self.is(at + 1, &Token::LParen))
                .or_else(|| self.literal(name));
        }
        if let Some(operation) = after(message, "operator does not exist: ") {
            return self.operator(operation);
        }
        if message.starts_with("type \"") {
            return self
                .find(|at| self.is_name(at, name) && self.is_before_type(at))
                .or_else(|| self.literal(name));
        }
        if message.starts_with("schema \"") || message.starts_with("role \"") {
            return self.literal(name);
        }
        if message.starts_with("window \"") {
            return self
                .find(|at| self.is_name(at, name) && self.is_word(at.wrapping_sub(1), "over"));
        }
        if message.starts_with("WITH query name") {
            let named = |at: &usize| {
                self.is_name(*at, name)
                    && (self.is_word(at + 1, "as") || self.is(at + 1, &Token::LParen))
            };
            return (0..self.tokens.len()).filter(named).nth(1);
        }
        if message.starts_with("there is no parameter ") {
            let name = message.rsplit(' ').next()?;
            let is_it = |at: usize| matches!(&self.tokens[at].token, Token::Placeholder(found) if found == name);
            return self.find(is_it);
        }
        for list in ["ORDER BY", "GROUP BY"] {
            if let Some(number) = between(message, &format!("{list} position "), " is not") {
                let start = self.behind(list)?;
                return (start..self.tokens.len()).find(|at| self.is_number(*at, number));
            }
        }
        if message.starts_with("for SELECT DISTINCT, ORDER BY") {
            return self.behind("ORDER BY");
        }
        if message == "SELECT * with no tables specified is not valid" {
            return self.find(|at| self.is(at, &Token::Mul));
        }
        if let Some(clause) = between(message, "functions are not allowed in ", "") {
            let start = self.behind(clause)?;
            return (start..self.tokens.len())
                .find(|at| self.is_plain_word(*at) && self.is(at + 1, &Token::LParen));
        }
        if message == "aggregate function calls cannot be nested" {
            return self.nested_call();
        }
        if let Some(clause) = between(message, "argument of ", " must be type") {
            return self.only_behind(clause);
        }
        if let Some(operation) = between(message, "each ", " query must have the same number") {
            return self.behind_select(operation);
        }
        if message.starts_with("cannot cast type ") {
            return self.only(|at| self.is(at, &Token::DoubleColon));
        }
        if is_about_a_value(message) {
            return self.literal(value_in(message)?);
        }
        None
    }

    /// A column that may not be referred to, as it turns out by how the statement names its tables.
    fn with_aliases(&self, mut error: SqlError) -> SqlError {
        let SqlError::Query { sqlstate: "42P01" | "42712", message, hint, .. } = &mut error else {
            return error;
        };
        let Some(name) = quoted(message).map(str::to_owned) else { return error };
        let stands_alone = |at: &usize| {
            self.is_name(*at, &name)
                && !self.is(at + 1, &Token::Period)
                && !self.is(at.wrapping_sub(1), &Token::Period)
        };
        if message.starts_with("table name ") {
            // A derived table may have two columns of one name.
            if (0..self.tokens.len()).filter(stands_alone).count() < 2 {
                let sqlstate = "42701";
                return SqlError::Query {
                    sqlstate,
                    message: "column specified more than once".into(),
                    detail: None,
                    hint: None,
                };
            }
            return error;
        }
        if !message.starts_with("missing FROM-clause entry") {
            return error;
        }
        let Some(at) = (0..self.tokens.len()).find(stands_alone) else { return error };
        let alias = if self.is_word(at + 1, "as") { at + 2 } else { at + 1 };
        match self.tokens.get(alias).map(|token| &token.token) {
            Some(Token::Word(word)) if self.is_plain_word(alias) && !is_a_clause(&word.value) => {
                *message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
                *hint = Some(format!(
                    "Perhaps you meant to reference the table alias \"{}\".",
                    folded(&word.value, word.quote_style)
                ));
                error
            }
            // The table is there, so the column is not.
            _ => {
                let Some(column) =
                    self.find(|at| self.is_name(at, &name) && self.is(at + 1, &Token::Period))
                else {
                    return error;
                };
                let Some(Token::Word(word)) = self.tokens.get(column + 2).map(|t| &t.token) else {
                    return error;
                };
                let column = folded(&word.value, word.quote_style);
                SqlError::Query {
                    sqlstate: "42703",
                    message: format!("column {name}.{column} does not exist"),
                    detail: None,
                    hint: None,
                }
            }
        }
    }

    /// A column by its name, or by its table's and its own.
    fn column(&self, name: &str) -> Option<usize> {
        if let Some((table, column)) = name.rsplit_once('.') {
            let table = table.rsplit('.').next().unwrap_or(table);
            let found = self.find(|at| {
                self.is_name(at, table)
                    && self.is(at + 1, &Token::Period)
                    && self.is_name(at + 2, column)
            });
            if found.is_some() {
                return found;
            }
            return self.column(column);
        }
        let is_column = |at: usize| {
            self.is_name(at, name)
                && !["from", "join"].iter().any(|word| self.is_word(at.wrapping_sub(1), word))
                && !self.is(at.wrapping_sub(1), &Token::Period)
                && !self.is(at + 1, &Token::Period)
                && !self.is(at + 1, &Token::LParen)
                && !self.is_word(at.wrapping_sub(1), "as")
        };
        self.find(is_column).or_else(|| self.find(|at| self.is_name(at, name)))
    }

    /// A column outside of calls and of `GROUP BY`, with its table's name before it.
    fn ungrouped(&self, name: &str) -> Option<usize> {
        let column = name.rsplit('.').next()?;
        let (mut calls, mut is_grouping) = (Vec::new(), false);
        for (at, token) in self.tokens.iter().enumerate() {
            match &token.token {
                Token::LParen => calls.push(at > 0 && self.is_plain_word(at - 1)),
                Token::RParen => drop(calls.pop()),
                Token::Word(word) if word.quote_style.is_none() => {
                    match word.value.to_ascii_lowercase().as_str() {
                        "group" => is_grouping = true,
                        "having" | "order" | "union" | "limit" | "window" => is_grouping = false,
                        _ => {}
                    }
                }
                _ => {}
            }
            if self.is_name(at, column) && !is_grouping && !calls.contains(&true) {
                let is_qualified = at > 1 && self.is(at - 1, &Token::Period);
                return Some(if is_qualified { at - 2 } else { at });
            }
        }
        None
    }

    /// A table by the name that a message gives it.
    fn relation(&self, name: &str) -> Option<usize> {
        let parts: Vec<&str> = name.split('.').collect();
        let is_it = |at: usize| {
            parts.iter().enumerate().all(|(number, part)| {
                self.is_name(at + 2 * number, part)
                    && (number == 0 || self.is(at + 2 * number - 1, &Token::Period))
            })
        };
        let is_table = |at: usize| {
            let before = at.wrapping_sub(1);
            is_it(at)
                && (self.is(before, &Token::Comma)
                    || ["from", "join", "into", "update", "table", "on", "copy", "only"]
                        .iter()
                        .any(|word| self.is_word(before, word)))
        };
        // `public.nowhere` is told of as `nowhere`.
        let with_schema =
            |at: usize| self.is(at + 1, &Token::Period) && is_it(at + 2) && parts.len() == 1;
        self.find(is_table)
            .or_else(|| self.find(with_schema))
            .or_else(|| self.find(is_it))
            .or_else(|| self.literal(name))
    }

    /// An operator, if there is one such alone.
    fn operator(&self, operation: &str) -> Option<usize> {
        let symbol = operation.split(' ').find(|word| {
            !word.is_empty() && !word.contains(|character: char| character.is_alphanumeric())
        })?;
        self.only(|at| {
            let token = self.tokens[at].token.to_string();
            token == symbol || (symbol == "<>" && token == "!=")
        })
    }

    /// The first call within another one, behind both names.
    fn nested_call(&self) -> Option<usize> {
        let mut calls = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            match token.token {
                Token::LParen => {
                    let is_call = at > 0 && self.is_plain_word(at - 1);
                    if is_call && calls.contains(&true) {
                        return Some(at - 1);
                    }
                    calls.push(is_call);
                }
                Token::RParen => drop(calls.pop()),
                _ => {}
            }
        }
        None
    }

    /// The first token of the query behind `UNION` and its like.
    fn behind_select(&self, operation: &str) -> Option<usize> {
        let start = self.behind(operation)?;
        let select = (start..self.tokens.len()).find(|at| self.is_word(*at, "select"))?;
        Some(select + 1)
    }

    /// A literal, by its value.
    fn literal(&self, value: &str) -> Option<usize> {
        self.find(|at| match &self.tokens[at].token {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text == value,
            Token::DollarQuotedString(text) => text.value == value,
            Token::Number(number, _) => number == value,
            _ => false,
        })
        // One element of an array's text.
        .or_else(|| {
            self.only(|at| {
                matches!(&self.tokens[at].token, Token::SingleQuotedString(text)
                    if !value.is_empty() && text.starts_with('{') && text.contains(value))
            })
        })
    }

    /// The token behind the first time that words stand there.
    fn behind(&self, words: &str) -> Option<usize> {
        let words: Vec<&str> = words.split(' ').collect();
        let start = self.find(|at| {
            words.iter().enumerate().all(|(number, word)| self.is_word(at + number, word))
        })?;
        let behind = start + words.len();
        (behind < self.tokens.len()).then_some(behind)
    }

    /// The same, if the words stand there once.
    fn only_behind(&self, words: &str) -> Option<usize> {
        let first = words.split(' ').next()?;
        self.only(|at| self.is_word(at, first))?;
        self.behind(words)
    }

    fn find(&self, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        (0..self.tokens.len()).find(|at| is_it(*at))
    }

    fn only(&self, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut found = (0..self.tokens.len()).filter(|at| is_it(*at));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    fn is(&self, at: usize, token: &Token) -> bool {
        self.tokens.get(at).is_some_and(|found| found.token == *token)
    }

    fn is_name(&self, at: usize, name: &str) -> bool {
        matches!(self.tokens.get(at).map(|token| &token.token), Some(Token::Word(word))
            if folded(&word.value, word.quote_style) == name)
    }

    fn is_word(&self, at: usize, keyword: &str) -> bool {
        matches!(self.tokens.get(at).map(|token| &token.token), Some(Token::Word(word))
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(keyword))
    }

    fn is_plain_word(&self, at: usize) -> bool {
        matches!(self.tokens.get(at).map(|token| &token.token), Some(Token::Word(word))
            if !is_a_clause(&word.value))
    }

    fn is_number(&self, at: usize, number: &str) -> bool {
        matches!(self.tokens.get(at).map(|token| &token.token), Some(Token::Number(found, _))
            if found == number)
    }

    fn is_before_type(&self, at: usize) -> bool {
        let before = at.wrapping_sub(1);
        self.is(before, &Token::DoubleColon) || self.is_word(before, "as")
    }
}

/// A name as PostgreSQL reads it: in lower case, unless it has quotes.
fn folded(name: &str, quotes: Option<char>) -> String {
    if quotes.is_some() { name.to_owned() } else { name.to_lowercase() }
}

/// Words that follow a table's name and are no alias of it, or stand before a parenthesis without being called.
fn is_a_clause(word: &str) -> bool {
    const WORDS: [&str; 34] = [
        "where",
        "group",
        "order",
        "having",
        "limit",
        "offset",
        "union",
        "except",
        "intersect",
        "join",
        "left",
        "right",
        "inner",
        "outer",
        "full",
        "cross",
        "natural",
        "on",
        "using",
        "as",
        "from",
        "select",
        "in",
        "any",
        "all",
        "some",
        "exists",
        "values",
        "and",
        "or",
        "not",
        "by",
        "fetch",
        "lateral",
    ];
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// What a message has in its first quotes.
fn quoted(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once('"')?;
    rest.split_once('"').map(|(name, _)| name)
}

/// The column of `column f.width does not exist`.
fn unquoted_column(message: &str) -> Option<&str> {
    let name = between(message, "column ", " does not exist")?;
    (!name.contains(['"', ' '])).then_some(name)
}

fn after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.strip_prefix(words)
}

/// What stands between two parts of a message, the first of which may stand anywhere.
fn between<'a>(message: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    if behind.is_empty() { Some(rest) } else { rest.split_once(behind).map(|(found, _)| found) }
}

/// Whether a message quotes a value that could not be read.
fn is_about_a_value(message: &str) -> bool {
    const BEGINNINGS: [&str; 4] = [
        "invalid input syntax for type ",
        "date/time field value out of range",
        "malformed array literal",
        "value \"",
    ];
    BEGINNINGS.iter().any(|beginning| message.starts_with(beginning))
}

/// The value, which may have quotes of its own.
fn value_in(message: &str) -> Option<&str> {
    if let Some(rest) = after(message, "value \"") {
        return rest.split_once("\" is out of range").map(|(value, _)| value);
    }
    message.split_once(": \"")?.1.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(message: &str, text: &str) -> Option<usize> {
        let error = SqlError::Query {
            sqlstate: "42000",
            message: message.into(),
            detail: None,
            hint: None,
        };
        error.located(text, 0).position()
    }

    #[test]
    fn the_token_is_the_one_that_the_message_names() {
        let cases = [
            ("column \"b\" does not exist", "SELECT a AS b, B FROM t", 16),
            ("column t.b does not exist", "SELECT b, t.b FROM t", 11),
            ("relation \"t\" does not exist", "SELECT t FROM t", 15),
            ("relation \"s.t\" does not exist", "SELECT 1 FROM\n s . t", 16),
            ("function f(bigint) does not exist", "SELECT f, f(1)", 11),
            ("operator does not exist: bigint + text", "SELECT 'ü' || 1 + x", 17),
            (
                "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
                "SELECT max(a), t.a FROM t GROUP BY b",
                16,
            ),
            ("invalid input syntax for type integer: \"a\"\"", "SELECT 'a\"'::int", 8),
            ("ORDER BY position 3 is not in select list", "SELECT 3 ORDER BY 1, 3", 22),
        ];
        for (message, text, expected) in cases {
            assert_eq!(position(message, text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_pointed_at() {
        assert_eq!(position("operator does not exist: bigint + text", "SELECT 1 + 1 + x"), None);
        assert_eq!(position("division by zero", "SELECT 1 / 0"), None);
        assert_eq!(position("column \"c\" does not exist", "SELECT 1"), None);
    }
}
