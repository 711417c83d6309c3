//! Statements as text, so that they can be run again: names and values go in, quoted where SQL wants
//! it.

use std::fmt::Write as _;

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

    /// Adds an identifier: bare when it is lower case and plain, else in quotes.
    pub(crate) fn identifier(&mut self, name: &str) {
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !is_keyword(name);
        if plain {
            self.0.push_str(name);
        } else {
            // Writing into a String cannot fail.
            let _ = write!(self.0, "\"{}\"", name.replace('"', "\"\""));
        }
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

/// The words that cannot stand bare as a name in our statements.
fn is_keyword(name: &str) -> bool {
    ["all", "and", "as", "create", "default", "from", "if", "in", "into", "not", "null", "on"]
        .iter()
        .chain(&["or", "order", "group", "select", "table", "to", "user", "using", "where", "with"])
        .any(|word| *word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_quoted_where_they_must_be() {
        let names = ["lobby", "Lobby", "my cam", "from", "a\"b", "1st"].map(|name| {
            let mut text = StatementText::new("");
            text.identifier(name);
            String::from(text)
        });
        assert_eq!(
            names,
            ["lobby", "\"Lobby\"", "\"my cam\"", "\"from\"", "\"a\"\"b\"", "\"1st\""]
        );
        let mut text = StatementText::new("FROM ");
        text.literal("it's.mp4");
        let given = [("fps", "5"), ("note", "inf"), ("Name", "-1.5")];
        text.options(" WITH", &given.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let text = String::from(text);
        assert_eq!(text, "FROM 'it''s.mp4' WITH (fps = 5, note = 'inf', \"Name\" = -1.5)");
    }
}
