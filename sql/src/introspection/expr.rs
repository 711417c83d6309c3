//! Expressions: what they are worth in a row.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator as Op, CeilFloorKind, Expr, Ident, Query, Subscript, TrimWhereField,
    UnaryOperator, Value as Literal,
};

use super::catalog::PG_CATALOG;
use super::pattern::{like, matches};
use super::relation::Row;
use super::scope::{Found, Scope, fold};
use super::types::{Reg, Target};
use super::value::{Value, cast, compare};
use super::{Engine, Stop, times};

type Evaluated = Result<Value, Stop>;

impl Engine<'_> {
    /// What `expr` is worth.
    pub(super) fn eval(&self, expr: &Expr, scope: &Scope) -> Evaluated {
        self.step()?;
        if let Some(computed) = scope.computed
            && !computed.is_empty()
            && matches!(expr, Expr::Function(_))
            && let Some(value) = computed.get(&expr.to_string())
        {
            return Ok(value.clone());
        }
        let truth = |value: Option<bool>| Ok(Value::of_truth(value));
        match expr {
            Expr::Identifier(name) => self.name(std::slice::from_ref(name), scope),
            Expr::CompoundIdentifier(names) => self.name(names, scope),
            Expr::Value(value) => self.literal(&value.value),
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => self.eval(inner, scope),
            Expr::TypedString(typed) => {
                let value = self.literal(&typed.value.value)?;
                self.cast_to(value, &self.target(&typed.data_type)?)
            }
            Expr::Cast { expr, data_type, .. } => {
                let target = self.target(data_type)?;
                let value = self.eval(expr, scope)?;
                self.cast_to(value, &target)
            }
            Expr::Interval(interval) => {
                let text = self.written(&self.eval(&interval.value, scope)?)?.unwrap_or_default();
                let unit = interval.leading_field.as_ref().map(ToString::to_string);
                let text = Value::text(format!("{text} {}", unit.unwrap_or_default()).trim());
                self.cast_to(text, &Target::Other(times::INTERVAL))
            }
            Expr::Extract { field, expr, .. } => {
                let value = self.eval(expr, scope)?;
                let field = Value::text(field.to_string().to_lowercase());
                self.call_named("date_part", vec![field, value])
            }
            Expr::Function(function) => self.call(function, scope),
            Expr::Case { operand, conditions, else_result, .. } => {
                let operand = match operand {
                    Some(operand) => Some(self.eval(operand, scope)?),
                    None => None,
                };
                for when in conditions {
                    let condition = self.eval(&when.condition, scope)?;
                    let holds = match &operand {
                        Some(operand) => compare(operand, &condition)? == Some(Ordering::Equal),
                        None => condition.truth() == Some(true),
                    };
                    if holds {
                        return self.eval(&when.result, scope);
                    }
                }
                else_result.as_ref().map_or(Ok(Value::Null), |result| self.eval(result, scope))
            }
            Expr::IsNull(inner) => truth(Some(is_null(&self.eval(inner, scope)?))),
            Expr::IsNotNull(inner) => truth(Some(!is_null(&self.eval(inner, scope)?))),
            Expr::IsTrue(inner) => truth(Some(self.eval(inner, scope)?.truth() == Some(true))),
            Expr::IsNotTrue(inner) => truth(Some(self.eval(inner, scope)?.truth() != Some(true))),
            Expr::IsFalse(inner) => truth(Some(self.eval(inner, scope)?.truth() == Some(false))),
            Expr::IsNotFalse(inner) => truth(Some(self.eval(inner, scope)?.truth() != Some(false))),
            Expr::IsUnknown(inner) => truth(Some(self.eval(inner, scope)?.is_null())),
            Expr::IsNotUnknown(inner) => truth(Some(!self.eval(inner, scope)?.is_null())),
            Expr::IsDistinctFrom(left, right) => {
                let same = self.is_same(left, right, scope)?;
                truth(Some(!same))
            }
            Expr::IsNotDistinctFrom(left, right) => {
                let same = self.is_same(left, right, scope)?;
                truth(Some(same))
            }
            Expr::InList { expr, list, negated } => {
                let value = self.eval(expr, scope)?;
                let items = list.iter().map(|item| self.eval(item, scope));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                truth(is_in(&value, &items)?.map(|is_in| is_in != *negated))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.eval(expr, scope)?;
                let items = self.first_values(subquery, scope, &value)?;
                truth(is_in(&value, &items)?.map(|is_in| is_in != *negated))
            }
            Expr::Between { expr, negated, low, high } => {
                let value = self.eval(expr, scope)?;
                let above = compare(&value, &self.eval(low, scope)?)?.map(Ordering::is_ge);
                let below = compare(&value, &self.eval(high, scope)?)?.map(Ordering::is_le);
                truth(and(above, below).map(|between| between != *negated))
            }
            Expr::BinaryOp { left, op: Op::And, right } => {
                let left = self.eval(left, scope)?.truth();
                if left == Some(false) {
                    return truth(left);
                }
                truth(and(left, self.eval(right, scope)?.truth()))
            }
            Expr::BinaryOp { left, op: Op::Or, right } => {
                let left = self.eval(left, scope)?.truth();
                if left == Some(true) {
                    return truth(left);
                }
                truth(or(left, self.eval(right, scope)?.truth()))
            }
            Expr::BinaryOp { left, op, right } => {
                let (left, right) = (self.eval(left, scope)?, self.eval(right, scope)?);
                self.binary(&left, op, &right)
            }
            Expr::UnaryOp { op, expr } => {
                let value = self.eval(expr, scope)?;
                match (op, &value) {
                    (UnaryOperator::Not, value) => truth(value.truth().map(|value| !value)),
                    (_, Value::Null) => Ok(Value::Null),
                    (UnaryOperator::Minus, Value::Float(value)) => Ok(Value::Float(-value)),
                    (UnaryOperator::Minus, value) => whole(value.int().and_then(i64::checked_neg)),
                    (UnaryOperator::Plus, _) => Ok(value),
                    (UnaryOperator::BitwiseNot, value) => whole(value.int().map(|value| !value)),
                    _ => Err(Stop::Unsupported(format!("operator {op}"))),
                }
            }
            Expr::Like { negated, expr, pattern, escape_char, .. } => {
                let (text, pattern) = (self.eval(expr, scope)?, self.eval(pattern, scope)?);
                let escape = escape_of(escape_char.as_ref().map(|escape| &escape.value));
                truth(like(&text, &pattern, escape, false).map(|found| found != *negated))
            }
            Expr::ILike { negated, expr, pattern, escape_char, .. } => {
                let (text, pattern) = (self.eval(expr, scope)?, self.eval(pattern, scope)?);
                let escape = escape_of(escape_char.as_ref().map(|escape| &escape.value));
                truth(like(&text, &pattern, escape, true).map(|found| found != *negated))
            }
            Expr::AnyOp { left, compare_op, right, .. } => {
                let value = self.eval(left, scope)?;
                let items = self.all_of(right, scope, &value)?;
                let mut found = Some(false);
                for item in items {
                    found = or(found, self.binary(&value, compare_op, &item)?.truth());
                    if found == Some(true) {
                        break;
                    }
                }
                truth(found)
            }
            Expr::AllOp { left, compare_op, right } => {
                let value = self.eval(left, scope)?;
                let mut found = Some(true);
                for item in self.all_of(right, scope, &value)? {
                    found = and(found, self.binary(&value, compare_op, &item)?.truth());
                }
                truth(found)
            }
            Expr::Exists { subquery, negated } => {
                let is_empty = self.query(subquery, scope)?.rows.is_empty();
                truth(Some(is_empty == *negated))
            }
            Expr::Subquery(query) => self.scalar(query, scope),
            Expr::Array(array) => {
                let values = array.elem.iter().map(|item| self.eval(item, scope));
                Ok(Value::array(values.collect::<Result<_, _>>()?))
            }
            Expr::Tuple(items) => {
                let values = items
                    .iter()
                    .zip(1..)
                    .map(|(item, at)| Ok((Arc::from(format!("f{at}")), self.eval(item, scope)?)));
                Ok(Value::Record(Arc::new(values.collect::<Result<_, Stop>>()?)))
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.access(root, access_chain, scope)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.eval(expr, scope)?];
                for argument in [substring_from, substring_for].into_iter().flatten() {
                    arguments.push(self.eval(argument, scope)?);
                }
                self.call_named("substring", arguments)
            }
            Expr::Trim { expr, trim_where, trim_what, .. } => {
                let mut arguments = vec![self.eval(expr, scope)?];
                if let Some(what) = trim_what {
                    arguments.push(self.eval(what, scope)?);
                }
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                self.call_named(name, arguments)
            }
            Expr::Position { expr, r#in } => {
                let arguments = vec![self.eval(r#in, scope)?, self.eval(expr, scope)?];
                self.call_named("strpos", arguments)
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(_) } => {
                let argument = self.eval(expr, scope)?;
                self.call_named("ceil", vec![argument])
            }
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(_) } => {
                let argument = self.eval(expr, scope)?;
                self.call_named("floor", vec![argument])
            }
            other => Err(Stop::Unsupported(format!("\"{other}\" in a query of the catalog"))),
        }
    }

    fn name(&self, names: &[Ident], scope: &Scope) -> Evaluated {
        match scope.find(names) {
            Ok(Found::Column(_, value)) => Ok(value.cloned().unwrap_or(Value::Null)),
            Ok(Found::Row(fields)) => Ok(Value::Record(Arc::new(fields))),
            // `current_user` and its like are functions without parentheses.
            Err(error) => match names {
                [name] if name.quote_style.is_none() && is_bare_function(&name.value) => {
                    self.call_named(&name.value.to_lowercase(), Vec::new())
                }
                // `(t).field` without its parentheses.
                [row, field] => match scope.find(std::slice::from_ref(row)) {
                    Ok(Found::Column(_, Some(value))) => field_of(value, &fold(field)),
                    _ => Err(error),
                },
                _ => Err(error),
            },
        }
    }

    pub(super) fn literal(&self, literal: &Literal) -> Evaluated {
        Ok(match literal {
            Literal::Null => Value::Null,
            Literal::Boolean(value) => Value::Bool(*value),
            Literal::Number(text, _) => {
                match text.parse() {
                    Ok(whole) => Value::Int(whole),
                    Err(_) => Value::Float(text.parse().map_err(|_| {
                        Stop::invalid("22P02", format!("invalid number: \"{text}\""))
                    })?),
                }
            }
            Literal::SingleQuotedString(text)
            | Literal::EscapedStringLiteral(text)
            | Literal::UnicodeStringLiteral(text)
            | Literal::NationalStringLiteral(text) => Value::text(text.as_str()),
            Literal::DollarQuotedString(text) => Value::text(text.value.as_str()),
            Literal::Placeholder(name) => {
                let number: Option<usize> =
                    name.strip_prefix('$').and_then(|number| number.parse().ok());
                let value = number.and_then(|number| self.parameters.get(number.checked_sub(1)?));
                match value {
                    Some(value) => value.clone(),
                    None if self.is_dry() => Value::Null,
                    None => {
                        return Err(Stop::invalid(
                            "42P02",
                            format!("there is no parameter {name}"),
                        ));
                    }
                }
            }
            other => return Err(Stop::Unsupported(format!("the literal {other}"))),
        })
    }

    /// What an operator makes of two values.
    pub(super) fn binary(&self, left: &Value, op: &Op, right: &Value) -> Evaluated {
        let truth = |value: Option<bool>| Ok(Value::of_truth(value));
        let order = || compare(left, right);
        if let (Op::Plus | Op::Minus, Value::Other(left), Value::Other(right)) = (op, left, right) {
            return times::combine(left, op, right);
        }
        match op {
            Op::Eq => truth(order()?.map(Ordering::is_eq)),
            Op::NotEq => truth(order()?.map(Ordering::is_ne)),
            Op::Lt => truth(order()?.map(Ordering::is_lt)),
            Op::LtEq => truth(order()?.map(Ordering::is_le)),
            Op::Gt => truth(order()?.map(Ordering::is_gt)),
            Op::GtEq => truth(order()?.map(Ordering::is_ge)),
            Op::PGRegexMatch => truth(matches(left, right, false)?),
            Op::PGRegexIMatch => truth(matches(left, right, true)?),
            Op::PGRegexNotMatch => truth(matches(left, right, false)?.map(|found| !found)),
            Op::PGRegexNotIMatch => truth(matches(left, right, true)?.map(|found| !found)),
            Op::PGLikeMatch => truth(like(left, right, Some('\\'), false)),
            Op::PGNotLikeMatch => truth(like(left, right, Some('\\'), false).map(|found| !found)),
            Op::PGILikeMatch => truth(like(left, right, Some('\\'), true)),
            Op::PGNotILikeMatch => truth(like(left, right, Some('\\'), true).map(|found| !found)),
            Op::PGCustomBinaryOperator(path) => match path.last().map(String::as_str) {
                Some("=") => self.binary(left, &Op::Eq, right),
                Some("<>") => self.binary(left, &Op::NotEq, right),
                Some("~") => self.binary(left, &Op::PGRegexMatch, right),
                Some("~*") => self.binary(left, &Op::PGRegexIMatch, right),
                Some("!~") => self.binary(left, &Op::PGRegexNotMatch, right),
                Some("~~") => self.binary(left, &Op::PGLikeMatch, right),
                Some("||") => self.binary(left, &Op::StringConcat, right),
                Some("&") => self.binary(left, &Op::BitwiseAnd, right),
                _ => Err(Stop::Unsupported(format!("operator {op}"))),
            },
            _ if left.is_null() || right.is_null() => match (op, left, right) {
                // An array and nothing is the array.
                (Op::StringConcat, array @ Value::Array(..), _)
                | (Op::StringConcat, _, array @ Value::Array(..)) => Ok(array.clone()),
                _ => Ok(Value::Null),
            },
            Op::StringConcat => match (left, right) {
                (Value::Array(left, _), Value::Array(right, _)) => {
                    Ok(Value::array(left.iter().chain(right.iter()).cloned().collect()))
                }
                (Value::Array(left, _), item) => {
                    Ok(Value::array(left.iter().cloned().chain([item.clone()]).collect()))
                }
                (item, Value::Array(right, _)) => Ok(Value::array(
                    [item.clone()].into_iter().chain(right.iter().cloned()).collect(),
                )),
                (left, right) => {
                    let right = self.written(right)?.unwrap_or_default();
                    Ok(Value::text(self.written(left)?.unwrap_or_default() + &right))
                }
            },
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo
                if matches!(left, Value::Float(_)) || matches!(right, Value::Float(_)) =>
            {
                let (Some(a), Some(b)) = (left.float(), right.float()) else {
                    return Err(Stop::Unsupported(format!("{op} of these")));
                };
                if matches!(op, Op::Divide | Op::Modulo) && b == 0.0 {
                    return Err(Stop::invalid("22012", "division by zero".into()));
                }
                Ok(Value::Float(match op {
                    Op::Plus => a + b,
                    Op::Minus => a - b,
                    Op::Multiply => a * b,
                    Op::Divide => a / b,
                    _ => a % b,
                }))
            }
            _ => {
                let (Some(a), Some(b)) = (left.int(), right.int()) else {
                    return Err(Stop::Unsupported(format!("{op} of these")));
                };
                if matches!(op, Op::Divide | Op::Modulo) && b == 0 {
                    return Err(Stop::invalid("22012", "division by zero".into()));
                }
                whole(match op {
                    Op::Plus => a.checked_add(b),
                    Op::Minus => a.checked_sub(b),
                    Op::Multiply => a.checked_mul(b),
                    Op::Divide => a.checked_div(b),
                    Op::Modulo => a.checked_rem(b),
                    Op::BitwiseAnd => Some(a & b),
                    Op::BitwiseOr => Some(a | b),
                    Op::PGBitwiseShiftLeft => u32::try_from(b).ok().and_then(|b| a.checked_shl(b)),
                    Op::PGBitwiseShiftRight => u32::try_from(b).ok().and_then(|b| a.checked_shr(b)),
                    _ => return Err(Stop::Unsupported(format!("operator {op}"))),
                })
            }
        }
    }

    fn is_same(&self, left: &Expr, right: &Expr, scope: &Scope) -> Result<bool, Stop> {
        let (left, right) = (self.eval(left, scope)?, self.eval(right, scope)?);
        Ok(match compare(&left, &right)? {
            Some(order) => order.is_eq(),
            None => left.is_null() && right.is_null(),
        })
    }

    /// The one value of a query.
    fn scalar(&self, query: &Query, scope: &Scope) -> Evaluated {
        let mut rows = self.query(query, scope)?.into_rows();
        if rows.len() > 1 {
            return Err(Stop::invalid(
                "21000",
                "more than one row returned by a subquery used as an expression".into(),
            ));
        }
        Ok(rows.pop().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
    }

    /// The rows of a query to compare `with`: values, or records where it is one.
    fn first_values(&self, query: &Query, scope: &Scope, with: &Value) -> Result<Vec<Value>, Stop> {
        let relation = self.query(query, scope)?;
        if !matches!(with, Value::Record(_)) {
            return Ok(relation.rows.iter().filter_map(|row| row.first().cloned()).collect());
        }
        let record = |row: &Row| {
            let names = relation.columns.iter().map(|column| Arc::clone(&column.name));
            Value::Record(Arc::new(names.zip(row.iter().cloned()).collect()))
        };
        Ok(relation.rows.iter().map(record).collect())
    }

    /// What `ANY (…)` and `ALL (…)` go through: an array or a query.
    fn all_of(&self, expr: &Expr, scope: &Scope, with: &Value) -> Result<Vec<Value>, Stop> {
        match expr {
            Expr::Subquery(query) => self.first_values(query, scope, with),
            Expr::Nested(inner) => self.all_of(inner, scope, with),
            Expr::Tuple(items) => items.iter().map(|item| self.eval(item, scope)).collect(),
            other => {
                let value = self.eval(other, scope)?;
                match value.elements() {
                    Some(elements) => Ok(elements.to_vec()),
                    None if value.is_null() => Ok(vec![Value::Null]),
                    // `ANY ((SELECT …))` is parsed as one value in parentheses.
                    None => Ok(vec![value]),
                }
            }
        }
    }

    fn access(&self, root: &Expr, chain: &[AccessExpr], scope: &Scope) -> Evaluated {
        let mut value = self.eval(root, scope)?;
        for access in chain {
            value = match access {
                AccessExpr::Dot(Expr::Identifier(field)) => field_of(&value, &fold(field))?,
                AccessExpr::Dot(other) => {
                    return Err(Stop::Unsupported(format!("the field {other}")));
                }
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let index = self.eval(index, scope)?;
                    element_at(&value, &index)
                }
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) => {
                    let bound = |bound: &Option<Expr>, otherwise: i64| match bound {
                        Some(bound) => {
                            Ok::<_, Stop>(self.eval(bound, scope)?.int().unwrap_or(otherwise))
                        }
                        None => Ok(otherwise),
                    };
                    let (low, high) =
                        (bound(lower_bound, i64::MIN)?, bound(upper_bound, i64::MAX)?);
                    match &value {
                        Value::Array(values, first) => {
                            let numbered = values.iter().zip(*first..);
                            let kept = numbered.filter(|(_, at)| (low..=high).contains(at));
                            Value::array(kept.map(|(value, _)| value.clone()).collect())
                        }
                        _ => Value::Null,
                    }
                }
            };
        }
        Ok(value)
    }

    pub(super) fn target(
        &self,
        data_type: &datafusion::sql::sqlparser::ast::DataType,
    ) -> Result<Target, Stop> {
        Target::of(data_type).ok_or_else(|| Stop::Unsupported(format!("type {data_type}")))
    }

    /// A cast, by the catalog's names where the type has names.
    pub(super) fn cast_to(&self, value: Value, target: &Target) -> Evaluated {
        match (&value, target) {
            (Value::Null, _) => Ok(Value::Null),
            // The library's catalog has the names of procedures, not their OIDs.
            (Value::Text(text), Target::Reg(Reg::Procedure)) => {
                if !self.is_dry() && self.catalog.get(PG_CATALOG, "pg_proc").is_some() {
                    self.look_up(Reg::Procedure, text)?;
                }
                let name = text.split('(').next().unwrap_or_default();
                Ok(Value::text(name.rsplit('.').next().unwrap_or_default()))
            }
            (Value::Text(text), Target::Reg(kind)) => match text.trim().parse() {
                Ok(oid) => Ok(Value::Reg(*kind, oid)),
                Err(_) => self.look_up(*kind, text),
            },
            (Value::Text(text), Target::Oid) if text.trim().parse::<i64>().is_err() => {
                let found = match self.look_up(Reg::Class, text) {
                    Err(_) if self.is_dry() => return Ok(Value::Null),
                    // Such as `'iou'::regproc::oid`.
                    Err(_) if self.catalog.get(PG_CATALOG, "pg_proc").is_some() => {
                        self.look_up(Reg::Procedure, text)?
                    }
                    found => found?,
                };
                cast(found, target)
            }
            (Value::Reg(..), Target::Text | Target::Char | Target::Json) => {
                Ok(self.written(&value)?.map_or(Value::Null, Value::text))
            }
            (Value::Array(values, _), Target::Array(item)) => {
                let values = values.iter().map(|value| self.cast_to(value.clone(), item));
                Ok(Value::array(values.collect::<Result<_, _>>()?))
            }
            (Value::Array(values, lower), Target::Text) => {
                let values = values.iter().map(|value| {
                    Ok(match self.written(value)? {
                        Some(text) => Value::text(text),
                        None => Value::Null,
                    })
                });
                let values = values.collect::<Result<Vec<_>, Stop>>()?;
                Ok(Value::text(
                    Value::Array(Arc::new(values), *lower).written().unwrap_or_default(),
                ))
            }
            _ => cast(value, target),
        }
    }

    /// The text of a value, names of OIDs among them.
    pub(super) fn written(&self, value: &Value) -> Result<Option<String>, Stop> {
        match value {
            Value::Reg(kind, oid) => Ok(Some(self.name_of(*kind, *oid))),
            other => Ok(other.written()),
        }
    }
}

fn is_null(value: &Value) -> bool {
    match value {
        // A row is NULL when all of it is.
        Value::Record(fields) => fields.iter().all(|(_, value)| value.is_null()),
        other => other.is_null(),
    }
}

fn is_bare_function(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "current_user"
            | "session_user"
            | "user"
            | "current_role"
            | "current_catalog"
            | "current_schema"
            | "current_timestamp"
            | "current_date"
    )
}

pub(super) fn field_of(value: &Value, name: &str) -> Evaluated {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Record(fields) => fields
            .iter()
            .find(|(field, _)| field.as_ref() == name)
            .map(|(_, value)| value.clone())
            .ok_or_else(|| Stop::invalid("42703", format!("column \"{name}\" does not exist"))),
        _ => Err(Stop::Unsupported(format!("the field {name} of a value"))),
    }
}

fn element_at(value: &Value, index: &Value) -> Value {
    let first = if let Value::Array(_, first) = value { first } else { &1 };
    // The library's export has some arrays as their text.
    let Some(values) = value.elements() else { return Value::Null };
    index
        .int()
        .and_then(|index| usize::try_from(index.checked_sub(*first)?).ok())
        .and_then(|at| values.get(at).cloned())
        .unwrap_or(Value::Null)
}

fn is_in(value: &Value, items: &[Value]) -> Result<Option<bool>, Stop> {
    let mut found = Some(false);
    for item in items {
        found = or(found, compare(value, item)?.map(Ordering::is_eq));
        if found == Some(true) {
            break;
        }
    }
    Ok(found)
}

fn whole(value: Option<i64>) -> Evaluated {
    value.map(Value::Int).ok_or_else(|| Stop::invalid("22003", "bigint out of range".into()))
}

fn escape_of(escape: Option<&Literal>) -> Option<char> {
    match escape {
        None => Some('\\'),
        Some(Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text)) => {
            text.chars().next()
        }
        Some(_) => None,
    }
}

pub(super) fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

pub(super) fn or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}
