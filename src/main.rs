//! The command `ocibake`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
