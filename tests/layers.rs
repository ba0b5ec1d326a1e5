//! The layers that `src/lib.rs` promises, held against the `use` lines of every file.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

/// The table's rows, each a list of modules; within a row what a `;` separates stands side by side.
fn layers() -> Vec<Vec<Vec<String>>> {
    let text = fs::read_to_string(source().join("lib.rs")).expect("the crate's own source");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("//! | Layer"));
    let rows = rows.skip(2).take_while(|line| line.starts_with("//! |"));
    rows.map(|row| {
        let modules = row.split('|').nth(2).expect("a second column");
        modules.split(';').map(names).collect()
    })
    .collect()
}

/// What stands between backticks.
fn names(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .map(|name| name.trim_start_matches("mod@").to_owned())
        .collect()
}

/// The modules that `file` names, tests aside.
fn used(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    let code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| {
        line.match_indices("crate::")
            .map(move |(at, it)| &line[at + it.len()..])
    })
    .map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    })
    .collect()
}

/// Each file with the module that it is part of.
fn files() -> Vec<(String, std::path::PathBuf)> {
    let files = support::files_below(source()).into_iter();
    files
        .filter(|path| !path.ends_with("tests.rs") && !path.ends_with("lib.rs"))
        .map(|path| {
            let inside = path.strip_prefix(source()).expect("below it");
            let first = inside.iter().next().expect("a name").to_string_lossy();
            (first.trim_end_matches(".rs").to_owned(), path)
        })
        .collect()
}

#[test]
fn every_module_uses_only_what_stands_before_it() {
    let layers = layers();
    let mut allowed: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut below = BTreeSet::new();
    for layer in &layers {
        for side in layer {
            let mut before = below.clone();
            for module in side {
                allowed.push((module.clone(), before.clone()));
                before.insert(module.clone());
            }
        }
        below.extend(layer.iter().flatten().cloned());
    }
    let mut wrong = Vec::new();
    for (module, path) in files() {
        // What stands apart has a test of its own.
        if module == "host" || module == "ctcat" {
            continue;
        }
        let Some((_, allowed)) = allowed.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{module} is in no layer"));
            continue;
        };
        for used in used(&path) {
            if used != module && !allowed.contains(&used) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(allowed.len() > 20, "the table has only {allowed:?}");
}

#[test]
fn the_host_knows_no_cloudtrail_and_the_command_line_knows_only_the_host() {
    let mut wrong = Vec::new();
    for (module, path) in files() {
        let used = match module.as_str() {
            "host" => used(&path),
            // Another crate: what it takes from the library it names in full.
            "ctcat" => {
                let text = fs::read_to_string(&path).expect("a source file");
                let names = text.match_indices("cloudtrail::");
                names
                    .map(|(at, it)| &text[at + it.len()..])
                    .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_'))
                    .filter_map(|mut words| words.next().map(str::to_owned))
                    .collect()
            }
            _ => continue,
        };
        // The layout of an event belongs to both sides of the C functions.
        let allowed = ["host", "error", "event_layout"];
        for used in used.iter().filter(|used| !allowed.contains(&used.as_str())) {
            wrong.push(format!("{} uses {used}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
