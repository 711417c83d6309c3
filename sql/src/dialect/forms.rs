//! Arrays of `json`, `jsonb`, `uuid` and `bytea`, whose elements DataFusion takes for texts or does not unite with
//! NULL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, CastKind, DataType, Expr, Function, FunctionArguments, Ident,
    ObjectName, SelectItem, SetExpr, Statement, Value, visit_expressions_mut,
};

use super::calls::{call, name_of};

/// The function that a cast to an array of texts of a form is.
pub(super) fn list_function(data_type: &DataType) -> Option<&'static str> {
    match element(data_type)? {
        DataType::Uuid => Some("array_of_uuid"),
        DataType::JSON => Some("array_of_json"),
        DataType::JSONB => Some("array_of_jsonb"),
        _ => None,
    }
}

/// The type of an array's elements.
pub(super) fn element(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, _)
            | ArrayElemTypeDef::Parenthesis(element)
            | ArrayElemTypeDef::AngleBracket(element),
        ) => Some(element),
        _ => None,
    }
}

/// A cast to an array of texts.
pub(super) fn as_texts(expr: Expr) -> Expr {
    let texts = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
    cast(expr, DataType::Array(texts))
}

/// The form of a vector.
pub(crate) const VECTOR: &str = "vector";

/// Reads parameters as the texts of a form that a client has declared them to be: `forms` are the functions
/// that casts to the types are, by the parameters' numbers from 1.
pub(crate) fn declare(statement: &mut Statement, forms: &[Option<&'static str>]) {
    let form = |expr: &Expr| -> Option<&'static str> {
        let Expr::Value(value) = expr else { return None };
        let Value::Placeholder(name) = &value.value else { return None };
        let number: usize = name.strip_prefix('$')?.parse().ok()?;
        *forms.get(number.checked_sub(1)?)?
    };
    if let Statement::Query(query) = statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && form(expr).is_some()
            {
                // The column has no name, as it has none without the call.
                let alias = Ident::with_quote('"', "?column?");
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
    }
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        match form(expr) {
            // A type of its own, not a text of a form.
            Some(VECTOR) => {
                let name = ObjectName::from(vec![Ident::new(VECTOR)]);
                *expr = cast(expr.clone(), DataType::Custom(name, Vec::new()));
            }
            Some(name) => *expr = call(name, vec![expr.clone()]),
            None => {}
        }
        ControlFlow::Continue(())
    });
}

/// A cast.
pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// An array with the type that one of its elements has by a cast.
pub(super) fn array(mut array: Array) -> Expr {
    let of_calls = array.elem.iter().find_map(|element| match element {
        Expr::Function(function) => match name_of(function)?.as_str() {
            "uuid" => Some("array_of_uuid"),
            "json" => Some("array_of_json"),
            "jsonb" => Some("array_of_jsonb"),
            _ => None,
        },
        _ => None,
    });
    if let Some(name) = of_calls {
        return call(name, vec![Expr::Array(array)]);
    }
    let is_bytes = |element: &Expr| match element {
        Expr::Value(value) => matches!(value.value, Value::HexStringLiteral(_)),
        Expr::Cast { data_type: DataType::Bytea, .. } => true,
        Expr::Function(function) => is_decode(function),
        _ => false,
    };
    if array.elem.iter().any(is_bytes) {
        for element in &mut array.elem {
            if matches!(element, Expr::Value(value) if value.value == Value::Null) {
                *element = cast(Expr::value(Value::Null), DataType::Bytea);
            }
        }
    }
    Expr::Array(array)
}

fn is_decode(function: &Function) -> bool {
    matches!(function.args, FunctionArguments::List(_))
        && name_of(function).as_deref() == Some("decode")
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn arrays_have_the_type_of_their_elements() {
        assert_eq!(
            planned("SELECT $1::uuid[] AS a"),
            "SELECT array_of_uuid(CAST($1 AS TEXT[])) AS a"
        );
        assert_eq!(
            planned("SELECT ARRAY['{}'::json, NULL] AS a"),
            "SELECT array_of_json(ARRAY[json('{}'), NULL]) AS a"
        );
        assert_eq!(
            planned(r#"SELECT '{"\\x00",NULL}'::bytea[] AS a"#),
            "SELECT ARRAY[X'00', CAST(NULL AS BYTEA)]::BYTEA[] AS a"
        );
        assert_eq!(planned("SELECT ARRAY[1, NULL] AS a"), "SELECT ARRAY[1, NULL] AS a");
    }
}
