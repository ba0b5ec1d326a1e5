//! Checks the rules file without Falco: complete rules, existing fields, and sample records for each rule.
//! `tests/falco.rs` runs Falco on those records.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use std::collections::BTreeSet;
use std::fs;

use support::rules::{self, Records};

const PRIORITIES: [&str; 4] = ["CRITICAL", "ERROR", "WARNING", "NOTICE"];

#[test]
fn every_rule_has_source_priority_description_and_output() {
    let mut names = BTreeSet::new();
    for rule in rules::items_of("rule") {
        let name = &rule.name;
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert_eq!(rule.value("source"), "aws_cloudtrail", "{name}");
        assert!(PRIORITIES.contains(&rule.value("priority")), "{name}");
        assert!(rule.value("desc").ends_with('.'), "{name}: desc");
        let output = rule.value("output");
        assert!(
            output.starts_with(&format!("{name} (")),
            "{name}: output starts with something else"
        );
        assert!(output.contains("id=%ct.id"), "{name}: output has no ct.id");
    }
    assert!(names.len() > 30, "only {} rules were found", names.len());
}

#[test]
fn every_rule_has_mitre_attack_tags() {
    for rule in rules::items_of("rule") {
        let tags: Vec<&str> = rule
            .value("tags")
            .trim_matches(['[', ']'])
            .split(", ")
            .collect();
        let has = |is_it: fn(&str) -> bool| tags.iter().any(|tag| is_it(tag));
        let what = format!("{}: {tags:?}", rule.name);
        assert!(has(|tag| tag.starts_with("mitre_")), "{what}: no tactic");
        assert!(has(is_technique), "{what}: no technique");
        assert_eq!(tags[0], "aws", "{what}");
    }
}

#[test]
fn every_field_of_the_rules_exists() {
    let plugin = support::plugin("");
    let mut count = 0;
    for item in rules::items() {
        let mut fields = Vec::new();
        if item.kind != "list" {
            fields.extend(item.condition_fields());
        }
        if item.kind == "rule" {
            fields.extend(item.output_fields());
        }
        for field in fields {
            plugin
                .request(&field)
                .unwrap_or_else(|error| panic!("{}: {field}: {error}", item.name));
            let pointer = field.strip_prefix("ct.value[");
            assert!(
                pointer.is_none_or(|pointer| pointer.starts_with('/')),
                "{}: {field} is no JSON pointer",
                item.name
            );
            count += 1;
        }
    }
    assert!(count > 300, "only {count} fields were found");
}

#[test]
fn every_list_and_macro_is_used() {
    let items = rules::items();
    let used: BTreeSet<String> = items
        .iter()
        .filter(|item| item.kind != "list")
        .flat_map(rules::Item::words)
        .collect();
    let mut defined = BTreeSet::new();
    for item in items.iter().filter(|item| item.kind != "rule") {
        assert!(item.name.starts_with("ct_"), "{} has no prefix", item.name);
        assert!(used.contains(&item.name), "{} is not used", item.name);
        defined.insert(item.name.clone());
    }
    for word in used.iter().filter(|word| word.starts_with("ct_")) {
        assert!(defined.contains(word), "{word} is not defined");
    }
}

#[test]
fn every_rule_has_records_that_match_and_near_misses() {
    let mut ids = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for rule in rules::items_of("rule") {
        for records in [Records::Match, Records::Miss] {
            let of_rule = rules::event_ids(&rule.name, records);
            assert!(!of_rule.is_empty(), "{}: no {records:?}", rule.name);
            for id in of_rule {
                assert!(ids.insert(id.clone()), "{}: {id} again", rule.name);
            }
        }
        folders.insert(rules::folder(&rule.name));
    }
    for entry in fs::read_dir(support::testdata("rules")).expect("the records") {
        let path = entry.expect("a readable folder").path();
        assert!(folders.contains(&path), "no rule for {}", path.display());
    }
}

/// `T1078`, `T1078.004`
fn is_technique(tag: &str) -> bool {
    let Some(number) = tag.strip_prefix('T') else {
        return false;
    };
    let (technique, part) = number.split_once('.').unwrap_or((number, "000"));
    let is_number = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    is_number(technique, 4) && is_number(part, 3)
}
