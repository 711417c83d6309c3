//! From WordPiece tokens back to text: token ids go in, a sentence comes out.

use std::path::Path;

use crate::ModelError;

/// The tokens of a BERT vocabulary (`vocab.txt`), by id.
pub(super) struct Vocabulary {
    tokens: Vec<String>,
}

impl Vocabulary {
    /// Reads a file with one token a line, the line's number (from 0) being its id.
    ///
    /// # Errors
    /// [`ModelError::BadFile`] when it cannot be read, is no text or has no tokens.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let bad = |detail: String| ModelError::BadFile { file: path.display().to_string(), detail };
        let text = std::fs::read_to_string(path).map_err(|error| bad(format!("{error}.")))?;
        if text.trim().is_empty() {
            return Err(bad("The file has no tokens.".into()));
        }
        Ok(Self { tokens: text.lines().map(str::to_owned).collect() })
    }

    /// The text of some tokens: `##` pieces joined to the word before, no space before
    /// punctuation. Special tokens (`[CLS]`, and ids past the vocabulary, as BLIP's own are) say
    /// nothing.
    pub(super) fn text(&self, ids: &[i64]) -> String {
        let mut text = String::new();
        for &id in ids {
            let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id));
            let Some(token) = token.filter(|token| !is_special(token)) else { continue };
            match token.strip_prefix("##") {
                Some(piece) => text.push_str(piece),
                None => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(token);
                }
            }
        }
        clean_up(&text)
    }
}

fn is_special(token: &str) -> bool {
    matches!(token, "[PAD]" | "[UNK]" | "[CLS]" | "[SEP]" | "[MASK]")
        || token.starts_with("[unused")
}

/// Takes out the spaces that tokenisation put in, as transformers' `clean_up_tokenization`.
fn clean_up(text: &str) -> String {
    const SPACED: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    SPACED.iter().fold(text.to_owned(), |text, (spaced, plain)| text.replace(spaced, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(tokens: &[&str]) -> Vocabulary {
        Vocabulary { tokens: tokens.iter().map(|&token| token.to_owned()).collect() }
    }

    #[test]
    fn pieces_join_and_punctuation_moves_up() {
        let vocabulary =
            vocabulary(&["[PAD]", "[CLS]", "a", "skate", "##board", "##er", "'", "s", ".", ","]);
        assert_eq!(vocabulary.text(&[2, 3, 4, 5, 9, 3, 4, 8]), "a skateboarder, skateboard.");
        assert_eq!(vocabulary.text(&[3, 6, 7, 4, 0]), "skate'sboard");
        assert_eq!(vocabulary.text(&[1, 2, 99, -1]), "a");
        assert_eq!(vocabulary.text(&[]), "");
    }
}
