//! The program: hands its arguments over and exits.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(salur::cli::run(std::env::args_os()))
}
