//! Tests of the built `ctcat`, most of them with a fake plugin that can fail in every way.

mod fixtures;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

static PLUGIN: LazyLock<PathBuf> = LazyLock::new(|| fixtures::library("fake_plugin", &[]));
static FAULTY_PLUGIN: LazyLock<PathBuf> =
    LazyLock::new(|| fixtures::library("fake_plugin", &["WITH_FAULTS"]));

fn ctcat(library: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctcat"));
    command.args(args).arg("--library").arg(library);
    command
}

fn run(args: &[&str]) -> Output {
    ctcat(&PLUGIN, args).output().expect("ctcat runs")
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
fn read_is_the_default_command_and_prints_a_line_per_event() {
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
fn several_sources_are_read_in_order() {
    assert_eq!(stdout(&["--count", "normal", "end-with-events"]), "9\n");
}

#[test]
fn text_output_quotes_ambiguous_values_and_escapes_control_characters() {
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
fn json_output_is_typed_and_valid() {
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
fn tsv_output_has_a_header_and_escapes() {
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
fn fields_are_extracted_in_one_call_each_unless_single_call_is_set() {
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
    // The option's former name.
    assert_eq!(extractions(&["--together"]), 6);
}

#[test]
fn star_in_a_field_name_matches_any_text() {
    let text = stdout(&["-o", "tsv", "-n1", "-f", "fake.n*,fake.k*", "normal"]);
    let header = text.lines().next().expect("a header");
    assert_eq!(header, "time\tfake.number\tfake.none\tfake.kind");
    let output = run(&["-f", "none.*", "normal"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("none.*"), "{}", stderr(&output));
}

#[test]
fn check_reports_each_step_up_to_the_first_events() {
    let text = stdout(&["check", "normal"]);
    for part in [
        "configuration  accepted",
        "source         normal is open",
        "event 1 of fake_source",
        "Falco can read this",
    ] {
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
fn completion_scripts_contain_the_commands() {
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
fn failures_print_a_reason_and_set_the_exit_code() {
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
        let message = stderr(&output);
        assert!(message.contains(part), "{args:?}: {message}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn options_may_precede_the_command() {
    let ctcat = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ctcat"));
        command.arg("--library").arg(&*PLUGIN).args(args);
        command.output().expect("ctcat runs")
    };
    let checked = ctcat(&["--wait", "5", "check", "normal"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("Falco can read this"));
    let listed = ctcat(&["fields", "-o", "tsv"]);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    // The command rejects an option that it does not have.
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
fn a_failing_field_is_logged_once_and_sets_the_exit_code() {
    let args = [
        "-f",
        "fake.fail,fake.number",
        "-o",
        "tsv",
        "end-with-events",
    ];
    let output = ctcat(&FAULTY_PLUGIN, &args).output().expect("ctcat runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).matches("this field fails").count(), 1);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.ends_with("\t\\N\t3\n"), "{text}");
}

#[test]
fn log_lines_are_filtered_by_severity_and_escaped() {
    let off = run(&["--log-level", "off", "--count", "normal"]);
    assert_eq!(stderr(&off), "");
    let default = run(&["--count", "normal"]);
    assert_eq!(
        stderr(&default),
        "warning: a warning with \\u{1b}[31mcolor\n"
    );
    let debug = run(&["--log-level", "debug", "--count", "normal"]);
    assert!(stderr(&debug).ends_with("debug: part: a debug line\n"));
}

#[test]
fn configuration_can_be_read_from_a_file() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ctcat-config");
    fs::write(&path, "bad").expect("a file");
    let output = run(&["-c", &format!("@{}", path.display()), "normal"]);
    assert!(stderr(&output).contains("the config is bad"));
}

#[test]
fn a_closed_output_ends_the_program_without_an_error() {
    let mut child = ctcat(&PLUGIN, &["--log-level=off", "many"])
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
fn events_are_printed_at_once_and_ctrl_c_ends_with_statistics() {
    let mut child = ctcat(&PLUGIN, &["--stats", "endless"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ctcat runs");
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader
        .read_line(&mut line)
        .expect("the event is printed while the source is open");
    assert!(line.contains("event 1 "), "{line}");
    send_signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(stderr(&output).contains("1 events"));
}

fn send_signal(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn sigterm_ends_with_143() {
    for args in [
        &["endless"][..],
        &["summary", "--by", "fake.kind", "endless"],
    ] {
        let mut child = ctcat(&PLUGIN, args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ctcat runs");
        // The plugin logs a line when it is loaded; the handlers are installed soon after.
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        stderr.read_line(&mut String::new()).expect("a line");
        std::thread::sleep(Duration::from_millis(500));
        send_signal(&child, "-TERM");
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(143), "{args:?}: {status}");
    }
}

#[test]
fn one_signal_ends_a_program_whose_output_is_not_read() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = ctcat(&PLUGIN, &["--log-level=off", "many"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("ctcat runs");
        let mut first = [0];
        let mut output = child.stdout.take().expect("piped");
        output.read_exact(&mut first).expect("a byte");
        // Time to fill the pipe.
        std::thread::sleep(Duration::from_secs(1));
        assert!(child.try_wait().expect("a state").is_none(), "not blocked");
        send_signal(&child, signal);
        let end = Instant::now() + Duration::from_secs(30);
        let status = loop {
            if let Some(status) = child.try_wait().expect("a state") {
                break status;
            }
            if Instant::now() > end {
                let _ = child.kill();
                panic!("{signal} does not end it");
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(status.code(), Some(code), "{status}");
    }
}

#[test]
fn mistyped_command_gets_a_hint() {
    for (word, hint) in [("chek", true), ("no-such", false)] {
        let output = Command::new(env!("CARGO_BIN_EXE_ctcat"))
            .args([word, "sqs://q"])
            .output()
            .expect("ctcat runs");
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert!(message.contains(word), "{message}");
        let hinted = message.contains("did you mean the command check?");
        assert_eq!(hinted, hint, "{message}");
    }
}

#[test]
fn fields_are_listed_in_four_formats() {
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
fn the_library_built_with_the_program_is_the_default() {
    let stdout = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ctcat"))
            .args(args)
            .output()
            .expect("ctcat runs");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let info: Value = serde_json::from_str(&stdout(&["info", "--json"])).expect("JSON");
    assert_eq!(info["event_source"], json!("aws_cloudtrail"));
    assert_eq!(info["version"], json!(env!("CARGO_PKG_VERSION")));
    let logs = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/logs");
    let lines = stdout(&[logs]).lines().count();
    assert!(lines > 0);
    assert_eq!(stdout(&["--count", logs]), format!("{lines}\n"));
    assert_eq!(
        stdout(&["-f", "all", "-o", "json", logs]).lines().count(),
        lines
    );
}

#[test]
fn help_has_examples_and_exit_codes() {
    for option in ["-h", "--help"] {
        let help = stdout(&[option]);
        for part in ["Examples:", "Exit codes:", "--fields", "schema"] {
            assert!(help.contains(part), "{part}");
        }
    }
    for command in ["read", "check", "fields", "completions"] {
        let help = stdout(&[command, "--help"]);
        assert!(help.contains("Examples:"), "{command}: {help}");
    }
}

#[test]
fn examples_in_the_help_are_valid_command_lines() {
    let help = stdout(&["--help"]);
    let examples: Vec<_> = help
        .lines()
        .filter_map(|it| it.strip_prefix("  ctcat "))
        .collect();
    assert!(examples.len() >= 10, "{examples:?}");
    for example in examples {
        let line = example.split("   ").next().unwrap_or(example);
        let line = line.split(['|', '>']).next().unwrap_or(line);
        // `--no-such` makes the program parse the arguments and exit before it reads anything.
        let script = format!("\"$0\" {line} --no-such");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_ctcat")])
            .output()
            .expect("a shell");
        let message = stderr(&output);
        assert!(
            message.contains("unexpected argument '--no-such'"),
            "{line}: {message}"
        );
    }
}

#[test]
fn program_without_a_library_beside_it_looks_where_falco_does() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ctcat-alone");
    fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("ctcat");
    let _ = fs::remove_file(&program);
    fs::hard_link(env!("CARGO_BIN_EXE_ctcat"), &program).expect("the program can be linked");
    let output = Command::new(&program)
        .arg("info")
        .output()
        .expect("it runs");
    fs::remove_dir_all(&folder).expect("the folder can be removed");
    let installed = Path::new("/usr/share/falco/plugins").join("libcloudtrail.so");
    match installed.exists() {
        true => assert!(output.status.success(), "{output:?}"),
        false => {
            let error = stderr(&output);
            for place in [folder.to_str(), installed.parent().and_then(Path::to_str)] {
                assert!(error.contains(place.expect("UTF-8")), "{error}");
            }
            assert!(error.contains("--library"), "{error}");
        }
    }
}
