//! sqlx: a pool, the types of a described statement, parameters, arrays, a stream of rows, a
//! transaction, errors.

use sqlx::error::Error;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{Column, Connection, Executor, Row, Statement, TypeInfo};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().expect("a host");
    let port = arguments.next().expect("a port").parse().expect("a number");
    let options = PgConnectOptions::new()
        .host(&host)
        .port(port)
        .username("tester")
        .database("vigil")
        .ssl_mode(PgSslMode::Disable);
    let pool = PgPoolOptions::new().max_connections(3).connect_with(options).await?;

    let described = pool
        .prepare("SELECT frame_number, ts, avg_confidence, keyframe, source FROM frames WHERE source = $1")
        .await?;
    let types: Vec<_> = described.columns().iter().map(|column| column.type_info().name()).collect();
    assert_eq!(types, ["INT8", "TIMESTAMPTZ", "FLOAT4", "BOOL", "TEXT"]);

    for limit in [1_i64, 3] {
        let rows: Vec<(i64, chrono_of::Utc, bool)> = sqlx::query_as(
            "SELECT frame_number, ts, keyframe FROM frames WHERE source = $1 ORDER BY 1 LIMIT $2",
        )
        .bind("lobby")
        .bind(limit)
        .fetch_all(&pool)
        .await?;
        assert_eq!(i64::try_from(rows.len()).expect("is small"), limit);
        assert_eq!(rows[0].1.to_rfc3339(), "2024-01-01T00:00:00+00:00");
        assert!(rows[0].2);
    }
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM frames WHERE source = ANY($1)")
        .bind(vec!["lobby", "nowhere"])
        .fetch_one(&pool)
        .await?;
    assert!(found > 0);
    let (bytes, nothing, list): (Vec<u8>, Option<i32>, Vec<i64>) =
        sqlx::query_as("SELECT $1::bytea, $2::int, ARRAY[1, 2]::bigint[]")
            .bind(&[0_u8, 255][..])
            .bind(None::<i32>)
            .fetch_one(&pool)
            .await?;
    assert_eq!((bytes, nothing, list), (vec![0, 255], None, vec![1, 2]));
    let row = sqlx::query("SELECT 1.5::float8 AS half, 'a' AS letter").fetch_one(&pool).await?;
    assert_eq!((row.get::<f64, _>("half"), row.get::<&str, _>("letter")), (1.5, "a"));

    let many = sqlx::query("SELECT * FROM generate_series(1, 20000)").fetch_all(&pool).await?;
    assert_eq!(many.len(), 20_000);

    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let error = sqlx::query("SELECT 1 / $1").bind(0_i64).execute(&mut *transaction).await;
    assert_eq!(code(error), "22012");
    let error = sqlx::query("SELECT 1").execute(&mut *transaction).await;
    assert_eq!(code(error), "25P02");
    transaction.rollback().await?;
    assert_eq!(code(sqlx::query("SELECT nothing FROM frames").execute(&pool).await), "42703");

    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("news").await?;
    sqlx::query("SELECT pg_notify('news', 'hello')").execute(&pool).await.ok();
    pool.execute("NOTIFY news, 'good'").await?;
    loop {
        let told = listener.recv().await?;
        if told.payload() == "good" {
            break;
        }
    }
    drop(connection);
    drop(listener);
    pool.close().await;
    println!("ok");
    Ok(())
}

mod chrono_of {
    pub(super) type Utc = sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>;
}

fn code<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Database(error)) => error.code().expect("has a code").into_owned(),
        Err(other) => panic!("not the server's error: {other}"),
        Ok(_) => panic!("no error"),
    }
}
