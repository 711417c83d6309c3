//! Tests of the project as a whole, in one binary: linking DataFusion takes long, so there is no
//! second one. What SQL shows is tested in `tests/slt`.

mod reference;
mod tidy;
