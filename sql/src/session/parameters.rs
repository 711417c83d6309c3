//! The parameters `$1`, `$2`, … of a statement: their types and their values.
//!
//! DataFusion finds the type of a parameter that is compared with a column, and fails on one that
//! is an argument of a function. So those get a cast before the statement is planned: to the type
//! that the client declared, to the one that the function has there ([`arguments`]), or to `text`, PostgreSQL's
//! choice for a literal of unknown type. Where the others say what it is, as in `coalesce(a, $1)`, it gets the type
//! that DataFusion's coercion gives it ([`settled`]).

mod arguments;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, CastKind, DataType as SqlType, ExactNumberInfo,
    FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, SelectItem, SetExpr,
    TimezoneInfo, UnaryOperator, Value, VisitMut, VisitorMut,
};
use vigil_udfs::json::json_field;
use vigil_udfs::texts::uuid_field;

use crate::SqlError;
use crate::catalog::StandardTable;
use crate::session::names;

/// The most parameters that the protocol can number.
const MAX_PARAMETERS: usize = 65_535;

/// Casts the parameters whose type DataFusion cannot find.
pub(super) fn give_types(statement: &mut ast::Statement, declared: &[Option<DataType>]) {
    let _ = statement.visit(&mut Caster { declared });
}

struct Caster<'a> {
    declared: &'a [Option<DataType>],
}

impl Caster<'_> {
    /// Casts a parameter to the type that the client declared, where it did.
    fn cast_as_declared(&self, expr: &mut ast::Expr, counts: impl Fn(&DataType) -> bool) {
        let ast::Expr::Value(value) = &*expr else { return };
        let Value::Placeholder(name) = &value.value else { return };
        let declared = number(name).and_then(|number| self.declared.get(number - 1)?.as_ref());
        if let Some(declared) = declared.filter(|declared| counts(declared)).and_then(sql_type) {
            self.cast(expr, declared);
        }
    }

    /// Casts a parameter to the type that the client declared, or to `otherwise`.
    fn cast(&self, expr: &mut ast::Expr, otherwise: SqlType) {
        let ast::Expr::Value(value) = &*expr else { return };
        let Value::Placeholder(name) = &value.value else { return };
        let declared = number(name)
            .and_then(|number| self.declared.get(number - 1)?.as_ref())
            .and_then(sql_type);
        *expr = ast::Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(expr.clone()),
            data_type: declared.unwrap_or(otherwise),
            array: false,
            format: None,
        };
    }

    /// Casts those arguments of a function that are parameters.
    fn cast_arguments(&self, name: &str, arguments: &mut [FunctionArg]) {
        let written = arguments.iter().filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        });
        let others_tell = arguments::are_alike(name) && arguments::has_type(written.clone());
        let is_series =
            name == "generate_series" && written.clone().any(arguments::is_whole_number);
        let contains = name == "array_contains";
        let any = arguments.get(1).filter(|_| contains).and_then(of_column).unwrap_or_else(texts);
        let is_among_numbers = contains
            && matches!(written.clone().next(), Some(ast::Expr::Array(array))
                if array.elem.iter().any(arguments::is_whole_number));
        let count = arguments.len();
        for (at, argument) in arguments.iter_mut().enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { continue };
            if others_tell {
                self.cast_as_declared(expr, |_| true);
                continue;
            }
            let otherwise = match at {
                0 if contains => any.clone(),
                1 if is_among_numbers => SqlType::BigInt(None),
                _ if is_series => SqlType::BigInt(None),
                _ => arguments::of_function(name, at, count).unwrap_or(SqlType::Text),
            };
            self.cast(expr, otherwise);
        }
    }
}

impl VisitorMut for Caster<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<()> {
        match query.body.as_mut() {
            SetExpr::Select(select) => {
                for condition in [&mut select.selection, &mut select.having].into_iter().flatten() {
                    self.cast(condition, SqlType::Boolean);
                }
                for item in &mut select.projection {
                    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } =
                        item
                    {
                        self.cast(expr, SqlType::Text);
                    }
                }
            }
            SetExpr::Values(values) => {
                for expr in values.rows.iter_mut().flat_map(|row| row.iter_mut()) {
                    self.cast(expr, SqlType::Text);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::Function(function) => {
                if let Some(condition) = &mut function.filter {
                    self.cast(condition, SqlType::Boolean);
                }
                // `x = ANY($1)` has become `array_contains($1, x)` by now.
                let name = function.name.to_string().to_ascii_lowercase();
                if let FunctionArguments::List(arguments) = &mut function.args {
                    self.cast_arguments(&name, &mut arguments.args);
                }
            }
            ast::Expr::Case { operand: None, conditions, .. } => {
                for case in conditions {
                    self.cast(&mut case.condition, SqlType::Boolean);
                }
            }
            ast::Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
                self.cast(expr, SqlType::Boolean);
            }
            ast::Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                self.cast(left, SqlType::Boolean);
                self.cast(right, SqlType::Boolean);
            }
            ast::Expr::BinaryOp { left, op, right } if is_vector_operator(op) => {
                let otherwise =
                    if is_bit_operator(op) { SqlType::BitVarying(None) } else { vector() };
                self.cast(left, otherwise.clone());
                self.cast(right, otherwise);
            }
            ast::Expr::BinaryOp { right, op, .. } if is_json_operator(op) => {
                let is_path =
                    matches!(op, BinaryOperator::HashArrow | BinaryOperator::HashLongArrow);
                self.cast(right, if is_path { texts() } else { SqlType::Text });
            }
            // DataFusion takes what is added to an interval for one.
            ast::Expr::BinaryOp {
                left,
                op: BinaryOperator::Plus | BinaryOperator::Minus,
                right,
            } => {
                let counts = |found: &DataType| found.is_temporal() || is_own(found);
                self.cast_as_declared(left, counts);
                self.cast_as_declared(right, counts);
            }
            // Nor does it know these by what they are compared or joined with.
            ast::Expr::BinaryOp { left, right, .. } => {
                self.cast_as_declared(left, is_own);
                self.cast_as_declared(right, is_own);
            }
            // `substr`; what comes after the text in a `substring` may be a pattern.
            ast::Expr::Substring { substring_from, substring_for, shorthand: true, .. } => {
                for expr in [substring_from, substring_for].into_iter().flatten() {
                    self.cast(expr, SqlType::Integer(None));
                }
            }
            ast::Expr::CompoundFieldAccess { root, .. } => {
                self.cast_as_declared(root, DataType::is_nested);
            }
            ast::Expr::Array(array) if arguments::has_type(array.elem.iter()) => {
                array.elem.iter_mut().for_each(|expr| self.cast_as_declared(expr, |_| true));
            }
            ast::Expr::Array(array) => {
                array.elem.iter_mut().for_each(|expr| self.cast(expr, SqlType::Text))
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `text[]`.
fn texts() -> SqlType {
    SqlType::Array(ArrayElemTypeDef::SquareBracket(Box::new(SqlType::Text), None))
}

/// The arrays whose elements are compared with a column, by the name that the standard tables have for
/// columns of one type: it is not known here which table is meant.
fn of_column(argument: &FunctionArg) -> Option<SqlType> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { return None };
    let name = match expr {
        whole if arguments::is_whole_number(whole) => {
            let element = Box::new(SqlType::BigInt(None));
            return Some(SqlType::Array(ArrayElemTypeDef::SquareBracket(element, None)));
        }
        ast::Expr::Identifier(name) => name,
        ast::Expr::CompoundIdentifier(parts) => parts.last()?,
        _ => return None,
    };
    let schemas = StandardTable::ALL.map(|table| table.schema());
    let mut types = schemas.iter().filter_map(|schema| {
        Some(schema.field_with_name(&names::folded(name)).ok()?.data_type().clone())
    });
    let first = types.next()?;
    let element = types.all(|other| other == first).then(|| sql_type(&first)).flatten()?;
    Some(SqlType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None)))
}

/// pgvector's type.
fn vector() -> SqlType {
    SqlType::Custom(ObjectName::from(vec![Ident::new("vector")]), Vec::new())
}

/// Whether values of the type are a `halfvec` or bits.
fn is_own(data_type: &DataType) -> bool {
    vigil_udfs::is_halfvec(data_type) || vigil_udfs::is_bits(data_type)
}

/// `<~>` and `<%>`, which compare bits.
fn is_bit_operator(operator: &BinaryOperator) -> bool {
    let spelling = match operator {
        BinaryOperator::Custom(spelling) => Some(spelling),
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last(),
        _ => None,
    };
    spelling.is_some_and(|spelling| matches!(spelling.as_str(), "<~>" | "<%>"))
}

/// `<=>`, `<->`, `<#>`, `<+>` and their like: operators that are functions in truth.
fn is_vector_operator(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Spaceship
            | BinaryOperator::LtDashGt
            | BinaryOperator::Custom(_)
            | BinaryOperator::PGCustomBinaryOperator(_)
    )
}

/// `->`, `->>`, `#>`, `#>>` and `?`.
fn is_json_operator(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Arrow
            | BinaryOperator::LongArrow
            | BinaryOperator::HashArrow
            | BinaryOperator::HashLongArrow
            | BinaryOperator::Question
    )
}

/// SQL's name of a type that parameters have.
pub(super) fn sql_type(data_type: &DataType) -> Option<SqlType> {
    if vigil_udfs::is_halfvec(data_type) {
        let name = ObjectName::from(vec![Ident::new("halfvec")]);
        return Some(SqlType::Custom(name, Vec::new()));
    }
    Some(match data_type {
        data_type if vigil_udfs::is_bits(data_type) => SqlType::BitVarying(None),
        DataType::Boolean => SqlType::Boolean,
        DataType::Int16 => SqlType::SmallInt(None),
        DataType::Int32 => SqlType::Integer(None),
        DataType::Int64 => SqlType::BigInt(None),
        DataType::Float32 => SqlType::Real,
        DataType::Float64 => SqlType::DoublePrecision,
        DataType::Utf8 => SqlType::Text,
        DataType::Binary => SqlType::Bytea,
        DataType::Date32 => SqlType::Date,
        DataType::Time64(_) => SqlType::Time(None, TimezoneInfo::None),
        DataType::Timestamp(_, zone) => SqlType::Timestamp(
            None,
            if zone.is_some() { TimezoneInfo::WithTimeZone } else { TimezoneInfo::None },
        ),
        DataType::List(item) => {
            let item = Box::new(sql_type(item.data_type())?);
            SqlType::Array(ArrayElemTypeDef::SquareBracket(item, None))
        }
        DataType::Decimal128(..) => SqlType::Numeric(ExactNumberInfo::None),
        _ => return None,
    })
}

/// The number of a parameter by its name, `$1`.
pub(super) fn number(placeholder: &str) -> Option<usize> {
    let number = placeholder.strip_prefix('$')?.parse().ok()?;
    (1..=MAX_PARAMETERS).contains(&number).then_some(number)
}

/// True when the plan has parameters.
pub(super) fn has_any(plan: &LogicalPlan) -> Result<bool, SqlError> {
    Ok(!found(plan)?.is_empty())
}

/// The types of the plan's parameters in order: DataFusion's, a cast's, or the client's.
pub(super) fn types(
    plan: &LogicalPlan,
    declared: &[Option<DataType>],
) -> Result<Vec<Option<FieldRef>>, SqlError> {
    let found = found(plan)?;
    let count = found.keys().next_back().copied().unwrap_or(0).max(declared.len());
    let declared = |number: usize| {
        let data_type = declared.get(number - 1)?.clone()?;
        Some(Arc::new(Field::new(format!("${number}"), data_type, true)))
    };
    Ok((1..=count)
        .map(|number| found.get(&number).cloned().flatten().or_else(|| declared(number)))
        .collect())
}

/// The plan with types of those parameters that it has none of and that coercion gave one, in `analyzed`.
pub(super) fn settled(plan: LogicalPlan, analyzed: &LogicalPlan) -> Result<LogicalPlan, SqlError> {
    let open: Vec<usize> = found(&plan)?
        .into_iter()
        .filter_map(|(number, field)| field.is_none().then_some(number))
        .collect();
    if open.is_empty() {
        return Ok(plan);
    }
    let mut known = found(analyzed)?;
    known.retain(|number, field| field.is_some() && open.contains(number));
    if known.is_empty() {
        return Ok(plan);
    }
    let field_of = |id: &str| known.get(&number(id)?).cloned().flatten();
    let plan = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| {
            expr.transform_up(|expr| {
                let Expr::Placeholder(mut parameter) = expr else {
                    return Ok(Transformed::no(expr));
                };
                if parameter.field.is_none() {
                    parameter.field = field_of(&parameter.id);
                }
                Ok(Transformed::yes(Expr::Placeholder(parameter)))
            })
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(plan.data)
}

fn found(plan: &LogicalPlan) -> Result<BTreeMap<usize, Option<FieldRef>>, SqlError> {
    let mut found: BTreeMap<usize, Option<FieldRef>> = BTreeMap::new();
    let mut note = |name: &str, field: Option<&FieldRef>| -> Result<(), SqlError> {
        let number = number(name).ok_or_else(|| SqlError::Invalid {
            sqlstate: "42P02",
            message: format!("there is no parameter {name}"),
            hint: Some("Parameters are $1, $2 and so on.".into()),
            position: None,
        })?;
        let known = found.entry(number).or_default();
        if known.is_none() {
            *known = field.cloned();
        }
        Ok(())
    };
    let mut outcome = Ok(());
    let count = Arc::new(Field::new("count", DataType::Int64, true));
    plan.apply_with_subqueries(|node| {
        // DataFusion takes any number for LIMIT and OFFSET and so finds no type.
        if let LogicalPlan::Limit(limit) = node {
            for expr in [&limit.skip, &limit.fetch].into_iter().flatten() {
                if let Expr::Placeholder(parameter) = expr.as_ref()
                    && parameter.field.is_none()
                {
                    outcome = note(&parameter.id, Some(&count));
                }
            }
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let noted = match expr {
                    // A cast to a text of a form, or to an array of such.
                    Expr::ScalarFunction(call) if call.args.len() == 1 => {
                        match (placeholder(&call.args[0]), form(call.name())) {
                            (Some(id), Some(field)) => note(id, Some(&field)),
                            _ => Ok(()),
                        }
                    }
                    Expr::Cast(cast) => match cast.expr.as_ref() {
                        Expr::Placeholder(parameter) if parameter.field.is_none() => {
                            note(&parameter.id, Some(&cast.field))
                        }
                        _ => Ok(()),
                    },
                    Expr::Placeholder(parameter) => note(&parameter.id, parameter.field.as_ref()),
                    _ => Ok(()),
                };
                if noted.is_err() {
                    outcome = noted;
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    outcome.map(|()| found)
}

/// The name of a parameter, with or without casts around it.
fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Placeholder(parameter) => Some(&parameter.id),
        Expr::Cast(cast) => placeholder(&cast.expr),
        Expr::Alias(alias) => placeholder(&alias.expr),
        _ => None,
    }
}

/// What a function reads that a cast to `json`, `uuid` or an array of them is.
fn form(function: &str) -> Option<FieldRef> {
    let name = function.strip_prefix("array_of_").unwrap_or(function);
    let field = Field::new_list_field(DataType::Utf8, true);
    let field = match name {
        "json" | "jsonb" => json_field(field),
        "uuid" => uuid_field(field),
        _ => return None,
    };
    Some(Arc::new(if name == function {
        field
    } else {
        Field::new(function, DataType::List(Arc::new(field)), true)
    }))
}

/// The plan with the parameters' values in it.
pub(super) fn bind(plan: LogicalPlan, values: Vec<ScalarValue>) -> Result<LogicalPlan, SqlError> {
    let needed = found(&plan)?.keys().next_back().copied().unwrap_or(0);
    if needed > values.len() {
        return Err(SqlError::Invalid {
            sqlstate: "42P02",
            message: format!("there is no parameter ${}", values.len() + 1),
            hint: Some("Give a value for each parameter of the statement.".into()),
            position: None,
        });
    }
    if needed == 0 {
        return Ok(plan);
    }
    Ok(plan.replace_params_with_values(&ParamValues::from(values))?)
}
