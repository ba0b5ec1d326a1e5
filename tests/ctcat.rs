//! The built `ctcat`, driven with a fake plugin so that every ending can be had.

mod fixtures;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

static SOUND: LazyLock<PathBuf> = LazyLock::new(|| fixtures::library("fake_plugin", &[]));
static FAULTY: LazyLock<PathBuf> =
    LazyLock::new(|| fixtures::library("fake_plugin", &["WITH_FAULTS"]));

fn ctcat(library: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctcat"));
    command.args(args).arg("--library").arg(library);
    command
}

fn run(args: &[&str]) -> Output {
    ctcat(&SOUND, args).output().expect("ctcat runs")
}

/// Standard output of a run that must succeed.
fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn a_bare_source_is_read_with_a_readable_line_per_event() {
    let text = stdout(&["normal"]);
    assert_eq!(text, stdout(&["read", "normal"]));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(
        lines[0],
        r"2023-07-10T21:42:36.000000001Z event 1 of fake_source \u{1b}]0;x\u{7}"
    );
}

#[test]
fn several_sources_are_read_one_after_the_other() {
    assert_eq!(stdout(&["--count", "normal", "end-with-events"]), "9\n");
}

#[test]
fn fields_as_text_cannot_forge_other_fields_or_reach_the_terminal() {
    let fields = "fake.number,fake.none,fake.hostile,fake.list";
    let text = stdout(&["-f", fields, "-n", "1", "normal"]);
    assert_eq!(
        text,
        concat!(
            "2023-07-10T21:42:36.000000001Z fake.number=1",
            r" fake.hostile='x\u{1b}[2J\t\xff fake.number=0' fake.list=(one,'two, three')",
            "\n"
        )
    );
}

#[test]
fn fields_as_json_are_typed_and_always_valid() {
    let fields = ["-f", "all", "-f", "fake.key[a,b],fake.list[1]"];
    let args = [&fields[..], &["-o", "json", "--payload", "normal"]].concat();
    let text = stdout(&args);
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        first,
        json!({
            "time": "2023-07-10T21:42:36.000000001Z",
            "fake.kind": "fake",
            "fake.number": 1,
            "fake.odd": true,
            "fake.list": ["one", "two, three"],
            "fake.none": null,
            "fake.hostile": "x\u{1b}[2J\t\u{fffd} fake.number=0",
            "fake.key[a,b]": "a,b",
            "fake.list[1]": ["two, three"],
            "payload": {"kind": "normal", "n": 3},
        })
    );
    assert_eq!(text.lines().count(), 6);
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn fields_as_tsv_have_a_header_and_escapes() {
    let args = [
        "-o",
        "tsv",
        "-f",
        "fake.number,fake.none,fake.hostile",
        "--payload",
        "-n1",
        "normal",
    ];
    assert_eq!(
        stdout(&args),
        concat!(
            "time\tfake.number\tfake.none\tfake.hostile\tpayload\n",
            "2023-07-10T21:42:36.000000001Z\t1\t\\N\t",
            r"x\u{1b}[2J\t\xff fake.number=0",
            "\t{\"kind\":\"normal\",\\n \"n\":3}\n",
        )
    );
}

#[test]
fn fields_are_extracted_one_by_one_unless_a_single_call_is_asked_for() {
    let extractions = |extra: &[&str]| {
        let args = [
            &["--count", "--stats", "-f", "fake.kind,fake.odd", "normal"],
            extra,
        ]
        .concat();
        let output = run(&args);
        assert_eq!(output.stdout, b"6\n");
        let stats = stderr(&output);
        assert!(stats.contains("6 events"), "{stats}");
        let metric = stats.lines().find(|l| l.starts_with("fake.extractions"));
        let count = metric.and_then(|l| l.split_whitespace().last()?.parse::<u32>().ok());
        count.expect("the metric")
    };
    assert_eq!(extractions(&[]), 12);
    assert_eq!(extractions(&["--single-call"]), 6);
    // Its former name.
    assert_eq!(extractions(&["--together"]), 6);
}

#[test]
fn a_star_in_a_field_stands_for_any_text() {
    let text = stdout(&["-o", "tsv", "-n1", "-f", "fake.n*,fake.k*", "normal"]);
    let header = text.lines().next().expect("a header");
    assert_eq!(header, "time\tfake.number\tfake.none\tfake.kind");
    let output = run(&["-f", "none.*", "normal"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("none.*"), "{}", stderr(&output));
}

#[test]
fn a_check_goes_down_to_the_first_events() {
    let text = stdout(&["check", "normal"]);
    let words = ["configuration  accepted", "source         normal is open"];
    for part in words
        .into_iter()
        .chain(["event 1 of fake_source", "Falco can read this"])
    {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    for (args, part) in [
        (&["check", "no-such"][..], "error: cannot open no-such"),
        (&["check", "-c", "bad", "normal"], "error: "),
        (&["check", "fail"], "error: the source broke"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            stderr(&output).contains(part),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_ctcat"))
            .args(["completions", shell])
            .output()
            .expect("ctcat runs");
        let script = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(
            script.contains("check") && script.contains("schema"),
            "{shell}: {script}"
        );
    }
}

#[test]
fn failures_have_their_exit_codes_and_reasons() {
    for (args, code, part) in [
        (&["fail"][..], 1, "error: the source broke"),
        (&["no-such"], 1, "error: cannot open no-such"),
        (&["empty-success"], 1, "without any event"),
        (&["-c", "bad", "normal"], 1, "error: the config is bad"),
        (&["-f", "fake.kin", "normal"], 2, "nearest is fake.kind"),
        (&["-c", "@/no/such", "normal"], 2, "/no/such"),
        (&["--output", "xml", "normal"], 2, "tsv"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        let told = stderr(&output);
        assert!(told.contains(part), "{args:?}: {told}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn options_may_stand_in_front_of_the_command() {
    let ctcat = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctcat"));
        command.arg("--library").arg(&*SOUND).args(args);
        command.output().expect("ctcat runs")
    };
    let checked = ctcat(&["--wait", "5", "check", "normal"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("Falco can read this"));
    let listed = ctcat(&["fields", "-o", "tsv"]);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    // An option that the command does not have is refused by it.
    let output = ctcat(&["--log-level", "off", "fields"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("--log-level") && stderr(&output).contains("ctcat fields"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn events_before_a_failure_are_printed() {
    let output = run(&["fail-with-events"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout.split(|b| *b == b'\n').count(), 4);
}

#[test]
fn a_field_that_fails_is_told_once_and_ends_in_a_failure() {
    let args = [
        "-f",
        "fake.fail,fake.number",
        "-o",
        "tsv",
        "end-with-events",
    ];
    let output = ctcat(&FAULTY, &args).output().expect("ctcat runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).matches("this field fails").count(), 1);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.ends_with("\t\\N\t3\n"), "{text}");
}

#[test]
fn the_log_is_filtered_and_harmless() {
    let quiet = run(&["--log-level", "off", "--count", "normal"]);
    assert_eq!(stderr(&quiet), "");
    let usual = run(&["--count", "normal"]);
    assert_eq!(
        stderr(&usual),
        "warning: a warning with \\u{1b}[31mcolour\n"
    );
    let chatty = run(&["--log-level", "debug", "--count", "normal"]);
    assert!(stderr(&chatty).ends_with("debug: part: a debug line\n"));
}

#[test]
fn a_configuration_can_come_from_a_file() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ctcat-config");
    fs::write(&path, "bad").expect("a file");
    let output = run(&["-c", &format!("@{}", path.display()), "normal"]);
    assert!(stderr(&output).contains("the config is bad"));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = ctcat(&SOUND, &["--log-level=off", "many"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ctcat runs");
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader.read_line(&mut line).expect("a line");
    drop(reader);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}

#[test]
fn following_is_live_and_ctrl_c_ends_it_with_stats() {
    let mut child = ctcat(&SOUND, &["--stats", "endless"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ctcat runs");
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader
        .read_line(&mut line)
        .expect("the event is not held back");
    assert!(line.contains("event 1 "), "{line}");
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(stderr(&output).contains("1 events"));
}

#[test]
fn the_list_of_fields_has_four_forms() {
    let text = stdout(&["fields"]);
    assert!(
        text.contains("fake.list[index]?  string list  Two words\n"),
        "{text}"
    );
    let markdown = stdout(&["fields", "-o", "markdown"]);
    assert!(markdown.contains("| `fake.kind` | string |  | The \\| kind |\n"));
    assert!(markdown.contains("| `fake.key` | string | key, required | Its argument |\n"));
    let tsv = stdout(&["fields", "-o", "tsv"]);
    assert!(tsv.contains("fake.kind\tstring\t\tinfo\tKind\tThe | kind\n"));
    let json: Value = serde_json::from_str(&stdout(&["fields", "-o", "json"])).expect("JSON");
    assert_eq!(json[5]["arg"]["isRequired"], json!(true));
    assert_eq!(json.as_array().map(Vec::len), Some(7));
}

#[test]
fn schema_identity_and_open_params_are_printed() {
    let schema: Value = serde_json::from_str(&stdout(&["schema"])).expect("JSON");
    assert_eq!(schema, json!({"type": "object"}));
    let info: Value = serde_json::from_str(&stdout(&["info", "--json"])).expect("JSON");
    assert_eq!((&info["name"], &info["id"]), (&json!("fake"), &json!(999)));
    assert!(stdout(&["info"]).contains("event_source          fake_source\n"));
    assert_eq!(stdout(&["params"]), "normal  two batches\nfail\n");
}

#[test]
fn its_own_plugin_needs_no_naming() {
    let own = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ctcat"))
            .args(args)
            .output()
            .expect("ctcat runs");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let info: Value = serde_json::from_str(&own(&["info", "--json"])).expect("JSON");
    assert_eq!(info["event_source"], json!("aws_cloudtrail"));
    assert_eq!(info["version"], json!(env!("CARGO_PKG_VERSION")));
    let logs = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/logs");
    let lines = own(&[logs]).lines().count();
    assert!(lines > 0);
    assert_eq!(own(&["--count", logs]), format!("{lines}\n"));
    assert_eq!(
        own(&["-f", "all", "-o", "json", logs]).lines().count(),
        lines
    );
}

#[test]
fn help_teaches_by_example() {
    let output = run(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    for part in ["Examples:", "Exit codes:", "--fields", "schema"] {
        assert!(help.contains(part), "{part}");
    }
}
