//! Statements as text, so that they can be run again: names and values go in, quoted where SQL wants
//! it.

use std::fmt::Write as _;

use vigil_sql::quote_identifier;

/// A statement that is being written.
pub(crate) struct StatementText(String);

impl StatementText {
    /// One that begins like this.
    pub(crate) fn new(begin: &str) -> Self {
        Self(begin.to_owned())
    }

    /// Adds words of SQL as they are.
    pub(crate) fn words(&mut self, words: &str) {
        self.0.push_str(words);
    }

    /// Adds an identifier, in quotes where it needs them.
    pub(crate) fn identifier(&mut self, name: &str) {
        self.0.push_str(&quote_identifier(name));
    }

    /// Adds a text in single quotes.
    pub(crate) fn literal(&mut self, text: &str) {
        let _ = write!(self.0, "'{}'", text.replace('\'', "''"));
    }

    /// Adds `before` and a list of options in parentheses, if there are any.
    pub(crate) fn options(&mut self, before: &str, options: &[(String, String)]) {
        if options.is_empty() {
            return;
        }
        self.0.push_str(before);
        for (index, (name, value)) in options.iter().enumerate() {
            self.0.push_str(if index == 0 { " (" } else { ", " });
            self.identifier(name);
            self.0.push_str(" = ");
            if value.parse::<f64>().is_ok() && is_plain_number(value) {
                self.0.push_str(value);
            } else {
                self.literal(value);
            }
        }
        self.0.push(')');
    }
}

impl From<StatementText> for String {
    fn from(text: StatementText) -> Self {
        text.0
    }
}

/// Only what SQL's lexer reads as a number: `inf` and `nan` are words.
fn is_plain_number(value: &str) -> bool {
    value.strip_prefix('-').unwrap_or(value).starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        let mut text = StatementText::new("FROM ");
        text.literal("it's.mp4");
        let given = [("fps", "5"), ("note", "inf"), ("Name", "-1.5")];
        text.options(" WITH", &given.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let text = String::from(text);
        assert_eq!(text, "FROM 'it''s.mp4' WITH (fps = 5, note = 'inf', \"Name\" = -1.5)");
    }
}
