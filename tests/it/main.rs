//! Tests of the project as a whole, in one binary: linking DataFusion takes long, so there is no
//! second one. What SQL shows is tested in `tests/slt`.

mod bad_input;
mod captions;
mod clients;
mod examples;
mod fuzz;
mod object_store;
mod pgvector;
mod pgvector_python;
mod reference;
mod server;
mod tidy;
mod vectors;
