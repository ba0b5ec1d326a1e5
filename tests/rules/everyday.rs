//! How many alerts everyday activity raises, and how many field values it costs.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use crate::engine::{Engine, Matching};
use crate::support;
use crate::support::rules;

/// Alerts per 1,000 events that people can look at.
const ALERTS: f64 = 3.0;

/// Values per event and rule. One is the least, because Falco asks for the first field of each rule anew.
const VALUES: f64 = 1.15;

#[test]
fn everyday_activity_raises_three_alerts_per_thousand_events_at_most() {
    let plugin = support::plugin("");
    let mut engine = Engine::of_project(&plugin);
    for matching in [Matching::First, Matching::All] {
        let mut by_rule: BTreeMap<String, usize> = BTreeMap::new();
        let events = support::each_event(&plugin, &support::testdata("everyday"), |event| {
            for rule in engine.alerts(event, matching) {
                if engine.priority(&rule) != "INFO" {
                    *by_rule.entry(rule).or_default() += 1;
                }
            }
        });
        assert!(events > 2_500, "only {events} events");
        let rate = by_rule.values().sum::<usize>() as f64 * 1_000.0 / events as f64;
        println!("{matching:?}: {rate:.2} alerts per 1,000 events: {by_rule:?}");
        assert!(rate <= ALERTS, "{matching:?}: {rate:.1} of {by_rule:?}");
    }
}

#[test]
fn conditions_stop_at_their_first_field_for_most_events() {
    let plugin = support::plugin("");
    let mut engine = Engine::of_project(&plugin);
    let events = support::each_event(&plugin, &support::testdata("everyday"), |event| {
        engine.alerts(event, Matching::All);
    });
    let values = engine.extractions as f64 / events as f64;
    let rules = rules::items_of("rule").len();
    println!("{values:.1} values per event for {rules} rules");
    assert!(
        values <= VALUES * rules as f64,
        "{values:.1} values per event for {rules} rules"
    );
}
