//! `to_char` beside PostgreSQL 15's answers, in `to_char.tsv`: type, value, template, text. They are
//! those of psql (`SELECT 'interval', '90 minutes', 'HH24', to_char('90 minutes'::interval, 'HH24')`)
//! with `lc_time = 'C'`, unaligned. Numbers are in `to_char_numbers.tsv`, made in the same way.

use super::value;

#[tokio::test]
async fn texts_are_postgresqls() {
    let (mut compared, mut different) = (0, Vec::new());
    for line in include_str!("to_char.tsv").lines() {
        let row: Vec<&str> = line.split('\t').collect();
        let [kind, text, template, expected] = row[..] else { panic!("{line}") };
        let value_of = match kind {
            // Without (6) DataFusion takes nanoseconds, which reach from 1677 to 2262 only.
            "timestamp" => format!("CAST('{text}' AS TIMESTAMP(6))"),
            // A zone is the session's to give, which is a bare one here.
            "timestamptz" => {
                format!("arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')")
            }
            kind => format!("CAST('{text}' AS {kind})"),
        };
        let template = template.replace('\'', "''");
        let sql = format!("SELECT to_char({value_of}, '{template}')");
        let found = value(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        if found != expected {
            different.push(format!("{sql}: {found:?}, not {expected:?}"));
        }
        compared += 1;
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared > 260, "{compared}");
}

#[tokio::test]
async fn a_template_of_a_calendar_is_none_for_an_interval() {
    for template in ["Month", "Dy", "AD", "TZ", "OF", "D", "IW", "J"] {
        let error = value(&format!("SELECT to_char(INTERVAL '1 day', '{template}')")).await;
        let error = error.expect_err(template);
        let found = crate::UdfError::find(&error).map(crate::UdfError::sqlstate);
        assert_eq!(found, Some("22007"), "{template}: {error}");
    }
}

#[tokio::test]
async fn rows_have_their_own_templates_and_null_stays_null() {
    let sql = "SELECT string_agg(coalesce(to_char(ts, template), 'null'), ',' ORDER BY n) FROM (VALUES \
               (1, TIMESTAMP '2026-05-01', 'YYYY'), (2, TIMESTAMP '2026-05-01', NULL), \
               (3, NULL, 'YYYY'), (4, TIMESTAMP '2026-05-01', ''), (5, TIMESTAMP '2026-05-01', 'MM')) \
               AS t(n, ts, template)";
    assert_eq!(value(sql).await.expect("a text"), "2026,null,null,null,05");
}

#[tokio::test]
async fn numbers_are_written_as_postgresql_writes_them() {
    let (mut compared, mut different) = (0, Vec::new());
    let lines: Vec<Vec<&str>> = include_str!("to_char_numbers.tsv")
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    // Many in a query, as each query is planned.
    for chunk in lines.chunks(100) {
        let calls: Vec<String> = chunk
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let [kind, number, template, _] = row[..] else { panic!("{row:?}") };
                let scale = number.split_once('.').map_or(0, |(_, fraction)| fraction.len());
                let kind = match kind {
                    "float8" => "double precision".to_owned(),
                    _ => format!("numeric(38, {scale})"),
                };
                format!(
                    "to_char(CAST('{number}' AS {kind}), '{}') AS c{at}",
                    template.replace('\'', "''")
                )
            })
            .collect();
        let batches = super::query(&super::session(), &format!("SELECT {}", calls.join(", ")))
            .await
            .expect("texts");
        for (column, row) in batches[0].columns().iter().zip(chunk) {
            let found = super::shown(column, 0);
            if found != row[3] {
                different.push(format!("{row:?}: {found:?}"));
            }
            compared += 1;
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared > 2_000, "{compared}");
}
