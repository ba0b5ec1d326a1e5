//! `ctcat`: reads CloudTrail logs on the command line through the plugin's C interface, as Falco does.
//!
//! | File | Content |
//! |---|---|
//! | `args` | the command line |
//! | `read`, `print`, `event_line` | `ctcat read`: the loop over batches, the lines of output |
//! | `summary` | `ctcat summary`: frequent values, events over time |
//! | `check` | `ctcat check` |
//! | `describe` | `ctcat fields`, `schema`, `info` and `params` |
//! | `clock`, `escape` | times and untrusted text as text |
//! | `terminal`, `stats` | what goes to stderr: log, progress bar, statistics |
//! | `interrupt` | Ctrl-C and SIGTERM |

mod args;
mod check;
mod clock;
mod describe;
mod escape;
mod event_line;
mod interrupt;
mod print;
mod read;
mod stats;
mod summary;
mod terminal;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cloudtrail::error::Error;
use cloudtrail::host::{self, Plugin, Severity};

use args::{Cli, Command, LibraryArgs, PluginArgs};
use terminal::ProgressDisplay;

/// Name of the plugin library, without prefix and suffix.
const PLUGIN: &str = "cloudtrail";

fn main() -> ExitCode {
    let run = |command| match command {
        Command::Read(args) => read::read(args),
        Command::Summary(args) => summary::summary(args),
        Command::Check(args) => check::check(args),
        Command::Fields(args) => describe::fields(args),
        Command::Schema(args) => describe::schema(args),
        Command::Info(args) => describe::info(args),
        Command::Params(args) => describe::params(args),
        Command::Man => Ok(io::stdout().write_all(&args::man_page()?)?),
        Command::Completions(args) => Ok(io::stdout().write_all(&args::completions(args.shell))?),
    };
    match run(Cli::parse_command()) {
        Ok(()) | Err(Stop::BrokenPipe) => ExitCode::SUCCESS,
        Err(Stop::Interrupted) => ExitCode::from(interrupt::status()),
        Err(Stop::Reported) => ExitCode::from(1),
        Err(Stop::Usage(message)) => fail(&message, 2),
        Err(Stop::Error(message)) => fail(&message, 1),
    }
}

/// Reason why a command ended early.
enum Stop {
    /// The reader of standard output has closed it, as `head` does. Not an error.
    BrokenPipe,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A failure that the command has already reported.
    Reported,
    /// An argument is wrong, such as an unknown field.
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
    /// For errors of writing to standard output, the only I/O that commands do directly.
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::BrokenPipe,
            _ => Stop::Error(format!("cannot write the output: {error}")),
        }
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    terminal::log_line(Severity::Error, message);
    ExitCode::from(code)
}

/// Folder from which Falco loads plugins.
const FALCO_PLUGINS: &str = "/usr/share/falco/plugins";

/// Path of the plugin library: `--library`, or the one that was built or installed with this program, or the one that Falco
/// loads.
fn library(args: &LibraryArgs) -> Result<PathBuf, Stop> {
    if let Some(path) = &args.library {
        return Ok(path.clone());
    }
    let exe = env::current_exe().unwrap_or_default();
    let path = host::library_beside(&exe, PLUGIN);
    if path.exists() {
        return Ok(path);
    }
    let file = path.file_name().map(Path::new).unwrap_or(&path);
    let installed = Path::new(FALCO_PLUGINS).join(file);
    if installed.exists() {
        return Ok(installed);
    }
    Err(Stop::Error(format!(
        "no {} next to {} or in {FALCO_PLUGINS}: build it with `cargo build --release` or name one with --library",
        file.display(),
        exe.display()
    )))
}

/// Loads and initializes the plugin. Its log goes to stderr, above the progress.
fn load(args: &PluginArgs, progress: &ProgressDisplay) -> Result<Plugin, Stop> {
    let config = args.config.load()?;
    let (bar, level) = (progress.bar(), args.log_level);
    let log = move |severity, message: &str| {
        if level.shows(severity) {
            terminal::log(&bar, severity, message);
        }
    };
    Ok(Plugin::load_with_log(
        &library(&args.library)?,
        &config,
        log,
    )?)
}

/// Installs the signal handlers; without them, Ctrl-C would leave received messages invisible in their queue.
fn handle_interrupts() -> Result<(), Stop> {
    interrupt::install().map_err(|e| Stop::Error(format!("cannot install signal handlers: {e}")))
}
