//! The command line: commands, options and their help.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Arg, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use cloudtrail::host::Severity;

use crate::Stop;

const EXAMPLES: &str = "\
Examples:
  ctcat logs/                                    print all events of a directory, one line each
  ctcat -f ct.user,ct.name,ct.srcip logs/        print selected fields
  ctcat -f 'ct.user*,s3.*' logs/                 print fields that match patterns
  ctcat -f 'ct.value[/requestParameters/bucketName]' -o json logs/ | jq .
  ctcat -f all -o tsv trail.json.gz > events.tsv
  ctcat --count --stats logs/                    count events and measure speed
  ctcat -c '{\"s3Interval\":\"2d\"}' s3://my-trail-bucket/AWSLogs/
  ctcat -c @config.json sqs://my-queue           follow a queue until Ctrl-C
  ctcat -c '{\"s3Follow\":\"60s\"}' s3://my-bucket   follow a bucket until Ctrl-C
  ctcat summary logs/                            who did what, from where and when, on one screen
  ctcat check sqs://my-queue                     test whether Falco can read a source
  ctcat fields                                   list all fields

Exit codes:
  0    the source ended, --max-events was reached, or the reader of the output closed it
  1    the plugin or its source failed, or a field could not be extracted
  2    the command line is invalid
  130  Ctrl-C
  143  SIGTERM";

const READ_EXAMPLES: &str = "\
Examples:
  ctcat read logs/                               the same as `ctcat logs/`
  ctcat read check                               read a file that has the name of a command
  ctcat read -n 3 -o json --payload logs/        print three events with their records";

const CHECK_EXAMPLES: &str = "\
Examples:
  ctcat check s3://my-trail-bucket/AWSLogs/
  ctcat check --wait 120 -c @init_config.json sqs://my-queue

Exit codes:
  0    the source could be opened and no errors occurred
  1    a step failed, or the plugin counted errors
  2    the command line is invalid
  130  Ctrl-C
  143  SIGTERM";

const SUMMARY_EXAMPLES: &str = "\
Examples:
  ctcat summary logs/
  ctcat summary --by ct.user.arn,ct.useragent --top 20 logs/
  ctcat summary -c '{\"s3Interval\":\"1d\"}' -o json s3://my-trail-bucket/AWSLogs/ | jq .by";

const FIELDS_EXAMPLES: &str = "\
Examples:
  ctcat fields
  ctcat fields -o json | jq -r '.[].name'";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  ctcat completions bash > ~/.local/share/bash-completion/completions/ctcat
  ctcat completions fish > ~/.config/fish/completions/ctcat.fish";

/// Read AWS CloudTrail logs on the command line through the Falco plugin.
///
/// ctcat loads the plugin library and calls it as Falco does, so it prints exactly what rules see. Given a path, an
/// s3:// or an sqs:// address, it prints the events. The commands test a configuration and print the plugin's
/// declarations.
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
    /// Print events (the default command)
    ///
    /// Reads the sources in order and prints one line per event. `read` can be omitted, unless the first source has
    /// the name of a command.
    #[command(after_help = READ_EXAMPLES)]
    Read(ReadArgs),
    /// Test a configuration and a source
    ///
    /// Loads the plugin with the configuration, opens the source and waits for the first events. Prints the result
    /// of each step, and the plugin's log to stderr. Deletes nothing: messages received from a queue are returned
    /// to it, but SQS counts one receive for each. The file of s3State is described, neither used nor changed.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Show who did what, from where and when, on one screen
    ///
    /// Reads the sources to their end (a queue until Ctrl-C) and prints the period, the events over time, and the
    /// most frequent users, services, operations, errors, addresses and regions with their shares of all events.
    /// Memory is bounded: of a field with more than 50,000 values, rare ones are not counted exactly.
    #[command(after_help = SUMMARY_EXAMPLES)]
    Summary(SummaryArgs),
    /// List all fields with type, argument and description
    #[command(after_help = FIELDS_EXAMPLES)]
    Fields(FieldsArgs),
    /// Print the JSON schema of the plugin's configuration
    Schema(LibraryArgs),
    /// Print the plugin's name, version, event source and API version
    Info(InfoArgs),
    /// List the open parameters that the plugin suggests
    Params(ParamsArgs),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print the manual page, for `man -l -`
    Man,
}

#[derive(Args)]
pub struct ReadArgs {
    /// Sources to read, in order: files, directories, s3://BUCKET/PREFIX, sqs://QUEUE
    ///
    /// The same text as `open_params` in Falco's configuration. A directory is read with all its subdirectories. A
    /// queue has no end, nor has a bucket or a directory with s3Follow: stop with Ctrl-C or --max-events.
    #[arg(required = true, value_name = "OPEN_PARAMS")]
    pub sources: Vec<String>,

    /// Fields to print, separated by commas
    ///
    /// May be repeated. `*` in a name matches any text, and `all` selects every field that needs no argument. An
    /// argument follows in brackets, as in rules: `ec2.imageids[0]`, `ct.value[/userIdentity/arn]`. Without this
    /// option, a line for people is printed, or with -o json and tsv the plugin's one-line text.
    #[arg(short, long, value_name = "FIELDS")]
    pub fields: Vec<String>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,

    /// Print the complete record of each event as well
    #[arg(short, long)]
    pub payload: bool,

    /// Print only the number of events
    ///
    /// The fields of --fields are extracted but not printed, which measures the speed of extraction together with
    /// --stats.
    #[arg(long, conflicts_with = "payload")]
    pub count: bool,

    /// Stop after N events
    #[arg(short = 'n', long, value_name = "N")]
    pub max_events: Option<u64>,

    /// Print statistics to stderr at the end: speed, CPU time, memory, lag of the events, the plugin's metrics
    #[arg(long)]
    pub stats: bool,

    /// Extract all fields in one call
    ///
    /// As Stratoshark does. By default each field is extracted in a call of its own, as Falco does.
    #[arg(long, alias = "together", requires = "fields")]
    pub single_call: bool,

    #[command(flatten)]
    pub plugin: PluginArgs,
}

#[derive(Args)]
pub struct CheckArgs {
    /// Source to test: a file, a directory, s3://BUCKET/PREFIX or sqs://QUEUE
    #[arg(value_name = "OPEN_PARAMS")]
    pub source: String,

    /// Seconds to wait for the first events
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,

    #[command(flatten)]
    pub config: ConfigArgs,

    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Args)]
pub struct SummaryArgs {
    /// Sources to read: files, directories, s3://BUCKET/PREFIX, sqs://QUEUE
    ///
    /// The same text as `open_params` in Falco's configuration. Messages of a queue are deleted as Falco would delete
    /// them, unless `sqsDelete` is false.
    #[arg(required = true, value_name = "OPEN_PARAMS")]
    pub sources: Vec<String>,

    /// Fields to count the values of, separated by commas, instead of the usual ones
    ///
    /// May be repeated. An argument follows in brackets, as in rules: `ct.value[/userIdentity/arn]`.
    #[arg(short, long, value_name = "FIELDS")]
    pub by: Vec<String>,

    /// Number of values to show for each field
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    pub top: usize,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = SummaryFormat::Text)]
    pub output: SummaryFormat,

    /// Stop after N events
    #[arg(short = 'n', long, value_name = "N")]
    pub max_events: Option<u64>,

    #[command(flatten)]
    pub plugin: PluginArgs,
}

#[derive(Args)]
pub struct CompletionsArgs {
    /// Shell to print the script for
    pub shell: Shell,
}

#[derive(Args)]
pub struct FieldsArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ListFormat::Text)]
    pub output: ListFormat,

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
    #[command(flatten)]
    pub config: ConfigArgs,

    #[command(flatten)]
    pub library: LibraryArgs,
}

/// How the plugin is loaded.
#[derive(Args)]
pub struct PluginArgs {
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Least severe log lines of the plugin to print to stderr
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = LogLevel::DEFAULT)]
    pub log_level: LogLevel,

    #[command(flatten)]
    pub library: LibraryArgs,
}

#[derive(Args)]
pub struct ConfigArgs {
    /// Plugin configuration: a JSON object, or @FILE to read it from a file
    ///
    /// The same object as `init_config` in Falco's configuration. `ctcat schema` prints its schema.
    #[arg(short, long, value_name = "JSON|@FILE")]
    config: Option<String>,
}

#[derive(Args)]
pub struct LibraryArgs {
    /// Plugin library [default: the one built or installed with this program, else that of Falco]
    ///
    /// Loading a library runs its code: name only libraries that you trust.
    #[arg(short, long, value_name = "PATH")]
    pub library: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A line for people: time, region, service and what happened, or field=value for each value of --fields; colored and cut on a terminal
    Text,
    /// One JSON object per line; null for fields without a value
    Json,
    /// Tab-separated columns with a header; \N for fields without a value; backslashes and control characters escaped; list elements separated by commas
    Tsv,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// Tables and a bar chart for a screen
    Text,
    /// A JSON object
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Aligned columns
    Text,
    /// An array of JSON objects
    Json,
    /// Tab-separated columns with a header
    Tsv,
    /// A Markdown table
    Markdown,
}

/// Least severe log lines to show; `None` shows none.
#[derive(Clone, Copy)]
pub struct LogLevel(Option<Severity>);

impl LogLevel {
    const DEFAULT: LogLevel = LogLevel(Some(Severity::Warning));

    /// Whether a line of `severity` is shown.
    pub fn shows(self, severity: Severity) -> bool {
        self.0.is_some_and(|least| severity <= least)
    }
}

impl ValueEnum for LogLevel {
    fn value_variants<'a>() -> &'a [Self] {
        static LEVELS: [LogLevel; Severity::ALL.len() + 1] = {
            let mut levels = [LogLevel(None); Severity::ALL.len() + 1];
            let mut i = 0;
            while i < Severity::ALL.len() {
                levels[i + 1] = LogLevel(Some(Severity::ALL[i]));
                i += 1;
            }
            levels
        };
        &LEVELS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let name = self.0.map_or("off", Severity::name);
        Some(PossibleValue::new(name))
    }
}

impl ConfigArgs {
    /// The configuration as JSON text; empty if the option is absent.
    pub fn load(&self) -> Result<String, Stop> {
        let text = self.config.as_deref().unwrap_or_default();
        match text.strip_prefix('@') {
            None => Ok(text.to_owned()),
            Some(path) => fs::read_to_string(path).map_err(|e| {
                Stop::Usage(format!("cannot read the configuration file {path}: {e}"))
            }),
        }
    }
}

impl Cli {
    /// Parses the command line. Exits with a message if it is invalid, or if it requests help.
    pub fn parse_command() -> Command {
        let cli = Cli::parse_from(command_first(env::args_os().collect()));
        cli.command.unwrap_or(Command::Read(cli.read))
    }
}

/// Moves a command's name before the options that precede it. Clap would otherwise take it for a source.
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

/// Whether the next argument is the value of `option`, which may belong to any command.
fn value_follows(cli: &clap::Command, option: &str) -> bool {
    let takes_value = |matches: &dyn Fn(&Arg) -> bool| {
        let commands = iter::once(cli).chain(cli.get_subcommands());
        let option = commands
            .flat_map(|command| command.get_arguments())
            .find(|arg| matches(arg));
        option.is_some_and(|option| option.get_action().takes_values())
    };
    if let Some(long) = option.strip_prefix("--") {
        return !long.contains('=') && takes_value(&|arg| arg.get_long() == Some(long));
    }
    let mut shorts = option.chars().skip(1);
    // In a group of short options, the first one that takes a value takes the rest of the group, if there is any.
    let with_value = shorts.find(|short| takes_value(&|arg| arg.get_short() == Some(*short)));
    with_value.is_some() && shorts.next().is_none()
}

/// The completion script for `shell`.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ctcat", &mut script);
    script
}

/// The manual page, with a section for each command.
pub fn man_page() -> io::Result<Vec<u8>> {
    let mut cli = Cli::command();
    cli.build();
    let mut page = Vec::new();
    Man::new(cli.clone()).render(&mut page)?;
    for command in cli.get_subcommands() {
        let command = command.clone();
        let section = format!(".SH \"CTCAT {}\"\n", command.get_name().to_uppercase());
        page.extend_from_slice(section.as_bytes());
        let man = Man::new(command);
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    Ok(page)
}

/// The command that `word` was probably meant to be, if it is neither a command nor an existing path.
pub fn meant_command(word: &str) -> Option<String> {
    /// Edits that still look like a typing error.
    const MAX_EDITS: usize = 2;
    let cli = Cli::command();
    let names = cli.get_subcommands().map(|command| command.get_name());
    let nearest = names
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .min()?;
    let is_typo = (1..=MAX_EDITS).contains(&nearest.0) && word.len() > MAX_EDITS;
    (is_typo && !Path::new(word).exists()).then(|| nearest.1.to_owned())
}

/// Splits the values of `--fields` at commas, except inside brackets.
pub fn field_specs(values: &[String]) -> Vec<&str> {
    let mut specs = Vec::new();
    for list in values {
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
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_and_arguments_have_help_texts() {
        let mut cli = Cli::command();
        cli.build();
        for command in iter::once(&cli).chain(cli.get_subcommands()) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {arg}", command.get_name());
            }
        }
    }

    #[test]
    fn mistyped_commands_are_recognized() {
        for (word, expected) in [
            ("chek", Some("check")),
            ("sumary", Some("summary")),
            ("field", Some("fields")),
            ("check", None),
            ("logs", None),
            ("ma", None),
            ("s3://man", None),
            ("src", None),
        ] {
            assert_eq!(meant_command(word).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn a_command_may_follow_its_options() {
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
            // Only the first word without a dash can be a command.
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
        let values = ["a, b.c[/x,y],".to_owned(), "d[0]".to_owned()];
        assert_eq!(field_specs(&values), ["a", "b.c[/x,y]", "d[0]"]);
    }

    #[test]
    fn log_level_shows_its_severity_and_worse() {
        let level = |name: &str| LogLevel::from_str(name, false).expect("a level");
        assert!(level("warning").shows(Severity::Warning));
        assert!(level("warning").shows(Severity::Fatal));
        assert!(!level("warning").shows(Severity::Notice));
        assert!(!level("off").shows(Severity::Fatal));
    }
}
