//! Each rule's records raise its alert, and its near misses raise none.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::PRIORITIES;
use crate::engine::{Engine, Matching};
use crate::support;
use crate::support::rules::{self, Records};

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
        assert!(
            folders.contains(&path) || path.is_file(),
            "no rule for {}",
            path.display()
        );
    }
}

#[test]
fn each_sample_record_raises_its_rules_alert_only() {
    let mut expected = BTreeMap::new();
    for rule in rules::items_of("rule") {
        for id in rules::event_ids(&rule.name, Records::Match) {
            expected.insert(id, rule.name.clone());
        }
    }
    let plugin = support::plugin("");
    let mut engine = Engine::of_project(&plugin);
    let mut wrong = Vec::new();
    support::each_event(&plugin, &support::testdata("rules"), |event| {
        let id = engine.text(event, "ct.id").expect("an event ID");
        let expected = expected.remove(&id);
        let first = engine.alerts(event, Matching::First);
        let all = engine.alerts(event, Matching::All);
        if first.first() != expected.as_ref() || expected.iter().any(|rule| !all.contains(rule)) {
            let name = engine.text(event, "ct.name");
            wrong.push(format!(
                "{id} {name:?}: {expected:?}, first {first:?}, all {all:?}"
            ));
        }
    });
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(expected, BTreeMap::new(), "records that were not read");
}

/// The rule for whatever else the root user does. Rules about single operations say more, whatever their priority.
const GENERAL: &str = "Root user activity";

#[test]
fn no_alert_hides_one_of_higher_priority() {
    let plugin = support::plugin("");
    let mut engine = Engine::of_project(&plugin);
    let mut hidden = BTreeSet::new();
    support::each_event(&plugin, &support::testdata("rules"), |event| {
        let all = engine.alerts(event, Matching::All);
        let rank = |rule: &String| {
            PRIORITIES
                .iter()
                .position(|it| *it == engine.priority(rule))
        };
        let first = all.first().map(rank);
        let higher = |rule: &&String| rule.as_str() != GENERAL && Some(rank(rule)) < first;
        for rule in all.iter().filter(higher) {
            hidden.insert(format!("{} hides {rule}", all[0]));
        }
    });
    assert_eq!(hidden, BTreeSet::new());
}

#[test]
fn every_output_field_has_a_value_for_some_record_of_the_rule() {
    let mut fields = BTreeMap::new();
    let mut rules_of = BTreeMap::new();
    for rule in rules::items_of("rule") {
        for id in rules::event_ids(&rule.name, Records::Match) {
            rules_of.insert(id, rule.name.clone());
        }
        let of_rule: BTreeSet<String> = rule.output_fields().into_iter().collect();
        fields.insert(rule.name, of_rule);
    }
    let plugin = support::plugin("");
    let mut engine = Engine::new(&plugin);
    support::each_event(&plugin, &support::testdata("rules"), |event| {
        let id = engine.text(event, "ct.id").expect("an event ID");
        if let Some(rule) = rules_of.get(&id) {
            let missing = fields.get_mut(rule).expect("a rule");
            missing.retain(|field| engine.value(event, field).is_none());
        }
    });
    fields.retain(|_, missing| !missing.is_empty());
    assert_eq!(
        fields,
        BTreeMap::new(),
        "fields without a value in all records"
    );
}
