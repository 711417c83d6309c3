//! The memory of queries: so much in all, so much for each. What does not fit goes to disk where
//! an operator can do that; a query that still needs more fails alone, with SQLSTATE 53200.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

/// What queries may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Bytes that one query may hold in memory.
    pub memory_bytes: usize,
    /// Bytes that all of them may hold together.
    pub total_memory_bytes: usize,
    /// The folder for what does not fit; `None` is the system's own for temporary files.
    pub temp_dir: Option<PathBuf>,
    /// Bytes of temporary files of all queries together.
    pub max_temp_bytes: u64,
    /// Rows of one answer.
    pub max_rows: usize,
}

const GIB: usize = 1 << 30;

impl Default for QueryLimits {
    /// A quarter of the machine's memory for all queries, half of that for one, at most 16 GiB of
    /// temporary files and a hundred million rows.
    fn default() -> Self {
        let total_memory_bytes = machine_memory().map_or(GIB, |bytes| bytes / 4);
        Self {
            memory_bytes: total_memory_bytes / 2,
            total_memory_bytes,
            temp_dir: None,
            max_temp_bytes: 16 * GIB as u64,
            max_rows: 100_000_000,
        }
    }
}

/// The machine's memory as Linux tells it, bytes.
fn machine_memory() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The memory of all queries.
#[derive(Debug)]
pub(crate) struct Memory {
    environment: RuntimeEnv,
    all: Arc<dyn MemoryPool>,
    query_bytes: usize,
}

impl Memory {
    pub(crate) fn new(limits: &QueryLimits) -> Result<Self> {
        let all: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(limits.total_memory_bytes));
        let mut builder = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&all))
            .with_max_temp_directory_size(limits.max_temp_bytes);
        if let Some(folder) = &limits.temp_dir {
            builder = builder.with_temp_file_path(folder);
        }
        Ok(Self { environment: builder.build()?, all, query_bytes: limits.memory_bytes })
    }

    /// What one query works with.
    pub(crate) fn of_query(&self) -> Result<Arc<RuntimeEnv>> {
        let pool = QueryPool {
            own: FairSpillPool::new(self.query_bytes),
            all: Arc::clone(&self.all),
            limit: self.query_bytes,
        };
        RuntimeEnvBuilder::from_runtime_env(&self.environment)
            .with_memory_pool(Arc::new(pool))
            .build_arc()
    }

    /// Bytes that queries hold now.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.all.reserved()
    }
}

/// The memory of one query, which is counted in the memory of all.
struct QueryPool {
    own: FairSpillPool,
    all: Arc<dyn MemoryPool>,
    limit: usize,
}

impl fmt::Debug for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryPool").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query({} of {} bytes)", self.own.reserved(), self.limit)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        self.all
            .try_grow(reservation, additional)
            .inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_its_part_and_all_have_theirs() {
        let limits =
            QueryLimits { memory_bytes: 600, total_memory_bytes: 1000, ..QueryLimits::default() };
        let memory = Memory::new(&limits).expect("there is a temporary folder");
        let (one, two) = (memory.of_query().expect("builds"), memory.of_query().expect("builds"));
        let first = MemoryConsumer::new("first").register(&one.memory_pool);
        first.try_grow(601).expect_err("is more than a query's part");
        first.try_grow(600).expect("fits");
        let second = MemoryConsumer::new("second").register(&two.memory_pool);
        second.try_grow(500).expect_err("is more than is left");
        assert_eq!((memory.held(), two.memory_pool.reserved()), (600, 0));
        drop(first);
        second.try_grow(500).expect("fits now");
        assert_eq!(memory.held(), 500);
    }
}
