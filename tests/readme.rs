//! What the README says about the plugin is what the plugin says: tables, examples, commands and links.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloudtrail::host::Plugin;
use serde_json::Value;

const UPDATE: &str = "UPDATE_README=1 cargo test --test readme";

/// The commands at the head of the README.
const COMMANDS: [&str; 2] = ["cargo run --release -- testdata/logs", "cargo test"];

#[test]
fn the_fields_table_and_the_examples_are_what_the_plugin_says() {
    let readme = readme();
    let right = with_examples(&with_fields(&readme));
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(root().join("README.md"), right).expect("README.md can be written");
        return;
    }
    let differing = readme
        .lines()
        .zip(right.lines())
        .find(|(in_readme, in_plugin)| in_readme != in_plugin);
    assert!(
        readme == right,
        "README.md does not show what the plugin says; write its fields table and examples anew with\n\
         {UPDATE}\nfirst difference (README, plugin): {differing:#?}"
    );
}

#[test]
fn the_configuration_table_has_the_schemas_keys_types_and_defaults() {
    let schema = Plugin::init_schema(&support::library())
        .expect("the library loads")
        .expect("the plugin has a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let mut expected = BTreeSet::new();
    rows_of_schema("", &schema, &mut expected);

    let readme = readme();
    let mut given = BTreeSet::new();
    for cells in rows(section(&readme, "config").1) {
        let [key, kind, default, effect, meaning] = &cells[..] else {
            panic!("not five columns: {cells:?}");
        };
        assert!(
            ["yes", "yes, for `s3://`", "never"].contains(&effect.as_str()),
            "{key}: {effect:?}"
        );
        assert!(!meaning.is_empty(), "{key} has no meaning");
        // A default that the schema does not have is told in words.
        let default = match default.contains('`') {
            true => default.clone(),
            false => String::new(),
        };
        let row = [key.clone(), kind.clone(), default];
        assert!(given.insert(row), "{key} is there twice");
    }
    let missing: Vec<_> = expected.difference(&given).collect();
    let wrong: Vec<_> = given.difference(&expected).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "the configuration table in README.md lacks {missing:#?}\nand has instead {wrong:#?}"
    );
}

#[test]
fn the_metrics_table_has_the_plugins_metrics() {
    let metrics = support::plugin("").metrics();
    let reported: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let readme = readme();
    let described: Vec<String> = rows(section(&readme, "metrics").1)
        .into_iter()
        .map(|cells| cells[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(described, reported);
    for row in rows(section_of_heading(&readme, "## Damaged files")) {
        let name = row[2].trim_matches('`');
        assert!(reported.contains(&name), "{name} is no metric");
    }
}

#[test]
fn the_shown_event_is_one_of_the_samples() {
    let readme = readme();
    let block = blocks(&readme, "text").next().expect("a block of text");
    let all = run("ctcat testdata/logs");
    assert!(all.contains(block), "{block}");
    let count = format!("prints {} lines", all.lines().count());
    assert!(readme.contains(&count), "README.md does not say `{count}`");
}

#[test]
fn the_rules_use_fields_that_exist() {
    let plugin = support::plugin("");
    let readme = readme();
    let rules = section_of_heading(&readme, "## Rules");
    let mut count = 0;
    for block in blocks(rules, "yaml") {
        for word in block.split(|c: char| c.is_whitespace() || "%()=,".contains(c)) {
            if word.starts_with("ct.") {
                plugin
                    .request(word)
                    .unwrap_or_else(|error| panic!("{word}: {error}"));
                count += 1;
            }
        }
    }
    assert!(count > 10, "only {count} fields were found");
}

#[test]
fn the_commands_at_the_head_are_what_continuous_integration_runs() {
    let readme = readme();
    let block = blocks(&readme, "sh").next().expect("a block of commands");
    let shown = block
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
fn links_lead_somewhere() {
    let readme = readme();
    let anchors: BTreeSet<String> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    let mut count = 0;
    for link in readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        if link.starts_with("https://") {
            continue;
        }
        count += 1;
        match link.strip_prefix('#') {
            Some(anchor) => assert!(anchors.contains(anchor), "no heading for #{anchor}"),
            None => assert!(root().join(link).exists(), "{link} does not exist"),
        }
    }
    assert!(count > 10, "only {count} links were found");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("README.md is there")
}

/// What stands before, between and behind the marks `<!-- <name>…-->` and `<!-- /<name> -->`.
fn section<'a>(readme: &'a str, name: &str) -> (&'a str, &'a str, &'a str) {
    let start = readme
        .find(&format!("<!-- {name}:"))
        .and_then(|mark| Some(mark + readme[mark..].find('\n')? + 1))
        .unwrap_or_else(|| panic!("README.md has no mark where {name} start"));
    let end = readme
        .find(&format!("<!-- /{name} -->"))
        .unwrap_or_else(|| panic!("README.md has no mark where {name} end"));
    (&readme[..start], &readme[start..end], &readme[end..])
}

/// The README with the table of fields that the library gives.
fn with_fields(readme: &str) -> String {
    let (before, _, after) = section(readme, "fields");
    let listed = Command::new(env!("CARGO_BIN_EXE_ctcat"))
        .args(["fields", "--output", "markdown", "--library"])
        .arg(support::library())
        .output()
        .expect("ctcat runs");
    assert!(listed.status.success(), "{listed:?}");
    let table = String::from_utf8(listed.stdout).expect("UTF-8");
    assert!(table.lines().count() > 90, "{table}");
    format!("{before}{table}{after}")
}

/// The README with what the commands in its `console` blocks print.
fn with_examples(readme: &str) -> String {
    let mut right = readme.to_owned();
    let mut count = 0;
    for block in blocks(readme, "console") {
        let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
        let printed: String = commands
            .map(|command| {
                count += 1;
                format!("$ {command}\n{}", run(command))
            })
            .collect();
        right = right.replacen(block, &printed, 1);
    }
    assert!(count > 10, "only {count} examples were found");
    right
}

/// The text below a heading, up to the next one.
fn section_of_heading<'a>(readme: &'a str, heading: &str) -> &'a str {
    let (_, text) = readme
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("README.md has no heading {heading:?}"));
    text.split("\n## ").next().unwrap_or(text)
}

/// The cells of a table's rows, without its head.
fn rows(text: &str) -> Vec<Vec<String>> {
    let table = text.lines().filter(|line| line.starts_with('|'));
    table
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// The fenced blocks in this language.
fn blocks<'a>(text: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let fence = format!("\n```{language}\n");
    let starts: Vec<usize> = text
        .match_indices(&fence)
        .map(|(at, _)| at + fence.len())
        .collect();
    starts.into_iter().map(|start| {
        let rest = &text[start..];
        &rest[..rest.find("```").expect("the block ends")]
    })
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
            _ => schema["type"].as_str().expect("a type").to_owned(),
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
    let ctcat = PathBuf::from(env!("CARGO_BIN_EXE_ctcat"));
    let mut path = vec![ctcat.parent().expect("it is in a folder").to_owned()];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{{ {command}; }} 2>&1"))
        .env("PATH", std::env::join_paths(path).expect("a path"))
        .current_dir(root())
        .output()
        .expect("sh runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}
