//! What `SET`, `SHOW` and `RESET` do to settings.

use super::*;

#[test]
fn names_are_unique_and_defaults_are_valid() {
    let mut names: Vec<_> = KNOWN.iter().map(|known| known.name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KNOWN.len());
    for known in KNOWN {
        if !matches!(known.takes, Takes::Nothing) {
            assert!(check(known, known.default).is_ok(), "{}", known.name);
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
fn durations_have_units() {
    assert_eq!(parse_duration("250"), Some(Duration::from_millis(250)));
    assert_eq!(parse_duration("2s"), Some(Duration::from_secs(2)));
    assert_eq!(parse_duration("1 min"), Some(Duration::from_secs(60)));
    assert_eq!(parse_duration("-1"), None);
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
