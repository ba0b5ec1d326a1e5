//! Runs scenarios concurrently, with a limit of its own: libtest's limit is the number of processors, but scenarios
//! sleep most of the time.
//!
//! Each scenario is a test of its own. The first test to run starts all scenarios that the command line selects,
//! and each test waits for the result of its scenario.
#![forbid(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// A scenario that runs longer is reported as hanging.
const LIMIT: Duration = Duration::from_secs(150);

/// A test's name and its scenario.
pub type Scenario = (&'static str, fn());

/// An error is the text of the panic.
type ScenarioResult = Result<(), String>;

/// Results of the scenarios that were started, each taken by its test.
static STARTED: OnceLock<Mutex<HashMap<&'static str, Receiver<ScenarioResult>>>> = OnceLock::new();

thread_local! {
    /// Set on the thread of a scenario; the location of its panic.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Defines a test for each scenario, of which at most `concurrency` run at a time.
macro_rules! scenarios {
    (concurrency: $concurrency:literal; $($name:ident: $function:path,)*) => {
        const SCENARIOS: &[$crate::harness::Scenario] = &[$((stringify!($name), $function),)*];

        $(#[test]
        fn $name() {
            $crate::harness::run(SCENARIOS, $concurrency, stringify!($name));
        })*
    };
}
pub(crate) use scenarios;

/// Waits for the result of a scenario. The first call starts all selected scenarios.
pub fn run(scenarios: &'static [Scenario], concurrency: usize, name: &str) {
    let started = STARTED.get_or_init(|| Mutex::new(start(scenarios, concurrency)));
    let result = started
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(name);
    let Some(result) = result else {
        // `selection` does not understand the command line.
        let scenario = scenarios.iter().find(|(other, _)| *other == name);
        return scenario.expect("a scenario of the list").1();
    };
    match result.recv_timeout(LIMIT * 2) {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => panic!("{name} failed {panic}"),
        Err(RecvTimeoutError::Timeout) => panic!("{name} hangs"),
        Err(RecvTimeoutError::Disconnected) => panic!("the result of {name} is missing"),
    }
}

fn start(
    scenarios: &'static [Scenario],
    concurrency: usize,
) -> HashMap<&'static str, Receiver<ScenarioResult>> {
    record_panic_locations();
    let selected = selection();
    let (mut waiting, mut results) = (Vec::new(), HashMap::new());
    for &(name, function) in scenarios.iter().filter(|(name, _)| selected(name)) {
        let (send, result) = channel();
        waiting.push((name, function, send));
        results.insert(name, result);
    }
    waiting.reverse();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..concurrency {
        let waiting = Arc::clone(&waiting);
        thread::spawn(move || {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some((name, function, send)) = next else {
                    return;
                };
                // A separate thread, so that a scenario that hangs does not block the others.
                let (done, finished) = channel();
                let run = thread::Builder::new().name(name.to_owned());
                let thread = run.spawn(move || {
                    let _ = done.send(caught(function));
                });
                let result = thread.map_err(|error| format!("to start a thread: {error}"));
                let result = result.and_then(|_| {
                    let late = |_| format!("to finish within {LIMIT:?}");
                    finished.recv_timeout(LIMIT).map_err(late)?
                });
                let _ = send.send(result);
            }
        });
    }
    results
}

/// The tests that libtest selects by the command line.
fn selection() -> impl Fn(&str) -> bool {
    let (mut filters, mut skipped) = (Vec::new(), Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--skip" => skipped.extend(arguments.next()),
            "--test-threads" | "--format" | "--color" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            _ => filters.push(argument),
        }
    }
    move |name| {
        let contains = |part: &String| name.contains(part.as_str());
        !skipped.iter().any(contains) && (filters.is_empty() || filters.iter().any(contains))
    }
}

/// Runs a scenario. Its panic prints nothing, because libtest would attribute the output to the test that started the
/// thread.
fn caught(scenario: fn()) -> ScenarioResult {
    LOCATION.set(Some(String::new()));
    panic::catch_unwind(AssertUnwindSafe(scenario)).map_err(|panic| {
        let location = LOCATION.take().unwrap_or_default();
        format!("at {location}: {}", text_of(&*panic))
    })
}

/// The text of a panic.
pub fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()));
    text.unwrap_or_default()
}

fn record_panic_locations() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |panic| match LOCATION.take() {
        Some(_) => LOCATION.set(panic.location().map(ToString::to_string)),
        None => default(panic),
    }));
}
