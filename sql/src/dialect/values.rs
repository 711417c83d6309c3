//! NULLs and quoted literals in `VALUES`, `coalesce` and `nullif` beside vectors, which PostgreSQL takes for such.
//!
//! DataFusion does so by itself for types of Arrow. A `vector` is one with a mark, and what has no mark is
//! refused beside it. The two functions become a `CASE`, which knows the types of its columns.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, Query, SelectItem, SetExpr, Statement, Value, Values, VisitMut,
    VisitorMut,
};

use super::calls::name_of;
use super::forms::cast;

/// Rewrites the lists in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = query.body.as_mut() {
            let columns = values.rows.first().map_or(0, |row| row.len());
            (0..columns).for_each(|column| give_type(values, column));
        }
        if let SetExpr::Select(select) = query.body.as_mut() {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) = item
                    && let Expr::Function(function) = &*expr
                    && let (Some(case), Some(name)) = (as_case(function), name_of(function))
                {
                    *item = SelectItem::ExprWithAlias { expr: case, alias: Ident::new(name) };
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(case) = as_case(function)
        {
            *expr = case;
        }
        ControlFlow::Continue(())
    }
}

/// `coalesce` and `nullif` of columns and a literal that may be a vector, as a `CASE`.
fn as_case(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    if !matches!(name.as_str(), "coalesce" | "nullif") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let values = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if is_plain(value) => {
            Some(value.clone())
        }
        _ => None,
    });
    let mut values = values.collect::<Option<Vec<Expr>>>()?;
    if !values.iter().any(is_numbers) || values.iter().all(has_no_type) {
        return None;
    }
    let last = values.pop()?;
    let when = |condition: Expr, result: Expr| CaseWhen { condition, result };
    let (conditions, otherwise): (Vec<CaseWhen>, Expr) = if name == "coalesce" {
        let each = values.into_iter();
        let each = each.map(|value| when(Expr::IsNotNull(Box::new(value.clone())), value));
        (each.collect(), last)
    } else {
        let [value] = <[Expr; 1]>::try_from(values).ok()?;
        let equal = Expr::BinaryOp {
            left: Box::new(value.clone()),
            op: BinaryOperator::Eq,
            right: Box::new(last),
        };
        (vec![when(equal, Expr::value(Value::Null))], value)
    };
    if conditions.is_empty() {
        return None;
    }
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: Some(Box::new(otherwise)),
    })
}

/// Whether an expression may be computed twice.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        Expr::Cast { expr, .. } => is_plain(expr),
        _ => false,
    }
}

/// Whether a literal is a list of numbers in brackets.
fn is_numbers(expr: &Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    let Value::SingleQuotedString(text) = &value.value else { return false };
    let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let is_of_number = |character: char| {
            character.is_ascii_digit()
                || matches!(character, '+' | '-' | '.' | 'e' | 'E' | ',' | ' ')
        };
        inner.chars().any(|character| character.is_ascii_digit()) && inner.chars().all(is_of_number)
    })
}

/// Casts the literals without a type of a column as the first vector of it, whatever its length is.
fn give_type(values: &mut Values, column: usize) {
    let in_column = values.rows.iter().filter_map(|row| row.get(column));
    let Some(data_type) = in_column.filter_map(marked_type).next() else { return };
    for value in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
        if has_no_type(value) {
            let literal = std::mem::replace(value, Expr::value(Value::Null));
            *value = cast(literal, data_type.clone());
        }
    }
}

/// The type with a mark that a value is a cast to, without a length.
fn marked_type(value: &Expr) -> Option<DataType> {
    let Expr::Cast { data_type: DataType::Custom(name, _), .. } = value else { return None };
    let last = name.0.last()?.as_ident()?;
    let is_marked =
        ["vector", "halfvec"].iter().any(|known| last.value.eq_ignore_ascii_case(known));
    is_marked.then(|| DataType::Custom(name.clone(), Vec::new()))
}

fn has_no_type(value: &Expr) -> bool {
    matches!(value, Expr::Value(literal)
        if matches!(literal.value, Value::Null | Value::SingleQuotedString(_)))
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn functions_of_columns_and_a_vector_are_cases() {
        for (sql, wanted) in [
            (
                "SELECT coalesce(e, '[0,1]') FROM t",
                "SELECT CASE WHEN e IS NOT NULL THEN e ELSE '[0,1]' END AS coalesce FROM t",
            ),
            (
                "SELECT 1 FROM t WHERE nullif(e, '[1]') IS NULL",
                "SELECT 1 FROM t WHERE CASE WHEN e = '[1]' THEN NULL ELSE e END IS NULL",
            ),
        ] {
            assert_eq!(planned(sql), wanted);
        }
        let of_texts = "SELECT coalesce(a, '[]') AS a, coalesce(b, 'none') AS b FROM t";
        assert_eq!(planned(of_texts), of_texts);
    }

    #[test]
    fn what_has_no_type_has_that_of_the_column() {
        assert_eq!(
            planned("VALUES (1, NULL), (NULL, '[1]'::vector(1)), (2, '[2]')"),
            "VALUES (1, CAST(NULL AS vector)), (NULL, '[1]'::vector(1)), (2, CAST('[2]' AS vector))"
        );
        let of_arrow = "VALUES ('1'), (2::BIGINT), ('3')";
        assert_eq!(planned(of_arrow), of_arrow);
    }
}
