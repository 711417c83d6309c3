//! All indexes by name, and the thread that fills them, takes deleted rows out and checks samples
//! of queries.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use arrow::datatypes::DataType;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use datafusion::common::config::Dialect;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{self, visit_expressions};
use vigil_sql::catalog::StandardTable;
use vigil_sql::{CreateIndex, IndexBuild, IndexInfo};

use super::definition::{Definition, IndexError, type_name};
use super::graph::Graph;
use super::kernel::Metric;
use super::sample;
use super::scan::Request;
use super::vector_index::VectorIndex;
use crate::tables::Tables;

/// Samples that wait to be answered exactly; more are let go.
const SAMPLES: usize = 1;

/// One in so many queries is a sample, unless the last one has cost too much for that.
pub(super) const SAMPLE_EVERY: u64 = 32;

/// After a sample none is taken for so many times as long as it took: all of them together take a
/// fiftieth of one core at most.
const REST: u32 = 49;

/// A query and what the index gave for it.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) index: Arc<VectorIndex>,
    pub(super) request: Request,
    /// As the index compares it.
    pub(super) query: Vec<f32>,
    pub(super) found: Vec<usize>,
}

/// The indexes of an engine.
#[derive(Debug)]
pub struct Indexes {
    tables: Arc<Tables>,
    list: Mutex<BTreeMap<String, Arc<VectorIndex>>>,
    reserved: Mutex<BTreeSet<String>>,
    /// Those that are being made, with what makes them.
    building: Mutex<BTreeMap<String, (&'static str, Arc<VectorIndex>)>>,
    /// Counts the changes of `list`.
    generation: AtomicU64,
    samples: Sender<Sample>,
    /// Until then no sample is taken.
    rests_until: Mutex<Option<Instant>>,
    wake: Sender<()>,
}

impl Indexes {
    /// The built-in indexes over `tables`, and the thread `index` that fills them.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(tables: Arc<Tables>) -> std::io::Result<Arc<Self>> {
        let (samples, sampled) = bounded(SAMPLES);
        let (wake, woken) = bounded(1);
        tables.tell(wake.clone());
        let mut list = BTreeMap::new();
        for definition in Definition::built_in() {
            let predicate = predicate(&definition).map_err(std::io::Error::other)?;
            let name = definition.name.clone();
            list.insert(name, Arc::new(VectorIndex::new(definition, predicate)));
        }
        let list = Mutex::new(list);
        let indexes = Arc::new(Self {
            tables,
            list,
            reserved: Mutex::default(),
            building: Mutex::default(),
            generation: AtomicU64::default(),
            samples,
            rests_until: Mutex::default(),
            wake,
        });
        let this = Arc::downgrade(&indexes);
        std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || while tend(&this, &woken, &sampled) {})?;
        Ok(indexes)
    }

    fn list(&self) -> MutexGuard<'_, BTreeMap<String, Arc<VectorIndex>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserved(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an index and fills it with the rows of the moment; gives its name. It blocks.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn create(&self, create: &CreateIndex) -> Result<String, IndexError> {
        let name = self.reserve(create)?;
        let made = self.build(create, &name);
        if let Ok(index) = &made {
            self.list().insert(name.clone(), Arc::clone(index));
            self.generation.fetch_add(1, Ordering::Release);
        }
        self.reserved().remove(&name);
        made?;
        // Rows that came while it was built.
        let _ = self.wake.try_send(());
        Ok(name)
    }

    /// Takes a name, the next free one of PostgreSQL's kind where none is given.
    fn reserve(&self, create: &CreateIndex) -> Result<String, IndexError> {
        let list = self.list();
        let mut reserved = self.reserved();
        let is_table = |name: &str| StandardTable::ALL.iter().any(|table| table.name() == name);
        let taken =
            |name: &str| list.contains_key(name) || reserved.contains(name) || is_table(name);
        let name = match &create.name {
            Some(name) if taken(name) => return Err(IndexError::Exists(name.clone())),
            Some(name) => name.clone(),
            None => {
                let base = format!("{}_{}_idx", create.table, create.column);
                let mut numbered = (1..).map(|number| format!("{base}{number}"));
                let mut name = base.clone();
                while taken(&name) {
                    name = numbered.next().unwrap_or_default();
                }
                name
            }
        };
        reserved.insert(name.clone());
        Ok(name)
    }

    fn build(&self, create: &CreateIndex, name: &str) -> Result<Arc<VectorIndex>, IndexError> {
        let definition = Definition::check(create, name.to_owned())?;
        let predicate = predicate(&definition)?;
        let index = Arc::new(VectorIndex::new(definition, predicate));
        let rows = self.tables.snapshot().rows(index.definition.table);
        let building = (name.to_owned(), ("CREATE INDEX", Arc::clone(&index)));
        self.building().extend([building]);
        let filled = index.fill(&rows, threads());
        self.building().remove(name);
        filled.map(|()| index)
    }

    fn building(&self) -> MutexGuard<'_, BTreeMap<String, (&'static str, Arc<VectorIndex>)>> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `pg_stat_progress_create_index` shows.
    pub fn builds(&self) -> Vec<IndexBuild> {
        let snapshot = self.tables.snapshot();
        let building: Vec<_> = self.building().values().cloned().collect();
        let build = |(command, index): (&'static str, Arc<VectorIndex>)| {
            let rows = snapshot.rows(index.definition.table);
            let (done, total) = index.progress(&rows);
            IndexBuild {
                index: index.definition.name.clone(),
                table: index.definition.table.name().to_owned(),
                command,
                total: i64::try_from(total).unwrap_or(i64::MAX),
                done: i64::try_from(done).unwrap_or(i64::MAX),
            }
        };
        building.into_iter().map(build).collect()
    }

    /// Removes an index.
    ///
    /// # Errors
    /// [`IndexError::NotFound`].
    pub fn drop_index(&self, name: &str) -> Result<(), IndexError> {
        match self.list().remove(name) {
            Some(_) => {
                self.generation.fetch_add(1, Ordering::Release);
                Ok(())
            }
            None => Err(IndexError::NotFound(name.to_owned())),
        }
    }

    /// Another number after an index was made or removed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Builds an index again. It blocks.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn reindex(&self, name: &str) -> Result<(), IndexError> {
        let index = self.list().get(name).cloned();
        let index = index.ok_or_else(|| IndexError::NotFound(name.to_owned()))?;
        let rows = self.tables.snapshot().rows(index.definition.table);
        let building = (name.to_owned(), ("REINDEX", Arc::clone(&index)));
        self.building().extend([building]);
        let rebuilt = index.rebuild(&rows, threads());
        self.building().remove(name);
        rebuilt
    }

    /// What `vigil_catalog.indexes` shows.
    pub fn infos(&self) -> Vec<IndexInfo> {
        let snapshot = self.tables.snapshot();
        let indexes: Vec<_> = self.list().values().cloned().collect();
        let info = |index: Arc<VectorIndex>| index.info(&snapshot.rows(index.definition.table));
        indexes.into_iter().map(info).collect()
    }

    /// The indexes of a column for a metric, the best one first: partial ones before those of all rows, the smaller
    /// the better; then those that keep more of each vector; then those with more edges, which find more.
    pub(super) fn over(
        &self,
        table: StandardTable,
        column: usize,
        metric: Metric,
    ) -> Vec<Arc<VectorIndex>> {
        let mut found: Vec<_> = self
            .list()
            .values()
            .filter(|index| {
                let definition = &index.definition;
                (definition.table, definition.column, definition.metric) == (table, column, metric)
            })
            .cloned()
            .collect();
        found.sort_by_cached_key(|index| {
            let Definition { precision, m, ef_construction, .. } = index.definition;
            let rows = index.predicate.as_ref().map_or(usize::MAX, |_| index.linked());
            (rows, precision, Reverse(m), Reverse(ef_construction))
        });
        found
    }

    /// Hands a sample over, unless another waits or the last one was not long ago.
    pub(super) fn sample(&self, sample: impl FnOnce() -> Sample) {
        let rests = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        if rests.is_none_or(|until| until <= Instant::now()) {
            let _ = self.samples.try_send(sample());
        }
    }

    fn check(&self, sample: &Sample) {
        let began = Instant::now();
        if let Err(error) = sample::check_sample(sample) {
            let index = &sample.index.definition.name;
            tracing::warn!(index, %error, "a query was not answered exactly");
        }
        let until =
            began.elapsed().checked_mul(REST).and_then(|rest| Instant::now().checked_add(rest));
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// How DataFusion says that there is no such function.
const UNKNOWN_FUNCTION: &str = "Invalid function '";

/// The condition of a partial index, over the columns of its table.
fn predicate(definition: &Definition) -> Result<Option<Arc<dyn PhysicalExpr>>, IndexError> {
    let Some(text) = &definition.predicate else { return Ok(None) };
    let refused = |error: DataFusionError| match error.find_root() {
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { field, .. } => {
                IndexError::UnknownColumn(field.name.clone())
            }
            other => IndexError::Predicate(other.to_string()),
        },
        DataFusionError::Plan(words) if words.starts_with(UNKNOWN_FUNCTION) => {
            let name = words[UNKNOWN_FUNCTION.len()..].split('\'').next().unwrap_or_default();
            IndexError::PredicateFunction(name.to_owned())
        }
        other => IndexError::Predicate(other.strip_backtrace().to_lowercase()),
    };
    let schema = DFSchema::try_from(definition.table.schema()).map_err(refused)?;
    let context = SessionContext::new();
    let written = context.state().sql_to_expr(text, &Dialect::PostgreSQL).map_err(refused)?;
    let asks = visit_expressions(&written, |part| match part {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    if asks.is_break() {
        return Err(IndexError::PredicateQuery);
    }
    let expr = context.parse_sql_expr(text, &schema).map_err(refused)?;
    let mut special = Ok(());
    expr.apply(|part| {
        special = match part {
            Expr::AggregateFunction(_) => Err(IndexError::PredicateAggregate),
            Expr::WindowFunction(_) => Err(IndexError::PredicateWindow),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })
    .map_err(refused)?;
    special?;
    if !is_immutable(&expr).map_err(refused)? {
        return Err(IndexError::PredicateChanges);
    }
    let predicate = context.create_physical_expr(expr, &schema).map_err(refused)?;
    let data_type = predicate.data_type(schema.as_arrow()).map_err(refused)?;
    if data_type != DataType::Boolean {
        return Err(IndexError::PredicateType(type_name(&data_type)));
    }
    Ok(Some(predicate))
}

/// Whether a condition has one value for a row, whenever it is asked for.
fn is_immutable(expr: &Expr) -> Result<bool, DataFusionError> {
    let changes = expr.exists(|part| {
        Ok(match part {
            Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
            _ => false,
        })
    })?;
    Ok(!changes)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Waits for rows or for a sample and does what is to be done; false when the engine is gone.
fn tend(indexes: &Weak<Indexes>, woken: &Receiver<()>, sampled: &Receiver<Sample>) -> bool {
    select! {
        recv(woken) -> woken => {
            let Some(indexes) = woken.ok().and_then(|()| indexes.upgrade()) else { return false };
            keep_up(&indexes);
        }
        recv(sampled) -> sample => {
            let Ok(sample) = sample else { return false };
            let Some(indexes) = indexes.upgrade() else { return false };
            indexes.check(&sample);
        }
    }
    true
}

/// Fills every index, and builds one again that is a fifth of deleted rows.
fn keep_up(indexes: &Indexes) {
    let list: Vec<_> = indexes.list().values().cloned().collect();
    for index in list {
        let rows = indexes.tables.snapshot().rows(index.definition.table);
        let deleted = index.deleted(&rows);
        let kept = if deleted >= Graph::CHUNK && deleted * 5 >= index.linked() {
            index.rebuild(&rows, 1)
        } else {
            index.fill(&rows, 1)
        };
        if let Err(error) = kept {
            tracing::warn!(index = index.definition.name, %error, "an index is not kept up");
        }
    }
}
