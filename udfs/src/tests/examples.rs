//! The documentation of every function is there, and its examples say the truth.

use std::collections::BTreeSet;

use datafusion::functions_nested::all_default_nested_functions;

use super::{session, value};

#[tokio::test]
async fn every_example_gives_what_it_says() {
    for function in crate::all() {
        assert!(!function.doc.examples.is_empty(), "{} has no example", function.doc.name);
        for example in function.doc.examples {
            let found = value(example.sql).await;
            let found = found.unwrap_or_else(|error| panic!("{}: {error}", example.sql));
            assert_eq!(found, example.result, "{}", example.sql);
        }
    }
}

#[test]
fn names_are_unique_and_documented() {
    let mut names = BTreeSet::new();
    for function in crate::all() {
        let doc = function.doc;
        assert!(names.insert(doc.name), "{} is there twice", doc.name);
        assert!(doc.description.ends_with('.'), "{}", doc.name);
        assert!(doc.syntax.iter().any(|syntax| syntax.starts_with(doc.name)), "{}", doc.name);
        let udf = function.make(&(super::CountingModel::new(3) as _));
        assert_eq!(udf.name(), doc.name);
        let documentation = udf.documentation().expect("documentation");
        assert_eq!(documentation.description, doc.description);
    }
}

#[test]
fn our_functions_replace_those_of_datafusion_with_their_aliases() {
    let state = session().state();
    let ours: BTreeSet<&str> = crate::all().iter().map(|function| function.doc.name).collect();
    let theirs = all_default_nested_functions();
    let replaced: Vec<_> = theirs.iter().filter(|udf| ours.contains(udf.name())).collect();
    assert!(!replaced.is_empty(), "DataFusion has no function of the same name any more");
    for udf in state.scalar_functions().values() {
        assert!(!replaced.contains(&udf), "DataFusion's {} is left", udf.name());
    }
}
