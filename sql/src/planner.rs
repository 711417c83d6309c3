//! Plans of statements: what the names of tables and functions in them stand for.
//!
//! DataFusion keeps its functions in the state of a session, as tables that each copy of the state
//! copies: about a thousand names, twice a statement. Here they are kept once for the database and once
//! more for what differs by session, and states refer to them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{TableFunction, TableFunctionArgs};
use datafusion::common::TableReference;
use datafusion::common::{DFSchema, ResolvedTableReference};
use datafusion::config::ConfigOptions;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::{ParserOptions, SqlToRel};

/// The one function that DataFusion's optimizer looks up by its name, for `DISTINCT ON`.
const OF_OPTIMIZER: &str = "first_value";

/// The functions of all sessions.
#[derive(Debug)]
pub(crate) struct Functions {
    scalar: HashMap<String, Arc<ScalarUDF>>,
    higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    aggregate: HashMap<String, Arc<AggregateUDF>>,
    window: HashMap<String, Arc<WindowUDF>>,
    table: HashMap<String, Arc<TableFunction>>,
}

impl Functions {
    /// The functions of `state`, and the state without them.
    pub(crate) fn taken_from(state: SessionState) -> (Self, SessionState) {
        let functions = Self {
            scalar: state.scalar_functions().clone(),
            higher_order: state.higher_order_functions().clone(),
            aggregate: state.aggregate_functions().clone(),
            window: state.window_functions().clone(),
            table: state.table_functions().clone(),
        };
        let kept = functions.aggregate.get(OF_OPTIMIZER).cloned();
        let state = SessionStateBuilder::new_from_existing(state)
            .with_scalar_functions(Vec::new())
            .with_higher_order_functions(Vec::new())
            .with_aggregate_functions(kept.into_iter().collect())
            .with_window_functions(Vec::new())
            .with_table_functions(HashMap::new())
            .with_file_formats(Vec::new())
            .with_table_factories(HashMap::new())
            .build();
        (functions, state)
    }
}

/// The functions that a session may call: an extension of its states' configuration.
#[derive(Debug)]
pub(crate) struct SessionFunctions {
    of_all: Arc<Functions>,
    own: HashMap<String, Arc<ScalarUDF>>,
}

impl SessionFunctions {
    /// `own` comes before what all sessions have.
    pub(crate) fn new(of_all: Arc<Functions>, own: impl IntoIterator<Item = ScalarUDF>) -> Self {
        let mut by_name = HashMap::new();
        for function in own {
            let function = Arc::new(function);
            for alias in function.aliases() {
                by_name.insert(alias.clone(), Arc::clone(&function));
            }
            by_name.insert(function.name().to_owned(), function);
        }
        Self { of_all, own: by_name }
    }

    /// Those of the session that `state` belongs to.
    ///
    /// # Errors
    /// For a state that no session has made.
    pub(crate) fn of(state: &SessionState) -> Result<Arc<Self>> {
        let missing = || DataFusionError::Internal("a state without a session's functions".into());
        state.config().get_extension::<Self>().ok_or_else(missing)
    }

    /// The scalar function with this name.
    pub(crate) fn scalar(&self, name: &str) -> Option<&Arc<ScalarUDF>> {
        self.own.get(name).or_else(|| self.of_all.scalar.get(name))
    }

    /// Whether something that may stand in a select list has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.scalar(name).is_some()
            || self.of_all.aggregate.contains_key(name)
            || self.of_all.window.contains_key(name)
    }
}

/// The plan of `statement` with the tables, functions and settings of `state`.
///
/// # Errors
/// When a name stands for nothing, or the statement cannot be planned.
pub(crate) async fn plan(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let functions = SessionFunctions::of(state)?;
    let mut names = Names { state, functions, tables: HashMap::new() };
    for reference in state.resolve_table_references(&statement)? {
        let resolved = names.resolved(reference);
        if let Entry::Vacant(vacant) = names.tables.entry(resolved) {
            let resolved = vacant.key();
            if let Ok(schema) = state.schema_for_ref(resolved.clone())
                && let Some(table) = schema.table(&resolved.table).await?
            {
                vacant.insert(provider_as_source(table));
            }
        }
    }
    let options = ParserOptions::from(&state.config().options().sql_parser);
    SqlToRel::new_with_options(&names, options).statement_to_plan(statement)
}

/// What the names in a statement stand for.
struct Names<'a> {
    state: &'a SessionState,
    functions: Arc<SessionFunctions>,
    tables: HashMap<ResolvedTableReference, Arc<dyn TableSource>>,
}

impl Names<'_> {
    fn resolved(&self, name: TableReference) -> ResolvedTableReference {
        let catalog = &self.options().catalog;
        name.resolve(&catalog.default_catalog, &catalog.default_schema)
    }
}

fn names_of<T>(functions: &HashMap<String, T>) -> Vec<String> {
    functions.keys().cloned().collect()
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let name = self.resolved(name);
        let missing = || DataFusionError::Plan(format!("table '{name}' not found"));
        self.tables.get(&name).cloned().ok_or_else(missing)
    }

    fn get_table_function_source(
        &self,
        name: &str,
        arguments: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        let missing = || DataFusionError::Plan(format!("table function '{name}' not found"));
        let function = self.functions.of_all.table.get(name).ok_or_else(missing)?;
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(
                self.state.execution_props().query_execution_start_time,
            )
            .build();
        let (simplifier, no_columns) = (ExprSimplifier::new(context), DFSchema::empty());
        let arguments = arguments
            .into_iter()
            .map(|argument| simplifier.simplify(simplifier.coerce(argument, &no_columns)?))
            .collect::<Result<Vec<_>>>()?;
        let arguments = TableFunctionArgs::new(&arguments, self.state);
        Ok(provider_as_source(function.create_table_provider_with_args(arguments)?))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(crate::types::Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.functions.of_all.higher_order.get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.of_all.aggregate.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.of_all.window.get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        let mut names = names_of(&self.functions.of_all.scalar);
        names.extend(names_of(&self.functions.own));
        names
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        names_of(&self.functions.of_all.higher_order)
    }

    fn udaf_names(&self) -> Vec<String> {
        names_of(&self.functions.of_all.aggregate)
    }

    fn udwf_names(&self) -> Vec<String> {
        names_of(&self.functions.of_all.window)
    }
}
