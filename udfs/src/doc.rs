//! What is written about a function: the reference page is made from it, and its examples are
//! run by a test.

use std::sync::Arc;

use datafusion::logical_expr::{DocSection, Documentation, ScalarUDF};

use crate::ModelCalls;

/// A query and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// A query of one row and one column, without a semicolon.
    pub sql: &'static str,
    /// The value as psql shows it; empty for NULL.
    pub result: &'static str,
}

/// The documentation of a function and of its operator, where it has one.
#[derive(Debug, PartialEq, Eq)]
pub struct FunctionDoc {
    /// The function's name in SQL.
    pub name: &'static str,
    /// The heading that it stands under in the reference.
    pub section: &'static str,
    /// Every way to call it, with the type of the result.
    pub syntax: &'static [&'static str],
    /// What it does, whole sentences in markdown.
    pub description: &'static str,
    /// Name and meaning of each argument.
    pub arguments: &'static [(&'static str, &'static str)],
    /// Queries that a test runs.
    pub examples: &'static [Example],
}

impl FunctionDoc {
    /// The same in DataFusion's shape, which its own catalog functions show.
    pub fn to_documentation(&self) -> Documentation {
        let section = DocSection { include: true, label: self.section, description: None };
        let (first, more) = self.syntax.split_first().unwrap_or((&self.name, &[]));
        let mut builder = Documentation::builder(section, self.description, *first);
        for syntax in more {
            builder = builder.with_alternative_syntax(*syntax);
        }
        for (name, meaning) in self.arguments {
            builder = builder.with_argument(*name, *meaning);
        }
        for example in self.examples.iter().take(1) {
            builder = builder.with_sql_example(format!("{};\n-- {}", example.sql, example.result));
        }
        builder.build()
    }
}

/// A function of a folder: its documentation and how a session's instance is made.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// What is written about it.
    pub doc: &'static FunctionDoc,
    make: fn(&Arc<dyn ModelCalls>) -> ScalarUDF,
}

impl Function {
    pub(crate) const fn new(
        doc: &'static FunctionDoc,
        make: fn(&Arc<dyn ModelCalls>) -> ScalarUDF,
    ) -> Self {
        Self { doc, make }
    }

    /// The function for a session whose models are `models`.
    pub fn make(&self, models: &Arc<dyn ModelCalls>) -> Arc<ScalarUDF> {
        Arc::new((self.make)(models))
    }
}
