//! Names as they have to be written: bare where that reads back as the same name, else in quotes.

use datafusion::sql::sqlparser::keywords::RESERVED_FOR_IDENTIFIER;
use datafusion::sql::sqlparser::tokenizer::Token;

/// PostgreSQL's reserved words (its manual, appendix C), and `if`, which begins a clause of ours.
const RESERVED: &str = "\
    all analyse analyze and any array as asc asymmetric both case cast check collate column \
    constraint create current_catalog current_date current_role current_time current_timestamp \
    current_user default deferrable desc distinct do else end except false fetch for foreign \
    from grant group having if in initially intersect into lateral leading limit localtime \
    localtimestamp not null offset on only or order placing primary references returning \
    select session_user some symmetric system_user table then to trailing true union unique \
    user using variadic when where with";

/// The name as SQL reads it back: bare when it is lower case, plain and no reserved word.
pub fn quote_identifier(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain && !is_reserved(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn is_reserved(name: &str) -> bool {
    let by_the_parser = match Token::make_word(name, None) {
        Token::Word(word) => RESERVED_FOR_IDENTIFIER.contains(&word.keyword),
        _ => false,
    };
    by_the_parser || RESERVED.split(' ').any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        let words = ALL_KEYWORDS.iter().map(|word| word.to_lowercase());
        let others = ["lobby", "Lobby", "my cam", "a\"b", "1st", "ä", "_x9", "a.b"];
        for name in words.chain(others.map(str::to_owned)) {
            let quoted = quote_identifier(&name);
            let sql = format!("SELECT 1 AS {quoted}; SHOW CREATE SOURCE {quoted}");
            let statements =
                crate::dialect::parse(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            let read = format!("{:?}", statements[1]);
            assert!(read.contains(&format!("name: {name:?}")), "{sql}: {read}");
        }
    }

    #[test]
    fn only_what_needs_quotes_has_them() {
        let quoted = ["lobby", "from", "exists", "source", "Lobby", "a\"b"].map(quote_identifier);
        assert_eq!(
            quoted,
            ["lobby", "\"from\"", "\"exists\"", "source", "\"Lobby\"", "\"a\"\"b\""]
        );
    }
}
