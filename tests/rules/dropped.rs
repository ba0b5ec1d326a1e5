//! The events that `docs/rules.md` advises to drop raise no alert.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::engine::{Engine, Matching};
use crate::support;
use crate::yaml;

#[test]
fn events_that_the_document_drops_raise_no_alert() {
    let config = advised_config();
    for folder in ["rules", "everyday"] {
        let (events, alerts) = alerts("", folder);
        let (left, alerts_left) = self::alerts(&config, folder);
        assert_eq!(alerts_left, alerts, "{folder}");
        assert!(left < events, "{folder}: no event is dropped");
        println!("{folder}: {left} of {events} events are left");
    }
}

/// The number of events, and the alerts by event ID.
fn alerts(config: &str, folder: &str) -> (usize, BTreeMap<String, Vec<String>>) {
    let plugin = support::plugin(config);
    let mut engine = Engine::of_project(&plugin);
    let mut alerts = BTreeMap::new();
    let events = support::each_event(&plugin, &support::testdata(folder), |event| {
        let of_event = engine.alerts(event, Matching::All);
        if !of_event.is_empty() {
            let id = engine.text(event, "ct.id").expect("an event ID");
            alerts.insert(id, of_event);
        }
    });
    (events, alerts)
}

/// The `init_config` of the document's example.
fn advised_config() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let document = fs::read_to_string(path).expect("the document");
    let mut blocks = document.split("```yaml\n").skip(1);
    let example = blocks
        .find_map(|block| {
            block
                .split("```")
                .next()
                .filter(|it| it.contains("dropEvents:"))
        })
        .expect("an example with dropEvents");
    let example = yaml::parse(example).unwrap_or_else(|error| panic!("{error}"));
    example["plugins"][0]["init_config"].to_string()
}
