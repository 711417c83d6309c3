//! `format`: a template with values in the places of its specifiers.

use datafusion::error::Result;

use crate::UdfError;

/// `template` with `values`.
pub(super) fn format(template: &str, values: &[Option<&str>]) -> Result<String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template.chars();
    let mut next = 0;
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        if rest.as_str().starts_with('%') {
            rest.next();
            out.push('%');
            continue;
        }
        let (specifier, after) = Specifier::read(rest.as_str())?;
        rest = after.chars();
        let width = match specifier.width {
            Width::None => None,
            Width::Of(width) => Some(width),
            Width::Value(place) => {
                let text = take(values, place, &mut next)?;
                text.map(|text| text.trim().parse().map_err(|_| UdfError::FormatWidth))
                    .transpose()?
            }
        };
        let value = take(values, specifier.place, &mut next)?;
        let text = match (specifier.letter, value) {
            ('s', value) => value.unwrap_or_default().to_owned(),
            ('I', Some(value)) => identifier(value),
            ('I', None) => return Err(UdfError::FormatNullName.into()),
            (_, value) => value.map_or_else(|| "NULL".to_owned(), literal),
        };
        let width = width.unwrap_or(0);
        let is_left = specifier.is_left || width < 0;
        let width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        if width > MAX_WIDTH {
            return Err(UdfError::FormatTooWide.into());
        }
        let room = width.saturating_sub(text.chars().count());
        let space = std::iter::repeat_n(' ', room);
        if is_left {
            out.push_str(&text);
            out.extend(space);
        } else {
            out.extend(space);
            out.push_str(&text);
        }
    }
    Ok(out)
}

/// The widest field: the values of a batch of rows must not fill memory.
const MAX_WIDTH: usize = 1 << 15;

/// The value at `place`, from 1, or the next one.
fn take<'a>(
    values: &[Option<&'a str>],
    place: Option<usize>,
    next: &mut usize,
) -> Result<Option<&'a str>> {
    let at = match place {
        Some(0) => return Err(UdfError::FormatPosition.into()),
        Some(place) => place - 1,
        None => *next,
    };
    *next = at + 1;
    Ok(*values.get(at).ok_or(UdfError::FormatArguments)?)
}

enum Width {
    None,
    Of(i32),
    /// A value says it, that of this place or the next one.
    Value(Option<usize>),
}

struct Specifier {
    place: Option<usize>,
    is_left: bool,
    width: Width,
    letter: char,
}

impl Specifier {
    /// What stands behind a percent sign, and the rest of the template.
    fn read(text: &str) -> Result<(Self, &str)> {
        let mut text = text;
        let mut place = None;
        if let Some((number, rest)) = number(text)
            && let Some(rest) = rest.strip_prefix('$')
        {
            place = Some(usize::try_from(number).map_err(|_| UdfError::FormatPosition)?);
            text = rest;
        }
        let is_left = text.starts_with('-');
        text = text.trim_start_matches('-');
        let mut width = Width::None;
        if let Some(rest) = text.strip_prefix('*') {
            (width, text) = match number(rest) {
                Some((number, rest)) => {
                    let rest = rest.strip_prefix('$').ok_or(UdfError::FormatPosition)?;
                    (Width::Value(usize::try_from(number).ok()), rest)
                }
                None => (Width::Value(None), rest),
            };
        } else if let Some((number, rest)) = number(text) {
            (width, text) = (Width::Of(number), rest);
        }
        let letter = text.chars().next().ok_or(UdfError::FormatEnd)?;
        if !matches!(letter, 's' | 'I' | 'L') {
            return Err(UdfError::FormatSpecifier { letter }.into());
        }
        let rest = text.get(1..).unwrap_or_default();
        Ok((Self { place, is_left, width, letter }, rest))
    }
}

/// The number that `text` begins with.
fn number(text: &str) -> Option<(i32, &str)> {
    let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

/// `value` as a literal; one with a backslash is an escaped one, as in PostgreSQL.
pub(super) fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

/// `name` as a name, in quotes where it needs them.
fn identifier(name: &str) -> String {
    let mut characters = name.chars();
    let is_plain =
        characters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
            && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !RESERVED.contains(&name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// PostgreSQL's words that `quote_ident` puts into quotes: those that are not names everywhere.
const RESERVED: [&str; 151] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(template: &str, values: &[Option<&str>]) -> String {
        format(template, values).expect(template)
    }

    #[test]
    fn values_take_the_places_of_specifiers() {
        let values = [Some("a"), Some("B c"), Some("d'e\\f"), None];
        assert_eq!(said("%s %I %L %L %%", &values), r#"a "B c" E'd''e\\f' NULL %"#);
        assert_eq!(said("%2$s %s %1$s", &values), "B c d'e\\f a");
        assert_eq!(
            said("[%4s|%-4s|%*s]", &[Some("a"), Some("b"), Some("-3"), Some("c")]),
            "[   a|b   |c  ]"
        );
        assert_eq!(said("%I %I", &[Some("select"), Some("plain_1")]), "\"select\" plain_1");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |template, values: &[Option<&str>]| {
            format(template, values).expect_err(template).to_string()
        };
        assert!(error("%s", &[]).contains("too few arguments for format()"));
        assert!(error("%x", &[Some("a")]).contains("unrecognized format() type specifier \"x\""));
        assert!(error("%", &[Some("a")]).contains("unterminated format() type specifier"));
        assert!(
            error("%I", &[None]).contains("null values cannot be formatted as an SQL identifier")
        );
        assert!(error("%0$s", &[Some("a")]).contains("argument 0"));
    }
}
