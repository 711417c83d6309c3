//! Parameters of PostgreSQL without a meaning here, which programs written for it set or ask for all the
//! same. What speaks of files, pages, logs and replication has the value that says there are none, where
//! PostgreSQL has such a value.

use super::known::{Known, Takes, parameter};

const NO_EFFECT: &str = "Accepted without effect.";

/// A switch of the planner, or of what else is not here.
const fn switch(name: &'static str, default: &'static str) -> Known {
    parameter(name, default, Takes::Boolean, NO_EFFECT)
}

const fn tells(name: &'static str, value: &'static str, meaning: &'static str) -> Known {
    parameter(name, value, Takes::Nothing, meaning)
}

const fn one_of(name: &'static str, values: &'static [&'static str]) -> Known {
    parameter(name, values[0], Takes::OneOf(values), NO_EFFECT)
}

const fn text(name: &'static str, default: &'static str) -> Known {
    parameter(name, default, Takes::Text, NO_EFFECT)
}

const fn number(name: &'static str, default: &'static str, high: i64) -> Known {
    parameter(name, default, Takes::Integer(0, high), NO_EFFECT)
}

const fn memory(name: &'static str, default: &'static str) -> Known {
    parameter(name, default, Takes::Memory, NO_EFFECT)
}

/// All of them.
pub(super) const ACCEPTED: &[Known] = &[
    tells("allow_system_table_mods", "off", "Always off."),
    switch("array_nulls", "on"),
    one_of("backslash_quote", &["safe_encoding", "on", "off"]),
    tells("block_size", "8192", "PostgreSQL's own; there are no pages."),
    switch("check_function_bodies", "on"),
    text("cluster_name", ""),
    one_of("constraint_exclusion", &["partition", "on", "off"]),
    tells("data_checksums", "off", "Always off."),
    tells("debug_assertions", "off", "Always off."),
    number("default_statistics_target", "100", 10_000),
    text("default_table_access_method", "heap"),
    text("default_tablespace", ""),
    text("default_text_search_config", "pg_catalog.simple"),
    one_of("default_toast_compression", &["pglz", "lz4"]),
    switch("default_transaction_deferrable", "off"),
    memory("effective_cache_size", "4GB"),
    number("effective_io_concurrency", "1", 1000),
    switch("enable_bitmapscan", "on"),
    switch("enable_gathermerge", "on"),
    switch("enable_hashagg", "on"),
    switch("enable_hashjoin", "on"),
    switch("enable_incremental_sort", "on"),
    switch("enable_indexonlyscan", "on"),
    switch("enable_indexscan", "on"),
    switch("enable_material", "on"),
    switch("enable_memoize", "on"),
    switch("enable_mergejoin", "on"),
    switch("enable_nestloop", "on"),
    switch("enable_parallel_append", "on"),
    switch("enable_parallel_hash", "on"),
    switch("enable_partition_pruning", "on"),
    switch("enable_partitionwise_aggregate", "off"),
    switch("enable_partitionwise_join", "off"),
    switch("enable_seqscan", "on"),
    switch("enable_sort", "on"),
    switch("enable_tidscan", "on"),
    switch("escape_string_warning", "on"),
    number("from_collapse_limit", "8", 2_147_483_647),
    switch("geqo", "on"),
    tells("hot_standby", "off", "Always off."),
    number("join_collapse_limit", "8", 2_147_483_647),
    tells("lc_collate", "C.UTF-8", "Texts are ordered by their characters' numbers."),
    tells("lc_ctype", "C.UTF-8", "Letters are Unicode's."),
    text("lc_messages", "C.UTF-8"),
    text("lc_monetary", "C.UTF-8"),
    text("lc_numeric", "C.UTF-8"),
    text("lc_time", "C.UTF-8"),
    parameter("log_min_duration_statement", "-1", Takes::Integer(-1, 2_147_483_647), NO_EFFECT),
    one_of("log_statement", &["none", "ddl", "mod", "all"]),
    tells("log_timezone", "UTC", "The log has times of UTC."),
    memory("maintenance_work_mem", "64MB"),
    tells("max_function_args", "100", "PostgreSQL's own."),
    tells("max_locks_per_transaction", "64", "PostgreSQL's own; tables are not locked."),
    number("max_parallel_workers", "8", 1024),
    number("max_parallel_workers_per_gather", "2", 1024),
    tells("max_prepared_transactions", "0", "There are no two-phase transactions."),
    tells("max_replication_slots", "0", "There is no replication."),
    tells("max_wal_senders", "0", "There is no replication."),
    tells("max_worker_processes", "0", "There are no processes beside the server's."),
    parameter(
        "password_encryption",
        "scram-sha-256",
        Takes::OneOf(&["scram-sha-256"]),
        "How passwords are kept; always scram-sha-256.",
    ),
    one_of("plan_cache_mode", &["auto", "force_generic_plan", "force_custom_plan"]),
    switch("quote_all_identifiers", "off"),
    text("random_page_cost", "4"),
    tells(
        "role",
        "none",
        "Whose rights SET ROLE has given to the session; none is the user's own.",
    ),
    tells("segment_size", "1GB", "PostgreSQL's own; there are no files of tables."),
    text("seq_page_cost", "1"),
    one_of("session_replication_role", &["origin", "replica", "local"]),
    tells("shared_buffers", "0", "There is none; tables are in memory."),
    tells("superuser_reserved_connections", "0", "No connections are kept for administrators."),
    switch("synchronize_seqscans", "on"),
    number("tcp_keepalives_count", "0", 2_147_483_647),
    number("tcp_keepalives_idle", "0", 2_147_483_647),
    number("tcp_keepalives_interval", "0", 2_147_483_647),
    memory("temp_buffers", "8MB"),
    text("temp_tablespaces", ""),
    text("timezone_abbreviations", "Default"),
    switch("track_activities", "on"),
    one_of("track_functions", &["none", "pl", "all"]),
    switch("track_io_timing", "off"),
    switch("transaction_deferrable", "off"),
    tells("wal_block_size", "8192", "PostgreSQL's own; there is no write-ahead log."),
    tells("wal_level", "minimal", "There is no write-ahead log to follow."),
    one_of("xmlbinary", &["base64", "hex"]),
    one_of("xmloption", &["content", "document"]),
];
