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

mod chain;
mod math;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::{intervals, time_casts, time_texts};

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
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if has_check(op) => {
            // A name of an outer query has its type with it; one that is not found is left alone.
            let types = (type_of(&left, schema), type_of(&right, schema));
            let is_checked = match &types {
                (Ok(left_type), Ok(right_type)) if is_whole(left_type) && is_whole(right_type) => {
                    !matches!(op, Operator::Divide | Operator::Modulo)
                }
                (Ok(left_type), Ok(right_type)) if is_float(left_type) && is_float(right_type) => {
                    match op {
                        Operator::Divide => {
                            !is_known_divisor(&right) || exceeds(&left, known_number(&right), op)
                        }
                        Operator::Modulo => !is_known_divisor(&right),
                        _ => may_overflow(&left, op, &right),
                    }
                }
                _ => false,
            };
            if is_checked {
                Transformed::yes(chain::checked(*left, op, *right))
            } else {
                Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
        }
        Expr::ScalarFunction(call) => math::checked(call, schema),
        Expr::Negative(inner) if !matches!(*inner, Expr::Literal(..)) => {
            let zero = match type_of(&inner, schema) {
                Ok(DataType::Int16) => lit(0_i16),
                Ok(DataType::Int32) => lit(0_i32),
                Ok(DataType::Int64) => lit(0_i64),
                Ok(DataType::Float32) => return Transformed::yes(lit(-1.0_f32) * *inner),
                Ok(DataType::Float64) => return Transformed::yes(lit(-1.0_f64) * *inner),
                _ => return Transformed::no(Expr::Negative(inner)),
            };
            Transformed::yes(chain::checked(zero, Operator::Minus, *inner))
        }
        other => Transformed::no(other),
    }
}

/// Whether an expression divides, or asks a function that has no answer for some numbers; what is below it
/// is not looked at.
pub(crate) fn may_fail(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, right, .. }) => {
            !is_known_divisor(right)
        }
        Expr::ScalarFunction(call) => math::is_checked(call) || chain::divides(expr),
        _ => false,
    }
}

fn has_check(op: Operator) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};

    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

fn is_whole(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Result<DataType> {
    match chain::operands(expr) {
        Some(operands) => {
            let types = operands.iter().map(|operand| type_of(operand, schema));
            chain::result_type(&types.collect::<Result<Vec<_>>>()?)
        }
        None => expr.get_type(schema),
    }
}

/// Whether two floats are worth a check. What a function gives and a number of everyday size stay what they
/// are, so that the planner sees through it: orders by a distance.
fn may_overflow(left: &Expr, operator: Operator, right: &Expr) -> bool {
    const EVERYDAY: f64 = 1e100;
    if !left.any_column_refs() && !right.any_column_refs() {
        return true;
    }
    if operator != Operator::Multiply {
        return false;
    }
    let everyday = |expr: &Expr| known_number(expr).filter(|number| number.abs() <= EVERYDAY);
    match (everyday(left), everyday(right)) {
        (Some(number), _) => exceeds(right, Some(number), operator),
        (_, Some(number)) => exceeds(left, Some(number), operator),
        (None, None) => true,
    }
}

/// Whether a product with a number, or a quotient, can be beyond what floats hold.
fn exceeds(other: &Expr, number: Option<f64>, operator: Operator) -> bool {
    let Some(number) = number else { return true };
    let grows = if operator == Operator::Divide { number.abs() < 1.0 } else { number.abs() > 1.0 };
    grows && !calls_function(other)
}

fn calls_function(expr: &Expr) -> bool {
    let is_call = |expr: &Expr| Ok(matches!(expr, Expr::ScalarFunction(_)));
    expr.exists(is_call).unwrap_or(true)
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
