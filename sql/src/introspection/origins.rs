//! Which columns of a table of the catalog the columns of a query are, as drivers ask for all tables. It is told of
//! queries of one table alone.

use datafusion::sql::sqlparser::ast::{Query, SelectItem, SetExpr, TableFactor, TableWithJoins};

use super::catalog::PG_CATALOG;
use super::relation::Column;
use super::scope::{Scope, fold};
use super::{Engine, name_of_column};
use crate::session::origins::Origin;

impl Engine<'_> {
    /// The origin of each column.
    pub(super) fn origins(&self, query: &Query) -> Vec<Option<Origin>> {
        self.origins_in_table(query).unwrap_or_default()
    }

    fn origins_in_table(&self, query: &Query) -> Option<Vec<Option<Origin>>> {
        let SetExpr::Select(select) = &*query.body else { return None };
        let [TableWithJoins { relation, joins }] = select.from.as_slice() else { return None };
        let TableFactor::Table { name, alias, args: None, .. } = relation else { return None };
        let has_own_names = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
        if query.with.is_some() || !joins.is_empty() || has_own_names {
            return None;
        }
        let parts: Vec<String> =
            name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
        let (schema, table) = match parts.as_slice() {
            [table] => (PG_CATALOG, table),
            [.., schema, table] => (schema.as_str(), table),
            [] => return None,
        };
        let oid = i32::try_from(self.oid_in_schema(schema, table)?).ok()?;
        let relation = self.dry(|| self.table(name, &Scope::EMPTY)).ok()?;
        let columns: Vec<&Column> =
            relation.columns.iter().filter(|column| !column.is_system).collect();
        let origin = |name: &str| {
            let at = columns.iter().position(|column| column.name.as_ref() == name)?;
            Some(Origin { table: oid, column: i16::try_from(at + 1).ok()? })
        };
        let mut origins = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    origins.push(name_of_column(expr).and_then(|name| origin(&name)));
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    origins.extend(columns.iter().map(|column| origin(&column.name)));
                }
                _ => return None,
            }
        }
        Some(origins)
    }
}
