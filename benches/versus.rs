//! CPU time, memory and threads of whole captures, against `gzip -dc` of the same files and against other plugins.
//!
//! `cargo bench --bench versus -- cpu|memory|threads [ROUNDS]`. Every reading is a process of its own, measured from
//! its start to its end; contestants take turns, so that what disturbs the machine disturbs all of them. The result
//! is the median of the rounds; a ratio is the median of the rounds' ratios.
//!
//! `CLOUDTRAIL_LIBRARY` names the library to measure, `CLOUDTRAIL_PEER` further ones, separated by colons.

mod corpus;
mod plugin;

use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use corpus::Tree;

/// What one process took.
#[derive(Clone, Copy)]
struct Cost {
    /// User and system time of all threads, in seconds.
    cpu: f64,
    wall: f64,
    /// Largest resident size, in MB.
    peak: f64,
}

/// The Go plugin can extract on threads of its own, and then takes several times as long; to the others it is nothing.
const CONFIG: &str = r#"{"useAsync":false}"#;

struct Contestant {
    name: String,
    library: Option<PathBuf>,
    fields: &'static [&'static str],
    config: &'static str,
    /// Bound to the first so many processors; 0 for all.
    processors: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["read", library, config, processors, fields, source] => {
            return read(
                library.as_ref(),
                config,
                processors,
                fields,
                source.as_ref(),
            );
        }
        ["prepare"] => drop((Tree::large(), Tree::small(), Tree::huge())),
        ["cpu", ref rest @ ..] => cpu(rounds(rest)),
        ["memory", ref rest @ ..] => memory(rounds(rest)),
        ["threads", ref rest @ ..] => threads(rounds(rest)),
        _ => eprintln!(
            "versus: nothing to do; one of cpu, memory, threads and perhaps a number of rounds is wanted"
        ),
    }
    ExitCode::SUCCESS
}

/// Has the logs written by a process of its own: a process begins with the peak memory of the one that starts it.
fn prepare() {
    let this = std::env::current_exe().expect("the path of this bench");
    let prepared = Command::new(this)
        .arg("prepare")
        .status()
        .expect("a process");
    assert!(prepared.success(), "the logs could not be written");
}

fn rounds(rest: &[&str]) -> usize {
    rest.first()
        .and_then(|number| number.parse().ok())
        .unwrap_or(9)
}

/// The measured process: reads everything and says how many events that were.
fn read(library: &Path, config: &str, processors: &str, fields: &str, source: &Path) -> ExitCode {
    bind(processors.parse().unwrap_or(0));
    let plugin = plugin::load(library, config);
    let fields: Vec<&str> = fields
        .split(',')
        .filter(|field| !field.is_empty())
        .collect();
    let totals = plugin::read(&plugin, source, &mut plugin::one_by_one(&plugin, &fields));
    println!("{}", totals.events);
    ExitCode::SUCCESS
}

/// CPU time on large and on small files.
fn cpu(rounds: usize) {
    prepare();
    for (name, tree) in [
        ("50 files of 1,000 records", Tree::large()),
        ("10,000 files of 5 records", Tree::small()),
    ] {
        let mut contestants = vec![gzip()];
        for (which, library) in libraries() {
            for (work, fields) in [
                ("no extraction", &[][..]),
                ("12 fields", &plugin::RULE_SET[..]),
            ] {
                contestants.push(Contestant {
                    name: format!("{which}, {work}"),
                    library: Some(library.clone()),
                    fields,
                    config: CONFIG,
                    processors: 0,
                });
            }
        }
        let costs = run(&tree, &contestants, rounds);
        println!("\n{name}: {} events, {rounds} rounds", tree.records);
        println!("| what | CPU s | of gzip -dc | µs an event | µs a file |\n|---|---|---|---|---|");
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

/// Peak memory against the size and number of files.
fn memory(rounds: usize) {
    prepare();
    println!("| what | library | peak MB | CPU s |\n|---|---|---|---|");
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
                processors: 0,
            })
            .collect();
        for (contestant, cost) in contestants.iter().zip(run(&tree, &contestants, rounds)) {
            let peak = median(cost.iter().map(|cost| cost.peak));
            let cpu = median(cost.iter().map(|cost| cost.cpu));
            println!("| {name} | {} | {peak:.1} | {cpu:.3} |", contestant.name);
        }
    }
}

/// What more processors and more decode threads give.
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
        "| what | processors | decode threads | wall s | of one processor | CPU s |\n|---|---|---|---|---|---|"
    );
    for (name, tree) in [
        ("50 files of 1,000 records", Tree::large()),
        ("10,000 files of 5 records", Tree::small()),
        ("one file of 220,000 records", Tree::huge()),
    ] {
        let (_, library) = libraries().remove(0);
        let contestants: Vec<Contestant> = [1, 2, 4, 8]
            .into_iter()
            .filter(|&processors| processors <= all)
            .flat_map(|processors| {
                CONFIGS
                    .iter()
                    .map(move |&(threads, config)| (processors, threads, config))
            })
            .filter(|&(processors, threads, _)| threads <= processors)
            .map(|(processors, threads, config)| Contestant {
                name: format!("{name} | {processors} | {threads}"),
                library: Some(library.clone()),
                fields: &plugin::RULE_SET,
                config,
                processors,
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
        processors: 0,
    }
}

/// The library to measure, then its peers, with their names for a table.
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

/// The costs of each contestant, by round.
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
                let processors = self.processors.to_string();
                command.arg("read").arg(library).args([
                    self.config,
                    &processors,
                    &self.fields.join(","),
                ]);
                command.arg(&tree.path).stdout(Stdio::piped());
                command
            }
        };
        let start = Instant::now();
        let mut child = command.spawn().expect("a process");
        let told = child
            .stdout
            .take()
            .map(|out| std::io::read_to_string(out).expect("text"));
        let cost = wait(child, start);
        if let Some(told) = told {
            assert_eq!(
                told.trim().parse(),
                Ok(tree.records),
                "events of {}",
                self.name
            );
        }
        cost
    }
}

/// Waits for `child` and asks the system what it took.
fn wait(child: Child, start: Instant) -> Cost {
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: the process is our child and nobody else waits for it; both pointers are valid for a write.
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
    // SAFETY: the call succeeded, as just seen, and then it has filled it.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // macOS counts in bytes, others in KiB.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Cost {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall,
        peak: (usage.ru_maxrss * unit) as f64 / 1e6,
    }
}

/// Binds this process to its first `processors` processors, where the system knows how to; 0 for all.
fn bind(processors: usize) {
    #[cfg(target_os = "linux")]
    if processors > 0 {
        // SAFETY: an all-zero set is an empty one, and the calls only touch the sets that they are given.
        unsafe {
            let mut allowed: libc::cpu_set_t = std::mem::zeroed();
            let mut chosen: libc::cpu_set_t = std::mem::zeroed();
            let size = size_of::<libc::cpu_set_t>();
            assert_eq!(libc::sched_getaffinity(0, size, &mut allowed), 0);
            (0..libc::CPU_SETSIZE as usize)
                .filter(|&number| libc::CPU_ISSET(number, &allowed))
                .take(processors)
                .for_each(|number| libc::CPU_SET(number, &mut chosen));
            assert_eq!(libc::sched_setaffinity(0, size, &chosen), 0);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = processors;
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
