//! `= <> < <= > >=` of vectors: element by element, then by length, as pgvector orders them.

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

use super::operand::Operand;
use super::types::{check_operands, coerce};
use crate::doc::{Example, Function, FunctionDoc};

const ARGUMENTS: &[(&str, &str)] =
    &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")];

macro_rules! comparison {
    ($static:ident, $name:literal, $sign:literal, $description:literal, $sql:literal, $result:literal) => {
        static $static: Comparison = Comparison {
            doc: FunctionDoc {
                name: $name,
                section: super::SECTION,
                syntax: &[
                    concat!($name, "(vector, vector) → boolean"),
                    concat!("vector ", $sign, " vector → boolean"),
                ],
                description: $description,
                arguments: ARGUMENTS,
                examples: &[Example { sql: $sql, result: $result }],
            },
            documentation: LazyLock::new(|| $static.doc.to_documentation()),
            sign: $sign,
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

struct Comparison {
    doc: FunctionDoc,
    documentation: LazyLock<Documentation>,
    sign: &'static str,
}

static ALL: [&Comparison; 6] =
    [&EQUAL, &NOT_EQUAL, &LESS, &LESS_OR_EQUAL, &GREATER, &GREATER_OR_EQUAL];

/// The functions.
pub(super) fn functions() -> [Function; 6] {
    [
        Function::new(&EQUAL.doc, |_| udf(0)),
        Function::new(&NOT_EQUAL.doc, |_| udf(1)),
        Function::new(&LESS.doc, |_| udf(2)),
        Function::new(&LESS_OR_EQUAL.doc, |_| udf(3)),
        Function::new(&GREATER.doc, |_| udf(4)),
        Function::new(&GREATER_OR_EQUAL.doc, |_| udf(5)),
    ]
}

/// The function of a comparison's operator.
pub(super) fn of_operator(operator: &BinaryOperator) -> Option<ScalarUDF> {
    let sign = match operator {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    };
    ALL.iter().position(|comparison| comparison.sign == sign).map(udf)
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
        Ok(coerce(types))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        check_operands(ALL[self.which].doc.name, 2, args.arg_fields)?;
        Ok(Arc::new(Field::new(self.name(), DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [left, right] = take_function_args(self.name(), args.args)?;
        let (left, right) = (Operand::read(&left)?, Operand::read(&right)?);
        let is_constant = left.is_constant() && right.is_constant();
        let rows = if is_constant { 1 } else { rows };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut answers = Vec::with_capacity(rows);
        for row in 0..rows {
            answers.push(match (left.span(row)?, right.span(row)?) {
                (Some(l), Some(r)) => {
                    left.elements.widen_into(l, &mut ours);
                    right.elements.widen_into(r, &mut theirs);
                    // Elements are finite, so any two have an order.
                    Some(self.holds(ours.partial_cmp(&theirs).unwrap_or(Ordering::Equal)))
                }
                _ => None,
            });
        }
        let answers: ArrayRef = Arc::new(BooleanArray::from(answers));
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?));
        }
        Ok(ColumnarValue::Array(answers))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&ALL[self.which].documentation)
    }
}
