//! Arrays of one dimension.

/// An array of elements as each is written alone; `None` is NULL. An element has quotes where it needs them
/// (PostgreSQL's documentation, 8.15.6).
pub fn array<'a>(elements: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut text = String::from("{");
    for element in elements {
        if text.len() > 1 {
            text.push(',');
        }
        match element {
            Some(element) => push(&mut text, element),
            None => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

fn push(text: &mut String, element: &str) {
    let needs_quotes =
        |next: char| next.is_ascii_whitespace() || matches!(next, '"' | '\\' | '{' | '}' | ',');
    if element.is_empty() || element.eq_ignore_ascii_case("null") || element.contains(needs_quotes)
    {
        text.push('"');
        text.push_str(&element.replace('\\', "\\\\").replace('"', "\\\""));
        text.push('"');
    } else {
        text.push_str(element);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_quotes_where_they_need_them() {
        assert_eq!(array([]), "{}");
        let elements = [Some("a b"), None, Some("null"), Some(""), Some("x"), Some("q\"\\")];
        assert_eq!(array(elements), r#"{"a b",NULL,"null","",x,"q\"\\"}"#);
    }
}
