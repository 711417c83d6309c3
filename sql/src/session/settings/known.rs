//! The parameters of PostgreSQL that clients set or ask for and that say or do something here.

use crate::functions::{SERVER_VERSION, SERVER_VERSION_NUM};

/// A parameter.
pub(super) struct Known {
    /// The name as PostgreSQL writes it.
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) takes: Takes,
    /// Clients are told of its value at the start and when it changes.
    pub(super) reported: bool,
    pub(super) meaning: &'static str,
}

/// What values a parameter takes.
pub(super) enum Takes {
    Text,
    /// It only tells.
    Nothing,
    Boolean,
    OneOf(&'static [&'static str]),
    Integer(i64, i64),
    Number(f64, f64),
    /// Milliseconds, or a number with a unit.
    Duration,
    /// Kilobytes, or a number with a unit.
    Memory,
    TimeZone,
}

pub(super) const fn parameter(
    name: &'static str,
    default: &'static str,
    takes: Takes,
    meaning: &'static str,
) -> Known {
    Known { name, default, takes, reported: false, meaning }
}

const fn reported(known: Known) -> Known {
    Known { reported: true, ..known }
}

const ISOLATION: Takes =
    Takes::OneOf(&["read committed", "read uncommitted", "repeatable read", "serializable"]);

/// All of them.
pub(super) const KNOWN: &[Known] = &[
    reported(parameter("application_name", "", Takes::Text, "Name of the client program.")),
    parameter("max_index_keys", "32", Takes::Nothing, "Most columns of an index."),
    parameter("jit", "off", Takes::Boolean, "Accepted; plans are not compiled."),
    parameter("bytea_output", "hex", Takes::OneOf(&["hex"]), "Text format of bytea."),
    reported(parameter(
        "client_encoding",
        "UTF8",
        Takes::OneOf(&["UTF8", "UTF-8", "unicode", "SQL_ASCII"]),
        "Encoding of the client; texts are always sent as UTF8.",
    )),
    parameter(
        "client_min_messages",
        "notice",
        Takes::OneOf(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
        ]),
        "Least severe message that is sent.",
    ),
    reported(parameter("DateStyle", "ISO, MDY", Takes::Text, "Text format of dates.")),
    parameter(
        "default_transaction_isolation",
        "read committed",
        ISOLATION,
        "Accepted; each statement sees one consistent cut.",
    ),
    reported(parameter(
        "default_transaction_read_only",
        "off",
        Takes::Boolean,
        "Accepted; tables are read only.",
    )),
    parameter(
        "extra_float_digits",
        "1",
        Takes::Integer(-15, 3),
        "Accepted; floats are written with the shortest exact text.",
    ),
    parameter(
        "hnsw.ef_search",
        "100",
        Takes::Integer(1, 1000),
        "Candidates that a search of an index keeps.",
    ),
    parameter(
        "hnsw.iterative_scan",
        "strict_order",
        Takes::OneOf(&["off", "relaxed_order", "strict_order"]),
        "Whether a search goes on in the graph when its first candidates do not pass the filter; with off the matching rows are scanned instead.",
    ),
    parameter(
        "hnsw.max_scan_tuples",
        "20000",
        Takes::Integer(1, 2_147_483_647),
        "Rows that a search visits in the graph before the matching rows are scanned instead.",
    ),
    parameter(
        "hnsw.scan_mem_multiplier",
        "1",
        Takes::Number(1.0, 1000.0),
        "Accepted without effect; a search keeps what it needs.",
    ),
    parameter(
        "idle_in_transaction_session_timeout",
        "0",
        Takes::Duration,
        "Longest time of doing nothing in a transaction block; 0 is none.",
    ),
    reported(parameter("in_hot_standby", "off", Takes::Nothing, "Always off.")),
    reported(parameter("integer_datetimes", "on", Takes::Nothing, "Always on.")),
    reported(parameter(
        "IntervalStyle",
        "postgres",
        Takes::OneOf(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "Text format of intervals.",
    )),
    reported(parameter("is_superuser", "on", Takes::Nothing, "Whether the user is a vigil_admin.")),
    parameter("lock_timeout", "0", Takes::Duration, "Accepted without effect; there are no locks."),
    parameter(
        "max_connections",
        "500",
        Takes::Nothing,
        "Most connections that the server takes at once.",
    ),
    parameter("max_identifier_length", "63", Takes::Nothing, "Longest name that PostgreSQL keeps."),
    parameter("row_security", "on", Takes::Boolean, "Accepted without effect."),
    reported(parameter(
        "search_path",
        "\"$user\", public",
        Takes::Text,
        "Schemas that names without one are looked up in.",
    )),
    reported(parameter("server_encoding", "UTF8", Takes::Nothing, "Always UTF8.")),
    reported(parameter(
        "server_version",
        SERVER_VERSION,
        Takes::Nothing,
        "PostgreSQL's version that clients may expect.",
    )),
    parameter("server_version_num", SERVER_VERSION_NUM, Takes::Nothing, "The same as a number."),
    reported(parameter("session_authorization", "vigil", Takes::Nothing, "Name of the user.")),
    reported(parameter("standard_conforming_strings", "on", Takes::OneOf(&["on"]), "Always on.")),
    parameter(
        "statement_timeout",
        "0",
        Takes::Duration,
        "Longest time of a statement, rows included; 0 is none.",
    ),
    parameter("synchronous_commit", "on", Takes::Text, "Accepted without effect."),
    reported(parameter("TimeZone", "UTC", Takes::TimeZone, "Time zone of timestamps in text.")),
    parameter(
        "transaction_isolation",
        "read committed",
        ISOLATION,
        "Accepted; each statement sees one consistent cut.",
    ),
    parameter("transaction_read_only", "off", Takes::Boolean, "Accepted; tables are read only."),
    parameter("work_mem", "4MB", Takes::Memory, "Accepted without effect."),
];
