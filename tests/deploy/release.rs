//! What `.ci/package.py` makes of built files. The library and the program are stand-ins here.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::markdown::root;
use crate::support::scratch::Scratch;
use crate::support::{self, files_below};
use crate::yaml;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const TITLE: &str = "org.opencontainers.image.title";

/// Builds the release's files from stand-ins; returns their folder.
fn package(scratch: &Scratch, name: &str) -> PathBuf {
    for machine in ["x86_64", "aarch64"] {
        let release = format!("{name}-build/{machine}-unknown-linux-gnu/release");
        fs::create_dir_all(scratch.path().join(&release)).expect("a folder");
        scratch.write(&format!("{release}/libcloudtrail.so"), machine.as_bytes());
        let program = scratch.write(&format!("{release}/ctcat"), b"#!/bin/sh\necho \"$@\"\n");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let dist = scratch.path().join(name);
    fs::create_dir(&dist).expect("a folder");
    let output = Command::new("python3")
        .args([".ci/package.py", "--version", VERSION])
        .args(["--repository", "ghcr.io/example"])
        .arg("--build")
        .arg(scratch.path().join(format!("{name}-build")))
        .arg("--dist")
        .arg(&dist)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .current_dir(root())
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{output:?}");
    dist
}

fn read_json(path: &Path) -> Value {
    let content = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&content).expect("JSON")
}

/// Names and modes of an archive's members.
fn members(archive: &Path) -> Vec<String> {
    let output = Command::new("tar")
        .args(["--list", "--verbose", "--numeric-owner", "--file"])
        .arg(archive)
        .output()
        .expect("tar runs");
    assert!(output.status.success(), "{output:?}");
    let list = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = list.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        format!("{} {} {}", words[0], words[1], words[words.len() - 1])
    });
    lines.collect()
}

/// The content that a descriptor refers to, whose size and digest are as it says.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let digest = digest.strip_prefix("sha256:").expect("SHA-256");
    let content = fs::read(layout.join("blobs/sha256").join(digest)).expect("a blob");
    let actual: String = Sha256::digest(&content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, actual);
    assert_eq!(descriptor["size"], content.len());
    content
}

fn blob_json(layout: &Path, descriptor: &Value) -> Value {
    serde_json::from_slice(&blob(layout, descriptor)).expect("JSON")
}

/// The descriptor that every tag of a layout has; the release's tags are complete.
fn tagged(layout: &Path) -> Value {
    let index = read_json(&layout.join("index.json"));
    let manifests = index["manifests"].as_array().expect("manifests");
    let mut tags = BTreeSet::new();
    let mut descriptor = Value::Null;
    for manifest in manifests {
        tags.insert(manifest["annotations"][REF_NAME].clone().to_string());
        let mut untagged = manifest.clone();
        untagged["annotations"] = Value::Null;
        assert!(descriptor.is_null() || descriptor == untagged);
        descriptor = untagged;
    }
    let (minor, _) = VERSION.rsplit_once('.').expect("three numbers");
    let (major, _) = minor.split_once('.').expect("three numbers");
    let expected = [VERSION, minor, major, "latest"].map(|tag| format!("{tag:?}"));
    assert_eq!(tags, BTreeSet::from(expected));
    descriptor
}

/// Checks a manifest, whose only layer is the archive; returns its configuration.
fn configuration(
    dist: &Path,
    layout: &Path,
    descriptor: &Value,
    kind: &str,
    archive: &str,
) -> Value {
    let manifest = blob_json(layout, descriptor);
    assert_eq!(manifest["mediaType"], descriptor["mediaType"]);
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.version"],
        VERSION
    );
    let media_type = format!("application/vnd.cncf.falco.{kind}.config.v1+json");
    assert_eq!(manifest["config"]["mediaType"], media_type);
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 1);
    let media_type = format!("application/vnd.cncf.falco.{kind}.layer.v1+tar.gz");
    assert_eq!(layers[0]["mediaType"], media_type);
    // falcoctl saves the layer under this name.
    assert_eq!(layers[0]["annotations"][TITLE], archive);
    let packed = fs::read(dist.join(archive)).expect("an archive");
    assert_eq!(blob(layout, &layers[0]), packed);
    blob_json(layout, &manifest["config"])
}

#[test]
fn release_is_the_same_whenever_it_is_packed() {
    let scratch = Scratch::new("deploy-release-same");
    let [first, second] = ["first", "second"].map(|name| package(&scratch, name));
    let mut count = 0;
    for path in files_below(&first) {
        let name = path.strip_prefix(&first).expect("a file of the release");
        let other = fs::read(second.join(name)).expect("the same file");
        assert!(
            fs::read(&path).expect("a file") == other,
            "{name:?} differs"
        );
        count += 1;
    }
    assert_eq!(files_below(&second).len(), count);
}

#[test]
fn archives_have_regular_files_at_their_top_level_only() {
    let scratch = Scratch::new("deploy-release-archives");
    let dist = package(&scratch, "dist");
    for machine in ["x86_64", "aarch64"] {
        let library = dist.join(format!("cloudtrail-{VERSION}-linux-{machine}.tar.gz"));
        assert_eq!(members(&library), ["-rwxr-xr-x 0/0 libcloudtrail.so"]);
        let program = dist.join(format!("ctcat-{VERSION}-linux-{machine}.tar.gz"));
        let expected = [
            "-rw-r--r-- 0/0 LICENSE",
            "-rw-r--r-- 0/0 THIRD-PARTY-NOTICES.txt",
            "-rw-r--r-- 0/0 _ctcat",
            "-rwxr-xr-x 0/0 ctcat",
            "-rw-r--r-- 0/0 ctcat.1",
            "-rw-r--r-- 0/0 ctcat.bash",
            "-rw-r--r-- 0/0 ctcat.fish",
            "-rwxr-xr-x 0/0 libcloudtrail.so",
        ];
        assert_eq!(members(&program), expected);
    }
    let rules = dist.join(format!("cloudtrail-rules-{VERSION}.tar.gz"));
    assert_eq!(members(&rules), ["-rw-r--r-- 0/0 cloudtrail_rules.yaml"]);
}

#[test]
fn layouts_have_what_falcoctl_reads() {
    let scratch = Scratch::new("deploy-release-oci");
    let dist = package(&scratch, "dist");
    let layout = dist.join("oci/plugin");
    let index = blob_json(&layout, &tagged(&layout));
    let api = support::plugin("").info().required_api_version.clone();
    let mut platforms = Vec::new();
    for descriptor in index["manifests"].as_array().expect("manifests") {
        let architecture = descriptor["platform"]["architecture"].as_str();
        let machine = match architecture {
            Some("amd64") => "x86_64",
            Some("arm64") => "aarch64",
            other => panic!("{other:?}"),
        };
        assert_eq!(descriptor["platform"]["os"], "linux");
        let archive = format!("cloudtrail-{VERSION}-linux-{machine}.tar.gz");
        let config = configuration(&dist, &layout, descriptor, "plugin", &archive);
        let requirements = json!([{"name": "plugin_api_version", "version": api}]);
        let expected =
            json!({"name": "cloudtrail-rs", "version": VERSION, "requirements": requirements});
        assert_eq!(config, expected);
        platforms.push(machine);
    }
    assert_eq!(platforms, ["x86_64", "aarch64"]);

    let layout = dist.join("oci/rulesfile");
    let archive = format!("cloudtrail-rules-{VERSION}.tar.gz");
    let config = configuration(&dist, &layout, &tagged(&layout), "rulesfile", &archive);
    let rules = fs::read_to_string(root().join("rules/cloudtrail_rules.yaml")).expect("the rules");
    let engine = config["requirements"][0]["version"]
        .as_str()
        .expect("a version");
    assert!(rules.contains(&format!("\n- required_engine_version: {engine}\n")));
    assert_eq!(config["requirements"][0]["name"], "engine_version_semver");
    let plugin = json!([{"name": "cloudtrail-rs", "version": VERSION}]);
    assert_eq!(config["dependencies"], plugin);

    let index = fs::read_to_string(dist.join("index.yaml")).expect("an index");
    let index = yaml::parse(&index).expect("YAML");
    for (entry, kind) in index
        .as_array()
        .expect("a list")
        .iter()
        .zip(["plugin", "rulesfile"])
    {
        let layout = dist.join("oci").join(kind);
        let mut manifest = blob_json(&layout, &tagged(&layout));
        let name = manifest["annotations"][TITLE].take();
        assert_eq!(entry["name"], name);
        assert_eq!(entry["type"], kind);
        assert_eq!(entry["registry"], "ghcr.io");
        let repository = format!("example/{}", name.as_str().expect("a name"));
        assert_eq!(entry["repository"], repository);
    }
}

#[test]
fn every_package_is_in_the_bill_of_materials_and_has_a_license_text() {
    let scratch = Scratch::new("deploy-release-bom");
    let dist = package(&scratch, "dist");
    let bill = read_json(&dist.join(format!("cloudtrail-{VERSION}.cdx.json")));
    let notices = fs::read_to_string(dist.join("THIRD-PARTY-NOTICES.txt")).expect("notices");
    let headings: String = notices
        .lines()
        .filter_map(|line| line.strip_prefix("License of "))
        .map(|users| format!(", {users}, "))
        .collect();
    let mut names = BTreeSet::new();
    for component in bill["components"].as_array().expect("components") {
        let text = |key: &str| component[key].as_str().expect("a text");
        let (name, version) = (text("name"), text("version"));
        assert_eq!(text("purl"), format!("pkg:cargo/{name}@{version}"));
        assert_eq!(component["hashes"][0]["alg"], "SHA-256", "{name}");
        assert!(component["licenses"][0]["expression"].is_string(), "{name}");
        let heading = format!(", {name} {version}, ");
        assert!(headings.contains(&heading), "{name} has no license text");
        names.insert(name);
    }
    // The condition of openssl-probe names another platform, which it excludes.
    for name in [
        "aws-sdk-s3",
        "libdeflate-sys",
        "openssl-probe",
        "ring",
        "serde_derive",
    ] {
        assert!(names.contains(name), "{name} is missing");
    }
    for name in [
        "cloudtrail",
        "criterion",
        "security-framework",
        "time-macros",
        "windows-sys",
    ] {
        assert!(!names.contains(name), "{name} is in no build");
    }
    // C code in a package, and the standard library.
    for text in ["Copyright 2016 Eric Biggers", "The Rust Project Developers"] {
        assert!(notices.contains(text), "{text}");
    }
}
