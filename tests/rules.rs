//! Checks the rules file without Falco: complete rules, existing fields, and what each rule says about records. An engine
//! of our own evaluates the conditions on values from the plugin library. `tests/falco.rs` runs Falco on the records.
#![forbid(unsafe_code)]

#[path = "rules/condition.rs"]
mod condition;
#[path = "rules/dropped.rs"]
mod dropped;
#[path = "rules/engine.rs"]
mod engine;
#[path = "rules/everyday.rs"]
mod everyday;
#[path = "rules/language.rs"]
mod language;
mod oracle;
#[path = "rules/samples.rs"]
mod samples;
mod support;
#[path = "rules/tables.rs"]
mod tables;
#[path = "readme/yaml.rs"]
mod yaml;

use std::collections::BTreeSet;

use support::rules;

const PRIORITIES: [&str; 5] = ["CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO"];

/// The keys of a rule in Falco's own order.
const KEYS: [&str; 6] = ["desc", "condition", "output", "priority", "source", "tags"];

#[test]
fn every_rule_has_source_priority_description_and_output() {
    let mut names = BTreeSet::new();
    for rule in rules::items_of("rule") {
        let name = &rule.name;
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert_eq!(rule.keys_in_order(), KEYS, "{name}");
        assert_eq!(rule.value("source"), "aws_cloudtrail", "{name}");
        assert!(PRIORITIES.contains(&rule.value("priority")), "{name}");
        let desc = rule.value("desc");
        assert!(desc.ends_with('.'), "{name}: desc");
        assert!(
            desc.contains("alse positives"),
            "{name}: desc names no false positives"
        );
        let output = rule.value("output");
        assert!(
            output.starts_with(&format!("{name} (")),
            "{name}: output starts with something else"
        );
        for field in ["%ct.srcip", "%ct.useragent", "id=%ct.id"] {
            assert!(output.contains(field), "{name}: output has no {field}");
        }
    }
    assert!(names.len() > 80, "only {} rules were found", names.len());
}

#[test]
fn every_rule_has_tags_for_maturity_service_and_attack_technique() {
    for rule in rules::items_of("rule") {
        let tags = rule.tags();
        let has = |is_it: fn(&str) -> bool| tags.iter().any(|tag| is_it(tag));
        let what = format!("{}: {tags:?}", rule.name);
        assert!(has(|tag| tag.starts_with("mitre_")), "{what}: no tactic");
        assert!(has(rules::is_technique), "{what}: no technique");
        assert!(has(|tag| tag.starts_with("aws_")), "{what}: no service");
        let maturity = ["maturity_stable", "maturity_incubating", "maturity_sandbox"];
        assert!(maturity.contains(&tags[0].as_str()), "{what}");
        assert_eq!(tags[1], "aws", "{what}");
    }
}

#[test]
fn rules_cover_at_least_45_attack_techniques() {
    let mut techniques = BTreeSet::new();
    for rule in rules::items_of("rule") {
        techniques.extend(rule.tags());
    }
    techniques.retain(|tag| rules::is_technique(tag));
    assert!(techniques.len() >= 45, "{techniques:?}");
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
            if let Some((_, pointer)) = field.split_once('[') {
                assert!(
                    pointer.starts_with('/') || pointer == "0]",
                    "{}: {field} is no JSON pointer",
                    item.name
                );
            }
            count += 1;
        }
    }
    assert!(count > 600, "only {count} fields were found");
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
fn every_condition_begins_with_a_cheap_selective_check() {
    for rule in rules::items_of("rule") {
        let condition = rule.value("condition");
        let general = [
            "Root user browsed the console",
            "Root user activity",
            "Change in an unused region",
        ];
        let expected: &[&str] = if general.contains(&rule.name.as_str()) {
            &["ct.user.identitytype = ", "ct.region in ("]
        } else {
            &["ct.name = ", "ct.name in (", "ct.name startswith "]
        };
        assert!(
            expected.iter().any(|start| condition.starts_with(start)),
            "{}: {condition}",
            rule.name
        );
    }
}
