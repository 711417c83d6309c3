//! From sqlparser's places (line and column) to PostgreSQL's (characters) and Rust's (bytes).

use datafusion::sql::sqlparser::tokenizer::Location;

/// Characters from one mark to the next.
const MARK_EVERY: usize = 256;

/// A text and where its lines begin.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// Byte offset and character offset of each line's first character.
    starts: Vec<(usize, usize)>,
    /// Byte offset of every `MARK_EVERY`th character, as a line may be megabytes long.
    marks: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Finds the lines of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        let (mut starts, mut marks) = (vec![(0, 0)], Vec::new());
        for (characters, (bytes, character)) in text.char_indices().enumerate() {
            if character == '\n' {
                starts.push((bytes + 1, characters + 1));
            }
            if characters % MARK_EVERY == 0 {
                marks.push(bytes);
            }
        }
        Self { text, starts, marks }
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
        let Some((_, start)) = self.starts.get(line) else { return self.text.len() };
        let character = start + column;
        let Some(mark) = self.marks.get(character / MARK_EVERY) else { return self.text.len() };
        self.text[*mark..]
            .char_indices()
            .nth(character % MARK_EVERY)
            .map_or(self.text.len(), |(offset, _)| mark + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_far_into_a_line_are_found() {
        let text = format!("ä\n{}x", "aä€".repeat(1000));
        let lines = Lines::new(&text);
        let at = |line, column| Location { line, column };
        assert_eq!(lines.text(at(2, 3001), at(2, 3002)), "x");
        // The 257th character of a, ä, €, … is the second of three.
        assert_eq!(lines.text(at(2, 257), at(2, 259)), "ä€");
        assert_eq!(lines.text(at(1, 1), at(2, 1)), "ä\n");
        assert_eq!(lines.text(at(2, 3002), at(2, 3003)), "");
        assert_eq!(lines.text(at(9, 1), at(9, 2)), "");
    }
}
