//! The binary `vigil`: everything is in the library's [`vigil::cli`].

use std::process::ExitCode;

#[cfg(target_os = "linux")]
vigil::huge_pages!();

fn main() -> ExitCode {
    vigil::cli::main()
}
