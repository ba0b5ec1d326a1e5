//! What else people print fields of CloudTrail logs with: CPU and wall time of whole programs, beside `gzip -dc`.
//!
//! `cargo bench --bench alternatives -- [ROUNDS]`. Each program prints time, name, ARN of the user and address of every
//! event of the same 50 large files, as tab-separated lines. Programs alternate, so that other load on the machine affects
//! all of them; results are medians. A program that is not installed, or prints other lines, is named instead.

mod corpus;
#[path = "aws/usage.rs"]
#[allow(dead_code, reason = "shared with the bench of S3 and SQS")]
mod usage;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use corpus::Tree;
use usage::Resources;

/// Name, program and arguments. The shell sets `$1` to the folder and `$2` to `ctcat`.
// The time of an event is the first column of -o tsv in any case.
const PROGRAMS: [(&str, &str); 5] = [
    ("`gzip -dc`, no fields", r#"gzip -dcr "$1" >/dev/null"#),
    (
        "`ctcat -o tsv`",
        r#""$2" -o tsv -f ct.name,ct.user.arn,ct.srcip "$1" | tail -n +2"#,
    ),
    ("Python with orjson", r#"python3 -c "$PYTHON" "$1""#),
    ("`gzip -dc` and jq", r#"gzip -dcr "$1" | jq -r "$JQ""#),
    ("DuckDB, schema given", r#"python3 -c "$DUCKDB" "$1""#),
];

const PYTHON: &str = r#"
import gzip, orjson, pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob("*.json.gz"):
    with gzip.open(path) as file:
        records = orjson.loads(file.read())["Records"]
    sys.stdout.writelines(
        "%s\t%s\t%s\t%s\n" % (r["eventTime"], r["eventName"], r["userIdentity"].get("arn", r"\N"), r["sourceIPAddress"])
        for r in records)
"#;

const JQ: &str = r#".Records[] | [.eventTime, .eventName, .userIdentity.arn // "\u0000", .sourceIPAddress] | join("\t") | gsub("\u0000"; "\\N")"#;

const DUCKDB: &str = r#"
import duckdb, sys
duckdb.sql("set enable_progress_bar = false")
duckdb.sql(rf"""copy (select r.eventTime, r.eventName, coalesce(r.userIdentity.arn, '\N'), r.sourceIPAddress from (
    select unnest(Records) as r from read_json('{sys.argv[1]}/**/*.json.gz', maximum_object_size = 1073741824,
    columns = {{Records: 'struct(eventTime varchar, eventName varchar, sourceIPAddress varchar, userIdentity struct(arn varchar))[]'}})
)) to '/dev/stdout' (format csv, delimiter '\t', header false, quote '')""")
"#;

struct Run {
    cpu: f64,
    wall: f64,
    lines: usize,
    /// Of the lines in any order.
    hash: u64,
}

fn main() {
    let rounds = std::env::args().find_map(|word| word.parse().ok());
    let rounds: usize = rounds.unwrap_or(5);
    let tree = Tree::large();
    let mut runs: BTreeMap<usize, Vec<Run>> = BTreeMap::new();
    // The first round only warms the file cache.
    for round in 0..=rounds {
        for (index, (_, script)) in PROGRAMS.iter().enumerate() {
            let run = run(script, &tree);
            if round > 0 {
                runs.entry(index).or_default().push(run);
            }
        }
    }
    println!(
        "{} events in {} files, {rounds} rounds\n| program | CPU s | of `gzip -dc` | wall s |\n|---|---|---|---|",
        tree.records, tree.files
    );
    let ours = runs[&1][0].hash;
    for (index, (name, _)) in PROGRAMS.iter().enumerate() {
        let (own, gzip) = (&runs[&index], &runs[&0]);
        if index > 0 && (own[0].lines, own[0].hash) != (tree.records, ours) {
            println!(
                "| {name} | not installed, or other lines: {} | | |",
                own[0].lines
            );
            continue;
        }
        let ratio = median(own.iter().zip(gzip).map(|(own, gzip)| own.cpu / gzip.cpu));
        let cpu = median(own.iter().map(|run| run.cpu));
        let wall = median(own.iter().map(|run| run.wall));
        println!("| {name} | {cpu:.2} | {ratio:.2} | {wall:.2} |");
    }
}

/// Runs a script and reads what it prints.
fn run(script: &str, tree: &Tree) -> Run {
    let start = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", &format!("{script} || true"), "sh"])
        .arg(&tree.path)
        .arg(env!("CARGO_BIN_EXE_ctcat"))
        .envs([("PYTHON", PYTHON), ("JQ", JQ), ("DUCKDB", DUCKDB)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let (mut lines, mut hash) = (0, 0_u64);
    let output = child.stdout.take().expect("a pipe");
    for line in BufReader::new(output).split(b'\n') {
        let mut of_line = DefaultHasher::new();
        line.expect("output").hash(&mut of_line);
        hash = hash.wrapping_add(of_line.finish());
        lines += 1;
    }
    let resources = Resources::of_child(child);
    Run {
        cpu: resources.cpu.as_secs_f64(),
        wall: start.elapsed().as_secs_f64(),
        lines,
        hash,
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
