//! The plugin and its rules in a real Falco: `FALCO=/usr/bin/falco cargo test --test falco`.
#![forbid(unsafe_code)]

mod aws;
#[path = "rules/condition.rs"]
mod condition;
#[path = "rules/engine.rs"]
#[allow(dead_code, reason = "priorities are for the tests of the rules")]
mod engine;
mod fixtures;
mod oracle;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws::message::Message;
use aws::server::{closed_address, ministack};
use aws::service::Service;
use aws::settings::Settings;
use engine::{Engine, Matching};
use serde_json::{Value, json};
use support::falco::{self, Falco, text};
use support::rules::{self, Records};
use support::scratch::{Scratch, plain_log};

#[test]
fn first_alert_of_each_sample_record_is_that_of_its_rule() {
    let mut expected = BTreeMap::new();
    for rule in rules::items_of("rule") {
        for id in rules::event_ids(&rule.name, Records::Match) {
            expected.insert(id, vec![rule.name.clone()]);
        }
    }
    let scratch = Scratch::new("falco-rules");
    let mut config = falco::config(text(&support::testdata("rules")));
    config["rule_matching"] = json!("first");
    let mut falco = Falco::start(&scratch, &config);
    falco.succeed();
    let mut given = falco.rules_by_event();
    for (id, rules) in &expected {
        assert_eq!(given.remove(id).as_ref(), Some(rules), "event {id}");
    }
    assert_eq!(given, BTreeMap::new(), "near misses that raise alerts");
}

#[test]
fn alerts_are_those_of_the_engine_of_the_rules_tests() {
    let plugin = support::plugin("");
    let mut engine = Engine::of_project(&plugin);
    for records in ["rules", "everyday"].map(support::testdata) {
        for (matching, setting) in [(Matching::First, "first"), (Matching::All, "all")] {
            let mut expected = BTreeMap::new();
            support::each_event(&plugin, &records, |event| {
                let alerts = engine.alerts(event, matching);
                if !alerts.is_empty() {
                    expected.insert(engine.text(event, "ct.id").expect("an ID"), alerts);
                }
            });
            let scratch = Scratch::new("falco-engine");
            let mut config = falco::config(text(&records));
            config["rule_matching"] = json!(setting);
            let mut falco = Falco::start(&scratch, &config);
            falco.succeed();
            assert_eq!(falco.rules_by_event(), expected, "{setting}");
        }
    }
}

#[test]
fn rules_load_without_a_warning() {
    let scratch = Scratch::new("falco-validate");
    let file = rules::file();
    let args = ["--validate", text(&file)];
    let mut falco = Falco::start_with(&scratch, &falco::config(""), &args);
    falco.succeed();
    let output = falco.output();
    let result: Value = serde_json::from_str(&output).expect("JSON");
    let result = &result["falco_load_results"][0];
    assert_eq!(result["successful"], json!(true), "{output}");
    assert_eq!(result["warnings"], json!([]), "{output}");
}

#[test]
fn every_output_field_has_a_value_for_some_record() {
    let scratch = Scratch::new("falco-outputs");
    let mut falco = Falco::start(&scratch, &falco::config(text(&support::testdata("rules"))));
    falco.succeed();
    let alerts = falco.alerts();
    for rule in rules::items_of("rule") {
        let of_rule: Vec<_> = alerts
            .iter()
            .filter(|alert| alert.rule() == rule.name)
            .collect();
        for field in rule.output_fields() {
            assert!(
                of_rule
                    .iter()
                    .any(|alert| !alert.0["output_fields"][&field].is_null()),
                "{}: {field} has no value in any of its alerts",
                rule.name
            );
        }
    }
}

#[test]
fn source_is_read_to_its_end() {
    let scratch = Scratch::new("falco-end");
    let logs = support::testdata("logs");
    let mut config = falco::config(text(&logs));
    config["rules_files"] = json!([falco::rule_for_everything(&scratch)]);
    let mut falco = Falco::start(&scratch, &config);
    falco.succeed();
    let events = support::payloads(&support::plugin(""), &logs).len();
    assert_eq!(falco.alerts().len(), events);
}

#[test]
fn two_sources_are_read_side_by_side() {
    let scratch = Scratch::new("falco-two");
    let logs = support::testdata("logs");
    let mut config = falco::config(text(&logs));
    let fake = json!({"name": "fake", "library_path": fixtures::library("fake_plugin", &[]), "open_params": "normal"});
    config["plugins"]
        .as_array_mut()
        .expect("plugins")
        .push(fake);
    config["load_plugins"] = json!(["cloudtrail", "fake"]);
    let rule = json!([{
        "rule": "Every event of the other source",
        "desc": "Whatever it is.",
        "condition": "evt.num > 0",
        "output": "%fake.number",
        "priority": "NOTICE",
        "source": "fake_source",
    }]);
    config["rules_files"] = json!([
        falco::rule_for_everything(&scratch),
        scratch.write("other.yaml", rule.to_string().as_bytes()),
    ]);
    let sources = ["aws_cloudtrail", "fake_source"];
    let args = sources.map(|source| ["--enable-source", source]).concat();
    let mut falco = Falco::start_with(&scratch, &config, &args);
    falco.succeed();
    let alerts = falco.alerts();
    let counts = sources.map(|source| {
        let of_source = alerts.iter().filter(|alert| alert.0["source"] == source);
        of_source.count()
    });
    let events = support::payloads(&support::plugin(""), &logs).len();
    assert_eq!(counts, [events, 6]);
}

#[test]
fn capture_file_gives_the_same_alerts() {
    let scratch = Scratch::new("falco-capture");
    let mut config = falco::config(text(&support::testdata("rules")));
    // The capture starts with the first alert, here at the first record, and lasts to the end.
    config["capture"] = json!({
        "enabled": true,
        "path_prefix": scratch.path().join("capture"),
        "mode": "all_rules",
        "default_duration": 1_000_000_000,
    });
    let mut live = Falco::start(&scratch, &config);
    live.succeed();
    let captured = captures_below(scratch.path());
    assert_eq!(captured.len(), 1, "{captured:?}\n{}", live.log());

    config["capture"]["enabled"] = json!(false);
    config["engine"] = json!({"kind": "replay", "replay": {"capture_file": captured[0]}});
    let elsewhere = Scratch::new("falco-replay");
    let mut replay = Falco::start_with(&elsewhere, &config, &[]);
    replay.succeed();
    let texts = |falco: &Falco| -> Vec<String> {
        let alerts = falco.alerts();
        alerts.iter().map(|alert| alert.text().to_owned()).collect()
    };
    assert!(!texts(&live).is_empty());
    assert_eq!(texts(&replay), texts(&live));
}

#[test]
fn fields_are_listed_with_their_descriptions() {
    let scratch = Scratch::new("falco-list");
    let config = falco::config("");
    let mut falco = Falco::start_with(&scratch, &config, &["--list=aws_cloudtrail"]);
    falco.succeed();
    let listed = squeezed(&falco.output());
    let plugin = support::plugin("");
    for field in plugin.fields() {
        // Falco does not list these.
        if field.properties.iter().any(|property| property == "hidden") {
            continue;
        }
        assert!(listed.contains(&field.name), "{} is not listed", field.name);
        let desc = squeezed(&field.desc);
        assert!(listed.contains(&desc), "{}: no {desc:?}", field.name);
    }
}

#[test]
fn invalid_configuration_is_refused_with_the_plugins_error() {
    let scratch = Scratch::new("falco-bad");
    for (key, value, words) in [
        (
            "open_params",
            json!("/no/such/folder"),
            "open parameters '/no/such/folder': cannot be opened",
        ),
        (
            "init_config",
            json!({"s3Interval": "2d-5d"}),
            r#"s3Interval: "2d-5d" starts after its end"#,
        ),
        (
            "init_config",
            json!(r#"{"s3Interval": "tomorrow"}"#),
            r#"s3Interval: "tomorrow""#,
        ),
    ] {
        let mut config = falco::config(text(&support::testdata("logs")));
        config["plugins"][0][key] = value;
        let mut falco = Falco::start(&scratch, &config);
        let status = falco.end();
        assert!(!status.success(), "{words}");
        assert!(falco.log().contains(words), "{words}:\n{}", falco.log());
    }
}

#[test]
fn value_of_a_wrong_type_is_refused_with_its_key() {
    let scratch = Scratch::new("falco-type");
    let mut config = falco::config(text(&support::testdata("logs")));
    config["plugins"][0]["init_config"] = json!({"decodeThreads": "many"});
    let mut falco = Falco::start(&scratch, &config);
    assert!(!falco.end().success());
    assert!(falco.log().contains("decodeThreads"), "{}", falco.log());
}

#[test]
fn queue_is_followed_through_a_reload_and_sigterm() {
    let service = Service::at(ministack().address);
    service.create_bucket("falco");
    // A short visibility timeout: a message may be received by the connection that the reload closes.
    service.create_queue("falco", json!({"VisibilityTimeout": "5"}));
    let scratch = Scratch::new("falco-queue");
    let mut config = following("sqs://falco", ministack().address);
    config["rules_files"] = json!([falco::rule_for_everything(&scratch)]);
    // Without this Falco ignores SIGHUP.
    config["watch_config_files"] = json!(true);
    let mut falco = Falco::start(&scratch, &config);

    deliver(&service, "first.json");
    falco.until("alerts of the first file", |falco| {
        falco.alerts().len() == 3
    });
    falco.signal("HUP");
    falco.until("a restart", |falco| {
        falco.log().matches("cloudtrail: reading http").count() == 2
    });
    deliver(&service, "second.json");
    falco.until("alerts of the second file", |falco| {
        falco.alerts().len() == 6
    });

    let start = Instant::now();
    falco.signal("TERM");
    falco.succeed();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "its end took {:?}",
        start.elapsed()
    );
}

#[test]
fn local_source_is_stopped_before_its_end() {
    let scratch = Scratch::new("falco-term");
    // Too many to be read before the signal.
    let log = plain_log("r-", 50_000);
    for number in 0..20 {
        scratch.write(&format!("logs/{number}.json"), &log);
    }
    let mut config = falco::config(text(&scratch.path().join("logs")));
    config["rules_files"] = json!([falco::rule_for_everything(&scratch)]);
    let mut falco = Falco::start(&scratch, &config);
    falco.until("alerts", |falco| !falco.alerts().is_empty());
    let start = Instant::now();
    falco.signal("TERM");
    falco.succeed();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "its end took {:?}",
        start.elapsed()
    );
    assert!(falco.alerts().len() < 1_000_000);
}

#[test]
fn metrics_are_served_for_prometheus() {
    let service = Service::at(ministack().address);
    service.create_queue("falco-metrics", json!({}));
    let address = closed_address();
    let scratch = Scratch::new("falco-metrics");
    let mut config = following("sqs://falco-metrics", ministack().address);
    config["webserver"] = json!({
        "enabled": true,
        "listen_address": address.ip().to_string(),
        "listen_port": address.port(),
        "prometheus_metrics_enabled": true,
    });
    config["metrics"] = json!({"enabled": true, "interval": "1h", "plugins_metrics_enabled": true});
    let mut falco = Falco::start(&scratch, &config);
    falco.until("the metrics", |_| {
        page(address, "/metrics").is_some_and(|page| page.contains("cloudtrail"))
    });
    let page = page(address, "/metrics").expect("it is served");
    for metric in support::plugin("").metrics() {
        // Falco changes the unit of byte counts.
        let name = metric.name.replace('.', "_").replace("_bytes", "");
        assert!(
            page.contains(&format!("cloudtrail_{name}")),
            "{name} is not in:\n{page}"
        );
    }
}

#[test]
fn drop_in_of_the_deployment_examples_wins_over_the_packages_engine() {
    let service = Service::at(ministack().address);
    service.create_queue("falco-drop-in", json!({}));
    let scratch = Scratch::new("falco-drop-in");
    let web = closed_address();
    let settings: Value =
        serde_json::from_str(&Settings::at(ministack().address).json()).expect("JSON");
    let drop_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/zz-cloudtrail.yaml");
    let mut drop_in = fs::read_to_string(drop_in).expect("the example is there");
    // What is another on this machine. JSON is YAML.
    let window = "dedupWindow: 1000000";
    for (example, here) in [
        (
            window,
            &*format!("{window}\n      aws: {}", settings["aws"]),
        ),
        ("libcloudtrail.so", text(&support::library())),
        (
            "/var/lib/falco-cloudtrail/lost.jsonl",
            text(&scratch.path().join("lost")),
        ),
        ("sqs://cloudtrail", "sqs://falco-drop-in"),
        ("/etc/falco/cloudtrail_rules.yaml", text(&rules::file())),
        ("8765", &web.port().to_string()),
    ] {
        assert!(drop_in.contains(example), "{example}");
        drop_in = drop_in.replace(example, here);
    }
    // As falcoctl names it. Without a driver, Falco fails with this engine.
    scratch.write(
        "config.d/engine-kind-falcoctl.yaml",
        b"engine:\n  kind: kmod\n",
    );
    scratch.write("config.d/zz-cloudtrail.yaml", drop_in.as_bytes());
    let mut config = falco::config("");
    for key in ["plugins", "load_plugins", "rules_files"] {
        config[key] = json!([]);
    }
    config["config_files"] = json!([scratch.path().join("config.d")]);
    let mut falco = Falco::start_with(&scratch, &config, &[]);
    falco.until("the metrics", |_| {
        page(web, "/metrics")
            .is_some_and(|page| page.contains("falcosecurity_plugins_cloudtrail_events_total"))
    });
}

/// A configuration that follows a queue of the server at `address`.
fn following(queue: &str, address: SocketAddr) -> Value {
    let mut config = falco::config(queue);
    config["plugins"][0]["init_config"] = json!(Settings::at(address).json());
    config
}

/// Puts a file with three records into the bucket and its notification into the queue.
fn deliver(service: &Service, key: &str) {
    service.put("falco", key, plain_log(key, 3));
    let notification = json!({"s3Bucket": "falco", "s3ObjectKey": [key]});
    service.send("falco", [notification.to_string()]);
}

/// The body that an HTTP server returns for `path`; `None` if it does not answer yet.
fn page(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = Message::new(format!("GET {path} HTTP/1.1"))
        .with("host", &address.to_string())
        .with("connection", "close");
    request.write(&mut stream).ok()?;
    let reply = Message::read_reply(&mut stream, false).ok()?;
    (reply.status() == 200).then(|| reply.text())
}

/// The capture files in a folder.
fn captures_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = support::files_below(folder);
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "scap")
    });
    files
}

/// A text without white space, because Falco wraps descriptions.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}
