//! The tables that a query asks, and the names that it looks up in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::collect;
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, TableFactor, Value as SqlValue, Visit, Visitor,
};

use super::relation::Relation;
use super::scope::{Scope, fold};
use super::types::{OID, Reg, Target};
use super::value::{Key, Value};
use super::{Engine, Stop, acl, listed, objects, tables, views};
use crate::dialect::quote_identifier;
use crate::session::settings::Settings;
use crate::views::{SeesTemporary, TEMPORARY, temporary_schema};

/// PostgreSQL's own schemas.
pub(super) const PG_CATALOG: &str = "pg_catalog";
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// Tables that names are looked up in, whatever a query asks.
const ALWAYS: [&str; 4] = ["pg_class", "pg_namespace", "pg_type", "pg_roles"];

/// Large tables that are the same for every database and at all times.
const FIXED: [&str; 12] = [
    "pg_aggregate",
    "pg_amop",
    "pg_amproc",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_language",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_range",
    "pg_type",
];

/// PostgreSQL's OIDs of tables that comments name; the library counts its own for them.
pub(super) const OWN_OIDS: [(&str, i64); 22] = [
    ("pg_am", 2601),
    ("pg_attrdef", 2604),
    ("pg_attribute", 1249),
    ("pg_authid", 1260),
    ("pg_cast", 2605),
    ("pg_class", 1259),
    ("pg_collation", 3456),
    ("pg_constraint", 2606),
    ("pg_conversion", 2607),
    ("pg_database", 1262),
    ("pg_description", 2609),
    ("pg_extension", 3079),
    ("pg_index", 2610),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_opclass", 2616),
    ("pg_operator", 2617),
    ("pg_proc", 1255),
    ("pg_rewrite", 2618),
    ("pg_tablespace", 1213),
    ("pg_trigger", 2620),
    ("pg_type", 1247),
];

static KEPT: LazyLock<Mutex<BTreeMap<String, Arc<Relation>>>> = LazyLock::new(Mutex::default);

/// A table's schema and name.
pub(super) type TableName = (String, String);

/// The tables of the catalog that a query names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) tables: BTreeSet<TableName>,
    /// It names a table of somebody else.
    pub(super) has_others: bool,
    with: BTreeSet<String>,
    /// Functions in `FROM`, which are visited as tables too.
    functions: BTreeSet<ObjectName>,
}

impl Names {
    pub(super) fn of(query: &Query) -> Self {
        let mut names = Self::default();
        let _ = query.visit(&mut With(&mut names.with));
        let _ = query.visit(&mut names);
        names.expand();
        names
    }

    /// Those of some tables and of what they are made of.
    pub(super) fn of_tables(tables: BTreeSet<TableName>) -> Self {
        let mut names = Self { tables, ..Self::default() };
        names.expand();
        names
    }

    /// Adds the tables that views are made of.
    fn expand(&mut self) {
        let mut open: Vec<TableName> = self.tables.iter().cloned().collect();
        while let Some((schema, name)) = open.pop() {
            if let Some(view) = views::find(&schema, &name) {
                let mut inner = Self::default();
                let _ = view.visit(&mut inner);
                for table in inner.tables {
                    if self.tables.insert(table.clone()) {
                        open.push(table);
                    }
                }
            }
        }
    }
}

/// The names of `WITH`.
struct With<'a>(&'a mut BTreeSet<String>);

impl Visitor for With<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(tables.map(|cte| fold(&cte.alias.name)));
        ControlFlow::Continue(())
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } =
            factor
        {
            self.functions.insert(name.clone());
        }
        ControlFlow::Continue(())
    }

    /// A name that is cast to an OID is looked up in a table.
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && matches!(inner.as_ref(), Expr::Value(value)
                if matches!(value.value, SqlValue::SingleQuotedString(_)))
            && let Some(Target::Reg(kind)) = Target::of(data_type)
        {
            let table = match kind {
                Reg::Class => "pg_class",
                Reg::Type => "pg_type",
                Reg::Namespace => "pg_namespace",
                Reg::Role => "pg_roles",
                Reg::Procedure => "pg_proc",
            };
            self.tables.insert((PG_CATALOG.into(), table.into()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        if self.functions.contains(name) {
            return ControlFlow::Continue(());
        }
        let parts: Vec<String> =
            name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
        match parts.as_slice() {
            [name] if self.with.contains(name) => {}
            [.., schema, name] if schema == PG_CATALOG || schema == INFORMATION_SCHEMA => {
                self.tables.insert((schema.clone(), name.clone()));
            }
            [name] if name.starts_with("pg_") => {
                self.tables.insert((PG_CATALOG.into(), name.clone()));
            }
            _ => self.has_others = true,
        }
        ControlFlow::Continue(())
    }
}

/// Tables in memory.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    tables: BTreeMap<TableName, Arc<Relation>>,
}

/// Whether rows are wanted, or only columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Columns,
    Rows,
}

impl Catalog {
    /// Reads the tables.
    pub(super) async fn load(
        names: &BTreeSet<TableName>,
        state: &SessionState,
        settings: &Settings,
        want: Want,
    ) -> Result<Self, Stop> {
        let mut catalog = Self::default();
        let always = ALWAYS.map(|name| (PG_CATALOG.to_owned(), name.to_owned()));
        for (schema, name) in names.iter().chain(&always) {
            if views::find(schema, name).is_some() {
                continue;
            }
            let key = (schema.clone(), name.clone());
            if catalog.tables.contains_key(&key) {
                continue;
            }
            let relation = match name.as_str() {
                "pg_settings" => Some(Arc::new(tables::settings(settings))),
                "pg_parameter_acl" => Some(Arc::new(tables::parameter_acl())),
                "pg_stat_ssl" => Some(Arc::new(objects::encryption(state))),
                "pg_cursors" => Some(Arc::new(objects::cursors(state))),
                "pg_prepared_statements" => Some(Arc::new(objects::statements(state))),
                _ => read(schema, name, state, want).await?,
            };
            if let Some(mut relation) = relation {
                if schema == PG_CATALOG {
                    relation = listed::with_views(relation, name, state, settings, want).await?;
                }
                catalog.tables.insert(key, relation);
            }
        }
        Ok(catalog)
    }

    pub(super) fn get(&self, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        self.tables.get(&(schema.to_owned(), name.to_owned()))
    }
}

/// Columns that the library's tables lack.
fn missing_columns() -> [(&'static str, &'static str, DataType); 16] {
    let texts = || super::types::list(DataType::Utf8);
    [
        ("pg_class", "relacl", texts()),
        ("pg_class", "reloptions", texts()),
        ("pg_class", "relpartbound", DataType::Utf8),
        ("pg_class", "relrewrite", OID),
        ("pg_index", "indnullsnotdistinct", DataType::Boolean),
        ("pg_namespace", "nspacl", texts()),
        ("pg_roles", "rolconfig", texts()),
        ("pg_roles", "rolbypassrls", DataType::Boolean),
        ("pg_sequences", "data_type", DataType::Utf8),
        ("pg_sequences", "start_value", DataType::Int64),
        ("pg_sequences", "min_value", DataType::Int64),
        ("pg_sequences", "max_value", DataType::Int64),
        ("pg_sequences", "increment_by", DataType::Int64),
        ("pg_sequences", "cycle", DataType::Boolean),
        ("pg_sequences", "cache_size", DataType::Int64),
        ("pg_sequences", "last_value", DataType::Int64),
    ]
}

async fn read(
    schema: &str,
    name: &str,
    state: &SessionState,
    want: Want,
) -> Result<Option<Arc<Relation>>, Stop> {
    let is_fixed = schema == PG_CATALOG && FIXED.contains(&name);
    if is_fixed && let Some(kept) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Ok(Some(Arc::clone(kept)));
    }
    let stop = |error: datafusion::error::DataFusionError| Stop::Error(error.into());
    let reference = TableReference::partial(schema, name);
    let Ok(provider) = state.schema_for_ref(reference) else { return Ok(None) };
    let Some(table) = provider.table(name).await.map_err(stop)? else { return Ok(None) };
    let batches = if want == Want::Rows || is_fixed || ALWAYS.contains(&name) {
        let plan = table.scan(state, None, &[], None).await.map_err(stop)?;
        collect(plan, state.task_ctx()).await.map_err(stop)?
    } else {
        Vec::new()
    };
    let mut relation = Relation::read(&table.schema(), &batches)?;
    if name == "pg_proc" {
        relation = tables::with_arrays(relation);
    }
    if name == "pg_operator" {
        let namespaces = Box::pin(read(PG_CATALOG, "pg_namespace", state, Want::Rows)).await?;
        relation = tables::with_operators(relation, namespaces.as_deref());
    }
    if name == "pg_amproc" {
        let procedures = Box::pin(read(PG_CATALOG, "pg_proc", state, Want::Rows)).await?;
        relation = tables::with_oids(relation, "amproc", procedures.as_deref());
    }
    for (_, column, data_type) in missing_columns().into_iter().filter(|(table, ..)| *table == name)
    {
        relation = relation.with_empty_column(column, data_type);
    }
    if name == "pg_class" {
        relation = acl::with_grants(relation, state);
    }
    if let Some((_, oid)) = OWN_OIDS.iter().find(|(own, _)| *own == name) {
        relation = relation.with_system_column("tableoid", OID, &Value::Int(*oid));
    }
    let relation = Arc::new(relation);
    if is_fixed {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.to_owned(), Arc::clone(&relation));
    }
    Ok(Some(relation))
}

impl Engine<'_> {
    /// The rows of a table, a view or a query of `WITH`.
    pub(super) fn table(&self, name: &ObjectName, scope: &Scope) -> Result<Arc<Relation>, Stop> {
        let parts: Vec<String> =
            name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
        let (schema, table) = match parts.as_slice() {
            [table] => {
                if let Some(relation) = scope.cte(table) {
                    return Ok(relation);
                }
                (PG_CATALOG, table.as_str())
            }
            [.., schema, table] => (schema.as_str(), table.as_str()),
            [] => return Err(Stop::Unsupported(format!("the name {name}"))),
        };
        if let Some(view) = views::find(schema, table) {
            let key = (schema.to_owned(), table.to_owned());
            if !self.is_dry()
                && let Some(relation) = self.views.borrow().get(&key)
            {
                return Ok(Arc::clone(relation));
            }
            let relation = Arc::new(self.query(view, &Scope::EMPTY)?);
            if !self.is_dry() {
                self.views.borrow_mut().insert(key, Arc::clone(&relation));
            }
            return Ok(relation);
        }
        let relation = self.catalog.get(schema, table).ok_or_else(|| {
            Stop::invalid("42P01", format!("relation \"{schema}.{table}\" does not exist"))
        })?;
        if self.is_dry() {
            return Ok(Arc::new(Relation::new(relation.columns.clone(), Vec::new())));
        }
        Ok(Arc::clone(relation))
    }

    /// The rows of a table of `pg_catalog` in which a column has a value, each with some columns.
    pub(super) fn found<const N: usize>(
        &self,
        table: &str,
        by: &str,
        key: &Key,
        columns: [&str; N],
    ) -> Vec<[Value; N]> {
        let Some(relation) = self.catalog.get(PG_CATALOG, table) else { return Vec::new() };
        let at =
            |name: &str| relation.columns.iter().position(|column| column.name.as_ref() == name);
        let Some(index) = at(by).and_then(|by| relation.index(by)) else { return Vec::new() };
        let places = columns.map(at);
        index
            .get(key)
            .into_iter()
            .flatten()
            .map(|row| {
                places.map(|at| at.map_or(Value::Null, |at| relation.rows[*row][at].clone()))
            })
            .collect()
    }

    /// The OID that a name stands for.
    ///
    /// # Errors
    /// PostgreSQL's, when there is nothing of the name.
    pub(super) fn look_up(&self, kind: Reg, name: &str) -> Result<Value, Stop> {
        let oid = match kind {
            Reg::Class => self.class_oid(name),
            Reg::Type => self.type_oid(name),
            Reg::Namespace => self.first_oid("pg_namespace", "nspname", unquoted(name)),
            Reg::Role => self.first_oid("pg_roles", "rolname", unquoted(name)),
            Reg::Procedure => {
                let plain = name.split('(').next().unwrap_or(name);
                let plain = plain.rsplit('.').next().unwrap_or(plain);
                self.first_oid("pg_proc", "proname", unquoted(plain))
            }
        };
        let (sqlstate, what) = match kind {
            Reg::Class => ("42P01", "relation"),
            Reg::Type => ("42704", "type"),
            Reg::Namespace => ("3F000", "schema"),
            Reg::Role => ("42704", "role"),
            Reg::Procedure => ("42883", "function"),
        };
        oid.map(|oid| Value::Reg(kind, oid))
            .ok_or_else(|| Stop::invalid(sqlstate, format!("{what} \"{name}\" does not exist")))
    }

    /// The same; NULL for a name of nothing.
    pub(super) fn look_up_quietly(&self, kind: Reg, name: Option<String>) -> Result<Value, Stop> {
        match name.map(|name| self.look_up(kind, &name)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(Stop::Unsupported(what))) => Err(Stop::Unsupported(what)),
            _ => Ok(Value::Null),
        }
    }

    fn first_oid(&self, table: &str, column: &str, name: String) -> Option<i64> {
        let found = self.found(table, column, &Key::Text(name.into()), ["oid"]);
        found.first().and_then(|[oid]| oid.int())
    }

    /// The OID that `pg_class` has for a table.
    pub(super) fn oid_in_schema(&self, schema: &str, table: &str) -> Option<i64> {
        let wanted = self.first_oid("pg_namespace", "nspname", schema.to_owned())?;
        let key = Key::Text(table.into());
        let rows = self.found("pg_class", "relname", &key, ["oid", "relnamespace"]);
        let mut matching = rows.iter().filter(|[_, namespace]| namespace.int() == Some(wanted));
        matching.next().and_then(|[oid, _]| oid.int())
    }

    fn class_oid(&self, name: &str) -> Option<i64> {
        let parts = split_name(name);
        let is_own = |name: &str| OWN_OIDS.iter().find(|(own, _)| *own == name);
        let own = match parts.as_slice() {
            [table] => is_own(table),
            [.., schema, table] if schema == PG_CATALOG => is_own(table),
            _ => None,
        };
        if let Some((_, oid)) = own {
            return Some(*oid);
        }
        let (schema, table) = match parts.as_slice() {
            [table] => (None, table.clone()),
            [.., schema, table] => (Some(schema.clone()), table.clone()),
            [] => return None,
        };
        let schemas: Vec<String> = match schema {
            Some(schema) if schema == TEMPORARY => self.temporary_schema().into_iter().collect(),
            Some(schema) => vec![schema],
            None => {
                let others = [self.settings.default_schema(), "public".into(), PG_CATALOG.into()];
                self.temporary_schema().into_iter().chain(others).collect()
            }
        };
        schemas.iter().find_map(|schema| self.oid_in_schema(schema, &table))
    }

    /// The schema of the session's temporary views, whether there is one or not.
    pub(super) fn temporary_schema(&self) -> Option<String> {
        let sees = self.state.config().get_extension::<SeesTemporary>()?;
        Some(temporary_schema(sees.0))
    }

    /// Its OID, and 0 as long as there is none.
    pub(super) fn temporary_schema_oid(&self) -> i64 {
        let found = self.temporary_schema();
        found.and_then(|name| self.first_oid("pg_namespace", "nspname", name)).unwrap_or(0)
    }

    fn type_oid(&self, name: &str) -> Option<i64> {
        let name = name.trim();
        let (name, is_array) = match name.strip_suffix("[]") {
            Some(item) => (item, true),
            None => (name, false),
        };
        let plain = name.rsplit('.').next().unwrap_or(name);
        let lower = plain.to_ascii_lowercase();
        let known = match lower.split('(').next().unwrap_or_default().trim() {
            "integer" | "int" => "int4",
            "bigint" => "int8",
            "smallint" => "int2",
            "boolean" => "bool",
            "real" => "float4",
            "double precision" => "float8",
            "character varying" => "varchar",
            "character" => "bpchar",
            "timestamp with time zone" => "timestamptz",
            "timestamp without time zone" => "timestamp",
            "time without time zone" => "time",
            "decimal" => "numeric",
            other => other,
        };
        let known = if is_array { format!("_{known}") } else { unquoted(known) };
        self.first_oid("pg_type", "typname", known)
    }

    /// The name that an OID stands for; the number where there is none.
    pub(super) fn name_of(&self, kind: Reg, oid: i64) -> String {
        if oid == 0 {
            return "-".into();
        }
        if kind == Reg::Class
            && let Some((own, _)) = OWN_OIDS.iter().find(|(_, own)| *own == oid)
        {
            return (*own).into();
        }
        let key = Key::Int(oid);
        let name = |table, column| {
            let found = self.found(table, "oid", &key, [column]);
            found.first().and_then(|[name]| name.written())
        };
        let found = match kind {
            Reg::Class => {
                let found = self.found("pg_class", "oid", &key, ["relname", "relnamespace"]);
                found.first().and_then(|[table, namespace]| {
                    let table = quote_identifier(&table.written()?);
                    let schema =
                        self.found("pg_namespace", "oid", &Key::Int(namespace.int()?), ["nspname"]);
                    let schema = schema.first().and_then(|[name]| name.written())?;
                    let is_visible = schema == PG_CATALOG
                        || schema == self.settings.default_schema()
                        || Some(&schema) == self.temporary_schema().as_ref();
                    Some(if is_visible { table } else { format!("{schema}.{table}") })
                })
            }
            Reg::Type => {
                let arguments = vec![Value::Int(oid), Value::Null];
                self.call_named("format_type", arguments).ok().and_then(|name| name.written())
            }
            Reg::Namespace => name("pg_namespace", "nspname"),
            Reg::Role => name("pg_roles", "rolname"),
            Reg::Procedure => name("pg_proc", "proname"),
        };
        found.unwrap_or_else(|| oid.to_string())
    }
}

/// A name as the catalog has it: lower case unless it is quoted.
fn unquoted(name: &str) -> String {
    let name = name.trim();
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

/// The parts of `schema.table`, either of which may be quoted.
pub(super) fn split_name(name: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    for character in name.trim().chars() {
        match character {
            '"' => {
                quoted = !quoted;
                part.push('"');
            }
            '.' if !quoted => parts.push(unquoted(&std::mem::take(&mut part))),
            other => part.push(other),
        }
    }
    parts.push(unquoted(&part));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_dots_outside_of_quotes() {
        assert_eq!(split_name("public.Frames"), ["public", "frames"]);
        assert_eq!(split_name("\"My.Schema\".\"T\"\"x\""), ["My.Schema", "T\"x"]);
    }
}
