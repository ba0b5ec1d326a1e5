//! What the documents say is what the plugin does: examples are run, tables compared, configurations loaded, setup
//! commands run dry, links followed.
#![forbid(unsafe_code)]

#[path = "readme/markdown.rs"]
mod markdown;
mod oracle;
mod support;
#[path = "readme/yaml.rs"]
mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cloudtrail::host::Plugin;
use markdown::{Document, code_spans, documents, root, rows};
use serde_json::Value;
use support::scratch::Scratch;

const UPDATE: &str = "UPDATE_DOCS=1 cargo test --test readme";

/// The commands at the head of the README.
const COMMANDS: [&str; 2] = ["cargo run -- testdata/logs", "cargo test"];

/// The commands in the README's picture of a terminal.
const TERMINAL: [&str; 2] = [
    "ctcat testdata/logs | grep gómez",
    "ctcat -f ct.name,ct.error,ct.srcip testdata/logs | grep ct.error= | head -n 2",
];

/// Sections of Falco's own configuration that examples use.
const FALCO_KEYS: [&str; 7] = [
    "engine",
    "load_plugins",
    "metrics",
    "plugins",
    "rules_files",
    "stdout_output",
    "webserver",
];

#[test]
fn examples_show_what_the_commands_print() {
    let mut count = 0;
    for document in documents() {
        let commands = document.blocks("console").concat();
        count += commands.lines().filter(|l| l.starts_with("$ ")).count();
        let right = with_examples(&document);
        must_be_current(&document.path, &document.text, &right);
    }
    assert!(count > 15, "only {count} examples were found");
}

#[test]
fn fields_table_is_what_the_plugin_lists() {
    let document = Document::read("docs/fields.md");
    let listed = Command::new(env!("CARGO_BIN_EXE_ctcat"))
        .args(["fields", "--output", "markdown", "--library"])
        .arg(support::library())
        .output()
        .expect("ctcat runs");
    assert!(listed.status.success(), "{listed:?}");
    let table = String::from_utf8(listed.stdout).expect("UTF-8");
    assert!(table.lines().count() > 90, "{table}");
    let (before, _, after) = document.marked("fields");
    let right = format!("{before}{table}{after}");
    must_be_current(&document.path, &document.text, &right);
}

#[test]
fn terminal_picture_shows_what_the_commands_print() {
    let transcript: String = TERMINAL.into_iter().map(example).collect();
    let mut script = Command::new("python3")
        .arg(root().join("docs/terminal.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut input = script.stdin.take().expect("standard input is a pipe");
    input
        .write_all(transcript.as_bytes())
        .expect("the script reads");
    drop(input);
    let output = script.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "{output:?}");
    let right = String::from_utf8(output.stdout).expect("UTF-8");
    let path = Path::new("docs/terminal.svg");
    let picture = fs::read_to_string(root().join(path)).unwrap_or_default();
    must_be_current(path, &picture, &right);
}

#[test]
fn configuration_table_has_the_schemas_keys_types_and_defaults() {
    let schema = Plugin::init_schema(&support::library())
        .expect("the library loads")
        .expect("the plugin has a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let mut expected = BTreeSet::new();
    rows_of_schema("", &schema, &mut expected);

    let document = Document::read("docs/configuration.md");
    let mut documented = BTreeSet::new();
    for cells in rows(document.marked("config").1) {
        let [key, kind, default, sources, meaning] = &cells[..] else {
            panic!("not five columns: {cells:?}");
        };
        assert!(
            [
                "all",
                "folders, `s3://`",
                "`s3://`",
                "`sqs://`",
                "`s3://`, `sqs://`",
                "nothing"
            ]
            .contains(&sources.as_str()),
            "{key}: {sources:?}"
        );
        assert!(!meaning.is_empty(), "{key} has no meaning");
        // A default that the schema does not have is described in words.
        let default = match default.contains('`') {
            true => default.clone(),
            false => String::new(),
        };
        let row = [key.clone(), kind.clone(), default];
        assert!(documented.insert(row), "{key} is there twice");
    }
    let missing: Vec<_> = expected.difference(&documented).collect();
    let wrong: Vec<_> = documented.difference(&expected).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "the table in docs/configuration.md lacks {missing:#?}\nand has instead {wrong:#?}"
    );
}

#[test]
fn metrics_tables_have_the_plugins_metrics() {
    let metrics = support::plugin("").metrics();
    let reported: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let document = Document::read("docs/operations.md");
    let documented: Vec<String> = rows(document.marked("metrics").1)
        .into_iter()
        .map(|cells| cells[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(documented, reported);
    let damage = Document::read("docs/log-files.md");
    let damage = rows(damage.marked("damage").1);
    assert!(damage.len() > 5, "only {} kinds of damage", damage.len());
    for row in damage {
        let name = row[2].trim_matches('`');
        assert!(reported.contains(&name), "{name} is not a metric");
    }
}

#[test]
fn messages_in_troubleshooting_are_those_of_the_sources() {
    let mut sources = String::new();
    for path in support::files_below(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        sources.push_str(&text);
    }
    let document = Document::read("docs/operations.md");
    let mut count = 0;
    let tables = ["messages", "more messages"].map(|mark| rows(document.marked(mark).1));
    for row in tables.into_iter().flatten() {
        for message in code_spans(&row[0]) {
            let fragments = message.split('…').map(|f| f.trim_matches([' ', ':', ';']));
            for fragment in fragments.filter(|f| f.len() > 3) {
                assert!(
                    sources.contains(fragment),
                    "no message in src contains {fragment:?} of `{message}`"
                );
                count += 1;
            }
        }
    }
    assert!(count > 30, "only {count} fragments were found");
}

#[test]
fn shown_event_is_one_of_the_samples() {
    let readme = Document::read("README.md");
    let block = readme.blocks("text")[0];
    let all = run("ctcat testdata/logs");
    assert!(all.contains(block), "{block}");
    let count = format!("prints {} lines", all.lines().count());
    assert!(
        readme.text.contains(&count),
        "README.md does not say `{count}`"
    );
}

#[test]
fn yaml_examples_are_valid_and_use_fields_and_keys_that_exist() {
    let plugin = support::plugin("");
    let (mut configurations, mut fields) = (0, 0);
    for document in documents() {
        for block in document.blocks("yaml") {
            let name = document.name();
            let example =
                yaml::parse(block).unwrap_or_else(|error| panic!("{name}: {error}\n{block}"));
            match &example {
                Value::Object(falco) => configurations += check_falco_configuration(&name, falco),
                Value::Array(items) => {
                    for item in items {
                        fields += check_rule_item(&plugin, &name, item);
                    }
                }
                _ => panic!("{name}: neither a configuration nor rules\n{block}"),
            }
        }
    }
    assert!(configurations > 2, "only {configurations} configurations");
    assert!(fields > 15, "only {fields} fields were found");
}

#[test]
fn json_examples_are_valid() {
    let mut count = 0;
    for document in documents() {
        for block in document.blocks("json") {
            let policy: Value = serde_json::from_str(block)
                .unwrap_or_else(|error| panic!("{}: {error}\n{block}", document.name()));
            assert_eq!(policy["Version"], "2012-10-17", "{}", document.name());
            count += 1;
        }
    }
    assert!(count > 0, "no JSON was found");
}

#[test]
fn configurations_on_command_lines_are_accepted() {
    let mut count = 0;
    for document in documents() {
        for block in document.blocks("sh") {
            for rest in block.split("-c '{").skip(1) {
                let inner = rest.split('\'').next().expect("a first part");
                check_configuration(&document.name(), &format!("{{{inner}"));
                count += 1;
            }
        }
    }
    assert!(count > 0, "no configuration was found");
}

#[test]
fn setup_commands_write_valid_documents() {
    for document in documents() {
        let all = document.blocks("sh");
        for block in &all {
            shell("-n", block, Path::new("/"), None);
        }
        let calls_aws = |line: &str| line.starts_with("aws ") || line.contains("$(aws ");
        let setup: String = all
            .into_iter()
            .filter(|block| block.lines().any(calls_aws))
            .collect();
        if setup.is_empty() {
            continue;
        }
        let folder = Scratch::new("setup");
        let tools = folder.path().join("tools");
        fs::create_dir(&tools).expect("a folder for the tools");
        // Stands in for the AWS command line: a file that an argument names must be there.
        let aws = "#!/bin/sh\nfor a in \"$@\"; do case $a in file://*) [ -s \"${a#file://}\" ] || exit 1; esac; done\n\
                   echo \"$*\" >>calls\necho https://127.0.0.1/queue\n";
        write_program(&tools.join("aws"), aws);
        shell("-eu", &setup, folder.path(), Some(&tools));
        let calls = fs::read_to_string(folder.path().join("calls")).expect("aws was called");
        assert!(calls.lines().count() > 1, "{calls}");
        for path in support::files_below(folder.path()) {
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                check_setup_file(&path);
            }
        }
    }
}

#[test]
fn recommended_queue_outlives_its_messages() {
    let document = Document::read("docs/s3-and-sqs.md");
    let setup = document.blocks("sh").concat();
    let number_behind = |mark: &str| -> u64 {
        let (_, rest) = setup.split_once(mark).unwrap_or_else(|| panic!("{mark}"));
        let digits: String = rest
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().expect("a number")
    };
    let dead = number_behind("--attributes MessageRetentionPeriod");
    let queue = number_behind("\"MessageRetentionPeriod\"");
    assert!(
        dead > queue,
        "dead letters are kept {dead} s, messages {queue} s"
    );
    assert_eq!(number_behind("maxReceiveCount"), 10);
    assert_eq!(number_behind("\"VisibilityTimeout\""), 120);
}

#[test]
fn commands_at_the_head_are_what_continuous_integration_runs() {
    let readme = Document::read("README.md");
    let shown = readme.blocks("sh")[0]
        .lines()
        .map(|line| line.split(" #").next().unwrap_or(line).trim());
    assert_eq!(shown.collect::<Vec<_>>(), COMMANDS);
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run is there");
    for command in COMMANDS {
        let is_run = |line: &str| {
            let line = line.trim();
            let line = line.strip_prefix("run ").unwrap_or(line);
            line.split(" >").next() == Some(command)
        };
        assert!(
            ci.lines().any(is_run),
            "`{command}` is not a line of .ci/run"
        );
    }
}

#[test]
fn readme_is_short_and_names_every_document() {
    let readme = Document::read("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 250, "README.md has {lines} lines");
    let links = readme.links();
    for document in documents() {
        if document.path.starts_with("docs") {
            let name = document.name();
            assert!(links.contains(&name), "README.md has no link to {name}");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for document in documents() {
        for link in document.links() {
            if link.starts_with("https://") {
                continue;
            }
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = document.path.parent().unwrap_or(Path::new(""));
            let target = match path {
                "" => document.path.clone(),
                _ => folder.join(path),
            };
            let name = document.name();
            assert!(
                root().join(&target).exists(),
                "{name}: {link} does not exist"
            );
            if !anchor.is_empty() {
                let anchors = Document::read(target).anchors();
                assert!(
                    anchors.iter().any(|heading| heading == anchor),
                    "{name}: {link} has no such heading; there are {anchors:?}"
                );
            }
        }
    }
    assert!(count > 80, "only {count} links were found");
}

#[test]
fn paths_in_documents_exist() {
    let mut missing = BTreeSet::new();
    let mut count = 0;
    for document in documents() {
        // What the changelog says was true at its time.
        if document.path == Path::new("CHANGELOG.md") {
            continue;
        }
        let prose = document.prose();
        let layout = document.blocks("text").concat();
        let layout = layout.lines().flat_map(|line| line.split("  "));
        for path in code_spans(&prose).chain(layout) {
            let folders = [
                "src/",
                "tests/",
                "testdata/",
                "benches/",
                "docs/",
                "rules/",
                "deploy/",
            ];
            if !folders.iter().any(|folder| path.starts_with(folder)) || path.contains(' ') {
                continue;
            }
            count += 1;
            if !root().join(path).exists() {
                missing.insert(format!("{}: {path}", document.name()));
            }
        }
    }
    assert!(count > 50, "only {count} paths were found");
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

/// Fails if a file is not what it should be, or writes it with `UPDATE_DOCS`.
fn must_be_current(path: &Path, given: &str, right: &str) {
    if given == right {
        return;
    }
    let name = path.display();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(path), right).unwrap_or_else(|error| panic!("{name}: {error}"));
        return;
    }
    let differing = given
        .lines()
        .zip(right.lines())
        .find(|(in_file, by_plugin)| in_file != by_plugin);
    panic!(
        "{name} does not show what the plugin says; write it again with\n\
         {UPDATE}\nfirst difference (file, plugin): {differing:#?}"
    );
}

/// The document with what the commands in its `console` blocks print.
fn with_examples(document: &Document) -> String {
    let mut right = document.text.clone();
    for block in document.blocks("console") {
        let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
        let printed: String = commands.map(example).collect();
        right = right.replacen(
            &format!("```console\n{block}```"),
            &format!("```console\n{printed}```"),
            1,
        );
    }
    right
}

/// A command and what it prints.
fn example(command: &str) -> String {
    format!("$ {command}\n{}", run(command))
}

/// Checks a part of Falco's configuration; returns how many configurations of this plugin were loaded.
fn check_falco_configuration(name: &str, falco: &serde_json::Map<String, Value>) -> usize {
    for key in falco.keys() {
        assert!(FALCO_KEYS.contains(&key.as_str()), "{name}: {key}");
    }
    let none = Vec::new();
    let plugins = falco.get("plugins").map_or(&none, |plugins| {
        plugins.as_array().expect("a list of plugins")
    });
    if let Some(load) = falco.get("load_plugins") {
        let names: Vec<&Value> = plugins.iter().map(|plugin| &plugin["name"]).collect();
        let load: Vec<&Value> = load.as_array().expect("a list").iter().collect();
        assert_eq!(load, names, "{name}: load_plugins");
    }
    let mut count = 0;
    for plugin in plugins {
        assert!(
            plugin["library_path"].is_string(),
            "{name}: no library_path"
        );
        if plugin["name"] != "cloudtrail" {
            continue;
        }
        assert!(plugin["open_params"].is_string(), "{name}: no open_params");
        // Falco passes a mapping on as JSON.
        let configuration = match &plugin["init_config"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            mapping => mapping.to_string(),
        };
        check_configuration(name, &configuration);
        count += 1;
    }
    count
}

/// Checks that the plugin accepts a configuration and knows all of its keys.
fn check_configuration(name: &str, configuration: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_ctcat"))
        .args(["--count", "--config", configuration, "--library"])
        .arg(support::library())
        .arg(support::testdata("logs/exports/single-record.json"))
        .output()
        .expect("ctcat runs");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !printed.contains("unknown key"),
        "{name}: {configuration}: {printed}"
    );
}

/// Checks an item of a rules file; returns how many fields it uses.
fn check_rule_item(plugin: &Plugin, name: &str, item: &Value) -> usize {
    let kinds = ["rule", "macro", "list", "required_plugin_versions"];
    assert!(
        kinds.iter().any(|kind| item.get(kind).is_some()),
        "{name}: {item}"
    );
    if item.get("rule").is_some() && item.get("override").is_none() {
        for key in ["desc", "condition", "output", "priority"] {
            assert!(item[key].is_string(), "{name}: {key} is missing: {item}");
        }
        assert_eq!(item["source"], "aws_cloudtrail", "{name}");
    }
    let mut count = 0;
    for text in [&item["condition"], &item["output"]] {
        let text = text.as_str().unwrap_or_default();
        for word in text.split(|c: char| c.is_whitespace() || "%()=,".contains(c)) {
            if word.starts_with("ct.") {
                plugin
                    .request(word)
                    .unwrap_or_else(|error| panic!("{name}: {word}: {error}"));
                count += 1;
            }
        }
    }
    count
}

/// Checks a file that the setup commands wrote, and the policies inside of it.
fn check_setup_file(path: &Path) {
    let name = path.display();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!text.contains('$'), "{name}: a variable is left: {text}");
    let file: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    for key in ["Policy", "RedrivePolicy"] {
        if let Some(inner) = file.get(key) {
            let inner = inner.as_str().expect("a text");
            let policy: Value =
                serde_json::from_str(inner).unwrap_or_else(|e| panic!("{name}: {key}: {e}"));
            if key == "Policy" {
                assert_limited_to_one_sender(&policy);
            }
        }
    }
    if file.get("Statement").is_some() {
        assert_limited_to_one_sender(&file);
    }
}

/// Each statement admits one service, for one source.
fn assert_limited_to_one_sender(policy: &Value) {
    let statements = policy["Statement"].as_array().expect("statements");
    assert!(!statements.is_empty());
    for statement in statements {
        let service = statement["Principal"]["Service"].as_str();
        assert!(
            service.is_some_and(|name| name.ends_with(".amazonaws.com")),
            "{statement}"
        );
        let condition = statement["Condition"].to_string();
        assert!(condition.contains("aws:SourceArn"), "{statement}");
    }
}

/// Runs shell commands in a folder, with programs of `tools` before others.
fn shell(options: &str, script: &str, folder: &Path, tools: Option<&Path>) {
    let output = Command::new("sh")
        .args([options, "-c", script])
        .env("PATH", path_with(tools))
        .current_dir(folder)
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{script}\n{output:?}");
}

fn write_program(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, script).expect("the program can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .expect("it can be made executable");
}

/// The `PATH` of this test, with a folder in front.
fn path_with(folder: Option<&Path>) -> std::ffi::OsString {
    let mut path: Vec<PathBuf> = folder.map(Path::to_owned).into_iter().collect();
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    std::env::join_paths(path).expect("a path")
}

/// Key, type and default of every key, as the table writes them.
fn rows_of_schema(prefix: &str, schema: &Value, rows: &mut BTreeSet<[String; 3]>) {
    for (key, schema) in schema["properties"].as_object().expect("an object's keys") {
        if schema["type"] == "object" {
            rows_of_schema(&format!("{prefix}{key}."), schema, rows);
            continue;
        }
        let kind = match (&schema["enum"], &schema["minimum"], &schema["maximum"]) {
            (Value::Array(choices), ..) => {
                let choices = choices.iter().filter_map(Value::as_str);
                let choices: Vec<String> = choices.map(|choice| format!("`{choice}`")).collect();
                choices.join(", ")
            }
            (_, Value::Number(least), Value::Number(most)) => format!("{least}–{most}"),
            (_, Value::Number(least), _) => format!("at least {least}"),
            _ => match schema["type"].as_str().expect("a type") {
                "array" => "list".to_owned(),
                kind => kind.to_owned(),
            },
        };
        let default = match schema.get("default") {
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        rows.insert([format!("`{prefix}{key}`"), kind, default]);
    }
}

/// Standard output and error of a shell command in which `ctcat` is the built one.
fn run(command: &str) -> String {
    let ctcat = Path::new(env!("CARGO_BIN_EXE_ctcat"));
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{{ {command}; }} 2>&1"))
        .env("PATH", path_with(ctcat.parent()))
        .current_dir(root())
        .output()
        .expect("sh runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}
