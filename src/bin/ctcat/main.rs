//! `ctcat`: reads CloudTrail logs on the command line through the plugin's C interface, as Falco would.

mod args;
mod check;
mod clock;
mod describe;
mod escape;
mod interrupt;
mod print;
mod read;
mod stats;
mod terminal;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cloudtrail::error::Error;
use cloudtrail::host;

use args::{Cli, Command, LibraryArgs};

fn main() -> ExitCode {
    let run = |command| match command {
        Command::Read(args) => read::read(args),
        Command::Check(args) => check::check(args),
        Command::Fields(args) => describe::fields(args),
        Command::Schema(args) => describe::schema(args),
        Command::Info(args) => describe::info(args),
        Command::Params(args) => describe::params(args),
        Command::Completions(args) => Ok(io::stdout().write_all(&args::completions(args.shell))?),
    };
    let done = run(Cli::parse_command());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Quiet) => ExitCode::SUCCESS,
        Err(Stop::Interrupted) => ExitCode::from(130),
        Err(Stop::Failed) => ExitCode::from(1),
        Err(Stop::Usage(why)) => fail(&why, 2),
        Err(Stop::Error(why)) => fail(&why, 1),
    }
}

/// Why a command ended before its work was complete.
enum Stop {
    /// The reader of the output went away, as `head` does: nothing to say.
    Quiet,
    /// Ctrl-C.
    Interrupted,
    /// Something failed that was told already.
    Failed,
    /// The command line asks for something that does not exist.
    Usage(String),
    /// The plugin, its source or the output failed.
    Error(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error.to_string())
    }
}

impl From<io::Error> for Stop {
    /// Only the output is written with plain I/O here.
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::Quiet,
            _ => Stop::Error(format!("cannot write the output: {error}")),
        }
    }
}

fn fail(why: &str, code: u8) -> ExitCode {
    terminal::error_line(why);
    ExitCode::from(code)
}

/// The library that the arguments name, else the one that belongs to this program.
fn library(args: &LibraryArgs) -> Result<PathBuf, Stop> {
    if let Some(path) = &args.library {
        return Ok(path.clone());
    }
    let own = env::current_exe().unwrap_or_default();
    let path = host::library_beside(&own);
    if !path.exists() {
        let file = path.file_name().map(Path::new).unwrap_or(&path).display();
        return Err(Stop::Error(format!(
            "no {file} beside {}: build it with `cargo build --release` or name one with --library",
            own.display()
        )));
    }
    Ok(path)
}
