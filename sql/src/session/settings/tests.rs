//! What `SET`, `SHOW` and `RESET` do to settings.

use super::*;

#[test]
fn names_are_unique_and_defaults_are_valid() {
    let mut names: Vec<_> = all().map(|known| known.name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().count());
    for known in all() {
        if !matches!(known.takes, Takes::Nothing) {
            assert_eq!(check(known, known.default).ok().as_deref(), Some(known.default));
        }
    }
}

#[test]
fn a_value_comes_back_in_its_own_spelling() {
    let mut settings = Settings::default();
    settings.set("TIMEZONE", "europe/berlin").expect_err("zones are spelt exactly");
    settings.set("timezone", "Europe/Berlin").expect("is a zone");
    assert_eq!(
        settings.show("timezone").expect("is known"),
        ("TimeZone".to_owned(), "Europe/Berlin".to_owned())
    );
    settings.reset("TimeZone").expect("is known");
    assert_eq!(settings.show("timezone").expect("is known").1, "UTC");
}

#[test]
fn wrong_names_and_values_are_refused_with_a_hint() {
    let mut settings = Settings::default();
    let error = settings.set("statement_timout", "1s").expect_err("is misspelt");
    assert_eq!(error.sqlstate(), "42704");
    assert_eq!(error.hint().as_deref(), Some("Perhaps you meant \"statement_timeout\"."));
    let error = settings.set("statement_timeout", "soon").expect_err("is no time");
    assert_eq!(error.sqlstate(), "22023");
    let error = settings.set("server_version", "1").expect_err("only tells");
    assert_eq!(error.sqlstate(), "55P02");
    for (name, value, sqlstate) in [
        ("datafusion.execution.batch_size", "many", "22023"),
        ("datafusion.execution.target_partitions", "1000000", "22023"),
        ("datafusion.execution.target_partitions", "0", "22023"),
        ("datafusion.optimizer.max_passes", "1000000", "55P02"),
        ("datafusion.sql_parser.recursion_limit", "1000000", "55P02"),
        ("datafusion.catalog.location", "/etc", "55P02"),
        ("datafusion.optimizer.no_such", "true", "22023"),
    ] {
        let error = settings.set(name, value).expect_err(name);
        assert_eq!(error.sqlstate(), sqlstate, "{name}");
    }
    for (name, value) in [
        ("datafusion.execution.target_partitions", "2"),
        ("datafusion.optimizer.prefer_hash_join", "false"),
        ("datafusion.explain.show_statistics", "true"),
    ] {
        settings.set(name, value).expect(name);
    }
}

#[test]
fn numbers_out_of_range_are_refused_in_postgresqls_words() {
    let mut settings = Settings::default();
    for (name, value, message) in [
        (
            "hnsw.ef_search",
            "1001",
            "1001 is outside the valid range for parameter \"hnsw.ef_search\" (1 .. 1000)",
        ),
        (
            "hnsw.ef_search",
            "99999999999",
            "invalid value for parameter \"hnsw.ef_search\": \"99999999999\"",
        ),
        ("hnsw.ef_search", "x", "invalid value for parameter \"hnsw.ef_search\": \"x\""),
        (
            "hnsw.scan_mem_multiplier",
            "0.5",
            "0.5 is outside the valid range for parameter \"hnsw.scan_mem_multiplier\" (1 .. 1000)",
        ),
        (
            "extra_float_digits",
            "99",
            "99 is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)",
        ),
        (
            "statement_timeout",
            "-5",
            "-5 ms is outside the valid range for parameter \"statement_timeout\" \
             (0 ms .. 2147483647 ms)",
        ),
    ] {
        let error = settings.set(name, value).expect_err(name);
        assert_eq!((error.sqlstate(), error.to_string().as_str()), ("22023", message));
    }
    for (name, value, shown) in
        [("hnsw.ef_search", "1.5", "2"), ("hnsw.scan_mem_multiplier", "1.50", "1.5")]
    {
        settings.set(name, value).expect(name);
        assert_eq!(settings.show(name).expect("is known").1, shown);
    }
}

#[test]
fn durations_have_units() {
    assert_eq!(parse_duration("250"), Some(Duration::from_millis(250)));
    assert_eq!(parse_duration("2s"), Some(Duration::from_secs(2)));
    assert_eq!(parse_duration("1 min"), Some(Duration::from_secs(60)));
    assert_eq!(parse_duration("-1"), None);
    assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
    assert_eq!(parse_duration("40us"), Some(Duration::ZERO));
    assert_eq!(parse_duration("30d"), None);
    let mut settings = Settings::default();
    assert_eq!(settings.statement_timeout(), None);
    settings.set("statement_timeout", "100ms").expect("is a time");
    assert_eq!(settings.statement_timeout(), Some(Duration::from_millis(100)));
    settings.set("statement_timeout", "0").expect("is a time");
    assert_eq!(settings.statement_timeout(), None);
}

#[test]
fn the_default_schema_is_the_first_real_one_of_the_path() {
    let mut settings = Settings::default();
    assert_eq!(settings.default_schema(), "public");
    settings.set("search_path", "\"$user\", vigil_catalog, public").expect("is text");
    assert_eq!(settings.default_schema(), "vigil_catalog");
}

#[test]
fn numbers_come_back_in_the_largest_unit_that_fits() {
    let mut settings = Settings::default();
    for (name, value, shown) in [
        ("statement_timeout", "1500", "1500ms"),
        ("statement_timeout", "300s", "5min"),
        ("statement_timeout", "90000ms", "90s"),
        ("statement_timeout", "24 h", "1d"),
        ("statement_timeout", "0s", "0"),
        ("work_mem", "8192", "8MB"),
        ("work_mem", "1025kB", "1025kB"),
    ] {
        settings.set(name, value).expect("is valid");
        assert_eq!(settings.show(name).expect("is known").1, shown);
    }
    assert!(settings.set("work_mem", "much").is_err());
}

#[test]
fn a_transaction_is_as_the_session_wants_them() {
    let mut settings = Settings::default();
    settings.set("default_transaction_isolation", "serializable").expect("is a level");
    assert_eq!(settings.show("transaction_isolation").expect("is known").1, "serializable");
    settings.set("transaction_isolation", "read committed").expect("is a level");
    assert_eq!(settings.show("transaction_isolation").expect("is known").1, "read committed");
}

#[test]
fn passwords_are_kept_in_one_way() {
    let mut settings = Settings::default();
    assert_eq!(settings.show("password_encryption").expect("is known").1, "scram-sha-256");
    assert_eq!(
        settings.set("password_encryption", "md5").expect_err("is weak").sqlstate(),
        "22023"
    );
}
