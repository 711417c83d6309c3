//! `= <> < <= > >=` of vectors and of bits: element by element, then by length, as pgvector and
//! PostgreSQL order them.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::bits::{BitsOperand, bits_operand, is_bits_operand};
use super::kind::VectorKind;
use super::operand::Operand;
use super::types::{check_operands, coerce, field_type_names};
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

const BITS: &[(&str, &str)] = &[("bit", "bits, or a text of `0` and `1`")];

const ARGUMENTS: &[(&str, &str)] =
    &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")];

/// What a comparison compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operands {
    Vectors,
    Bits,
}

macro_rules! comparison {
    ($static:ident, $name:literal, $sign:literal, $description:literal, $sql:literal, $result:literal) => {
        comparison!(
            $static,
            $name,
            $sign,
            Vectors,
            "vector",
            ARGUMENTS,
            $description,
            $sql,
            $result
        );
    };
    (
        $static:ident, $name:literal, $sign:literal, $operands:ident, $type:literal,
        $arguments:expr, $description:literal, $sql:literal, $result:literal
    ) => {
        static $static: Comparison = Comparison {
            doc: FunctionDoc {
                name: $name,
                section: super::SECTION,
                syntax: &[
                    concat!($name, "(", $type, ", ", $type, ") → boolean"),
                    concat!($type, " ", $sign, " ", $type, " → boolean"),
                ],
                description: $description,
                arguments: $arguments,
                examples: &[Example { sql: $sql, result: $result }],
            },
            documentation: LazyLock::new(|| $static.doc.to_documentation()),
            sign: $sign,
            operands: Operands::$operands,
        };
    };
}

comparison!(
    EQUAL,
    "vector_eq",
    "=",
    "Whether two vectors have the same length and the same elements.",
    "SELECT '[1,2]'::vector = '[1,2]'",
    "t"
);
comparison!(
    NOT_EQUAL,
    "vector_ne",
    "<>",
    "Whether two vectors differ in their lengths or in an element.",
    "SELECT '[1,2]'::vector <> '[1,2,0]'",
    "t"
);
comparison!(
    LESS,
    "vector_lt",
    "<",
    "Whether a vector comes before another: the first element that differs decides, and where none does the length. `ORDER BY` has the same order.",
    "SELECT '[1,2]'::vector < '[1,3]'",
    "t"
);
comparison!(
    LESS_OR_EQUAL,
    "vector_le",
    "<=",
    "Whether a vector comes before another or is equal to it.",
    "SELECT '[1,2]'::vector <= '[1,2]'",
    "t"
);
comparison!(
    GREATER,
    "vector_gt",
    ">",
    "Whether a vector comes after another.",
    "SELECT '[1,2]'::vector > '[1]'",
    "t"
);
comparison!(
    GREATER_OR_EQUAL,
    "vector_ge",
    ">=",
    "Whether a vector comes after another or is equal to it.",
    "SELECT '[1,2]'::vector >= '[2]'",
    "f"
);

comparison!(
    BITS_EQUAL,
    "biteq",
    "=",
    Bits,
    "bit",
    BITS,
    "Whether two values have the same bits and as many.",
    "SELECT B'101' = '101'",
    "t"
);
comparison!(
    BITS_NOT_EQUAL,
    "bitne",
    "<>",
    Bits,
    "bit",
    BITS,
    "Whether two values differ in a bit or in their number.",
    "SELECT B'101' <> B'1010'",
    "t"
);
comparison!(
    BITS_LESS,
    "bitlt",
    "<",
    Bits,
    "bit",
    BITS,
    "Whether bits come before others: the first bit that differs decides, and where none does their number. `ORDER BY` has the same order.",
    "SELECT B'01' < B'1'",
    "t"
);
comparison!(
    BITS_LESS_OR_EQUAL,
    "bitle",
    "<=",
    Bits,
    "bit",
    BITS,
    "Whether bits come before others or are equal to them.",
    "SELECT B'1' <= B'10'",
    "t"
);
comparison!(
    BITS_GREATER,
    "bitgt",
    ">",
    Bits,
    "bit",
    BITS,
    "Whether bits come after others.",
    "SELECT B'10' > B'1'",
    "t"
);
comparison!(
    BITS_GREATER_OR_EQUAL,
    "bitge",
    ">=",
    Bits,
    "bit",
    BITS,
    "Whether bits come after others or are equal to them.",
    "SELECT B'01' >= B'1'",
    "f"
);

struct Comparison {
    doc: FunctionDoc,
    documentation: LazyLock<Documentation>,
    sign: &'static str,
    operands: Operands,
}

static ALL: [&Comparison; 12] = [
    &EQUAL,
    &NOT_EQUAL,
    &LESS,
    &LESS_OR_EQUAL,
    &GREATER,
    &GREATER_OR_EQUAL,
    &BITS_EQUAL,
    &BITS_NOT_EQUAL,
    &BITS_LESS,
    &BITS_LESS_OR_EQUAL,
    &BITS_GREATER,
    &BITS_GREATER_OR_EQUAL,
];

/// The functions.
pub(super) fn functions() -> [Function; 12] {
    [
        Function::new(&EQUAL.doc, |_| udf(0)),
        Function::new(&NOT_EQUAL.doc, |_| udf(1)),
        Function::new(&LESS.doc, |_| udf(2)),
        Function::new(&LESS_OR_EQUAL.doc, |_| udf(3)),
        Function::new(&GREATER.doc, |_| udf(4)),
        Function::new(&GREATER_OR_EQUAL.doc, |_| udf(5)),
        Function::new(&BITS_EQUAL.doc, |_| udf(6)),
        Function::new(&BITS_NOT_EQUAL.doc, |_| udf(7)),
        Function::new(&BITS_LESS.doc, |_| udf(8)),
        Function::new(&BITS_LESS_OR_EQUAL.doc, |_| udf(9)),
        Function::new(&BITS_GREATER.doc, |_| udf(10)),
        Function::new(&BITS_GREATER_OR_EQUAL.doc, |_| udf(11)),
    ]
}

/// The function of a comparison's operator.
pub(super) fn of_operator(operator: &BinaryOperator, operands: Operands) -> Option<ScalarUDF> {
    let sign = match operator {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    };
    let is_it =
        |comparison: &&Comparison| comparison.sign == sign && comparison.operands == operands;
    ALL.iter().position(is_it).map(udf)
}

/// `=` of vectors.
pub(super) fn equal() -> ScalarUDF {
    udf(0)
}

/// `<=` of vectors.
pub(super) fn at_most() -> ScalarUDF {
    udf(3)
}

/// `>=` of vectors.
pub(super) fn at_least() -> ScalarUDF {
    udf(5)
}

fn udf(which: usize) -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(Compare { which, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Compare {
    which: usize,
    signature: Signature,
}

impl Compare {
    fn holds(&self, ordering: Ordering) -> bool {
        match ALL[self.which].sign {
            "=" => ordering.is_eq(),
            "<>" => ordering.is_ne(),
            "<" => ordering.is_lt(),
            "<=" => ordering.is_le(),
            ">" => ordering.is_gt(),
            _ => ordering.is_ge(),
        }
    }
}

impl ScalarUDFImpl for Compare {
    fn name(&self) -> &str {
        ALL[self.which].doc.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(match ALL[self.which].operands {
            Operands::Vectors => coerce(types),
            Operands::Bits => types.iter().map(bits_operand).collect(),
        })
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let (function, fields) = (ALL[self.which].doc.name, args.arg_fields);
        let are_bits = || fields.iter().all(|field| is_bits_operand(field.data_type()));
        match ALL[self.which].operands {
            Operands::Vectors => check_operands(function, 2, fields)?,
            Operands::Bits if fields.len() == 2 && are_bits() => {}
            Operands::Bits => {
                let arguments = field_type_names(fields);
                return Err(UdfError::NoFunction { function, arguments }.into());
            }
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [left, right] = take_function_args(self.name(), args.args)?;
        let constant = |side: &ColumnarValue| matches!(side, ColumnarValue::Scalar(_));
        let is_constant = constant(&left) && constant(&right);
        let rows = if is_constant { 1 } else { rows };
        let orders: Vec<Option<Ordering>> = match ALL[self.which].operands {
            Operands::Vectors => {
                of_vectors(&Operand::read(&left, kind)?, &Operand::read(&right, kind)?, rows)?
            }
            Operands::Bits => {
                let (left, right) = (BitsOperand::read(&left)?, BitsOperand::read(&right)?);
                let order = |row| Some(left.row(row)?.iter().cmp(right.row(row)?.iter()));
                (0..rows).map(order).collect()
            }
        };
        let answers = orders.into_iter().map(|order| order.map(|order| self.holds(order)));
        let answers: ArrayRef = Arc::new(answers.collect::<BooleanArray>());
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?));
        }
        Ok(ColumnarValue::Array(answers))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&ALL[self.which].documentation)
    }
}

fn of_vectors(left: &Operand, right: &Operand, rows: usize) -> Result<Vec<Option<Ordering>>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut orders = Vec::with_capacity(rows);
    for row in 0..rows {
        orders.push(match (left.span(row)?, right.span(row)?) {
            (Some(l), Some(r)) => {
                left.elements.widen_into(l, &mut ours);
                right.elements.widen_into(r, &mut theirs);
                // Elements are finite, so any two have an order.
                Some(ours.partial_cmp(&theirs).unwrap_or(Ordering::Equal))
            }
            _ => None,
        });
    }
    Ok(orders)
}
