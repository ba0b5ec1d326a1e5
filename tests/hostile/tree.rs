//! Folders with more than log files, and files that change after they are listed.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use cloudtrail::host::Status;

use crate::read_source::{metrics, read};
use crate::support;
use crate::support::scratch::{Scratch, gzip, plain_log};

#[test]
fn only_regular_files_are_read_and_link_loops_end() {
    let scratch = Scratch::new("hostile-tree");
    let folder = scratch.path();
    scratch.write("a/1.json", &plain_log("a-", 2));
    scratch.write("b/c/2.json.gz", &gzip(&plain_log("b-", 2)));
    scratch.write("empty.json", b"");
    scratch.write("empty.json.gz", b"");
    scratch.write("notes.txt", &plain_log("no-", 2));
    scratch.write("folder.json/3.json", &plain_log("c-", 2));
    fs::create_dir(folder.join("folder.gz")).expect("a folder");
    let made = Command::new("mkfifo")
        .arg(folder.join("fifo.json"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    // A socket's path must be short, so it is bound elsewhere and moved here.
    let short = std::env::temp_dir().join(format!("ct-{}", std::process::id()));
    let _socket = UnixListener::bind(&short).expect("a socket");
    let moved = Command::new("mv")
        .arg(&short)
        .arg(folder.join("socket.json"))
        .status();
    assert!(moved.expect("mv runs").success());
    symlink(folder, folder.join("b/loop")).expect("a link");
    symlink("self.json", folder.join("self.json")).expect("a link");
    symlink("nowhere.json", folder.join("dangling.json")).expect("a link");
    symlink("/dev/zero", folder.join("endless.json")).expect("a link");
    symlink(folder.join("a/1.json"), folder.join("link.json")).expect("a link");
    let result = read(folder, "{}");
    assert_eq!(
        result.ids,
        ["a-0", "a-1", "b-0", "b-1", "c-0", "c-1", "a-0", "a-1"]
    );
    // An empty file is not a gzip file, whatever its name.
    let errors = vec![("errors.gzip", 1)];
    assert_eq!((result.metric("objects"), result.errors()), (6, errors));
}

/// Each of thirty folders has two links to the next one, so a billion paths lead to the last one.
#[test]
fn folder_that_many_links_lead_to_is_read_once() {
    let scratch = Scratch::new("hostile-links");
    let folder = |number: usize| scratch.path().join(format!("{number:02}"));
    scratch.write("30/log.json", &plain_log("r-", 2));
    for number in 0..30 {
        fs::create_dir(folder(number)).expect("a folder");
        for link in ["left", "right"] {
            symlink(folder(number + 1), folder(number).join(link)).expect("a link");
        }
    }
    let result = read(&folder(0), "{}");
    assert_eq!(result.ids, ["r-0", "r-1"]);
}

/// With one thread and no buffer, only the first files are read before the first `next_batch`.
#[test]
fn files_that_change_after_their_listing_affect_no_other() {
    let scratch = Scratch::new("hostile-faults");
    let place = |number: usize| scratch.path().join(format!("{number:02}.json"));
    let log = |number: usize| plain_log(&format!("{number}-"), 1500);
    for number in 0..22 {
        fs::write(place(number), log(number)).expect("a file");
    }
    let plugin = support::plugin(r#"{"decodeThreads":1,"maxBufferedBytes":1}"#);
    let mut capture = plugin
        .open(scratch.path().to_str().expect("UTF-8"))
        .expect("it opens");
    fs::remove_file(place(12)).expect("it is there");
    File::options()
        .write(true)
        .open(place(13))
        .and_then(|file| file.set_len(1000))
        .expect("cut");
    fs::write(place(14), [log(14), log(14)].concat()).expect("longer");
    fs::write(place(15), b"").expect("emptied");
    fs::remove_file(place(16))
        .and_then(|()| fs::create_dir(place(16)))
        .expect("a folder instead");
    fs::write(place(17), gzip(&log(17))).expect("packed");
    fs::set_permissions(place(18), fs::Permissions::from_mode(0o000)).expect("ours");
    let unreadable = u64::from(File::open(place(18)).is_err());
    fs::remove_file(place(19)).expect("it is there");
    let made = Command::new("mkfifo").arg(place(19)).status();
    assert!(made.expect("mkfifo runs").success());
    fs::remove_file(place(20))
        .and_then(|()| symlink("/dev/zero", place(20)))
        .expect("an endless file instead");
    let mut events = 0;
    loop {
        let (status, batch) = capture.next_batch().expect("no failure");
        events += batch.len() as u64;
        if status == Status::Eof {
            break;
        }
    }
    let cut = 1000 / (log(13).len() as u64 / 1500);
    assert_eq!(events, 1500 * (22 - 7 + 2 - unreadable) + cut);
    let metrics = metrics(&plugin);
    let metric = |name: &str| metrics.iter().find(|it| it.0 == name).map_or(0, |it| it.1);
    assert_eq!(metric("errors.read"), 4 + unreadable, "{metrics:?}");
    assert_eq!(metric("damaged.cut_off"), 1, "{metrics:?}");
    assert_eq!(metric("objects"), 22, "{metrics:?}");
}
