//! Measuring quality: what was found and what is true go in, the field's usual figures come out.
//! One file for each task. No model is run and no file is read here.

pub mod detect;
