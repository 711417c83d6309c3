//! Types of expressions, for columns without rows and for clients that ask before they run.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator as Op, Expr, Function, FunctionArguments, Subscript, UnaryOperator,
    Value as Literal,
};

use super::functions::{arguments_of, name_of};
use super::scope::{Found, Scope};
use super::select::wider;
use super::types::{Target, element, list};
use super::{Engine, Stop, sets, times};

type Inferred = Result<DataType, Stop>;

impl Engine<'_> {
    /// The type of an expression of a select list, which stays where it is while the query runs.
    pub(super) fn type_of_item(&self, expr: &Expr, scope: &Scope) -> Inferred {
        let key = std::ptr::from_ref(expr) as usize;
        if let Some(known) = self.types.borrow().get(&key) {
            return Ok(known.clone());
        }
        let data_type = self.type_of(expr, scope)?;
        self.types.borrow_mut().insert(key, data_type.clone());
        Ok(data_type)
    }

    /// The type of `expr`; `text` where nothing tells.
    pub(super) fn type_of(&self, expr: &Expr, scope: &Scope) -> Inferred {
        Ok(match expr {
            Expr::Identifier(name) => match scope.find(std::slice::from_ref(name)) {
                Ok(Found::Column(column, _)) => column.data_type.clone(),
                Ok(Found::Row(_)) => DataType::Utf8,
                Err(error) if self.eval(expr, scope).is_err() => return Err(error),
                Err(_) => DataType::Utf8,
            },
            Expr::CompoundIdentifier(names) => match scope.find(names) {
                Ok(Found::Column(column, _)) => column.data_type.clone(),
                Ok(Found::Row(_)) => DataType::Utf8,
                Err(error) if names.len() != 2 => return Err(error),
                Err(error) => match scope.find(&names[..1]) {
                    Ok(_) => DataType::Utf8,
                    Err(_) => return Err(error),
                },
            },
            Expr::Value(value) => match &value.value {
                Literal::Boolean(_) => DataType::Boolean,
                Literal::Number(text, _) => match text.parse::<i64>() {
                    Ok(number) if i32::try_from(number).is_ok() => DataType::Int32,
                    Ok(_) => DataType::Int64,
                    Err(_) => DataType::Float64,
                },
                Literal::Placeholder(name) => self.parameter_type(name),
                _ => DataType::Utf8,
            },
            Expr::TypedString(typed) => self.target(&typed.data_type)?.arrow(),
            Expr::Cast { expr, data_type, .. } => {
                // What is cast may name what is not there.
                self.type_of(expr, scope)?;
                self.target(data_type)?.arrow()
            }
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => {
                self.type_of(inner, scope)?
            }
            Expr::Function(function) => self.type_of_call(function, scope)?,
            Expr::Case { conditions, else_result, .. } => {
                let results =
                    conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                self.common(results, scope)?
            }
            Expr::BinaryOp { left, op, right } => match op {
                Op::Plus
                | Op::Minus
                | Op::Multiply
                | Op::Divide
                | Op::Modulo
                | Op::BitwiseAnd
                | Op::BitwiseOr
                | Op::PGBitwiseShiftLeft
                | Op::PGBitwiseShiftRight => {
                    let (left, right) = (self.type_of(left, scope)?, self.type_of(right, scope)?);
                    if let Some(of_times) = times::type_of(&left, op, &right) {
                        return Ok(of_times);
                    }
                    let data_type = wider(&left, &right);
                    if data_type == DataType::Utf8 { DataType::Int32 } else { data_type }
                }
                Op::StringConcat => {
                    let (left, right) = (self.type_of(left, scope)?, self.type_of(right, scope)?);
                    [left, right]
                        .into_iter()
                        .find(|data_type| matches!(data_type, DataType::List(_)))
                        .unwrap_or(DataType::Utf8)
                }
                _ => DataType::Boolean,
            },
            Expr::UnaryOp { op: UnaryOperator::Not, .. } => DataType::Boolean,
            Expr::UnaryOp { expr, .. } => self.type_of(expr, scope)?,
            Expr::Subquery(query) => {
                let relation = self.dry(|| self.query(query, scope))?;
                relation.columns.first().map_or(DataType::Utf8, |column| column.data_type.clone())
            }
            Expr::Array(array) => match array.elem.first() {
                Some(first) => list(self.type_of(first, scope)?),
                None => list(DataType::Utf8),
            },
            Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
                Some(AccessExpr::Subscript(Subscript::Index { .. })) => {
                    element(&self.type_of(root, scope)?)
                }
                Some(AccessExpr::Subscript(_)) => self.type_of(root, scope)?,
                Some(AccessExpr::Dot(Expr::Identifier(field))) => {
                    self.type_of_field(root, field, scope)?
                }
                _ => DataType::Utf8,
            },
            Expr::Tuple(_) | Expr::Substring { .. } | Expr::Trim { .. } => DataType::Utf8,
            Expr::Position { .. } => DataType::Int32,
            Expr::Ceil { .. } | Expr::Floor { .. } | Expr::Extract { .. } => DataType::Float64,
            Expr::Interval(_) => times::INTERVAL,
            // Whatever else there is says whether something is so.
            _ => DataType::Boolean,
        })
    }

    /// Takes the types of parameters from what they are compared with.
    pub(super) fn note_parameters(&self, expr: &Expr, scope: &Scope) {
        let note = |parameter: &Expr, other: &Expr, is_list: bool| {
            let Expr::Value(value) = parameter else { return };
            let Literal::Placeholder(name) = &value.value else { return };
            let number: Option<usize> =
                name.strip_prefix('$').and_then(|number| number.parse().ok());
            if let (Some(number), Ok(found)) = (number, self.type_of(other, scope)) {
                let found = if is_list { list(found) } else { found };
                self.compared.borrow_mut().entry(number).or_insert(found);
            }
        };
        match expr {
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => {
                self.note_parameters(inner, scope);
            }
            Expr::BinaryOp { left, op: Op::And | Op::Or, right } => {
                self.note_parameters(left, scope);
                self.note_parameters(right, scope);
            }
            Expr::BinaryOp {
                left,
                op: Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq,
                right,
            } => {
                note(left, right, false);
                note(right, left, false);
            }
            Expr::InList { expr, list, .. } => list.iter().for_each(|item| note(item, expr, false)),
            Expr::AnyOp { left, right, .. } => match right.as_ref() {
                Expr::Nested(inner) => note(inner, left, true),
                right => note(right, left, true),
            },
            _ => {}
        }
    }

    fn type_of_field(
        &self,
        root: &Expr,
        field: &datafusion::sql::sqlparser::ast::Ident,
        scope: &Scope,
    ) -> Inferred {
        let mut root = root;
        while let Expr::Nested(inner) = root {
            root = inner;
        }
        let Expr::Function(function) = root else { return Ok(DataType::Utf8) };
        let arguments = arguments_of(&function.args)?;
        let types = arguments.into_iter().map(|argument| self.type_of(argument, scope));
        let columns = sets::columns(&name_of(function), &types.collect::<Result<Vec<_>, _>>()?);
        let name = super::scope::fold(field);
        let column = columns.into_iter().find(|column| column.name.as_ref() == name);
        Ok(column.map_or(DataType::Utf8, |column| column.data_type))
    }

    fn parameter_type(&self, name: &str) -> DataType {
        let number: Option<usize> = name.strip_prefix('$').and_then(|number| number.parse().ok());
        number
            .and_then(|number| self.parameter_types.get(number.checked_sub(1)?)?.clone())
            .unwrap_or(DataType::Utf8)
    }

    fn common<'e>(&self, expressions: impl Iterator<Item = &'e Expr>, scope: &Scope) -> Inferred {
        let mut data_type = DataType::Utf8;
        for expr in expressions {
            if !matches!(expr, Expr::Value(value) if value.value == Literal::Null) {
                data_type = wider(&data_type, &self.type_of(expr, scope)?);
            }
        }
        Ok(data_type)
    }

    fn type_of_call(&self, function: &Function, scope: &Scope) -> Inferred {
        let name = name_of(function);
        if let FunctionArguments::Subquery(query) = &function.args {
            let relation = self.dry(|| self.query(query, scope))?;
            let first = relation.columns.first();
            return Ok(list(first.map_or(DataType::Utf8, |column| column.data_type.clone())));
        }
        let arguments = arguments_of(&function.args)?;
        let types = arguments.iter().map(|argument| self.type_of(argument, scope));
        let types = types.collect::<Result<Vec<_>, _>>()?;
        let first = || types.first().cloned().unwrap_or(DataType::Utf8);
        if sets::gives_rows(&name) {
            let columns = sets::columns(&name, &types);
            return Ok(match columns.as_slice() {
                [column] => column.data_type.clone(),
                _ => DataType::Utf8,
            });
        }
        Ok(match name.as_str() {
            "coalesce" | "greatest" | "least" => self.common(arguments.into_iter(), scope)?,
            "nullif" | "min" | "max" | "array_append" | "array_cat" | "array_remove" => first(),
            "sum" => match first() {
                DataType::Float32 | DataType::Float64 => DataType::Float64,
                _ => DataType::Int64,
            },
            "avg" => DataType::Float64,
            "array_agg" => list(first()),
            "count"
            | "row_number"
            | "rank"
            | "dense_rank"
            | "txid_current"
            | "pg_relation_size"
            | "pg_total_relation_size"
            | "pg_tablespace_size"
            | "pg_current_xact_id" => DataType::Int64,
            "bool_and"
            | "bool_or"
            | "every"
            | "pg_has_role"
            | "row_security_active"
            | "pg_relation_is_publishable"
            | "pg_index_column_has_property"
            | "pg_is_other_temp_schema" => DataType::Boolean,
            name if name.starts_with("has_") && name.ends_with("_privilege") => DataType::Boolean,
            "current_schemas" | "string_to_array" | "parse_ident" => list(DataType::Utf8),
            "array_length"
            | "array_upper"
            | "array_lower"
            | "array_ndims"
            | "cardinality"
            | "array_position"
            | "length"
            | "char_length"
            | "character_length"
            | "strpos"
            | "position"
            | "pg_char_to_encoding"
            | "pg_my_temp_schema"
            | "to_regclass"
            | "inet_server_port"
            | "inet_client_port" => DataType::Int32,
            "now"
            | "current_timestamp"
            | "pg_postmaster_start_time"
            | "transaction_timestamp"
            | "statement_timestamp"
            | "clock_timestamp" => timestamptz(),
            "current_database"
            | "current_catalog"
            | "current_schema"
            | "current_user"
            | "user"
            | "current_role"
            | "current_setting"
            | "set_config"
            | "array_to_string"
            | "concat"
            | "lower"
            | "upper"
            | "btrim"
            | "trim"
            | "ltrim"
            | "rtrim"
            | "replace"
            | "substring"
            | "substr"
            | "left"
            | "regexp_replace"
            | "quote_ident"
            | "quote_literal"
            | "format"
            | "row_to_json"
            | "to_json"
            | "to_jsonb"
            | "array_to_json"
            | "row"
            | "to_regtype"
            | "to_regnamespace"
            | "to_regproc"
            | "to_regprocedure"
            | "pg_get_expr"
            | "string_agg"
            | "json_agg"
            | "jsonb_agg"
            | "json_object_agg"
            | "jsonb_object_agg"
            | "pg_encoding_to_char"
            | "inet_server_addr"
            | "pg_describe_object"
            | "inet_client_addr" => DataType::Utf8,
            name => match self.library_function(name) {
                Some(function) => match function.return_type(&types) {
                    Ok(DataType::LargeUtf8 | DataType::Utf8View) => DataType::Utf8,
                    Ok(data_type) => data_type,
                    Err(_) => DataType::Utf8,
                },
                None => return Err(Stop::Unsupported(format!("function {name}"))),
            },
        })
    }
}

fn timestamptz() -> DataType {
    DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The types that a statement gives to its parameters by casts.
pub(super) fn cast_parameters(
    statement: &datafusion::sql::sqlparser::ast::Statement,
    types: &mut Vec<Option<DataType>>,
) {
    let _: std::ops::ControlFlow<()> =
        datafusion::sql::sqlparser::ast::visit_expressions(statement, |expr| {
            let mut note = |name: &str, data_type: Option<DataType>| {
                let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
                let Some(at) = number.and_then(|number| number.checked_sub(1)) else { return };
                if at < 65_535 {
                    if types.len() <= at {
                        types.resize(at + 1, None);
                    }
                    if types[at].is_none() {
                        types[at] = data_type;
                    }
                }
            };
            let placeholder = |expr: &Expr| match expr {
                Expr::Value(value) => match &value.value {
                    Literal::Placeholder(name) => Some(name.clone()),
                    _ => None,
                },
                _ => None,
            };
            match expr {
                Expr::Cast { expr, data_type, .. } => {
                    if let Some(name) = placeholder(expr) {
                        note(&name, Target::of(data_type).map(|target| target.arrow()));
                    }
                }
                other => {
                    if let Some(name) = placeholder(other) {
                        note(&name, None);
                    }
                }
            }
            std::ops::ControlFlow::Continue(())
        });
}
