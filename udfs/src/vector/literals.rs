//! Literals and NULLs beside vectors in `IN`, `BETWEEN`, `CASE`, `coalesce`, `nullif`, `greatest` and `least`, which
//! PostgreSQL takes for vectors.
//!
//! DataFusion unites the types there by Arrow's, of which a vector and a text have none in common, and forgets
//! what marks a `vector`. Comparisons become pgvector's; a `CASE` of vectors is one again. `min` and `max` of
//! vectors do not exist, as in pgvector.

use arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, Between, Case, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF, not};
use datafusion::scalar::ScalarValue;

use super::chosen::CHOOSE;
use super::kind::VectorKind;
use super::types::{field_type_names, kind_of};
use super::{compare, to_vector, vector_out};
use crate::error::UdfError;

/// Gives them their types.
#[derive(Debug)]
pub struct VectorLiterals {
    equal: ScalarUDF,
    at_least: ScalarUDF,
    at_most: ScalarUDF,
    to_vector: ScalarUDF,
    to_halfvec: ScalarUDF,
    to_text: ScalarUDF,
}

impl Default for VectorLiterals {
    fn default() -> Self {
        Self {
            equal: compare::equal(),
            at_least: compare::at_least(),
            at_most: compare::at_most(),
            to_vector: to_vector::udf(VectorKind::Vector),
            to_halfvec: to_vector::udf(VectorKind::Halfvec),
            to_text: vector_out::udf(),
        }
    }
}

impl FunctionRewrite for VectorLiterals {
    fn name(&self) -> &str {
        "vector_literals"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let kind = |expr: &Expr| kind_in(expr, schema);
        Ok(match expr {
            Expr::InList(InList { expr, list, negated })
                if std::iter::once(expr.as_ref()).chain(&list).any(|one| kind(one).is_some()) =>
            {
                let is_one = |one: Expr| self.equal.call(vec![expr.as_ref().clone(), one]);
                match any(list.into_iter().map(is_one).collect()) {
                    Some(found) => Transformed::yes(if negated { not(found) } else { found }),
                    None => Transformed::no(Expr::InList(InList::new(expr, Vec::new(), negated))),
                }
            }
            Expr::Between(Between { expr, negated, low, high })
                if [&expr, &low, &high].into_iter().any(|one| kind(one).is_some()) =>
            {
                let above = self.at_least.call(vec![expr.as_ref().clone(), *low]);
                let within = above.and(self.at_most.call(vec![*expr, *high]));
                Transformed::yes(if negated { not(within) } else { within })
            }
            Expr::Case(case) => self.case(case, schema),
            Expr::ScalarFunction(call)
                if CHOOSE.contains(&call.name())
                    && call.args.iter().any(|one| kind(one).is_some()) =>
            {
                self.chosen(call, schema)
            }
            Expr::AggregateFunction(call) => {
                refuse_extremes(&call, schema)?;
                self.distinct_count(call, schema)
            }
            other => Transformed::no(other),
        })
    }
}

impl VectorLiterals {
    /// `count(DISTINCT vector)` counts the texts: DataFusion takes each value that it keeps of a list for as large as
    /// all that came with it.
    fn distinct_count(&self, mut call: AggregateFunction, schema: &DFSchema) -> Transformed<Expr> {
        let is_distinct_count = call.func.name() == "count" && call.params.distinct;
        match call.params.args.as_mut_slice() {
            [counted] if is_distinct_count && kind_in(counted, schema).is_some() => {
                *counted = self.to_text.call(vec![std::mem::take(counted)]);
                Transformed::yes(Expr::AggregateFunction(call))
            }
            _ => Transformed::no(Expr::AggregateFunction(call)),
        }
    }

    fn case(&self, case: Case, schema: &DFSchema) -> Transformed<Expr> {
        let Case { mut expr, mut when_then_expr, mut else_expr } = case;
        let mut is_changed = false;
        let mut compared = expr.iter().chain(when_then_expr.iter().map(|(when, _)| when));
        if compared.any(|one| kind_in(one, schema).is_some())
            && let Some(base) = expr.take()
        {
            is_changed = true;
            for (when, _) in &mut when_then_expr {
                let value = std::mem::take(when.as_mut());
                **when = self.equal.call(vec![base.as_ref().clone(), value]);
            }
        }
        let results = || when_then_expr.iter().map(|(_, then)| then).chain(&else_expr);
        let Some(kind) = results().find_map(|one| kind_in(one, schema)) else {
            let case = Expr::Case(Case::new(expr, when_then_expr, else_expr));
            return if is_changed { Transformed::yes(case) } else { Transformed::no(case) };
        };
        let function = self.function_of(kind);
        let results = when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut else_expr);
        for result in results {
            if is_of_other_type(result, schema) {
                let value = std::mem::take(result.as_mut());
                **result = function.call(vec![value]);
            }
        }
        let case = Expr::Case(Case::new(expr, when_then_expr, else_expr));
        Transformed::yes(function.call(vec![case]))
    }

    /// One of the functions that give one of their arguments: where a `CASE` does the same, as one.
    fn chosen(&self, call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
        let ScalarFunction { func, mut args } = call;
        if let ("nullif", [value, other]) = (func.name(), args.as_slice()) {
            let equal = self.equal.call(vec![value.clone(), other.clone()]);
            let null = Expr::Literal(ScalarValue::Null, None);
            let when = vec![(Box::new(equal), Box::new(null))];
            return self.case(Case::new(None, when, Some(Box::new(value.clone()))), schema);
        }
        if func.name() == "coalesce"
            && args.len() > 1
            && let Some(last) = args.pop()
        {
            let each = args.into_iter();
            let each = each.map(|value| (Box::new(value.clone().is_not_null()), Box::new(value)));
            return self.case(Case::new(None, each.collect(), Some(Box::new(last))), schema);
        }
        let mut kinds = args.iter().filter_map(|one| kind_in(one, schema));
        let is_half = kinds.any(|kind| kind == VectorKind::Halfvec);
        let kind = if is_half { VectorKind::Halfvec } else { VectorKind::Vector };
        let mut is_changed = false;
        for arg in &mut args {
            if is_of_other_type(arg, schema) || kind_in(arg, schema) != Some(kind) {
                is_changed = true;
                let value = std::mem::take(arg);
                *arg = self.function_of(kind).call(vec![value]);
            }
        }
        let call = Expr::ScalarFunction(ScalarFunction { func, args });
        if is_changed { Transformed::yes(call) } else { Transformed::no(call) }
    }

    fn function_of(&self, kind: VectorKind) -> &ScalarUDF {
        match kind {
            VectorKind::Vector => &self.to_vector,
            VectorKind::Halfvec => &self.to_halfvec,
        }
    }
}

/// The kind of the vectors that a field has; `None` for every other one.
pub fn vector_kind(field: &Field) -> Option<VectorKind> {
    kind_of(field)
}

/// A value as a vector of any length: the cast `value::vector` or `value::halfvec` after the types are known.
pub fn as_vector(value: Expr, kind: VectorKind) -> Expr {
    to_vector::udf(kind).call(vec![value])
}

fn kind_in(expr: &Expr, schema: &DFSchema) -> Option<VectorKind> {
    let (_, field) = expr.to_field(schema).ok()?;
    kind_of(&field)
}

/// Whether an expression of a list of vectors has another type of Arrow's than they have: vectors of a length and
/// those of any are two.
fn is_of_other_type(expr: &Expr, schema: &DFSchema) -> bool {
    let has_length = |data_type| matches!(data_type, DataType::FixedSizeList(..));
    has_no_type(expr) || expr.get_type(schema).is_ok_and(has_length)
}

/// Whether an expression is a literal that takes its type from what is beside it.
fn has_no_type(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null() || value.data_type() == DataType::Utf8,
        _ => false,
    }
}

/// The conditions joined by `OR` in a tree that is no deeper than it must be; `None` of no condition.
fn any(mut conditions: Vec<Expr>) -> Option<Expr> {
    while conditions.len() > 1 {
        let mut pairs = Vec::with_capacity(conditions.len().div_ceil(2));
        let mut rest = conditions.into_iter();
        while let Some(one) = rest.next() {
            pairs.push(match rest.next() {
                Some(other) => one.or(other),
                None => one,
            });
        }
        conditions = pairs;
    }
    conditions.pop()
}

fn refuse_extremes(call: &AggregateFunction, schema: &DFSchema) -> Result<()> {
    let function = match call.func.name() {
        "min" => "min",
        "max" => "max",
        _ => return Ok(()),
    };
    let fields = call.params.args.iter().filter_map(|argument| argument.to_field(schema).ok());
    let fields: Vec<_> = fields.map(|(_, field)| field).collect();
    if fields.iter().any(|field| kind_of(field).is_some()) {
        let arguments = field_type_names(&fields);
        return Err(UdfError::NoFunction { function, arguments }.into());
    }
    Ok(())
}
