//! Everything a SQL client meets: dialect, statements, catalog, planning, sessions, the wire.
//!
//! Statements come in, tables go out. What is below the SQL is behind the trait [`Engine`], which
//! the root crate implements. This crate opens no video, runs no network and knows of no dataflow.
//!
//! A statement's way through it:
//!
//! | step | where | what happens |
//! | --- | --- | --- |
//! | 1 | [`wire`] | bytes of PostgreSQL's protocol become text and parameters (not in process) |
//! | 2 | `dialect` | the text is split and read: our statements by [`statement_docs`]' grammars, others by sqlparser |
//! | 3 | `session` | settings and transactions are the session's own; queries are planned by DataFusion |
//! | 4 | `catalog` | names become tables: `public`, `vigil_catalog`, `pg_catalog`, `information_schema` |
//! | 5 | `runtime` | the plan runs on the query threads, with one [`Cut`] for all of its tables |
//! | 6 | `error` | whatever goes wrong becomes one line, a SQLSTATE and a hint |
//!
//! In process, without the wire:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn example(engine: Arc<dyn vigil_sql::Engine>) -> Result<(), vigil_sql::SqlError> {
//! use futures::StreamExt;
//! use vigil_sql::{Database, Outcome};
//!
//! let database = Database::new(engine)?;
//! let mut session = database.session();
//! for statement in session.parse("SHOW SOURCES; SELECT count(*) FROM frames")? {
//!     match session.execute(&statement).await? {
//!         Outcome::Rows { mut batches, .. } => {
//!             while let Some(batch) = batches.next().await {
//!                 println!("{} rows", batch?.num_rows());
//!             }
//!         }
//!         Outcome::Copy { .. } => {}
//!         Outcome::Done { tag, .. } => println!("{tag}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod access;
mod activity;
pub mod catalog;
mod channels;
mod comments;
mod copies;
mod database;
mod dialect;
mod engine;
mod error;
mod functions;
mod guarded;
mod input_order;
mod interrupt;
mod intervals;
mod introspection;
mod lateral;
mod lists;
mod memory;
mod model_columns;
mod notice;
mod nullable;
mod overflow;
mod planner;
mod roles;
mod runtime;
mod session;
mod statement;
pub mod text;
mod time_casts;
mod time_texts;
mod types;
mod vector_unions;
mod views;
pub mod wire;

pub use crate::database::{DATABASE, DEFAULT_SCHEMA, Database, DatabaseOptions};
pub use crate::dialect::{Statement, parse as parse_statements, quote_identifier};
pub use crate::engine::{
    AtOnce, CreateIndex, CreateModel, CreateSource, Cut, Engine, EngineError, FrontierInfo,
    IndexBuild, IndexInfo, ModelInfo, ModelMetrics, NotShort, OperatorInfo, Origin, SearchSettings,
    SourceFault, SourceInfo, SourceStatistics,
};
pub use crate::error::SqlError;
pub use crate::functions::docs as function_docs;
pub use crate::lateral::RANK as LATERAL_RANK;
pub use crate::memory::QueryLimits;
pub use crate::notice::Notice;
pub use crate::session::{
    CopyFormat, CopyOptions, ForceQuote, Outcome, Prepared, Session, TransactionStatus,
    is_parameter,
};
pub use crate::statement::{StatementDoc, docs as statement_docs};
