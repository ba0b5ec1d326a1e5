//! The deployment examples fit the plugin, each other and the documents: configurations are loaded, names of metrics and
//! permissions compared, and other programs' files checked with these programs where they are installed.
#![forbid(unsafe_code)]

#[path = "deploy/hcl.rs"]
mod hcl;
#[path = "readme/markdown.rs"]
mod markdown;
mod oracle;
#[path = "deploy/release.rs"]
mod release;
mod support;
#[path = "readme/yaml.rs"]
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloudtrail::host::{MetricKind, Plugin};
use markdown::{Document, root};
use serde_json::{Value, json};
use support::scratch::Scratch;

/// Configurations of Falco.
const FALCO_FILES: [&str; 3] = [
    "systemd/zz-cloudtrail.yaml",
    "docker/falco.yaml",
    "helm/values.yaml",
];

/// What the plugin's role may do, each with the request for which it is needed.
const PERMISSIONS: [(&str, &str); 9] = [
    ("sqs:GetQueueUrl", ".get_queue_url()"),
    ("sqs:GetQueueAttributes", ".get_queue_attributes()"),
    ("sqs:ReceiveMessage", ".receive_message()"),
    ("sqs:DeleteMessage", ".delete_message_batch()"),
    (
        "sqs:ChangeMessageVisibility",
        ".change_message_visibility_batch()",
    ),
    ("s3:GetObject", ".get_object()"),
    ("s3:GetObjectVersion", ".set_version_id("),
    ("s3:ListBucket", ".list_objects_v2()"),
    // S3 and SQS decrypt for the caller.
    ("kms:Decrypt", "KMS."),
];

/// The name in Prometheus of every metric of the plugin.
fn metrics() -> BTreeMap<String, MetricKind> {
    let metrics = support::plugin("").metrics();
    let named = metrics
        .iter()
        .map(|metric| (prometheus_name(&metric.name), metric.kind));
    named.collect()
}

/// The name that Falco gives a plugin's metric: a unit behind an underscore is removed, anything that Prometheus does not
/// allow becomes an underscore, and the unit of all plugins' metrics is `total`.
fn prometheus_name(metric: &str) -> String {
    let mut name = format!("falcosecurity_plugins_cloudtrail.{metric}_");
    for unit in [
        "kb",
        "bytes",
        "mb",
        "percentage",
        "perc",
        "ratio",
        "ns",
        "ts",
        "sec",
        "total",
    ] {
        name = name.replace(&format!("_{unit}"), "");
    }
    if !name.ends_with('_') {
        name.push('_');
    }
    name.replace('.', "_") + "total"
}

#[test]
fn metrics_have_the_names_that_falco_gives_them() {
    for (metric, name) in [
        ("events", "falcosecurity_plugins_cloudtrail_events_total"),
        ("lag.p99", "falcosecurity_plugins_cloudtrail_lag_p99_total"),
        (
            "bytes_in",
            "falcosecurity_plugins_cloudtrail_bytes_in_total",
        ),
        (
            "buffered_bytes",
            "falcosecurity_plugins_cloudtrail_buffered_total",
        ),
        (
            "skipped.not_a_log",
            "falcosecurity_plugins_cloudtrail_skipped_not_a_log_total",
        ),
    ] {
        assert_eq!(prometheus_name(metric), name);
        assert!(metrics().contains_key(name), "{name}");
    }
}

#[test]
fn every_file_is_readable_and_has_a_row_in_the_readme() {
    let readme = Document::read("deploy/README.md");
    let links: BTreeSet<String> = readme.links().into_iter().collect();
    let mut count = 0;
    for path in support::files_below(&root().join("deploy")) {
        let name = relative(&path);
        if name == "README.md" {
            continue;
        }
        assert!(
            links.contains(&name),
            "deploy/README.md does not name {name}"
        );
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => drop(read_yaml(&name)),
            Some("json") => drop(read_json(&name)),
            Some("tf") => hcl::check(&name, &read(&name)),
            // Checked by tests of their own.
            Some("conf" | "dockerignore") | None => {}
            Some(other) => panic!("{name}: nothing checks .{other}"),
        }
        count += 1;
    }
    assert!(count >= 15, "only {count} files");
}

#[test]
fn plugin_accepts_each_configuration_and_knows_its_keys() {
    let schema = Plugin::init_schema(&support::library())
        .expect("the library loads")
        .expect("the plugin has a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let scratch = Scratch::new("deploy-plugin");
    for file in FALCO_FILES {
        let falco = falco_configuration(file);
        let plugins = falco["plugins"].as_array().expect("a list of plugins");
        assert_eq!(plugins.len(), 1, "{file}");
        let plugin = &plugins[0];
        assert_eq!(falco["load_plugins"], json!([plugin["name"]]), "{file}");
        assert_eq!(plugin["name"], "cloudtrail", "{file}");
        assert_eq!(plugin["library_path"], "libcloudtrail.so", "{file}");
        let mut config = plugin["init_config"].clone();
        assert_known_keys(file, &config, &schema);
        if !config["lostLog"].is_null() {
            // A folder of the target machine.
            config["lostLog"] = scratch.path().join("lost").to_str().into();
        }
        let open_params = plugin["open_params"].as_str().expect("a text");
        let open_params = match open_params.strip_prefix("${") {
            Some(variable) => environment_of_task(variable.trim_end_matches('}')),
            None => open_params.to_owned(),
        };
        assert_source_is_understood(file, &scratch, config, &open_params);
    }
}

#[test]
fn falco_is_configured_with_keys_that_it_has() {
    let known = [
        "engine",
        "json_output",
        "load_plugins",
        "log_syslog",
        "metrics",
        "plugins",
        "plugins_hostinfo",
        "rules_files",
        "stdout_output",
        "syslog_output",
        "time_format_iso_8601",
        "webserver",
    ];
    for file in FALCO_FILES {
        let falco = falco_configuration(file);
        for key in falco.as_object().expect("an object").keys() {
            assert!(known.contains(&key.as_str()), "{file}: {key}");
        }
        let rules = falco["rules_files"].as_array().expect("a list");
        assert!(
            rules.contains(&json!("/etc/falco/cloudtrail_rules.yaml")),
            "{file}"
        );
    }
    // Falco reads config.d in the order of names, and falcoctl writes the engine that the package chose.
    assert!(FALCO_FILES[0].ends_with("/zz-cloudtrail.yaml"));
    assert!("zz-cloudtrail.yaml" > "engine-kind-falcoctl.yaml");
}

#[test]
fn metrics_are_on_wherever_falco_is_configured() {
    for file in &FALCO_FILES[..2] {
        let falco = falco_configuration(file);
        assert_eq!(falco["metrics"]["enabled"], true, "{file}");
        assert_eq!(falco["metrics"]["plugins_metrics_enabled"], true, "{file}");
        let webserver = &falco["webserver"];
        assert_eq!(webserver["enabled"], true, "{file}");
        assert_eq!(webserver["prometheus_metrics_enabled"], true, "{file}");
    }
    let values = read_yaml("helm/values.yaml");
    assert_eq!(values["metrics"]["enabled"], true);
    assert_eq!(values["metrics"]["pluginsMetricsEnabled"], true);
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist_as_what_they_are() {
    let metrics = metrics();
    let mut used = BTreeSet::new();
    let alerts = read_yaml("prometheus/alerts.yaml");
    let mut names = BTreeSet::new();
    for rule in alerts["groups"][0]["rules"].as_array().expect("rules") {
        let name = rule["alert"].as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "{name} occurs twice");
        for key in ["summary", "description"] {
            assert!(rule["annotations"][key].is_string(), "{name}: {key}");
        }
        let severity = &rule["labels"]["severity"];
        assert!(severity == "warning" || severity == "critical", "{name}");
        let expression = rule["expr"].as_str().expect("an expression");
        assert_metrics_exist(name, expression, &metrics, &mut used);
    }
    assert!(names.len() >= 8, "only {names:?}");
    let dashboard = read_json("grafana/dashboard.json");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id");
        assert!(panel["description"].is_string(), "{title}: description");
        for target in panel["targets"].as_array().expect("targets") {
            if let Some(expression) = target["expr"].as_str() {
                assert_metrics_exist(title, expression, &metrics, &mut used);
            } else {
                assert_eq!(target["namespace"], "AWS/SQS", "{title}");
            }
        }
    }
    assert!(panels.len() >= 10, "only {} panels", panels.len());
    // Each kind of error is in one of the two at least.
    for name in metrics.keys() {
        let is_error = name.contains("_errors_") || name.contains("_damaged_");
        assert!(!is_error || used.contains(name), "{name} is used nowhere");
    }
}

#[test]
fn dashboards_variables_exist() {
    let dashboard = read_json("grafana/dashboard.json");
    let variables = dashboard["templating"]["list"].as_array().expect("a list");
    let names: BTreeSet<&str> = variables
        .iter()
        .map(|variable| variable["name"].as_str().expect("a name"))
        .collect();
    let text = read("grafana/dashboard.json");
    let mut count = 0;
    for rest in text.split('$').skip(1) {
        let name: String = rest
            .trim_start_matches('{')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        // Names with two underscores are Grafana's own.
        if !name.starts_with("__") {
            assert!(names.contains(name.as_str()), "${name}");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} uses");
}

#[test]
fn permissions_are_the_documented_ones_and_needed_by_the_sources() {
    let expected: BTreeSet<String> = PERMISSIONS
        .iter()
        .map(|(action, _)| (*action).to_owned())
        .collect();
    assert_eq!(actions_of(&read_json("iam/policy.json")), expected);

    let main = read("terraform/main.tf");
    let policy = hcl::block(&main, r#"data "aws_iam_policy_document" "falco""#);
    let in_terraform: BTreeSet<String> = hcl::lists(policy, "actions").into_iter().collect();
    assert_eq!(in_terraform, expected, "terraform/main.tf");

    let document = Document::read("docs/s3-and-sqs.md");
    let documented = document
        .blocks("json")
        .into_iter()
        .map(|block| serde_json::from_str::<Value>(block).expect("JSON"))
        .find(|policy| actions_of(policy).contains("sqs:ReceiveMessage"))
        .expect("the role's policy");
    let mut documented = actions_of(&documented);
    // The document has it apart, because it is needed with a key of one's own only.
    documented.insert("kms:Decrypt".to_owned());
    assert_eq!(documented, expected, "docs/s3-and-sqs.md");

    let mut sources = String::new();
    for path in support::files_below(&root().join("src")) {
        sources.push_str(&fs::read_to_string(&path).expect("a source file"));
    }
    for (action, request) in PERMISSIONS {
        assert!(sources.contains(request), "{action}: no {request}");
    }
    for request in [".get_bucket_location()", ".put_object()", ".list_queues()"] {
        assert!(!sources.contains(request), "{request} needs a permission");
    }
}

#[test]
fn terraform_makes_the_queue_and_alarms_that_the_documents_recommend() {
    let main = read("terraform/main.tf");
    let number = |block: &str, key: &str| hcl::value(hcl::block(&main, block), key);
    let queue = r#"resource "aws_sqs_queue" "notifications""#;
    let dead = r#"resource "aws_sqs_queue" "dead""#;
    assert_eq!(number(queue, "visibility_timeout_seconds"), "120");
    assert_eq!(number(queue, "message_retention_seconds"), "864000");
    assert_eq!(number(queue, "maxReceiveCount"), "10");
    assert_eq!(number(dead, "message_retention_seconds"), "1209600");

    let operations = Document::read("docs/operations.md");
    let commands = operations.blocks("sh").concat();
    for (alarm, metric) in [
        ("behind", "ApproximateAgeOfOldestMessage"),
        ("dead", "ApproximateNumberOfMessagesVisible"),
    ] {
        let block = format!(r#"resource "aws_cloudwatch_metric_alarm" "{alarm}""#);
        assert_eq!(number(&block, "metric_name"), format!("\"{metric}\""));
        let (_, command) = commands
            .split_once(&format!("--alarm-name $QUEUE-{alarm} "))
            .expect("the document's command");
        for (option, key) in [
            ("--threshold ", "threshold"),
            ("--period ", "period"),
            ("--evaluation-periods ", "evaluation_periods"),
        ] {
            let (_, rest) = command.split_once(option).expect(option);
            let documented = rest.split_whitespace().next();
            let in_terraform = number(&block, key);
            assert_eq!(Some(&*in_terraform), documented, "{alarm}: {key}");
        }
    }

    let rule = hcl::block(&main, r#"resource "aws_cloudwatch_event_rule" "records""#);
    let setup = Document::read("docs/s3-and-sqs.md").blocks("sh").concat();
    let state = hcl::value(rule, "state");
    assert!(setup.contains(state.trim_matches('"')), "{state}");
    assert!(rule.contains(r#"suffix = " via CloudTrail""#), "{rule}");
}

#[test]
fn terraform_formats_and_validates_its_files() {
    let folder = root().join("deploy/terraform");
    if !is_installed("terraform", "version") {
        println!("terraform is not installed: only tests without it have run");
        return;
    }
    let scratch = Scratch::new("deploy-terraform");
    for path in support::files_below(&folder) {
        let copy = fs::read(&path).expect("a file");
        scratch.write(
            path.file_name().and_then(|n| n.to_str()).expect("a name"),
            &copy,
        );
    }
    let terraform = |args: &[&str]| {
        let output = Command::new("terraform")
            .arg(format!("-chdir={}", scratch.path().display()))
            .args(args)
            .env("CHECKPOINT_DISABLE", "true")
            .output()
            .expect("terraform runs");
        assert!(output.status.success(), "terraform {args:?}: {output:?}");
    };
    terraform(&["fmt", "-check", "-diff"]);
    // A folder with the AWS provider, for machines without a network.
    match std::env::var("TERRAFORM_PROVIDERS") {
        Ok(providers) => {
            let providers = format!("-plugin-dir={providers}");
            terraform(&["init", "-backend=false", "-input=false", &providers]);
            terraform(&["validate"]);
        }
        Err(_) => println!("TERRAFORM_PROVIDERS names no provider: not validated"),
    }
}

#[test]
fn promtool_accepts_the_alerts_and_their_tests_pass() {
    if !is_installed("promtool", "--version") {
        println!("promtool is not installed: only tests without it have run");
        return;
    }
    for args in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts_test.yaml"],
    ] {
        let output = Command::new("promtool")
            .args(args)
            .current_dir(root().join("deploy/prometheus"))
            .output()
            .expect("promtool runs");
        assert!(output.status.success(), "promtool {args:?}: {output:?}");
    }
}

#[test]
fn image_has_what_its_configuration_names() {
    let dockerfile = read("docker/Dockerfile");
    let ignored = read("docker/Dockerfile.dockerignore");
    let ignored: Vec<&str> = ignored.lines().collect();
    assert_eq!(ignored[0], "*", "everything is left out but what is named");
    let mut copied = BTreeSet::new();
    for line in dockerfile.lines() {
        let Some(copy) = line.strip_prefix("COPY ") else {
            continue;
        };
        let words: Vec<&str> = copy.split(' ').filter(|w| !w.starts_with("--")).collect();
        let (target, sources) = words.split_last().expect("a target");
        if !copy.contains("--from=build") {
            for source in sources {
                assert!(root().join(source).exists(), "{line}: {source}");
                let is_sent = |name: &str| {
                    source
                        .strip_prefix(name)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                let sent = ignored.iter().filter_map(|line| line.strip_prefix('!'));
                assert!(sent.into_iter().any(is_sent), "{source} is left out");
            }
        }
        for source in sources {
            let name = source.rsplit('/').next().expect("a name");
            copied.insert(format!("{target}{name}"));
        }
    }
    for path in [
        "/usr/share/falco/plugins/libcloudtrail.so",
        "/etc/falco/cloudtrail_rules.yaml",
        "/etc/falco/falco.yaml",
    ] {
        assert!(copied.contains(path), "{path} is not among {copied:?}");
    }
    let build = "cargo rustc --locked --release --lib --crate-type cdylib";
    assert!(dockerfile.contains(build));
    let readme = Document::read("README.md");
    assert!(readme.text.contains(&build.replace(" --locked", "")));
    for line in dockerfile.lines().filter(|line| line.starts_with("FROM ")) {
        assert!(line.contains(":${"), "{line}: no version");
    }
    assert!(!dockerfile.contains("latest"));
}

#[test]
fn task_fits_the_image() {
    let task = read_json("ecs/task-definition.json");
    let container = &task["containerDefinitions"][0];
    let dockerfile = read("docker/Dockerfile");
    let user = container["user"].as_str().expect("a user");
    assert!(dockerfile.contains(&format!("USER {user}\n")), "{user}");
    let falco = falco_configuration("docker/falco.yaml");
    let port = &falco["webserver"]["listen_port"];
    assert_eq!(&container["portMappings"][0]["containerPort"], port);
    let check = container["healthCheck"]["command"].to_string();
    assert!(check.contains(&format!("127.0.0.1:{port}/healthz")));
    assert!(dockerfile.contains(&format!("EXPOSE {port}\n")));
    for (variable, value) in [
        ("CLOUDTRAIL_SOURCE", "sqs://cloudtrail"),
        ("AWS_REGION", "eu-central-1"),
    ] {
        assert_eq!(environment_of_task(variable), value);
    }
    assert_is_this_version(container["image"].as_str().expect("an image"));
}

#[test]
fn chart_installs_this_versions_artifacts_by_full_reference() {
    let values = read_yaml("helm/values.yaml");
    assert_eq!(values["driver"]["enabled"], false);
    assert_eq!(values["controller"]["kind"], "deployment");
    let install = &values["falcoctl"]["config"]["artifact"]["install"];
    let references: Vec<&str> = install["refs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|reference| reference.as_str().expect("a text"))
        .collect();
    let package = fs::read_to_string(root().join(".ci/package.py")).expect("the script is there");
    for (reference, constant) in references.iter().zip(["PLUGIN", "RULES"]) {
        assert_is_this_version(reference);
        let (name, _) = reference.rsplit_once(':').expect("a tag");
        let (registry, name) = name.rsplit_once('/').expect("a registry");
        assert!(registry.contains('.'), "{reference}: no registry");
        assert!(
            package.contains(&format!("{constant} = \"{name}\"\n")),
            "{reference}: .ci/package.py names it otherwise"
        );
    }
    assert_eq!(references.len(), 2);
    let readme = Document::read("README.md");
    let command = format!("falcoctl artifact install {}\n", references.join(" "));
    assert!(readme.text.contains(&command), "README.md lacks {command}");
}

#[test]
fn package_needs_the_rust_that_its_dependencies_need() {
    // Packages of other platforms may not have been downloaded.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{metadata:?}");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let version = |text: &str| -> Vec<u64> {
        let parts = text.split('.');
        parts.map(|part| part.parse().expect("a number")).collect()
    };
    let packages = metadata["packages"].as_array().expect("packages");
    let needed = packages
        .iter()
        .filter(|package| package["name"] != "cloudtrail")
        .filter_map(|package| package["rust_version"].as_str())
        .max_by_key(|text| version(text))
        .expect("a package names one");
    let own = env!("CARGO_PKG_RUST_VERSION");
    assert_eq!(own, needed, "Cargo.toml: rust-version");
    let readme = Document::read("README.md");
    assert!(readme.text.contains(&format!("Rust {own} or newer")));
    let dockerfile = read("docker/Dockerfile");
    let (_, built_with) = dockerfile.split_once("RUST_VERSION=").expect("a version");
    let built_with = built_with.lines().next().expect("a line");
    assert!(version(built_with) >= version(own), "{built_with}");
}

/// A file below `deploy/`.
fn read(name: &str) -> String {
    let path = root().join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_yaml(name: &str) -> Value {
    yaml::parse(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn read_json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn relative(path: &Path) -> String {
    let path: PathBuf = path
        .strip_prefix(root().join("deploy"))
        .expect("a file below deploy")
        .into();
    path.to_str().expect("UTF-8").to_owned()
}

/// The part of a file that is Falco's configuration.
fn falco_configuration(file: &str) -> Value {
    let content = read_yaml(file);
    match file.starts_with("helm/") {
        true => content["falco"].clone(),
        false => content,
    }
}

/// Every key of a configuration is one of the schema's, in its spelling.
fn assert_known_keys(file: &str, config: &Value, schema: &Value) {
    for (key, value) in config.as_object().into_iter().flatten() {
        let known = &schema["properties"][key];
        assert!(known.is_object(), "{file}: the plugin has no key {key}");
        if known["properties"].is_object() {
            assert_known_keys(file, value, known);
        }
    }
}

/// The plugin accepts both values and fails only because there is no queue: nothing answers on the endpoint.
fn assert_source_is_understood(
    file: &str,
    scratch: &Scratch,
    mut config: Value,
    open_params: &str,
) {
    let keys =
        b"[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = none\n";
    let credentials = scratch.write("credentials", keys);
    let shared = scratch.write("config", b"[default]\n");
    for (key, value) in [
        ("endpoint", "http://127.0.0.1:1"),
        ("region", "eu-central-1"),
        ("profile", "default"),
        ("config", shared.to_str().expect("UTF-8")),
        ("credentials", credentials.to_str().expect("UTF-8")),
    ] {
        config["aws"][key] = value.into();
    }
    let plugin = Plugin::load(&support::library(), &config.to_string())
        .unwrap_or_else(|error| panic!("{file}: {config}: {error}"));
    let error = match plugin.open(open_params) {
        Ok(_) => panic!("{file}: {open_params}: there is no queue"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.starts_with("queue cloudtrail cannot be "),
        "{file}: {open_params}: {error}"
    );
}

/// The value of a variable in the container of the task definition.
fn environment_of_task(variable: &str) -> String {
    let task = read_json("ecs/task-definition.json");
    let environment = &task["containerDefinitions"][0]["environment"];
    let entries = environment.as_array().expect("a list");
    let entry = entries
        .iter()
        .find(|entry| entry["name"] == variable)
        .unwrap_or_else(|| panic!("the task does not set {variable}"));
    entry["value"].as_str().expect("a text").to_owned()
}

/// The plugin's metrics in a PromQL expression exist; counters are used by their growth, gauges by their value.
fn assert_metrics_exist(
    place: &str,
    expression: &str,
    metrics: &BTreeMap<String, MetricKind>,
    used: &mut BTreeSet<String>,
) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (at, _) in expression.match_indices("falcosecurity_plugins_") {
        let name: String = expression[at..]
            .chars()
            .take_while(|c| is_name(*c))
            .collect();
        let kind = metrics
            .get(&name)
            .unwrap_or_else(|| panic!("{place}: the plugin has no {name}"));
        let before = &expression[..at];
        let is_growth = before.ends_with("rate(") || before.ends_with("increase(");
        let is_presence = before.ends_with("absent(");
        assert!(
            is_presence || is_growth == (*kind == MetricKind::Monotonic),
            "{place}: {name} is used as what it is not: {expression}"
        );
        used.insert(name);
    }
}

/// Actions that a policy allows.
fn actions_of(policy: &Value) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for statement in policy["Statement"].as_array().expect("statements") {
        assert_eq!(statement["Effect"], "Allow");
        assert_ne!(statement["Resource"], "*", "{statement}");
        match &statement["Action"] {
            Value::String(action) => drop(actions.insert(action.clone())),
            Value::Array(list) => actions.extend(
                list.iter()
                    .map(|action| action.as_str().expect("a text").to_owned()),
            ),
            other => panic!("{other} is no action"),
        }
    }
    actions
}

fn assert_is_this_version(reference: &str) {
    let version = format!(":{}", env!("CARGO_PKG_VERSION"));
    assert!(reference.ends_with(&version), "{reference}: not {version}");
}

/// Whether a program runs, with an argument that only prints.
fn is_installed(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .output()
        .is_ok_and(|output| output.status.success())
}
