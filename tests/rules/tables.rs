//! The table of rules in `docs/rules.md`; `UPDATE_DOCS=1 cargo test --test rules` writes it.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support::rules::{self, Item};

const BEGIN: &str = "<!-- rules: written by a test -->\n";
const END: &str = "<!-- end of the rules -->";

#[test]
fn table_of_the_rules_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let document = fs::read_to_string(&path).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("the table's beginning");
    let (table, after) = rest.split_once(END).expect("the table's end");
    let expected = expected_table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let updated = format!("{before}{BEGIN}{expected}{END}{after}");
        fs::write(&path, updated).expect("a writable document");
    } else {
        assert_eq!(table, expected, "run it with UPDATE_DOCS=1");
    }
}

#[test]
fn document_and_readme_state_the_number_of_rules() {
    let count = rules::items_of("rule").len();
    for name in ["README.md", "docs/rules.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let document = fs::read_to_string(&path).expect("the document");
        assert!(
            document.contains(&format!(" has {count} rules ")),
            "{name} does not say that the file has {count} rules"
        );
    }
}

fn expected_table() -> String {
    let items = rules::items();
    let tunable = tunable(&items);
    let mut table = "| Rule | Techniques | Priority | Tune |\n|---|---|---|---|\n".to_owned();
    for rule in items.iter().filter(|item| item.kind == "rule") {
        let mut techniques = rule.tags();
        techniques.retain(|tag| rules::is_technique(tag));
        let mut to_tune = Vec::new();
        collect(rule, &items, &tunable, &mut to_tune);
        let to_tune: Vec<String> = to_tune.iter().map(|name| format!("`{name}`")).collect();
        let (name, priority) = (&rule.name, rule.value("priority"));
        let (techniques, to_tune) = (techniques.join(", "), to_tune.join(", "));
        writeln!(table, "| {name} | {techniques} | {priority} | {to_tune} |").expect("a text");
    }
    table
}

/// The lists, and the macros with thresholds, of which the first section of the file consists.
fn tunable(items: &[Item]) -> Vec<String> {
    let first_shared = items.iter().position(|item| item.name == "ct_succeeded");
    let items = &items[..first_shared.expect("the first shared macro")];
    items.iter().map(|item| item.name.clone()).collect()
}

/// Adds what a condition names of `tunable`, in macros too.
fn collect(item: &Item, items: &[Item], tunable: &[String], found: &mut Vec<String>) {
    for word in item.words() {
        if tunable.contains(&word) && !found.contains(&word) {
            found.push(word);
        } else if let Some(inner) = items
            .iter()
            .find(|item| item.kind == "macro" && item.name == word)
        {
            collect(inner, items, tunable, found);
        }
    }
}
