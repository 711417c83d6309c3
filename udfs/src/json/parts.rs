//! What is in a `jsonb`, and a `jsonb` with something changed: the functions behind PostgreSQL's operators
//! `@>`, `||`, `-`, `#-`, `?|` and `?&`, and those that take values apart.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Int32Builder, ListBuilder, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::text::{self, Value};
use crate::UdfError;
use crate::doc::{Example, Function, FunctionDoc};

const SECTION: &str = "JSON";

macro_rules! doc {
    ($name:ident, $sql:literal, [$($syntax:literal),+], $description:literal, $example:literal, $result:literal) => {
        static $name: FunctionDoc = FunctionDoc {
            name: $sql,
            section: SECTION,
            syntax: &[$($syntax),+],
            description: $description,
            arguments: &[("value", "a text of JSON, or a `json`")],
            examples: &[Example { sql: $example, result: $result }],
        };
    };
}

doc!(
    TYPE_OF,
    "jsonb_typeof",
    ["jsonb_typeof(value) → text", "json_typeof(value) → text"],
    "What a value is: `object`, `array`, `string`, `number`, `boolean` or `null`.",
    "SELECT jsonb_typeof('[1]')",
    "array"
);
doc!(
    LENGTH,
    "jsonb_array_length",
    ["jsonb_array_length(value) → int4", "json_array_length(value) → int4"],
    "How many elements an array has.",
    "SELECT jsonb_array_length('[1, [2, 3]]')",
    "2"
);
doc!(
    ELEMENTS,
    "jsonb_elements",
    ["jsonb_elements(value) → text[]", "jsonb_array_elements(value) → rows of text"],
    "The elements of an array, each a text of JSON; `jsonb_array_elements` and `json_array_elements` give a row for each.",
    "SELECT cardinality(jsonb_elements('[1, \"a\"]'))",
    "2"
);
doc!(
    ELEMENT_TEXTS,
    "jsonb_elements_text",
    ["jsonb_elements_text(value) → text[]", "jsonb_array_elements_text(value) → rows of text"],
    "The elements of an array as texts; `jsonb_array_elements_text` and `json_array_elements_text` give a row for each.",
    "SELECT array_to_string(jsonb_elements_text('[1, \"a\", null]'), '|', 'NULL')",
    "1|a|NULL"
);
doc!(
    KEYS,
    "jsonb_keys",
    ["jsonb_keys(value) → text[]", "jsonb_object_keys(value) → rows of text"],
    "The names in an object; `jsonb_object_keys` gives a row for each. `jsonb_each` and `jsonb_each_text` give rows of a name and its value.",
    "SELECT array_to_string(jsonb_keys('{\"bb\": 1, \"a\": 2}'), '|')",
    "a|bb"
);
doc!(
    VALUES,
    "jsonb_values",
    ["jsonb_values(value) → text[]"],
    "The values in an object, each a text of JSON, in the order of their names.",
    "SELECT cardinality(jsonb_values('{\"bb\": 1, \"a\": 2}'))",
    "2"
);
doc!(
    VALUE_TEXTS,
    "jsonb_values_text",
    ["jsonb_values_text(value) → text[]"],
    "The values in an object as texts, in the order of their names.",
    "SELECT array_to_string(jsonb_values_text('{\"bb\": 1, \"a\": 2}'), '|')",
    "2|1"
);
doc!(
    STRIP,
    "jsonb_strip_nulls",
    ["jsonb_strip_nulls(value) → json"],
    "The value without the names in its objects whose value is `null`.",
    "SELECT jsonb_strip_nulls('{\"a\": null, \"b\": [null]}')",
    "{\"b\": [null]}"
);
doc!(
    PRETTY,
    "jsonb_pretty",
    ["jsonb_pretty(value) → text"],
    "The value with each element on a line of its own.",
    "SELECT jsonb_pretty('[]')",
    "[\n]"
);
doc!(
    CONTAINS,
    "jsonb_contains",
    ["jsonb_contains(value, other) → boolean", "value @> other", "other <@ value"],
    "Whether a value has another one in it: of an object each name with what its value has in it, of an array each element.",
    "SELECT jsonb_contains('{\"a\": [1, 2], \"b\": 3}', '{\"a\": [2]}')",
    "t"
);
doc!(
    CONCAT,
    "jsonb_concat",
    ["jsonb_concat(value, other) → json", "value || other"],
    "Two objects as one, with the second's values where both have a name; two arrays as one; anything else as an array of both.",
    "SELECT jsonb_concat('{\"a\": 1}', '{\"b\": 2}')",
    "{\"a\": 1, \"b\": 2}"
);
doc!(
    MINUS,
    "jsonb_delete",
    ["jsonb_delete(value, name) → json", "jsonb_delete(value, number) → json", "value - name"],
    "An object without a name or some names, or an array without the texts that are equal or without the element of a number from 0.",
    "SELECT jsonb_delete('{\"a\": 1, \"b\": 2}', 'a')",
    "{\"b\": 2}"
);
doc!(
    DELETE_PATH,
    "jsonb_delete_path",
    ["jsonb_delete_path(value, path) → json", "value #- path"],
    "The value without what is at a path of names and numbers.",
    "SELECT jsonb_delete_path('{\"a\": {\"b\": 1}}', ARRAY['a', 'b'])",
    "{\"a\": {}}"
);
doc!(
    EXISTS_ANY,
    "jsonb_exists_any",
    ["jsonb_exists_any(value, names) → boolean", "value ?| names"],
    "Whether an object has one of some names, or an array one of some texts.",
    "SELECT jsonb_exists_any('{\"a\": 1}', ARRAY['a', 'z'])",
    "t"
);
doc!(
    EXISTS_ALL,
    "jsonb_exists_all",
    ["jsonb_exists_all(value, names) → boolean", "value ?& names"],
    "Whether an object has all of some names, or an array all of some texts.",
    "SELECT jsonb_exists_all('{\"a\": 1}', ARRAY['a', 'z'])",
    "f"
);
doc!(
    SET,
    "jsonb_set",
    ["jsonb_set(value, path, new [, create_if_missing]) → json"],
    "The value with another one at a path of names and numbers; a name that an object lacks is added, unless `create_if_missing` is false.",
    "SELECT jsonb_set('{\"a\": [1, 2]}', ARRAY['a', '1'], '5')",
    "{\"a\": [1, 5]}"
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    TypeOf,
    Length,
    Elements,
    ElementTexts,
    Keys,
    Values,
    ValueTexts,
    Strip,
    Pretty,
    Contains,
    Concat,
    Minus,
    DeletePath,
    ExistsAny,
    ExistsAll,
    Set,
}

impl Kind {
    /// In the order of their numbers.
    const ALL: [Self; 16] = [
        Self::TypeOf,
        Self::Length,
        Self::Elements,
        Self::ElementTexts,
        Self::Keys,
        Self::Values,
        Self::ValueTexts,
        Self::Strip,
        Self::Pretty,
        Self::Contains,
        Self::Concat,
        Self::Minus,
        Self::DeletePath,
        Self::ExistsAny,
        Self::ExistsAll,
        Self::Set,
    ];

    fn doc(self) -> &'static FunctionDoc {
        match self {
            Self::TypeOf => &TYPE_OF,
            Self::Length => &LENGTH,
            Self::Elements => &ELEMENTS,
            Self::ElementTexts => &ELEMENT_TEXTS,
            Self::Keys => &KEYS,
            Self::Values => &VALUES,
            Self::ValueTexts => &VALUE_TEXTS,
            Self::Strip => &STRIP,
            Self::Pretty => &PRETTY,
            Self::Contains => &CONTAINS,
            Self::Concat => &CONCAT,
            Self::Minus => &MINUS,
            Self::DeletePath => &DELETE_PATH,
            Self::ExistsAny => &EXISTS_ANY,
            Self::ExistsAll => &EXISTS_ALL,
            Self::Set => &SET,
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::TypeOf => &["json_typeof"],
            Self::Length => &["json_array_length"],
            Self::Strip => &["json_strip_nulls"],
            _ => &[],
        }
    }
}

/// The functions of this file.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(&TYPE_OF, |_| udf(Kind::TypeOf)),
        Function::new(&LENGTH, |_| udf(Kind::Length)),
        Function::new(&ELEMENTS, |_| udf(Kind::Elements)),
        Function::new(&ELEMENT_TEXTS, |_| udf(Kind::ElementTexts)),
        Function::new(&KEYS, |_| udf(Kind::Keys)),
        Function::new(&VALUES, |_| udf(Kind::Values)),
        Function::new(&VALUE_TEXTS, |_| udf(Kind::ValueTexts)),
        Function::new(&STRIP, |_| udf(Kind::Strip)),
        Function::new(&PRETTY, |_| udf(Kind::Pretty)),
        Function::new(&CONTAINS, |_| contains()),
        Function::new(&CONCAT, |_| concat()),
        Function::new(&MINUS, |_| minus()),
        Function::new(&DELETE_PATH, |_| delete_path()),
        Function::new(&EXISTS_ANY, |_| exists_any()),
        Function::new(&EXISTS_ALL, |_| exists_all()),
        Function::new(&SET, |_| udf(Kind::Set)),
    ]
}

pub(super) fn contains() -> ScalarUDF {
    udf(Kind::Contains)
}

pub(super) fn concat() -> ScalarUDF {
    udf(Kind::Concat)
}

pub(super) fn minus() -> ScalarUDF {
    udf(Kind::Minus)
}

pub(super) fn delete_path() -> ScalarUDF {
    udf(Kind::DeletePath)
}

pub(super) fn exists_any() -> ScalarUDF {
    udf(Kind::ExistsAny)
}

pub(super) fn exists_all() -> ScalarUDF {
    udf(Kind::ExistsAll)
}

fn texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn udf(kind: Kind) -> ScalarUDF {
    let exact = |types: Vec<DataType>| TypeSignature::Exact(types);
    let signature = match kind {
        Kind::Contains | Kind::Concat => exact(vec![DataType::Utf8; 2]),
        Kind::Minus => TypeSignature::OneOf(vec![
            exact(vec![DataType::Utf8, DataType::Int64]),
            exact(vec![DataType::Utf8, texts()]),
            exact(vec![DataType::Utf8, DataType::Utf8]),
        ]),
        // A path may be a text too, `'{a,b}'`.
        Kind::DeletePath | Kind::ExistsAny | Kind::ExistsAll => TypeSignature::OneOf(vec![
            exact(vec![DataType::Utf8, texts()]),
            exact(vec![DataType::Utf8, DataType::Utf8]),
        ]),
        Kind::Set => {
            let with = |path: DataType| vec![DataType::Utf8, path, DataType::Utf8];
            let creating = |path: DataType| [with(path), vec![DataType::Boolean]].concat();
            TypeSignature::OneOf(vec![
                exact(with(texts())),
                exact(with(DataType::Utf8)),
                exact(creating(texts())),
                exact(creating(DataType::Utf8)),
            ])
        }
        _ => exact(vec![DataType::Utf8]),
    };
    let aliases = kind.aliases().iter().map(|alias| (*alias).to_owned()).collect();
    let signature = Signature::new(signature, Volatility::Immutable);
    ScalarUDF::from(Parts { kind, aliases, signature })
}

static DOCUMENTATION: LazyLock<[Documentation; 16]> =
    LazyLock::new(|| Kind::ALL.map(|kind| kind.doc().to_documentation()));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Parts {
    kind: Kind,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for Parts {
    fn name(&self) -> &str {
        self.kind.doc().name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", self.name())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = |data_type| Field::new(self.name(), data_type, true);
        Ok(Arc::new(match self.kind {
            Kind::TypeOf | Kind::Pretty => field(DataType::Utf8),
            Kind::Length => field(DataType::Int32),
            Kind::Contains | Kind::ExistsAny | Kind::ExistsAll => field(DataType::Boolean),
            Kind::Elements | Kind::ElementTexts | Kind::Keys | Kind::Values | Kind::ValueTexts => {
                field(texts())
            }
            Kind::Strip | Kind::Concat | Kind::Minus | Kind::DeletePath | Kind::Set => {
                super::json_field(field(DataType::Utf8))
            }
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|value| value.to_array(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let mut row = Row { columns: &columns, row: 0 };
        let mut made = Made::new(self.kind);
        for at in 0..rows {
            row.row = at;
            let is_null = columns.iter().any(|column| column.is_null(at));
            made.push(if is_null { Part::Null } else { self.kind.part(&row)? });
        }
        let array = made.finish();
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        DOCUMENTATION.get(self.kind as usize)
    }
}

/// A row of the arguments, none of which is NULL.
struct Row<'a> {
    columns: &'a [ArrayRef],
    row: usize,
}

impl Row<'_> {
    fn text(&self, at: usize) -> &str {
        let texts = self.columns.get(at).and_then(|column| column.as_string_opt::<i32>());
        texts.map_or("", |texts| texts.value(self.row))
    }

    fn value(&self, at: usize) -> Result<Value> {
        let text = self.text(at);
        text::read(text).ok_or_else(|| UdfError::JsonSyntax { text: text.to_owned() }.into())
    }

    /// The elements of a list that are not NULL; `None` for what is no list.
    fn list(&self, at: usize) -> Result<Option<Vec<String>>> {
        let Some(list) = self.columns.get(at).and_then(|column| column.as_list_opt::<i32>()) else {
            return Ok(None);
        };
        let items = cast(&list.value(self.row), &DataType::Utf8)?;
        let items: &StringArray = items.as_string();
        Ok(Some(items.iter().flatten().map(str::to_owned).collect()))
    }

    /// The names of a list, or of a text of an array.
    fn path(&self, at: usize) -> Result<Vec<String>> {
        if let Some(list) = self.list(at)? {
            return Ok(list);
        }
        let text = self.text(at);
        text::array(text).ok_or_else(|| UdfError::ArraySyntax { text: text.to_owned() }.into())
    }

    fn number(&self, at: usize) -> Result<Option<i64>> {
        let Some(column) = self.columns.get(at) else { return Ok(None) };
        if !column.data_type().is_integer() {
            return Ok(None);
        }
        let numbers = cast(column, &DataType::Int64)?;
        Ok(Some(numbers.as_primitive::<arrow::datatypes::Int64Type>().value(self.row)))
    }

    fn truth(&self, at: usize) -> Option<bool> {
        Some(self.columns.get(at)?.as_boolean_opt()?.value(self.row))
    }
}

/// What a function gives in a row.
enum Part {
    Null,
    Text(String),
    Number(i32),
    Truth(bool),
    Texts(Vec<Option<String>>),
}

enum Made {
    Texts(StringBuilder),
    Numbers(Int32Builder),
    Truths(BooleanBuilder),
    Lists(ListBuilder<StringBuilder>),
}

impl Made {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Length => Self::Numbers(Int32Builder::new()),
            Kind::Contains | Kind::ExistsAny | Kind::ExistsAll => {
                Self::Truths(BooleanBuilder::new())
            }
            Kind::Elements | Kind::ElementTexts | Kind::Keys | Kind::Values | Kind::ValueTexts => {
                Self::Lists(ListBuilder::new(StringBuilder::new()))
            }
            _ => Self::Texts(StringBuilder::new()),
        }
    }

    fn push(&mut self, part: Part) {
        match (self, part) {
            (Self::Texts(texts), Part::Text(text)) => texts.append_value(text),
            (Self::Texts(texts), _) => texts.append_null(),
            (Self::Numbers(numbers), Part::Number(number)) => numbers.append_value(number),
            (Self::Numbers(numbers), _) => numbers.append_null(),
            (Self::Truths(truths), Part::Truth(truth)) => truths.append_value(truth),
            (Self::Truths(truths), _) => truths.append_null(),
            (Self::Lists(lists), Part::Texts(texts)) => {
                texts.into_iter().for_each(|text| lists.values().append_option(text));
                lists.append(true);
            }
            (Self::Lists(lists), _) => lists.append(false),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Texts(mut texts) => Arc::new(texts.finish()),
            Self::Numbers(mut numbers) => Arc::new(numbers.finish()),
            Self::Truths(mut truths) => Arc::new(truths.finish()),
            Self::Lists(mut lists) => Arc::new(lists.finish()),
        }
    }
}

fn refused(message: &'static str) -> UdfError {
    UdfError::JsonShape { message }
}

impl Kind {
    fn part(self, row: &Row) -> Result<Part> {
        let value = row.value(0)?;
        Ok(match self {
            Self::TypeOf => Part::Text(value.type_name().to_owned()),
            Self::Length => match value {
                Value::Array(items) => Part::Number(i32::try_from(items.len()).unwrap_or(i32::MAX)),
                _ => return Err(refused("cannot get array length of a non-array").into()),
            },
            Self::Elements | Self::ElementTexts => match value {
                Value::Array(items) => Part::Texts(items.iter().map(self.writer()).collect()),
                _ => return Err(refused("cannot extract elements from an object").into()),
            },
            Self::Keys | Self::Values | Self::ValueTexts => {
                let Value::Object(fields) = &value else {
                    return Err(refused("cannot call jsonb_object_keys on an array").into());
                };
                let fields = text::in_order(fields).into_iter();
                Part::Texts(match self {
                    Self::Keys => fields.map(|(name, _)| Some(name.to_owned())).collect(),
                    _ => fields.map(|(_, value)| value).map(self.writer()).collect(),
                })
            }
            Self::Strip => Part::Text(value.without_nulls().written()),
            Self::Pretty => Part::Text(value.pretty()),
            Self::Contains => Part::Truth(value.contains(&row.value(1)?)),
            Self::Concat => Part::Text(value.joined(row.value(1)?).written()),
            Self::Minus => {
                let less = match (row.number(1)?, row.list(1)?) {
                    (Some(number), _) => value.without_element(number),
                    (None, Some(names)) => value.without_names(&names),
                    (None, None) => value.without_names(&[row.text(1).to_owned()]),
                };
                Part::Text(less.map_err(refused)?.written())
            }
            Self::DeletePath => {
                let path = row.path(1)?;
                Part::Text(value.changed_at(&path, None, false).written())
            }
            Self::ExistsAny | Self::ExistsAll => {
                let names = row.path(1)?;
                let mut names = names.iter();
                Part::Truth(match self {
                    Self::ExistsAny => names.any(|name| value.has(name)),
                    _ => names.all(|name| value.has(name)),
                })
            }
            Self::Set => {
                let (path, new) = (row.path(1)?, row.value(2)?);
                let creates = row.truth(3).unwrap_or(true);
                Part::Text(value.changed_at(&path, Some(&new), creates).written())
            }
        })
    }

    /// How elements and values are written.
    fn writer(self) -> impl Fn(&Value) -> Option<String> {
        move |value: &Value| match self {
            Self::ElementTexts | Self::ValueTexts => value.as_text(),
            _ => Some(value.written()),
        }
    }
}
