//! The examples of the documentation run.

use vigil_sql::statement_docs;

use crate::server::{database, run};

#[tokio::test]
async fn every_statement_runs_as_its_documentation_says() {
    for doc in statement_docs() {
        let (_engine, database) = database();
        let mut session = database.session();
        run(&mut session, doc.example)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", doc.name));
    }
}

#[tokio::test]
async fn every_function_answers_as_its_documentation_says() {
    let (_engine, database) = database();
    let mut session = database.session();
    for function in vigil_udfs::all() {
        for example in function.doc.examples {
            run(&mut session, example.sql)
                .await
                .unwrap_or_else(|error| panic!("{}: {error}", example.sql));
        }
    }
}
