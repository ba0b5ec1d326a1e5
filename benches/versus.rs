//! CPU time, memory and scaling of whole captures, compared with `gzip -dc` of the same files and with other plugins.
//!
//! `cargo bench --bench versus -- cpu|memory|threads [ROUNDS]`. Every run is a process of its own, measured from
//! start to exit. Contestants alternate, so that other load on the machine affects all of them. Results are medians
//! over the rounds; ratios are medians of the ratio per round.
//!
//! `CLOUDTRAIL_LIBRARY` names the library to measure, `CLOUDTRAIL_PEER` others to compare, separated by colons.

mod corpus;
mod plugin;

use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use corpus::Tree;

/// Cost of a process.
#[derive(Clone, Copy)]
struct Cost {
    /// User and system time of all threads, in seconds.
    cpu: f64,
    /// In seconds.
    wall: f64,
    /// Peak resident size, in MB.
    peak: f64,
}

/// Without this key the Go plugin extracts on threads of its own, which is several times slower here. Other plugins
/// ignore it.
const CONFIG: &str = r#"{"useAsync":false}"#;

struct Contestant {
    name: String,
    /// Plugin library; `None` for gzip.
    library: Option<PathBuf>,
    fields: &'static [&'static str],
    config: &'static str,
    /// Number of CPUs to bind the process to; 0 for all.
    cpus: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["read", library, config, cpus, fields, source] => {
            return read(library.as_ref(), config, cpus, fields, source.as_ref());
        }
        ["prepare"] => drop((Tree::large(), Tree::small(), Tree::huge())),
        ["cpu", ref rest @ ..] => cpu(rounds(rest)),
        ["memory", ref rest @ ..] => memory(rounds(rest)),
        ["threads", ref rest @ ..] => threads(rounds(rest)),
        _ => eprintln!("usage: cargo bench --bench versus -- cpu|memory|threads [ROUNDS]"),
    }
    ExitCode::SUCCESS
}

/// Writes the logs in a process of its own, because a child process inherits the peak memory of its parent.
fn prepare() {
    let exe = std::env::current_exe().expect("the path of this bench");
    let status = Command::new(exe)
        .arg("prepare")
        .status()
        .expect("a process");
    assert!(status.success(), "the logs could not be written");
}

fn rounds(rest: &[&str]) -> usize {
    rest.first()
        .and_then(|number| number.parse().ok())
        .unwrap_or(9)
}

/// The measured process: reads everything and prints the number of events.
fn read(library: &Path, config: &str, cpus: &str, fields: &str, source: &Path) -> ExitCode {
    bind(cpus.parse().unwrap_or(0));
    let plugin = plugin::load(library, config);
    let fields: Vec<&str> = fields
        .split(',')
        .filter(|field| !field.is_empty())
        .collect();
    let totals = plugin::read(&plugin, source, &mut plugin::one_by_one(&plugin, &fields));
    println!("{}", totals.events);
    ExitCode::SUCCESS
}

/// Compares CPU time on large and on small files.
fn cpu(rounds: usize) {
    prepare();
    for (name, tree) in [
        ("50 files of 1,000 records", Tree::large()),
        ("10,000 files of 5 records", Tree::small()),
    ] {
        let mut contestants = vec![gzip()];
        for (plugin, library) in libraries() {
            for (extraction, fields) in [
                ("no extraction", &[][..]),
                ("12 fields", &plugin::RULE_SET[..]),
            ] {
                contestants.push(Contestant {
                    name: format!("{plugin}, {extraction}"),
                    library: Some(library.clone()),
                    fields,
                    config: CONFIG,
                    cpus: 0,
                });
            }
        }
        let costs = run(&tree, &contestants, rounds);
        println!("\n{name}: {} events, {rounds} rounds", tree.records);
        println!(
            "| contestant | CPU s | relative to gzip -dc | µs/event | µs/file |\n|---|---|---|---|---|"
        );
        for (contestant, cost) in contestants.iter().zip(&costs) {
            let cpu = median(cost.iter().map(|cost| cost.cpu));
            println!(
                "| {} | {cpu:.3} | {:.2} | {:.2} | {:.1} |",
                contestant.name,
                median(
                    cost.iter()
                        .zip(&costs[0])
                        .map(|(own, gzip)| own.cpu / gzip.cpu)
                ),
                cpu * 1e6 / tree.records as f64,
                cpu * 1e6 / tree.files as f64,
            );
        }
    }
}

/// Compares peak memory by size and number of files.
fn memory(rounds: usize) {
    prepare();
    println!("| logs | library | peak MB | CPU s |\n|---|---|---|---|");
    for (name, tree) in [
        ("50 files of 1,000 records", Tree::large()),
        ("10,000 files of 5 records", Tree::small()),
        ("one file of 220,000 records, 350 MB", Tree::huge()),
    ] {
        let contestants: Vec<Contestant> = libraries()
            .into_iter()
            .map(|(name, library)| Contestant {
                name,
                library: Some(library),
                fields: &plugin::RULE_SET,
                config: CONFIG,
                cpus: 0,
            })
            .collect();
        for (contestant, cost) in contestants.iter().zip(run(&tree, &contestants, rounds)) {
            let peak = median(cost.iter().map(|cost| cost.peak));
            let cpu = median(cost.iter().map(|cost| cost.cpu));
            println!("| {name} | {} | {peak:.1} | {cpu:.3} |", contestant.name);
        }
    }
}

/// Compares wall time by number of CPUs and decode threads.
fn threads(rounds: usize) {
    prepare();
    const CONFIGS: [(usize, &str); 4] = [
        (1, r#"{"decodeThreads":1}"#),
        (2, r#"{"decodeThreads":2}"#),
        (4, r#"{"decodeThreads":4}"#),
        (8, r#"{"decodeThreads":8}"#),
    ];
    let all = std::thread::available_parallelism().map_or(1, |all| all.get());
    println!(
        "| logs | CPUs | decode threads | wall s | relative to one CPU | CPU s |\n|---|---|---|---|---|---|"
    );
    for (name, tree) in [
        ("50 files of 1,000 records", Tree::large()),
        ("10,000 files of 5 records", Tree::small()),
        ("one file of 220,000 records", Tree::huge()),
    ] {
        let (_, library) = libraries().remove(0);
        let contestants: Vec<Contestant> = [1, 2, 4, 8]
            .into_iter()
            .filter(|&cpus| cpus <= all)
            .flat_map(|cpus| {
                CONFIGS
                    .iter()
                    .map(move |&(threads, config)| (cpus, threads, config))
            })
            .filter(|&(cpus, threads, _)| threads <= cpus)
            .map(|(cpus, threads, config)| Contestant {
                name: format!("{name} | {cpus} | {threads}"),
                library: Some(library.clone()),
                fields: &plugin::RULE_SET,
                config,
                cpus,
            })
            .collect();
        let costs = run(&tree, &contestants, rounds);
        for (contestant, cost) in contestants.iter().zip(&costs) {
            println!(
                "| {} | {:.3} | {:.2} | {:.3} |",
                contestant.name,
                median(cost.iter().map(|cost| cost.wall)),
                median(
                    cost.iter()
                        .zip(&costs[0])
                        .map(|(own, one)| own.wall / one.wall)
                ),
                median(cost.iter().map(|cost| cost.cpu)),
            );
        }
    }
}

fn gzip() -> Contestant {
    Contestant {
        name: "gzip -dc".to_owned(),
        library: None,
        fields: &[],
        config: "",
        cpus: 0,
    }
}

/// The library to measure, then those to compare with, each with its name for the tables.
fn libraries() -> Vec<(String, PathBuf)> {
    let own = plugin::library();
    eprintln!("measuring {}", own.display());
    let mut libraries = vec![("this plugin".to_owned(), own)];
    if let Some(peers) = std::env::var_os("CLOUDTRAIL_PEER") {
        libraries
            .extend(std::env::split_paths(&peers).map(|path| (path.display().to_string(), path)));
    }
    libraries
}

/// Measures `rounds` rounds. Returns the costs per contestant and round.
fn run(tree: &Tree, contestants: &[Contestant], rounds: usize) -> Vec<Vec<Cost>> {
    let mut costs = vec![Vec::new(); contestants.len()];
    // The first round only warms the file cache.
    for round in 0..=rounds {
        for (contestant, costs) in contestants.iter().zip(&mut costs) {
            let cost = contestant.cost(tree);
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    costs
}

impl Contestant {
    fn cost(&self, tree: &Tree) -> Cost {
        let mut command = match &self.library {
            None => {
                let mut command = Command::new("gzip");
                command.arg("-dcr").arg(&tree.path).stdout(Stdio::null());
                command
            }
            Some(library) => {
                let mut command =
                    Command::new(std::env::current_exe().expect("the path of this bench"));
                let cpus = self.cpus.to_string();
                command
                    .arg("read")
                    .arg(library)
                    .args([self.config, &cpus, &self.fields.join(",")]);
                command.arg(&tree.path).stdout(Stdio::piped());
                command
            }
        };
        let start = Instant::now();
        let mut child = command.spawn().expect("a process");
        let output = child
            .stdout
            .take()
            .map(|out| std::io::read_to_string(out).expect("text"));
        let cost = wait(child, start);
        if let Some(output) = output {
            assert_eq!(
                output.trim().parse(),
                Ok(tree.records),
                "events of {}",
                self.name
            );
        }
        cost
    }
}

/// Waits for `child` and returns its cost.
fn wait(child: Child, start: Instant) -> Cost {
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: the process is a child of this one and has not been waited for; both pointers are valid for a write.
    let waited = unsafe {
        libc::wait4(
            child.id() as libc::pid_t,
            &mut status,
            0,
            usage.as_mut_ptr(),
        )
    };
    assert!(
        waited > 0 && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "a measured process failed"
    );
    let wall = start.elapsed().as_secs_f64();
    // SAFETY: `wait4` has succeeded, so it has initialized the struct.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // `ru_maxrss` is in bytes on macOS, in KiB elsewhere.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Cost {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall,
        peak: (usage.ru_maxrss * unit) as f64 / 1e6,
    }
}

/// Binds this process to its first `cpus` CPUs; 0 for all. Does nothing on systems other than Linux.
fn bind(cpus: usize) {
    #[cfg(target_os = "linux")]
    if cpus > 0 {
        // SAFETY: an all-zero `cpu_set_t` is valid, and the calls access only the sets passed to them, with their size.
        unsafe {
            let mut allowed: libc::cpu_set_t = std::mem::zeroed();
            let mut chosen: libc::cpu_set_t = std::mem::zeroed();
            let size = size_of::<libc::cpu_set_t>();
            assert_eq!(libc::sched_getaffinity(0, size, &mut allowed), 0);
            (0..libc::CPU_SETSIZE as usize)
                .filter(|&number| libc::CPU_ISSET(number, &allowed))
                .take(cpus)
                .for_each(|number| libc::CPU_SET(number, &mut chosen));
            assert_eq!(libc::sched_setaffinity(0, size, &chosen), 0);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cpus;
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
