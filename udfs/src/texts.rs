//! Texts as PostgreSQL makes and takes them apart: `format`, `quote_literal`, `to_number`, `uuid`, texts
//! split by regular expressions.

mod format;
mod number;
mod random;
mod regexp;

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Builder, Int32Builder, ListBuilder,
    StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::UdfError;
use crate::doc::{Example, Function, FunctionDoc};

const SECTION: &str = "Texts and bytes";

static FORMAT: FunctionDoc = FunctionDoc {
    name: "format",
    section: SECTION,
    syntax: &["format(template [, value …]) → text"],
    description: "The template with values in the places of its specifiers: `%s` is the value as a text, `%I` as a name in SQL, quoted where it has to be, `%L` as a literal in SQL, `%%` a percent sign. `%2$s` is the second value; a number before the letter is the least width, and a minus before that puts the value to the left.",
    arguments: &[("template", "a text with specifiers"), ("value", "anything")],
    examples: &[
        Example {
            sql: "SELECT format('%s of %I is %L', 'label', 'My Table', 'it''s')",
            result: "label of \"My Table\" is 'it''s'",
        },
        Example { sql: "SELECT format('[%5s|%-5s]', 'ab', 'cd')", result: "[   ab|cd   ]" },
    ],
};

static QUOTE_LITERAL: FunctionDoc = FunctionDoc {
    name: "quote_literal",
    section: SECTION,
    syntax: &["quote_literal(value) → text"],
    description: "The value as a literal in SQL, with its quotes; NULL for NULL.",
    arguments: &[("value", "anything")],
    examples: &[Example { sql: "SELECT quote_literal('it''s')", result: "'it''s'" }],
};

static QUOTE_NULLABLE: FunctionDoc = FunctionDoc {
    name: "quote_nullable",
    section: SECTION,
    syntax: &["quote_nullable(value) → text"],
    description: "The value as a literal in SQL, with its quotes; the text `NULL` for NULL.",
    arguments: &[("value", "anything")],
    examples: &[Example { sql: "SELECT quote_nullable(NULL)", result: "NULL" }],
};

static TO_NUMBER: FunctionDoc = FunctionDoc {
    name: "to_number",
    section: SECTION,
    syntax: &["to_number(text, template) → float8"],
    description: "The number that a text has by a template of `to_char`: `9` and `0` are a digit, `.` and `D` the point, `,` and `G` what stands between groups, `S`, `MI`, `PL` and `SG` a sign, `PR` angle brackets for a negative number, `V` digits behind a point that is not written. Other characters pass over one.",
    arguments: &[("text", "the number as written"), ("template", "how it is written")],
    examples: &[
        Example { sql: "SELECT to_number('12,454.8-', '99G999D9S')", result: "-12454.8" },
        Example { sql: "SELECT to_number('$ 12.50', 'L99.99')", result: "12.5" },
    ],
};

static UUID: FunctionDoc = FunctionDoc {
    name: "uuid",
    section: SECTION,
    syntax: &["uuid(text) → uuid", "text::uuid → uuid"],
    description: "A UUID in its usual form, which is compared as a text: lower case, with four hyphens. It may be written in capitals, in braces, and with hyphens after any four digits.",
    arguments: &[("text", "32 hexadecimal digits")],
    examples: &[Example {
        sql: "SELECT uuid('{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}')",
        result: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    }],
};

static SPLIT: FunctionDoc = FunctionDoc {
    name: "regexp_split_to_array",
    section: SECTION,
    syntax: &[
        "regexp_split_to_array(text, pattern [, flags]) → text[]",
        "regexp_split_to_table(text, pattern [, flags]) → rows of text",
    ],
    description: "What stands between the places that a regular expression matches; with the flag `i` in capitals or not.",
    arguments: &[
        ("text", "what is split"),
        ("pattern", "a regular expression"),
        ("flags", "letters, `i` among them"),
    ],
    examples: &[Example {
        sql: "SELECT array_to_string(regexp_split_to_array('a, b,c', ',\\s*'), '|')",
        result: "a|b|c",
    }],
};

static MATCHES: FunctionDoc = FunctionDoc {
    name: "regexp_matches_array",
    section: SECTION,
    syntax: &[
        "regexp_matches_array(text, pattern [, flags]) → text[][]",
        "regexp_matches(text, pattern [, flags]) → rows of text[]",
    ],
    description: "What the groups of a regular expression match, or all of it where it has no groups: of the first match, with the flag `g` of each. `regexp_matches` gives a row for each match.",
    arguments: &[
        ("text", "what is searched"),
        ("pattern", "a regular expression"),
        ("flags", "letters, `g` and `i` among them"),
    ],
    examples: &[Example {
        sql: "SELECT array_length(regexp_matches_array('abcabd', 'b(.)', 'g'), 1)",
        result: "2",
    }],
};

static SUBSTRING: FunctionDoc = FunctionDoc {
    name: "regexp_substr",
    section: SECTION,
    syntax: &["regexp_substr(text, pattern) → text"],
    description: "The first part of a text that a regular expression matches; NULL where none does.",
    arguments: &[("text", "what is searched"), ("pattern", "a regular expression")],
    examples: &[Example { sql: "SELECT regexp_substr('abcabc', 'b.')", result: "bc" }],
};

static NULLS: FunctionDoc = FunctionDoc {
    name: "num_nulls",
    section: SECTION,
    syntax: &["num_nulls(value …) → int4"],
    description: "How many of the values are NULL.",
    arguments: &[("value", "anything")],
    examples: &[Example { sql: "SELECT num_nulls(1, NULL, 'a')", result: "1" }],
};

static NON_NULLS: FunctionDoc = FunctionDoc {
    name: "num_nonnulls",
    section: SECTION,
    syntax: &["num_nonnulls(value …) → int4"],
    description: "How many of the values are not NULL.",
    arguments: &[("value", "anything")],
    examples: &[Example { sql: "SELECT num_nonnulls(1, NULL, 'a')", result: "2" }],
};

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    vec![
        Function::new(&FORMAT, |_| udf(Kind::Format)),
        Function::new(&QUOTE_LITERAL, |_| udf(Kind::QuoteLiteral)),
        Function::new(&QUOTE_NULLABLE, |_| udf(Kind::QuoteNullable)),
        Function::new(&TO_NUMBER, |_| udf(Kind::ToNumber)),
        Function::new(&UUID, |_| udf(Kind::Uuid)),
        Function::new(&SPLIT, |_| udf(Kind::Split)),
        Function::new(&MATCHES, |_| udf(Kind::Matches)),
        Function::new(&SUBSTRING, |_| udf(Kind::Substring)),
        Function::new(&NULLS, |_| udf(Kind::Nulls)),
        Function::new(&NON_NULLS, |_| udf(Kind::NonNulls)),
        random::function(),
    ]
}

const UUID_TAG: &str = "vigil.uuid";

/// The same field of text, as one of `uuid`.
pub fn uuid_field(field: Field) -> Field {
    field.with_metadata([(UUID_TAG.into(), String::new())].into())
}

/// Whether a field is of the type `uuid`.
pub fn is_uuid(field: &Field) -> bool {
    field.metadata().contains_key(UUID_TAG)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Format,
    QuoteLiteral,
    QuoteNullable,
    ToNumber,
    Uuid,
    Split,
    Matches,
    Substring,
    Nulls,
    NonNulls,
}

impl Kind {
    /// In the order of their numbers.
    const ALL: [Self; 10] = [
        Self::Format,
        Self::QuoteLiteral,
        Self::QuoteNullable,
        Self::ToNumber,
        Self::Uuid,
        Self::Split,
        Self::Matches,
        Self::Substring,
        Self::Nulls,
        Self::NonNulls,
    ];

    fn doc(self) -> &'static FunctionDoc {
        match self {
            Self::Format => &FORMAT,
            Self::QuoteLiteral => &QUOTE_LITERAL,
            Self::QuoteNullable => &QUOTE_NULLABLE,
            Self::ToNumber => &TO_NUMBER,
            Self::Uuid => &UUID,
            Self::Split => &SPLIT,
            Self::Matches => &MATCHES,
            Self::Substring => &SUBSTRING,
            Self::Nulls => &NULLS,
            Self::NonNulls => &NON_NULLS,
        }
    }
}

fn udf(kind: Kind) -> ScalarUDF {
    let texts = |count| TypeSignature::Exact(vec![DataType::Utf8; count]);
    let signature = match kind {
        Kind::Format | Kind::Nulls | Kind::NonNulls => TypeSignature::VariadicAny,
        Kind::QuoteLiteral | Kind::QuoteNullable => TypeSignature::Any(1),
        Kind::ToNumber | Kind::Substring => texts(2),
        Kind::Uuid => texts(1),
        Kind::Split | Kind::Matches => TypeSignature::OneOf(vec![texts(2), texts(3)]),
    };
    let signature = Signature::new(signature, Volatility::Immutable);
    ScalarUDF::from(TextFunction { kind, signature })
}

static DOCUMENTATION: LazyLock<[Documentation; 10]> =
    LazyLock::new(|| Kind::ALL.map(|kind| kind.doc().to_documentation()));

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextFunction {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for TextFunction {
    fn name(&self) -> &str {
        self.kind.doc().name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
        Ok(match self.kind {
            Kind::Format
            | Kind::QuoteLiteral
            | Kind::QuoteNullable
            | Kind::Uuid
            | Kind::Substring => DataType::Utf8,
            Kind::ToNumber => DataType::Float64,
            Kind::Split => list(DataType::Utf8),
            Kind::Matches => list(list(DataType::Utf8)),
            Kind::Nulls | Kind::NonNulls => DataType::Int32,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let field = Field::new(self.name(), self.return_type(&types)?, true);
        Ok(Arc::new(match self.kind {
            Kind::Uuid => uuid_field(field),
            _ => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|value| value.to_array(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let made = match self.kind {
            Kind::Nulls | Kind::NonNulls => nulls(&columns, rows, self.kind == Kind::Nulls),
            _ => {
                let columns = columns.iter().map(texts).collect::<Result<Vec<_>>>()?;
                self.made(&Rows { columns, rows })?
            }
        };
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
        } else {
            ColumnarValue::Array(made)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        DOCUMENTATION.get(self.kind as usize)
    }
}

impl TextFunction {
    fn made(&self, rows: &Rows) -> Result<ArrayRef> {
        match self.kind {
            Kind::Format => rows.texts(|row| {
                let Some(template) = row.first().copied().flatten() else { return Ok(None) };
                format::format(template, row.get(1..).unwrap_or_default()).map(Some)
            }),
            Kind::QuoteLiteral => {
                rows.texts(|row| Ok(row.first().copied().flatten().map(format::literal)))
            }
            Kind::QuoteNullable => rows.texts(|row| {
                let value = row.first().copied().flatten();
                Ok(Some(value.map_or_else(|| "NULL".to_owned(), format::literal)))
            }),
            Kind::Uuid => rows.texts(|row| row.first().copied().flatten().map(uuid).transpose()),
            Kind::ToNumber => {
                let mut numbers = Float64Builder::new();
                rows.each(|row| {
                    let number = match row {
                        [Some(text), Some(template)] => number::read(text, template)?,
                        _ => None,
                    };
                    numbers.append_option(number);
                    Ok(())
                })?;
                Ok(Arc::new(numbers.finish()))
            }
            Kind::Split => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                let mut patterns = regexp::Patterns::default();
                rows.each(|row| {
                    match given(row) {
                        Some((text, pattern, flags)) => {
                            for part in patterns.get(pattern, flags)?.split(text) {
                                lists.values().append_value(part);
                            }
                            lists.append(true);
                        }
                        None => lists.append(false),
                    }
                    Ok(())
                })?;
                Ok(Arc::new(lists.finish()))
            }
            Kind::Matches => {
                let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
                let mut patterns = regexp::Patterns::default();
                rows.each(|row| {
                    if let Some((text, pattern, flags)) = given(row) {
                        for groups in patterns.get(pattern, flags)?.matches(text) {
                            groups.into_iter().for_each(|group| {
                                lists.values().values().append_option(group);
                            });
                            lists.values().append(true);
                        }
                    }
                    lists.append(row.iter().all(Option::is_some));
                    Ok(())
                })?;
                Ok(Arc::new(lists.finish()))
            }
            Kind::Substring => {
                let mut patterns = regexp::Patterns::default();
                rows.texts(|row| {
                    let Some((text, pattern, flags)) = given(row) else { return Ok(None) };
                    Ok(patterns.get(pattern, flags)?.first(text).map(str::to_owned))
                })
            }
            Kind::Nulls | Kind::NonNulls => Ok(nulls(&rows.columns, rows.rows, true)),
        }
    }
}

/// A text, a pattern and flags, none of which is NULL.
fn given<'a>(row: &[Option<&'a str>]) -> Option<(&'a str, &'a str, &'a str)> {
    match row {
        [Some(text), Some(pattern)] => Some((text, pattern, "")),
        [Some(text), Some(pattern), Some(flags)] => Some((text, pattern, flags)),
        _ => None,
    }
}

/// Columns of texts, row by row.
struct Rows {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Rows {
    fn each(&self, mut row: impl FnMut(&[Option<&str>]) -> Result<()>) -> Result<()> {
        let columns: Vec<_> = self.columns.iter().map(|column| column.as_string::<i32>()).collect();
        let mut values = Vec::with_capacity(columns.len());
        for at in 0..self.rows {
            values.clear();
            values.extend(columns.iter().map(|texts| texts.is_valid(at).then(|| texts.value(at))));
            row(&values)?;
        }
        Ok(())
    }

    fn texts(
        &self,
        mut row: impl FnMut(&[Option<&str>]) -> Result<Option<String>>,
    ) -> Result<ArrayRef> {
        let mut texts = StringBuilder::new();
        self.each(|values| {
            texts.append_option(row(values)?);
            Ok(())
        })?;
        Ok(Arc::new(texts.finish()))
    }
}

/// A column as texts, as PostgreSQL writes them.
fn texts(column: &ArrayRef) -> Result<ArrayRef> {
    if let Some(truths) = column.as_boolean_opt() {
        return Ok(letters(truths));
    }
    Ok(cast(column, &DataType::Utf8)?)
}

fn letters(truths: &BooleanArray) -> ArrayRef {
    let mut texts = StringBuilder::new();
    truths.iter().for_each(|truth| texts.append_option(truth.map(|t| if t { "t" } else { "f" })));
    Arc::new(texts.finish())
}

fn nulls(columns: &[ArrayRef], rows: usize, counts_nulls: bool) -> ArrayRef {
    let mut counts = Int32Builder::new();
    for row in 0..rows {
        let is_null =
            |column: &&ArrayRef| column.is_null(row) || column.data_type() == &DataType::Null;
        let count = columns.iter().filter(|column| is_null(column) == counts_nulls).count();
        counts.append_value(i32::try_from(count).unwrap_or(i32::MAX));
    }
    Arc::new(counts.finish())
}

/// The usual form of a UUID.
fn uuid(text: &str) -> Result<String> {
    let refused = || UdfError::UuidSyntax { text: text.to_owned() };
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(refused)?,
        None => text,
    };
    let mut digits = String::with_capacity(36);
    let mut count = 0;
    let mut after_hyphen = false;
    for character in inner.chars() {
        if character == '-' {
            if count == 0 || count % 4 != 0 || count == 32 || after_hyphen {
                return Err(refused().into());
            }
            after_hyphen = true;
            continue;
        }
        after_hyphen = false;
        if !character.is_ascii_hexdigit() || count == 32 {
            return Err(refused().into());
        }
        if matches!(count, 8 | 12 | 16 | 20) {
            digits.push('-');
        }
        digits.push(character.to_ascii_lowercase());
        count += 1;
    }
    if count == 32 { Ok(digits) } else { Err(refused().into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_usual_form() {
        let usual = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for text in [
            usual,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(uuid(text).expect(text), usual);
        }
        for text in [
            "",
            "xx",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "-a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            uuid(text).expect_err(text);
        }
    }
}
