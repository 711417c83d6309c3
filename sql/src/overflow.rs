//! Operators that mean another thing in PostgreSQL than in DataFusion, put right by one analyzer rule.
//!
//! A division of floats by 0 is an error, SQLSTATE 22012, where DataFusion gives infinity. Texts of times
//! are those of [`time_texts`].
//!
//! Casts of times are those of [`time_casts`], functions of numbers those of [`math`].
//!
//! Whole numbers that do not fit their type are an error, SQLSTATE 22003, as in PostgreSQL.
//! DataFusion's `+`, `-` and `*` wrap around instead.
//!
//! Once the types of a plan are settled, an analyzer rule puts a function that checks in the place of
//! each of these operators between whole numbers. Other numbers keep DataFusion's, but for the unary
//! minus, which is a product with -1: a partitioned sort by DataFusion's (55.2) fails, as its plan is
//! taken to be in another order than it is. Comparisons of intervals are those of [`intervals`].

mod math;

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::cast;
use arrow::compute::kernels::numeric::{add, div, mul, rem, sub};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::{SqlError, intervals, time_casts, time_texts};

/// The rule.
#[derive(Debug)]
pub(crate) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = config.execution.time_zone.as_deref();
        Ok(plan.transform_up_with_subqueries(|plan| checked(plan, zone))?.data)
    }
}

fn checked(plan: LogicalPlan, zone: Option<&str>) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let scanned =
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&scanned);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let checked = expr.transform_up(|expr| {
            let (expr, is_time) = time_texts::as_arrow_reads(expr, zone)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            if is_time {
                return Ok(Transformed::yes(expr));
            }
            let in_zone = time_casts::as_postgresql_means(expr, &schema, zone);
            if in_zone.transformed {
                return Ok(in_zone);
            }
            let expr = in_zone.data;
            let by_length = intervals::by_length(expr, &schema);
            if by_length.transformed {
                return Ok(by_length);
            }
            Ok(replaced(by_length.data, &schema))
        })?;
        Ok(checked.update_data(|expr| name.restore(expr)))
    })?
    .map_data(|plan| plan.recompute_schema())
}

fn replaced(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    // A name of an outer query has its type with it; one that is not found is left alone.
    let is_whole = |expr: &Expr| {
        expr.get_type(schema).is_ok_and(|data_type| {
            matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
        })
    };
    let is_float =
        |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Float32 | DataType::Float64));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right })
            if is_float(&left) && is_float(&right) && !is_known_divisor(&right) =>
        {
            Transformed::yes(call(&DIVIDE, *left, *right))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Modulo, right })
            if is_float(&left) && is_float(&right) && !is_known_divisor(&right) =>
        {
            Transformed::yes(call(&MODULO, *left, *right))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if function(op).is_some()
                && is_float(&left)
                && is_float(&right)
                && may_overflow(&left, op, &right) =>
        {
            match function(op) {
                Some(function) => Transformed::yes(call(function, *left, *right)),
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            }
        }
        Expr::ScalarFunction(call) => math::checked(call, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if function(op).is_some() && is_whole(&left) && is_whole(&right) =>
        {
            let Some(function) = function(op) else {
                return Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }));
            };
            Transformed::yes(call(function, *left, *right))
        }
        Expr::Negative(inner) if is_whole(&inner) && !matches!(*inner, Expr::Literal(..)) => {
            let zero = match inner.get_type(schema) {
                Ok(DataType::Int16) => lit(0_i16),
                Ok(DataType::Int32) => lit(0_i32),
                _ => lit(0_i64),
            };
            match function(Operator::Minus) {
                Some(function) => Transformed::yes(call(function, zero, *inner)),
                None => Transformed::no(Expr::Negative(inner)),
            }
        }
        Expr::Negative(inner) if !matches!(*inner, Expr::Literal(..)) => {
            let minus_one = match inner.get_type(schema) {
                Ok(DataType::Float32) => lit(-1.0_f32),
                Ok(DataType::Float64) => lit(-1.0_f64),
                _ => return Transformed::no(Expr::Negative(inner)),
            };
            Transformed::yes(minus_one * *inner)
        }
        other => Transformed::no(other),
    }
}

fn call(function: &Arc<ScalarUDF>, left: Expr, right: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![left, right]))
}

static FUNCTIONS: LazyLock<[(Operator, Arc<ScalarUDF>); 3]> = LazyLock::new(|| {
    [
        (Operator::Plus, "checked_add"),
        (Operator::Minus, "checked_subtract"),
        (Operator::Multiply, "checked_multiply"),
    ]
    .map(|(operator, name)| {
        let signature = Signature::any(2, Volatility::Immutable);
        (operator, Arc::new(ScalarUDF::new_from_impl(Checked { name, operator, signature })))
    })
});

/// Whether two floats are worth a check. One of a column with a number of everyday size stays what it is,
/// so that the planner sees through it: orders by a distance, statistics.
fn may_overflow(left: &Expr, operator: Operator, right: &Expr) -> bool {
    const EVERYDAY: f64 = 1e100;
    let is_everyday = |expr: &Expr| known_number(expr).is_some_and(|n| n.abs() <= EVERYDAY);
    if !left.any_column_refs() && !right.any_column_refs() {
        return true;
    }
    operator == Operator::Multiply && !is_everyday(left) && !is_everyday(right)
}

/// A number that is not 0, by which every other one can be divided.
fn is_known_divisor(expr: &Expr) -> bool {
    const LEAST: f64 = 1e-100;
    known_number(expr).is_some_and(|number| number.abs() >= LEAST)
}

fn known_number(expr: &Expr) -> Option<f64> {
    let number = match expr {
        Expr::Literal(number, _) => number,
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Literal(number, _) => number,
            _ => return None,
        },
        _ => return None,
    };
    match number {
        ScalarValue::Float64(number) => *number,
        ScalarValue::Float32(number) => number.map(f64::from),
        ScalarValue::Int64(number) => number.map(|number| number as f64),
        ScalarValue::Int32(number) => number.map(f64::from),
        _ => None,
    }
}

static MODULO: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(2, Volatility::Immutable);
    let operator = Operator::Modulo;
    Arc::new(ScalarUDF::new_from_impl(Checked { name: "checked_modulo", operator, signature }))
});

static DIVIDE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(2, Volatility::Immutable);
    let operator = Operator::Divide;
    Arc::new(ScalarUDF::new_from_impl(Checked { name: "checked_divide", operator, signature }))
});

fn function(operator: Operator) -> Option<&'static Arc<ScalarUDF>> {
    FUNCTIONS.iter().find(|(known, _)| *known == operator).map(|(_, function)| function)
}

/// An operator that checks.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    name: &'static str,
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        match arguments {
            [left, right] => Ok(format!("({left} {} {right})", self.operator)),
            _ => Ok(self.name.to_owned()),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let rank = |data_type: &DataType| match data_type {
            DataType::Int16 => 0,
            DataType::Int32 => 1,
            DataType::Int64 => 2,
            DataType::Float32 => 3,
            _ => 4,
        };
        match arguments {
            [left, right] => {
                Ok(if rank(left) >= rank(right) { left.clone() } else { right.clone() })
            }
            _ => exec_err!("{} takes two numbers", self.name),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result_type = arguments.return_field.data_type();
        let operands = arguments
            .args
            .iter()
            .map(|operand| operand.cast_to(result_type, None))
            .collect::<Result<Vec<_>>>()?;
        let [left, right] = operands.as_slice() else {
            return exec_err!("{} takes two numbers", self.name);
        };
        let is_scalar =
            matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let (left, right) = (datum(left)?, datum(right)?);
        let done = match self.operator {
            Operator::Plus => add(left.as_ref(), right.as_ref()),
            Operator::Minus => sub(left.as_ref(), right.as_ref()),
            Operator::Divide => {
                let divided = div(left.as_ref(), right.as_ref())?;
                refuse_zeros(right.as_ref(), &divided)?;
                Ok(divided)
            }
            Operator::Modulo => {
                let rest = rem(left.as_ref(), right.as_ref())?;
                refuse_zeros(right.as_ref(), &rest)?;
                Ok(rest)
            }
            _ => mul(left.as_ref(), right.as_ref()),
        };
        let array = done.map_err(|error| out_of_range(error, result_type))?;
        if result_type.is_floating() {
            refuse_overflow(left.as_ref(), right.as_ref(), &array)?;
        }
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

fn datum(operand: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match operand {
        ColumnarValue::Array(array) => Box::new(Arc::clone(array) as ArrayRef),
        ColumnarValue::Scalar(scalar) => Box::new(scalar.to_scalar()?),
    })
}

/// Refuses quotients that are not finite because they are of a division by 0.
fn refuse_zeros(divisors: &dyn Datum, quotients: &ArrayRef) -> Result<()> {
    let (divisors, is_scalar) = divisors.get();
    let (quotients, divisors) =
        (cast(quotients, &DataType::Float64)?, cast(divisors, &DataType::Float64)?);
    let (quotients, divisors) =
        (quotients.as_primitive::<Float64Type>(), divisors.as_primitive::<Float64Type>());
    let is_divided_by_zero = (0..quotients.len()).any(|row| {
        quotients.is_valid(row)
            && !quotients.value(row).is_finite()
            && divisors.value(if is_scalar { 0 } else { row }) == 0.0
    });
    if is_divided_by_zero { Err(failed("22012", "division by zero")) } else { Ok(()) }
}

/// Refuses answers that are infinite although no operand is.
fn refuse_overflow(left: &dyn Datum, right: &dyn Datum, answers: &ArrayRef) -> Result<()> {
    let answers = cast(answers, &DataType::Float64)?;
    let answers = answers.as_primitive::<Float64Type>();
    let is_infinite = |row: &usize| answers.is_valid(*row) && answers.value(*row).is_infinite();
    let mut infinite = (0..answers.len()).filter(is_infinite).peekable();
    if infinite.peek().is_none() {
        return Ok(());
    }
    let operand = |operand: &dyn Datum| -> Result<(ArrayRef, bool)> {
        let (array, is_scalar) = operand.get();
        Ok((cast(array, &DataType::Float64)?, is_scalar))
    };
    let (left, right) = (operand(left)?, operand(right)?);
    let is_finite = |(array, is_scalar): &(ArrayRef, bool), row: usize| {
        array.as_primitive::<Float64Type>().value(if *is_scalar { 0 } else { row }).is_finite()
    };
    if infinite.any(|row| is_finite(&left, row) && is_finite(&right, row)) {
        return Err(failed("22003", "value out of range: overflow"));
    }
    Ok(())
}

fn failed(sqlstate: &'static str, message: &str) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Query {
        sqlstate,
        message: message.into(),
        detail: None,
        hint: None,
    }))
}

fn out_of_range(error: ArrowError, data_type: &DataType) -> DataFusionError {
    if !matches!(error, ArrowError::ArithmeticOverflow(_)) {
        return error.into();
    }
    let name = match data_type {
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        _ => "bigint",
    };
    failed("22003", &format!("{name} out of range"))
}
