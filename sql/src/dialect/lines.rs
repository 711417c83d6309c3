//! From sqlparser's places (line and column) to PostgreSQL's (characters) and Rust's (bytes).

use datafusion::sql::sqlparser::tokenizer::Location;

/// A text and where its lines begin.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// Byte offset and character offset of each line's first character.
    starts: Vec<(usize, usize)>,
}

impl<'a> Lines<'a> {
    /// Finds the lines of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        let mut starts = vec![(0, 0)];
        for (characters, (bytes, character)) in text.char_indices().enumerate() {
            if character == '\n' {
                starts.push((bytes + 1, characters + 1));
            }
        }
        Self { text, starts }
    }

    /// The place in characters from 1, as PostgreSQL's `position` counts.
    pub(crate) fn character(&self, location: Location) -> usize {
        let line = (location.line.max(1) - 1) as usize;
        let column = (location.column.max(1) - 1) as usize;
        match self.starts.get(line) {
            Some((_, characters)) => characters + column + 1,
            None => self.end(),
        }
    }

    /// One past the last character, from 1.
    pub(crate) fn end(&self) -> usize {
        self.text.chars().count() + 1
    }

    /// The text from one place up to the other.
    pub(crate) fn text(&self, from: Location, to: Location) -> &'a str {
        self.text.get(self.byte(from)..self.byte(to)).unwrap_or_default()
    }

    fn byte(&self, location: Location) -> usize {
        let line = (location.line.max(1) - 1) as usize;
        let column = (location.column.max(1) - 1) as usize;
        let Some((start, _)) = self.starts.get(line) else { return self.text.len() };
        self.text[*start..]
            .char_indices()
            .nth(column)
            .map_or(self.text.len(), |(offset, _)| start + offset)
    }
}
