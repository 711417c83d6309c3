//! Search by meaning: the vectors of a table go into a graph, the rows nearest to a query come out.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `definition` | what `CREATE INDEX` says, checked |
//! | `kernel`, `codes` | distances, and vectors in 32, 16 or 8 bits |
//! | `graph`, `links`, `search`, `visited` | the graph: it grows while it is searched |
//! | `vector_index` | a graph and which rows of the table are in it |
//! | `registry` | all indexes, and the thread that fills them |
//! | `scan`, `walk`, `exact` | one query: which way to take, and the rows that it gives |
//! | `sketch` | bounds of distances, so that a scan of all rows reads a quarter of the memory |
//! | `sample` | how many of the true nearest rows queries find |
//! | `indexable` | the scan that table providers put into plans |
//! | `distance`, `query` | what a query sorts by, and the vector that it searches for |
//! | `plan`, `conditions` | the rule that puts a search under `ORDER BY … LIMIT` |
//! | `sorted` | the rule that lets a search sort its rows itself |
//! | `above_join`, `first_enough` | searches under joins that an order is above |
//! | `nearest_sort` | the sort above a search, which keeps the order of equally near rows |
//! | `node` | the plan's node that searches |
//! | `lateral`, `nearest_join` | the same for each row of another query |
//!
//! A row is in the graph or it is searched exactly: no query waits for the graph, and none misses a
//! row. The graph holds no rows, only vectors and where they are in the table, so a query gives the
//! rows of its own snapshot.

mod above_join;
mod codes;
mod conditions;
mod definition;
mod distance;
mod exact;
mod first_enough;
mod graph;
mod indexable;
mod kernel;
mod lateral;
mod links;
mod matching;
mod nearest_join;
mod nearest_sort;
mod node;
mod pages;
mod plan;
mod query;
mod registry;
mod sample;
mod scan;
mod search;
mod sketch;
mod sorted;
#[cfg(test)]
mod tests;
mod vector_index;
mod visited;
mod walk;

pub use self::codes::Precision;
pub use self::definition::{Definition, IndexError};
pub use self::graph::{Graph, GraphOptions, LinkScratch, RowKey};
pub use self::indexable::IndexableScan;
pub use self::kernel::Metric;
pub use self::node::{is_search, is_short_search};
pub use self::plan::UseIndexes;
pub use self::registry::Indexes;
pub use self::search::{Effort, Found, Resumable, Search, SearchStatistics};
pub use self::sorted::SortInSearches;
