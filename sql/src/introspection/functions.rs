//! Functions that clients call when they look around. What is not here is DataFusion's, one of the
//! catalog's or of the session's.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr as Logical, Volatility};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Visit, Visitor,
};

use super::pattern::expression;
use super::relation::{scalar_of, value_of};
use super::scope::{Scope, fold};
use super::types::Reg;
use super::value::{Value, compare};
use super::{Engine, Stop, aggregate, sets};
use crate::database::DATABASE;
use crate::dialect::quote_identifier;
use crate::roles::ADMIN;

/// The name of a function, without its schema.
pub(super) fn name_of(function: &Function) -> String {
    let last = function.name.0.last().and_then(|part| part.as_ident());
    last.map(fold).unwrap_or_default()
}

/// The expressions that a function is called with; `*` is none.
pub(super) fn arguments_of(arguments: &FunctionArguments) -> Result<Vec<&Expr>, Stop> {
    let FunctionArguments::List(list) = arguments else { return Ok(Vec::new()) };
    list.args.iter().filter_map(|argument| argument_of(argument).transpose()).collect()
}

pub(super) fn argument_of(argument: &FunctionArg) -> Result<Option<&Expr>, Stop> {
    let (FunctionArg::Named { arg, .. }
    | FunctionArg::ExprNamed { arg, .. }
    | FunctionArg::Unnamed(arg)) = argument;
    match arg {
        FunctionArgExpr::Expr(expr) => Ok(Some(expr)),
        FunctionArgExpr::Wildcard => Ok(None),
        other => Err(Stop::Unsupported(format!("the argument {other}"))),
    }
}

impl Engine<'_> {
    /// What a function is worth in a row.
    pub(super) fn call(&self, function: &Function, scope: &Scope) -> Result<Value, Stop> {
        let name = name_of(function);
        if let FunctionArguments::Subquery(query) = &function.args {
            if name != "array" {
                return Err(Stop::Unsupported(format!("{name}(SELECT …)")));
            }
            let relation = self.query(query, scope)?;
            let values = relation.rows.iter().filter_map(|row| row.first().cloned());
            return Ok(Value::array(values.collect()));
        }
        if function.over.is_some() || aggregate::is_aggregate(&name) || sets::gives_rows(&name) {
            if self.is_dry() {
                return Ok(Value::Null);
            }
            let message = format!("function {name} is not allowed here");
            return Err(Stop::invalid("42803", message));
        }
        let expressions = arguments_of(&function.args)?;
        if name == "coalesce" {
            for expression in expressions {
                let value = self.eval(expression, scope)?;
                if !value.is_null() {
                    return Ok(value);
                }
            }
            return Ok(Value::Null);
        }
        let values = expressions.into_iter().map(|argument| self.eval(argument, scope));
        self.call_named(&name, values.collect::<Result<_, _>>()?)
    }

    /// Refuses a function that is not known, wherever it stands: a condition is not asked where there are
    /// no rows.
    ///
    /// # Errors
    /// [`Stop::Unsupported`] for the first of them.
    pub(super) fn knows_functions(&self, query: &Query) -> Result<(), Stop> {
        struct Calls<'a, 'b>(&'a Engine<'b>);

        impl Visitor for Calls<'_, '_> {
            type Break = Stop;

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Stop> {
                let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
                let name = name_of(function);
                // PostgreSQL has more functions of its catalog than are known here, and clients ask them of
                // objects of which there are none.
                let is_special = matches!(name.as_str(), "array" | "coalesce" | "row")
                    || name.starts_with("pg_")
                    || name.starts_with("_pg_")
                    || function.over.is_some()
                    || aggregate::is_aggregate(&name)
                    || sets::gives_rows(&name);
                let count = match &function.args {
                    FunctionArguments::List(list) => list.args.len(),
                    _ => 0,
                };
                if is_special {
                    return ControlFlow::Continue(());
                }
                match self.0.call_named(&name, vec![Value::Null; count]) {
                    Err(Stop::Unsupported(what)) if what.starts_with("function ") => {
                        ControlFlow::Break(Stop::Unsupported(what))
                    }
                    _ => ControlFlow::Continue(()),
                }
            }
        }

        match query.visit(&mut Calls(self)) {
            ControlFlow::Break(stop) => Err(stop),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// The same with the values of the arguments.
    pub(super) fn call_named(&self, name: &str, values: Vec<Value>) -> Result<Value, Stop> {
        use Value as V;
        let text = |at: usize| -> Result<Option<String>, Stop> {
            values.get(at).map_or(Ok(None), |value| self.written(value))
        };
        let int = |at: usize| values.get(at).and_then(Value::int);
        let elements = |at: usize| values.get(at).and_then(Value::elements);
        let count = |count: usize| V::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let texts = |text: Option<String>| text.map_or(V::Null, V::text);
        Ok(match name {
            "current_database" | "current_catalog" => V::text(DATABASE),
            "current_schema" => V::text(self.settings.default_schema()),
            "current_schemas" => {
                let mut schemas =
                    vec![V::text("pg_catalog"), V::text(self.settings.default_schema())];
                if values.first().and_then(Value::truth) != Some(true) {
                    schemas.remove(0);
                }
                V::array(schemas)
            }
            "user" | "current_role" => {
                return self.call_named("current_user", Vec::new());
            }
            "current_setting" => {
                let name = text(0)?.unwrap_or_default();
                match self.settings.show(&name) {
                    Ok((_, value)) => V::text(value),
                    Err(_) if values.get(1).and_then(Value::truth) == Some(true) => V::Null,
                    Err(error) => return Err(Stop::Error(error)),
                }
            }
            "set_config" => {
                let (Some(name), Some(value)) = (text(0)?, text(1)?) else { return Ok(V::Null) };
                let is_local = values.get(2).and_then(Value::truth) == Some(true);
                self.effects.borrow_mut().push((name, value.clone(), is_local));
                V::text(value)
            }
            "nullif" => match (values.first(), values.get(1)) {
                (Some(left), Some(right)) if compare(left, right)? == Some(Ordering::Equal) => {
                    V::Null
                }
                (left, _) => left.cloned().unwrap_or(V::Null),
            },
            "greatest" | "least" => {
                let wanted = if name == "least" { Ordering::Less } else { Ordering::Greater };
                let mut best = V::Null;
                for value in values.iter().filter(|value| !value.is_null()) {
                    if best.is_null() || compare(value, &best)? == Some(wanted) {
                        best = value.clone();
                    }
                }
                best
            }
            "array_length" | "array_upper" => match (values.first(), int(1)) {
                (Some(V::Array(values, first)), Some(1)) if !values.is_empty() => {
                    let length = i64::try_from(values.len()).unwrap_or(i64::MAX);
                    V::Int(if name == "array_length" { length } else { length + first - 1 })
                }
                _ => V::Null,
            },
            "array_lower" => match values.first() {
                Some(V::Array(values, first)) if !values.is_empty() => V::Int(*first),
                _ => V::Null,
            },
            "array_ndims" => {
                elements(0).filter(|all| !all.is_empty()).map_or(V::Null, |_| V::Int(1))
            }
            "cardinality" => elements(0).map_or(V::Null, |values| count(values.len())),
            "array_to_string" => {
                let (Some(elements), Some(separator)) = (elements(0), text(1)?) else {
                    return Ok(V::Null);
                };
                let missing = text(2)?;
                let mut parts = Vec::new();
                for element in elements.iter() {
                    parts.extend(self.written(element)?.or_else(|| missing.clone()));
                }
                V::text(parts.join(&separator))
            }
            "string_to_array" => match (text(0)?, text(1)?) {
                (Some(text), Some(separator)) if !text.is_empty() => {
                    V::array(text.split(separator.as_str()).map(V::text).collect())
                }
                (Some(_), Some(_)) => V::array(Vec::new()),
                _ => V::Null,
            },
            "array_append" | "array_cat" => {
                let op = datafusion::sql::sqlparser::ast::BinaryOperator::StringConcat;
                return self.binary(
                    values.first().unwrap_or(&V::Null),
                    &op,
                    values.get(1).unwrap_or(&V::Null),
                );
            }
            "array_position" => {
                let (Some(elements), Some(wanted)) = (elements(0), values.get(1)) else {
                    return Ok(V::Null);
                };
                let mut numbered = elements.iter().zip(1..);
                let found = numbered.find(|(element, _)| {
                    matches!(compare(element, wanted), Ok(Some(Ordering::Equal)))
                });
                found.map_or(V::Null, |(_, at)| V::Int(at))
            }
            "array_remove" => {
                let (Some(elements), Some(unwanted)) = (elements(0), values.get(1)) else {
                    return Ok(V::Null);
                };
                let kept = elements.iter().filter(|element| {
                    !matches!(compare(element, unwanted), Ok(Some(Ordering::Equal)))
                });
                V::array(kept.cloned().collect())
            }
            "concat" => {
                let mut all = String::new();
                for at in 0..values.len() {
                    all.push_str(&text(at)?.unwrap_or_default());
                }
                V::text(all)
            }
            "lower" => texts(text(0)?.map(|text| text.to_lowercase())),
            "upper" => texts(text(0)?.map(|text| text.to_uppercase())),
            "length" | "char_length" | "character_length" => {
                text(0)?.map_or(V::Null, |text| count(text.chars().count()))
            }
            "btrim" | "trim" | "ltrim" | "rtrim" => {
                let Some(whole) = text(0)? else { return Ok(V::Null) };
                let set: Vec<char> = text(1)?.unwrap_or_else(|| " ".into()).chars().collect();
                let mut trimmed = whole.as_str();
                if name != "rtrim" {
                    trimmed = trimmed.trim_start_matches(set.as_slice());
                }
                if name != "ltrim" {
                    trimmed = trimmed.trim_end_matches(set.as_slice());
                }
                V::text(trimmed)
            }
            "replace" => match (text(0)?, text(1)?, text(2)?) {
                (Some(text), Some(from), Some(to)) if !from.is_empty() => {
                    V::text(text.replace(&from, &to))
                }
                (text, Some(_), Some(_)) => texts(text),
                _ => V::Null,
            },
            "strpos" | "position" => match (text(0)?, text(1)?) {
                (Some(text), Some(part)) => {
                    text.find(&part).map_or(V::Int(0), |at| count(text[..at].chars().count() + 1))
                }
                _ => V::Null,
            },
            "substring" | "substr" => {
                let Some(whole) = text(0)? else { return Ok(V::Null) };
                if let Some(V::Text(pattern)) = values.get(1)
                    && pattern.parse::<i64>().is_err()
                {
                    let expression = expression(pattern, false)?;
                    let found =
                        expression.captures(&whole).and_then(|found| found.get(1).or(found.get(0)));
                    return Ok(found.map_or(V::Null, |found| V::text(found.as_str())));
                }
                let Some(from) = int(1) else { return Ok(V::Null) };
                let to = int(2).map_or(i64::MAX, |length| from.saturating_add(length));
                let kept = whole.chars().zip(1_i64..).filter(|(_, at)| (from..to).contains(at));
                V::text(kept.map(|(character, _)| character).collect::<String>())
            }
            "left" => match (text(0)?, int(1).and_then(|n| usize::try_from(n).ok())) {
                (Some(text), Some(n)) => V::text(text.chars().take(n).collect::<String>()),
                _ => V::Null,
            },
            "regexp_replace" => {
                let (Some(whole), Some(pattern), Some(with)) = (text(0)?, text(1)?, text(2)?)
                else {
                    return Ok(V::Null);
                };
                let flags = text(3)?.unwrap_or_default();
                let expression = expression(&pattern, flags.contains('i'))?;
                let with = with.replace('$', "$$");
                let with = (0..=9)
                    .fold(with, |with, n| with.replace(&format!("\\{n}"), &format!("${{{n}}}")));
                let limit = usize::from(!flags.contains('g'));
                V::text(expression.replacen(&whole, limit, with.as_str()).into_owned())
            }
            "parse_ident" => match text(0)? {
                Some(name) => {
                    V::array(super::catalog::split_name(&name).into_iter().map(V::text).collect())
                }
                None => V::Null,
            },
            "quote_ident" => texts(text(0)?.map(|text| quote_identifier(&text))),
            "quote_literal" => {
                texts(text(0)?.map(|text| format!("'{}'", text.replace('\'', "''"))))
            }
            "format" => self.format(&values)?,
            "row_to_json" | "to_json" | "to_jsonb" | "array_to_json" => {
                values.first().map_or(V::Null, |value| V::text(value.json()))
            }
            "row" => {
                let fields = values.into_iter().zip(1..);
                let fields = fields.map(|(value, at)| (Arc::from(format!("f{at}")), value));
                V::Record(Arc::new(fields.collect()))
            }
            "to_regclass" => self.look_up_quietly(Reg::Class, text(0)?)?,
            "to_regtype" => self.look_up_quietly(Reg::Type, text(0)?)?,
            "to_regnamespace" => self.look_up_quietly(Reg::Namespace, text(0)?)?,
            "to_regproc" | "to_regprocedure" => self.look_up_quietly(Reg::Procedure, text(0)?)?,
            // Expressions of the catalog are kept as they are written; an empty text is none.
            "pg_get_expr" => texts(text(0)?.filter(|expression| !expression.is_empty())),
            "pg_get_partkeydef" | "pg_get_statisticsobjdef_columns" => V::Null,
            "pg_encoding_to_char" => V::text("UTF8"),
            "pg_char_to_encoding" => V::Int(6),
            "pg_client_encoding" | "getdatabaseencoding" => V::text("UTF8"),
            "pg_ts_config_is_visible"
            | "pg_ts_dict_is_visible"
            | "pg_ts_parser_is_visible"
            | "pg_ts_template_is_visible"
            | "pg_operator_is_visible" => V::Bool(true),
            // Whatever no role of the catalog owns belongs to who made the database.
            "pg_get_userbyid" => match int(0) {
                Some(oid) => V::text(self.role_of(oid).unwrap_or_else(|| ADMIN.to_owned())),
                None => V::Null,
            },
            "pg_get_function_result"
            | "pg_get_function_arguments"
            | "pg_get_function_identity_arguments" => {
                let signature = int(0).map_or(Ok(None), |oid| self.signature_of(oid))?;
                match signature {
                    Some((result, _)) if name == "pg_get_function_result" => V::text(result),
                    Some((_, arguments)) => V::text(arguments),
                    None => return self.of_library(name, &values),
                }
            }
            "pg_describe_object" => match (int(0), int(1)) {
                (Some(class), Some(oid)) => texts(self.description_of(class, oid)),
                _ => V::Null,
            },
            "pg_relation_is_publishable" | "pg_index_column_has_property" => V::Bool(false),
            "pg_my_temp_schema" => V::Int(self.temporary_schema_oid()),
            "pg_is_other_temp_schema" => V::Bool(false),
            "pg_relation_filenode" | "pg_stat_get_numscans" => V::Null,
            "pg_tablespace_size" => V::Null,
            // DataFusion's own is only planned, never called.
            "now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" => {
                return self.of_library("clock_timestamp", &[]);
            }
            "txid_current" | "pg_current_xact_id" => V::Int(1),
            "inet_server_addr" | "inet_server_port" => V::Null,
            "row_security_active" => V::Bool(false),
            name => return self.of_library(name, &values),
        })
    }

    /// A function of DataFusion, of the catalog or of the session.
    fn of_library(&self, name: &str, values: &[Value]) -> Result<Value, Stop> {
        let Some(function) = self.library_function(name) else {
            return Err(Stop::Unsupported(format!("function {name}")));
        };
        let is_volatile = function.signature().volatility == Volatility::Volatile;
        // The value that is computed does not count while only types are asked for.
        if is_volatile && self.is_dry() {
            return Ok(Value::Null);
        }
        let key = (name.to_owned(), super::value::same_key(values));
        if !is_volatile && let Some(value) = self.calls.borrow().get(&key) {
            return Ok(value.clone());
        }
        let stop = |error: datafusion::error::DataFusionError| Stop::Error(error.into());
        let literals = values
            .iter()
            .map(|value| Ok(Logical::Literal(scalar_of(value)?, None)))
            .collect::<Result<Vec<_>, Stop>>()?;
        let call = Logical::ScalarFunction(ScalarFunction::new_udf(function, literals));
        let physical = self.state.create_physical_expr(call, &DFSchema::empty()).map_err(stop)?;
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
                .map_err(|error| stop(error.into()))?;
        let scalar = match physical.evaluate(&batch).map_err(stop)? {
            ColumnarValue::Scalar(scalar) => scalar,
            ColumnarValue::Array(array) => {
                datafusion::scalar::ScalarValue::try_from_array(&array, 0).map_err(stop)?
            }
        };
        let value = value_of(&scalar)?;
        if !is_volatile {
            self.calls.borrow_mut().insert(key, value.clone());
        }
        Ok(value)
    }

    /// `format('%s %I %L', …)`.
    fn format(&self, values: &[Value]) -> Result<Value, Stop> {
        let Some(pattern) = values.first().and_then(Value::written) else { return Ok(Value::Null) };
        let mut arguments = values[1..].iter();
        let mut text = String::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            let kind = characters.next();
            if kind == Some('%') {
                text.push('%');
                continue;
            }
            let argument = arguments.next().map_or(Ok(None), |value| self.written(value))?;
            match kind {
                Some('s') => text.push_str(&argument.unwrap_or_default()),
                Some('I') => text.push_str(&quote_identifier(&argument.unwrap_or_default())),
                Some('L') => match argument {
                    Some(argument) => {
                        text.push_str(&format!("'{}'", argument.replace('\'', "''")));
                    }
                    None => text.push_str("NULL"),
                },
                _ => return Err(Stop::Unsupported("this format".into())),
            }
        }
        Ok(Value::text(text))
    }
}
