//! The binary `vigil`: everything is in the library's [`vigil::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    vigil::cli::main()
}
