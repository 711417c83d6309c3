//! The code of a file without its comments and texts, so that a rule about names does not
//! stumble over a sentence.

use super::SourceFile;

impl SourceFile {
    /// True for code that only tests see.
    pub(super) fn is_test(&self) -> bool {
        let path = &self.path;
        path.starts_with("tests/")
            || path.ends_with("/tests.rs")
            || path.contains("/tests/")
            || path.starts_with("benches/")
    }

    /// The lines with their numbers from 1, without comments and with empty texts.
    pub(super) fn code(&self) -> Vec<(usize, String)> {
        let code = without_comments_and_texts(&self.text);
        code.lines().enumerate().map(|(index, line)| (index + 1, line.to_owned())).collect()
    }

    /// The same, up to the file's own `#[cfg(test)] mod tests { … }`.
    pub(super) fn code_without_tests(&self) -> Vec<(usize, String)> {
        let code = self.code();
        let tests = code.windows(2).position(|lines| {
            lines[0].1.trim() == "#[cfg(test)]" && lines[1].1.trim() == "mod tests {"
        });
        let end = tests.unwrap_or(code.len());
        code.into_iter().take(end).collect()
    }

    /// `path:line: text` for each line of `code` that `offends` says something of.
    pub(super) fn offences<'a>(
        &'a self,
        code: &'a [(usize, String)],
        offends: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = String> + 'a {
        code.iter()
            .filter(move |(_, line)| offends(line))
            .map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim()))
    }
}

/// Comments become spaces and texts become empty; lines stay where they are.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| string(rest)).or_else(|| char_literal(rest));
        match skipped {
            Some(length) => {
                let (literal, behind) = rest.split_at(length);
                code.push(' ');
                code.extend(literal.chars().filter(|character| *character == '\n'));
                rest = behind;
            }
            None => {
                // A word is taken whole, so that the `r` of `for"` begins no raw text.
                let word =
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let length = word.max(character.len_utf8());
                code.push_str(&rest[..length]);
                rest = &rest[length..];
            }
        }
    }
    code
}

/// The length of the comment that `text` begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    Some(text.find("*/").map_or(text.len(), |end| end + 2))
}

/// The length of the text literal that `text` begins with: plain, byte, raw.
fn string(text: &str) -> Option<usize> {
    let prefix = text.find(|c: char| !matches!(c, 'b' | 'r' | 'c'))?;
    let (letters, quoted) = text.split_at(prefix);
    if letters.len() > 2 {
        return None;
    }
    if letters.ends_with('r') {
        let hashes = quoted.find(|c: char| c != '#')?;
        let body = quoted[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = body.find(&close)?;
        return Some(prefix + hashes + 1 + end + close.len());
    }
    let body = quoted.strip_prefix('"')?;
    let mut escaped = false;
    for (index, character) in body.char_indices() {
        match character {
            '"' if !escaped => return Some(prefix + 1 + index + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// The length of the character literal that `text` begins with; a lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut characters = body.char_indices();
    let (_, first) = characters.next()?;
    if first == '\\' {
        let (_, escaped) = characters.next()?;
        let from = 1 + escaped.len_utf8();
        return body[from..].find('\'').map(|end| 1 + from + end + 1);
    }
    let (end, second) = characters.next()?;
    (second == '\'').then_some(1 + end + 1)
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "let a = \"ort::\"; // ort::\n/* ort:: */ let b = r#\"ort:: \"x\"#; 'a: loop {}\nlet c = '\"'; ort::run(b'\\'', '\\\\');\n";
    let code = without_comments_and_texts(text);
    assert_eq!(code.lines().count(), 3);
    assert_eq!(code.matches("ort::").count(), 1, "{code}");
    assert!(code.contains("'a: loop"), "{code}");
}
