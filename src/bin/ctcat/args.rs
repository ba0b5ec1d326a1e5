//! The command line's grammar and help.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::iter;
use std::path::PathBuf;

use clap::{Arg, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use cloudtrail::host::Severity;

use crate::Stop;

const EXAMPLES: &str = "\
Examples:
  ctcat logs/                                    every event of a folder of logs, one line each
  ctcat -f ct.user,ct.name,ct.srcip logs/        chosen fields
  ctcat -f 'ct.value[/requestParameters/bucketName]' -o json logs/ | jq .
  ctcat -f all -o tsv trail.json.gz > events.tsv
  ctcat -f 'ct.user*,s3.*' logs/                 fields by pattern
  ctcat --count --stats logs/                    how many, and how fast
  ctcat -c '{\"s3Interval\":\"2d\"}' s3://my-trail-bucket/AWSLogs/
  ctcat -c @config.json sqs://my-queue           follow a queue until Ctrl-C
  ctcat check sqs://my-queue                     is everything right for Falco to read this?
  ctcat fields                                   what can be asked for

Exit codes:
  0    the source ended, --max-events were read, or the reader of the output went away
  1    the plugin or its source failed, or a field could not be extracted
  2    the command line is wrong
  130  Ctrl-C";

/// Read AWS CloudTrail logs with the Falco plugin, outside of Falco.
///
/// ctcat loads the plugin's library and drives it as Falco does, so what it prints is what rules see. A path, an
/// s3:// or an sqs:// address is read at once; commands tell about the plugin.
#[derive(Parser)]
#[command(
    name = "ctcat",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Subcommand)]
pub enum Command {
    /// Read events and print them; the same as no command (and the way to read a path that is named like one)
    #[command(after_help = EXAMPLES)]
    Read(ReadArgs),
    /// Try a configuration and a source step by step, down to the first events, and say what is wrong
    Check(CheckArgs),
    /// List the fields with their types, arguments and meanings
    Fields(FieldsArgs),
    /// Print the JSON schema of the plugin's configuration
    Schema(LibraryArgs),
    /// Tell the plugin's name, version, event source and plugin API
    Info(InfoArgs),
    /// List the open parameters that the plugin suggests
    Params(ParamsArgs),
    /// Print a script that completes this program's arguments in a shell
    Completions(CompletionsArgs),
}

#[derive(Args)]
pub struct ReadArgs {
    /// What to read, one after the other: a file, a folder, s3://BUCKET/PREFIX, sqs://QUEUE
    #[arg(required = true, value_name = "OPEN_PARAMS")]
    pub sources: Vec<String>,

    /// Fields to print, separated by commas; may be repeated; `*` in a name stands for any text, `all` is every
    /// field that needs no argument
    #[arg(short, long, value_name = "FIELDS")]
    pub fields: Vec<String>,

    /// How to print an event
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,

    /// Print the record itself too
    #[arg(short, long)]
    pub payload: bool,

    /// Print only the number of events; given --fields are extracted all the same
    #[arg(long, conflicts_with = "payload")]
    pub count: bool,

    /// Stop after N events
    #[arg(short = 'n', long, value_name = "N")]
    pub max_events: Option<u64>,

    /// Tell at the end on stderr: speed, CPU time, memory, the plugin's metrics
    #[arg(long)]
    pub stats: bool,

    /// Ask for all fields in one call, as Stratoshark does; Falco asks for each in a call of its own
    #[arg(long, alias = "together", requires = "fields")]
    pub single_call: bool,

    /// Plugin configuration: a JSON object, or @FILE to read it from a file
    #[arg(short, long, value_name = "JSON|@FILE")]
    pub config: Option<String>,

    /// The plugin's log lines to show on stderr: this severity and worse
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = LogLevel::Warning)]
    pub log_level: LogLevel,

    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Args)]
pub struct CheckArgs {
    /// What Falco is to read: a file, a folder, s3://BUCKET/PREFIX, sqs://QUEUE
    #[arg(value_name = "OPEN_PARAMS")]
    pub source: String,

    /// Seconds to wait for the first events
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,

    /// Plugin configuration: a JSON object, or @FILE to read it from a file
    #[arg(short, long, value_name = "JSON|@FILE")]
    pub config: Option<String>,

    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell that is to read it
    pub shell: Shell,
}

#[derive(Args)]
pub struct FieldsArgs {
    /// How to print the list
    #[arg(short, long, value_enum, default_value_t = ListOutput::Text)]
    pub output: ListOutput,

    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Args)]
pub struct InfoArgs {
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Args)]
pub struct ParamsArgs {
    /// Plugin configuration: a JSON object, or @FILE to read it from a file
    #[arg(short, long, value_name = "JSON|@FILE")]
    pub config: Option<String>,

    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Args)]
pub struct LibraryArgs {
    /// The plugin's library [default: the libcloudtrail that was built or installed with this program]
    #[arg(short, long, value_name = "PATH")]
    pub library: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line to read: the time, then the plugin's summary of the event, or field=value for each value there is
    Text,
    /// An object per line; null where there is no value
    Json,
    /// A header, then columns; \N where there is no value; \t \n \r \\ and other controls escaped; lists joined by commas
    Tsv,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListOutput {
    /// Aligned columns
    Text,
    /// An array of objects
    Json,
    /// A header, then columns
    Tsv,
    /// A table
    Markdown,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    Off,
    Fatal,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn shows(self, severity: Severity) -> bool {
        let least = match severity {
            Severity::Fatal => LogLevel::Fatal,
            Severity::Critical => LogLevel::Critical,
            Severity::Error => LogLevel::Error,
            Severity::Warning => LogLevel::Warning,
            Severity::Notice => LogLevel::Notice,
            Severity::Info => LogLevel::Info,
            Severity::Debug => LogLevel::Debug,
            Severity::Trace => LogLevel::Trace,
        };
        self >= least
    }
}

impl Cli {
    /// Parses the command line; ends the program where it is wrong, or asks for help.
    pub fn parse_command() -> Command {
        let cli = Cli::parse_from(command_first(env::args_os().collect()));
        cli.command.unwrap_or(Command::Read(cli.read))
    }
}

/// The arguments with a command's name that follows options moved before them: otherwise it would be read as a path.
fn command_first(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let cli = Cli::command();
    let mut at = 1;
    while let Some(argument) = arguments.get(at).and_then(|argument| argument.to_str()) {
        if argument == "--" {
            break;
        }
        if !argument.starts_with('-') || argument == "-" {
            if cli.find_subcommand(argument).is_some() {
                let name = arguments.remove(at);
                arguments.insert(1, name);
            }
            break;
        }
        at += if value_follows(&cli, argument) { 2 } else { 1 };
    }
    arguments
}

/// Whether the next argument is the value of this option, which may be one of a command.
fn value_follows(cli: &clap::Command, option: &str) -> bool {
    let takes_value = |same: &dyn Fn(&Arg) -> bool| {
        let commands = iter::once(cli).chain(cli.get_subcommands());
        let option = commands
            .flat_map(|command| command.get_arguments())
            .find(|arg| same(arg));
        option.is_some_and(|option| option.get_action().takes_values())
    };
    if let Some(long) = option.strip_prefix("--") {
        return !long.contains('=') && takes_value(&|arg| arg.get_long() == Some(long));
    }
    let mut shorts = option.chars().skip(1);
    // The rest of a group of short options belongs to the first that takes a value.
    let with_value = shorts.find(|short| takes_value(&|arg| arg.get_short() == Some(*short)));
    with_value.is_some() && shorts.next().is_none()
}

/// The script that completes this program's arguments.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ctcat", &mut script);
    script
}

/// The configuration itself, read from its file if it is given as one.
pub fn config(given: Option<&str>) -> Result<String, Stop> {
    let given = given.unwrap_or_default();
    match given.strip_prefix('@') {
        None => Ok(given.to_owned()),
        Some(path) => fs::read_to_string(path)
            .map_err(|e| Stop::Usage(format!("cannot read the configuration file {path}: {e}"))),
    }
}

/// The fields in the values of `--fields`: separated by commas, but not by those inside brackets.
pub fn field_specs(given: &[String]) -> Vec<&str> {
    let mut specs = Vec::new();
    for list in given {
        let (mut start, mut depth) = (0, 0usize);
        for (at, byte) in list.bytes().enumerate() {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => {
                    specs.push(&list[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        specs.push(&list[start..]);
    }
    specs.retain(|spec| !spec.trim().is_empty());
    specs.iter().map(|spec| spec.trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_behind_its_options_is_the_command() {
        for (line, expected) in [
            ("ctcat --library x check s", "ctcat check --library x s"),
            ("ctcat -l x -w 5 check s", "ctcat check -l x -w 5 s"),
            ("ctcat -lx check s", "ctcat check -lx s"),
            (
                "ctcat --library=x --json info",
                "ctcat info --library=x --json",
            ),
            (
                "ctcat --library check check s",
                "ctcat check --library check s",
            ),
            ("ctcat -pf check check s", "ctcat check -pf check s"),
            ("ctcat -p check s", "ctcat check -p s"),
            // What is no command in the first place stays.
            ("ctcat -f check logs check", "ctcat -f check logs check"),
            ("ctcat --library x -- check", "ctcat --library x -- check"),
            ("ctcat read check", "ctcat read check"),
            ("ctcat -f", "ctcat -f"),
            ("ctcat", "ctcat"),
        ] {
            let arguments = line.split(' ').map(OsString::from).collect();
            let moved = command_first(arguments);
            let moved: Vec<_> = moved.iter().map(|it| it.to_str().expect("UTF-8")).collect();
            assert_eq!(moved.join(" "), expected);
        }
    }

    #[test]
    fn commas_inside_brackets_do_not_separate_fields() {
        let given = ["a, b.c[/x,y],".to_owned(), "d[0]".to_owned()];
        assert_eq!(field_specs(&given), ["a", "b.c[/x,y]", "d[0]"]);
    }

    #[test]
    fn a_log_level_shows_what_is_as_grave_or_graver() {
        assert!(LogLevel::Warning.shows(Severity::Warning));
        assert!(LogLevel::Warning.shows(Severity::Fatal));
        assert!(!LogLevel::Warning.shows(Severity::Notice));
        assert!(!LogLevel::Off.shows(Severity::Fatal));
    }
}
