//! The program: hands its arguments over and exits.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Keeps the memory that one request gives back for the next one; the system's own asked for it
/// page by page, and spent a sixth of a claim's time on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(salur::cli::run(std::env::args_os()))
}
