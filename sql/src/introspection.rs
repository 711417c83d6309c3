//! Queries of the catalog, as psql, drivers, ORMs and BI tools send them to look around.
//!
//! They are written for PostgreSQL alone: subqueries that name columns around them, in every place
//! where a value may stand, `ARRAY(SELECT …)`, recursive queries, functions that give rows, records
//! and their fields, OIDs that are names. DataFusion plans few of these. The catalog is small, so a
//! query that asks nothing else is evaluated here as it is written, over rows in memory; a query
//! with a table of the engine in it is DataFusion's, and so is what is not known here.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `catalog` | the tables that a query names, and names looked up in them |
//! | `origins` | which columns of which table a query's are |
//! | `objects` | the session's cursors and prepared statements |
//! | `views`, `listed` | the views of `information_schema` and `pg_catalog`, and their own rows in the catalog |
//! | `select`, `from` | queries and joins |
//! | `expr`, `pattern` | expressions |
//! | `functions`, `sets`, `aggregate` | functions |
//! | `infer`, `types` | types of columns |
//! | `value`, `relation`, `scope` | values, rows and what names mean |

mod acl;
mod aggregate;
mod catalog;
mod descriptions;
mod expr;
mod from;
mod functions;
mod grouping;
mod infer;
mod listed;
mod objects;
mod origins;
mod pattern;
mod relation;
mod scope;
mod select;
mod sets;
mod tables;
mod times;
mod types;
mod value;
mod views;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;

use self::catalog::{Catalog, Names, TableName, Want};
use self::relation::Relation;
use self::scope::Scope;
use self::value::Value;
use crate::SqlError;
use crate::planner::SessionFunctions;
use crate::session::settings::Settings;

/// Rows and expressions that a query may look at: a few seconds.
const MAX_STEPS: u64 = 100_000_000;

/// Steps between two looks at the clock.
const STEPS_A_LOOK: u64 = 4096;

/// Values that joins may put together, about half a gigabyte. The catalog is far smaller; a product of
/// its tables with themselves is not.
const MAX_VALUES: usize = 16 << 20;

/// Why a query is not answered here.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is DataFusion's.
    Unsupported(String),
    /// It is wrong.
    Error(SqlError),
}

impl Stop {
    fn invalid(sqlstate: &'static str, message: String) -> Self {
        Self::Error(SqlError::Invalid { sqlstate, message, hint: None, position: None })
    }
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        Self::Error(error)
    }
}

/// A query of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct CatalogQuery {
    query: Arc<ast::Query>,
    names: Arc<Names>,
    /// The parameters' types as far as the statement or the client says.
    parameters: Vec<Option<DataType>>,
}

/// When an evaluation has to end before it is done. It never waits, so nothing else can stop it.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) deadline: Option<Instant>,
    /// Set when nobody waits for the answer any more.
    pub(crate) is_canceled: Arc<AtomicBool>,
}

/// A query's answer, and what it sets: names, values and whether they last for the block alone.
pub(crate) struct Answered {
    pub(crate) batch: RecordBatch,
    pub(crate) effects: Vec<(String, String, bool)>,
}

impl CatalogQuery {
    /// The query, if it asks nothing but the catalog.
    pub(crate) fn of(statement: &ast::Statement, declared: &[Option<DataType>]) -> Option<Self> {
        let ast::Statement::Query(query) = statement else { return None };
        let names = Names::of(query);
        if names.has_others {
            return None;
        }
        let mut parameters = declared.to_vec();
        infer::cast_parameters(statement, &mut parameters);
        Some(Self { query: Arc::new(query.as_ref().clone()), names: Arc::new(names), parameters })
    }

    /// Whether it names a table at all.
    pub(crate) fn has_tables(&self) -> bool {
        !self.names.tables.is_empty()
    }

    /// The columns of the answer, and the types of `$1`, `$2`, …
    pub(crate) async fn describe(
        &self,
        state: &SessionState,
        settings: &Settings,
    ) -> Result<(SchemaRef, Vec<Option<FieldRef>>), Stop> {
        let catalog = Catalog::load(&self.names.tables, state, settings, Want::Columns).await?;
        let engine = Engine::new(&catalog, state, settings, &[], self, End::default());
        let relation = engine.dry(|| engine.query(&self.query, &Scope::EMPTY))?;
        engine.dry(|| engine.knows_functions(&self.query))?;
        let (named, origins) = (names_of_columns(&self.query), engine.origins(&self.query));
        let fields = relation.columns.iter().enumerate().map(|(at, column)| {
            let field = types::field(&column.name, &column.data_type);
            let field = match named.get(at) {
                Some(name) => types::of_catalog(field, name),
                None => field,
            };
            match origins.get(at) {
                Some(Some(origin)) => origin.on(field),
                _ => field,
            }
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let compared = engine.compared.into_inner();
        let parameters = self.parameters.iter().zip(1..).map(|(known, number)| {
            let data_type = known.as_ref().or_else(|| compared.get(&number))?;
            Some(Arc::new(types::field(&format!("${number}"), data_type)))
        });
        Ok((schema, parameters.collect()))
    }

    /// The answer, with the columns that were described.
    pub(crate) async fn answer(
        &self,
        state: &SessionState,
        settings: &Settings,
        parameters: &[ScalarValue],
        schema: &SchemaRef,
        end: End,
    ) -> Result<Answered, Stop> {
        let catalog = Catalog::load(&self.names.tables, state, settings, Want::Rows).await?;
        let values = parameters.iter().map(relation::value_of).collect::<Result<Vec<_>, _>>()?;
        let engine = Engine::new(&catalog, state, settings, &values, self, end);
        let mut relation = engine.query(&self.query, &Scope::EMPTY)?;
        relation = engine.with_names_of_oids(relation)?;
        let batch = relation.write(schema)?;
        Ok(Answered { batch, effects: engine.effects.into_inner() })
    }
}

/// What evaluates one query.
struct Engine<'a> {
    catalog: &'a Catalog,
    state: &'a SessionState,
    settings: &'a Settings,
    parameters: &'a [Value],
    parameter_types: &'a [Option<DataType>],
    end: End,
    /// Values that joins have put together.
    held: Cell<usize>,
    /// Only columns are wanted: tables are empty.
    is_dry: Cell<bool>,
    steps: Cell<u64>,
    /// Types of select lists, by where their expressions are.
    types: RefCell<HashMap<usize, DataType>>,
    /// What parameters without a type are compared with.
    compared: RefCell<BTreeMap<usize, DataType>>,
    /// Calls of functions that always give the same.
    calls: RefCell<HashMap<(String, String), Value>>,
    views: RefCell<BTreeMap<TableName, Arc<Relation>>>,
    /// Subqueries in `FROM` that stand alone, by their text.
    derived: RefCell<HashMap<String, Arc<Relation>>>,
    effects: RefCell<Vec<(String, String, bool)>>,
}

impl<'a> Engine<'a> {
    fn new(
        catalog: &'a Catalog,
        state: &'a SessionState,
        settings: &'a Settings,
        parameters: &'a [Value],
        query: &'a CatalogQuery,
        end: End,
    ) -> Self {
        Self {
            catalog,
            state,
            settings,
            parameters,
            parameter_types: &query.parameters,
            end,
            held: Cell::new(0),
            is_dry: Cell::new(false),
            steps: Cell::new(0),
            types: RefCell::default(),
            compared: RefCell::default(),
            calls: RefCell::default(),
            views: RefCell::default(),
            derived: RefCell::default(),
            effects: RefCell::default(),
        }
    }

    /// A function of DataFusion, of the catalog or of the session.
    fn library_function(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        SessionFunctions::of(self.state).ok()?.scalar(name).cloned()
    }

    fn is_dry(&self) -> bool {
        self.is_dry.get()
    }

    /// Does `work` for its columns alone.
    fn dry<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.is_dry.replace(true);
        let done = work();
        self.is_dry.set(before);
        done
    }

    /// Counts a step, so that a query that would never end does.
    fn step(&self) -> Result<(), Stop> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps > MAX_STEPS {
            return Err(Stop::invalid("54001", "the query of the catalog is too large".into()));
        }
        if !steps.is_multiple_of(STEPS_A_LOOK) {
            return Ok(());
        }
        if self.end.is_canceled.load(Ordering::Relaxed) {
            return Err(Stop::Error(SqlError::Canceled));
        }
        if self.end.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Stop::Error(SqlError::Timeout));
        }
        Ok(())
    }

    /// Counts the values of a row that a join has put together.
    fn holds(&self, values: usize) -> Result<(), Stop> {
        let held = self.held.get() + values;
        self.held.set(held);
        if held <= MAX_VALUES {
            return Ok(());
        }
        Err(Stop::Error(SqlError::Query {
            sqlstate: "53200",
            message: "out of memory".into(),
            detail: Some(format!("The query of the catalog joins more than {MAX_VALUES} values.")),
            hint: Some("Join the catalog's tables by their keys.".into()),
        }))
    }

    /// The rows with the names of what OIDs stand for, as a client sees them.
    fn with_names_of_oids(&self, relation: Relation) -> Result<Relation, Stop> {
        let columns = relation.columns.clone();
        let mut rows = relation.into_rows();
        for value in rows.iter_mut().flatten() {
            if matches!(value, Value::Reg(..)) {
                *value = self.written(value)?.map_or(Value::Null, Value::text);
            }
        }
        Ok(Relation::new(columns, rows))
    }
}

/// The names of the catalog's columns that a query gives out as they are; of other expressions none.
/// Nothing is told of a query with a `*`.
fn names_of_columns(query: &ast::Query) -> Vec<String> {
    let ast::SetExpr::Select(select) = &*query.body else { return Vec::new() };
    let name_of = |item: &ast::SelectItem| {
        let (ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) =
            item
        else {
            return None;
        };
        let name = match expr {
            ast::Expr::Function(call) => name_of_array(call),
            expr => name_of_column(expr),
        };
        Some(name.unwrap_or_default())
    };
    let names: Option<Vec<String>> = select.projection.iter().map(name_of).collect();
    names.unwrap_or_default()
}

fn name_of_column(expr: &ast::Expr) -> Option<String> {
    let name = match expr {
        ast::Expr::Identifier(name) => name,
        ast::Expr::CompoundIdentifier(names) => names.last()?,
        _ => return None,
    };
    Some(name.value.to_ascii_lowercase())
}

/// `name[]` for `array_agg(name)`.
fn name_of_array(call: &ast::Function) -> Option<String> {
    let function = call.name.0.last()?.as_ident()?;
    let ast::FunctionArguments::List(list) = &call.args else { return None };
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr))] = list.args.as_slice() else {
        return None;
    };
    let name = name_of_column(expr)?;
    function.value.eq_ignore_ascii_case("array_agg").then(|| format!("{name}[]"))
}
