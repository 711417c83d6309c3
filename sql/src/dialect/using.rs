//! Columns of `JOIN … USING`, which are those of both tables. DataFusion (55.2) finds them ambiguous in a `WHERE`,
//! takes the left table's in right and full joins, and finds them ambiguous once a third table is joined by them. So
//! they are given the value that PostgreSQL takes: the left table's, of a right join the right one's, of a full
//! join that of either. Those of `NATURAL` are found where tables are known (`session/joins.rs`).

use std::collections::BTreeMap;
use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinConstraint, OrderByKind, Query, Select, SelectItem, SetExpr,
    Statement, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::calls::call;
use super::constraints::{Side, constraint};
use crate::session::names::{self, folded};

/// Rewrites the queries of `statement`.
pub(crate) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Query { body, order_by, .. } = query;
        if let SetExpr::Select(select) = &**body
            && let Some(order_by) = order_by
            && let OrderByKind::Expressions(keys) = &mut order_by.kind
            && let Some(outputs) = names::of_list(select)
        {
            // A name is a column of the answer first, and DataFusion takes no other one beside that.
            let mut elsewhere = Joined::of(select).elsewhere();
            elsewhere.retain(|name, _| !outputs.contains(name));
            keys.iter_mut().for_each(|key| qualify(&mut key.expr, &elsewhere));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let joined = Joined::of(select);
        if let Some(condition) = &mut select.selection {
            qualify(condition, &joined.all());
        }
        let elsewhere = joined.elsewhere();
        if elsewhere.is_empty() {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            qualify_item(item, &elsewhere);
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            keys.iter_mut().for_each(|key| qualify(key, &elsewhere));
        }
        if let Some(condition) = &mut select.having {
            qualify(condition, &elsewhere);
        }
        ControlFlow::Continue(())
    }
}

/// A column of the list keeps its name.
fn qualify_item(item: &mut SelectItem, columns: &BTreeMap<String, Expr>) {
    let expr = match item {
        SelectItem::ExprWithAlias { expr, .. } => return qualify(expr, columns),
        SelectItem::UnnamedExpr(expr) => expr,
        _ => return,
    };
    let name = names::of_expression(expr);
    qualify(expr, columns);
    if names::of_expression(expr) != name {
        let expr = replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
    }
}

/// What the columns that tables are joined by stand for.
#[derive(Default)]
struct Joined(BTreeMap<String, Column>);

struct Column {
    value: Expr,
    knows: Knows,
}

/// Whether DataFusion knows what a column is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knows {
    /// But for the `WHERE`.
    Mostly,
    Nowhere,
}

impl Joined {
    fn of(select: &Select) -> Self {
        let mut all = Self::default();
        for from in &select.from {
            let mut columns = Self::default();
            columns.note(from);
            for (name, column) in columns.0 {
                all.0.entry(name).or_insert(column);
            }
        }
        all
    }

    fn all(&self) -> BTreeMap<String, Expr> {
        let columns = self.0.iter().map(|(name, column)| (name.clone(), column.value.clone()));
        columns.collect()
    }

    /// Those that have to be told of outside of a `WHERE`, too.
    fn elsewhere(&self) -> BTreeMap<String, Expr> {
        let unknown = self.0.iter().filter(|(_, column)| column.knows == Knows::Nowhere);
        unknown.map(|(name, column)| (name.clone(), column.value.clone())).collect()
    }

    fn note(&mut self, from: &TableWithJoins) {
        let mut left = Vec::new();
        self.note_table(&from.relation, &mut left);
        for join in &from.joins {
            let mut right = Vec::new();
            self.note_table(&join.relation, &mut right);
            if let Some((JoinConstraint::Using(names), side)) = constraint(&join.join_operator) {
                for ident in names.iter().filter_map(|name| name.0.last()?.as_ident()) {
                    self.join(ident, side, &left, &right);
                }
            }
            left.extend(right);
        }
    }

    /// Notes what is joined inside of parentheses, and the names of tables; `None` is one without.
    fn note_table(&mut self, table: &TableFactor, tables: &mut Vec<Option<Ident>>) {
        match table {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.note(table_with_joins);
                tables.extend([None, None]);
            }
            table => tables.push(name_of(table)),
        }
    }

    fn join(&mut self, ident: &Ident, side: Side, left: &[Option<Ident>], right: &[Option<Ident>]) {
        let of = |tables: &[Option<Ident>]| match tables {
            [Some(table)] => Some(Expr::CompoundIdentifier(vec![table.clone(), ident.clone()])),
            // Which of them has it is not known.
            _ => None,
        };
        let name = folded(ident);
        let before = self.0.remove(&name);
        let is_first = before.is_none();
        let of_left = before.map(|column| column.value).or_else(|| of(left));
        let value = match side {
            Side::Any => of_left.or_else(|| of(right)),
            Side::Left => of_left,
            Side::Right => of(right),
            Side::Either => match (of_left, of(right)) {
                (Some(left), Some(right)) => Some(call("coalesce", vec![left, right])),
                _ => None,
            },
        };
        let knows = if is_first && side.is_of_left() { Knows::Mostly } else { Knows::Nowhere };
        self.0.extend(value.map(|value| (name, Column { value, knows })));
    }
}

fn name_of(table: &TableFactor) -> Option<Ident> {
    match table {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// Puts `columns` in the place of their names, but not in sub-queries: there a name is looked up in their
/// own tables first.
fn qualify(expr: &mut Expr, columns: &BTreeMap<String, Expr>) {
    if !columns.is_empty() {
        let _ = expr.visit(&mut Qualifier { columns, depth: 0 });
    }
}

struct Qualifier<'a> {
    columns: &'a BTreeMap<String, Expr>,
    depth: usize,
}

impl VisitorMut for Qualifier<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(ident) = expr
            && let Some(value) = self.columns.get(&folded(ident))
        {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}
