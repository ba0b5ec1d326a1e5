//! One text in every split into gzip members and at every window offset gives the same records.
#![forbid(unsafe_code)]

mod oracle;
mod support;

use cloudtrail::testing::{Batch, BatchSender, Content, Decoder, Limits, Log, Metrics, Object};
use support::scratch::{Scratch, gzip, plain_log};

/// The eventIDs of a batch of plain records, from the payloads.
struct Delivered {
    payloads: Vec<Vec<u8>>,
    batches: Vec<usize>,
}

impl BatchSender for Delivered {
    fn flush(&mut self, full: &mut Batch) -> bool {
        let records = (0..full.len()).filter_map(|number| full.record(number));
        let payloads = records.map(|record| record.tape.text().to_vec());
        self.payloads.extend(payloads);
        self.batches.push(full.len());
        full.clear();
        true
    }
}

/// Decodes files one after another with reused buffers.
struct Decoding<'a> {
    scratch: Scratch,
    decoder: Decoder<'a>,
}

impl Decoding<'_> {
    fn payloads(&mut self, file: &[u8]) -> Delivered {
        let path = self.scratch.write("file.json.gz", file);
        let object = Object {
            name: "file.json.gz".to_owned(),
            content: Content::File(path),
            ack: None,
        };
        let mut taken = Delivered {
            payloads: Vec::new(),
            batches: Vec::new(),
        };
        self.decoder
            .decode(&object, &mut taken)
            .unwrap_or_else(|error| panic!("{error}"));
        taken.flush(&mut self.decoder.batch);
        taken
    }
}

fn with_decoding(name: &str, test: impl FnOnce(&mut Decoding)) {
    let (metrics, log) = (Metrics::default(), Log::default());
    let limits = Limits {
        max_object_bytes: 1 << 30,
        insights: false,
    };
    test(&mut Decoding {
        scratch: Scratch::new(name),
        decoder: Decoder::new(limits, &metrics, &log, Batch::default()),
    });
    assert_eq!(log.take(), []);
}

#[test]
fn every_split_into_gzip_members_gives_the_same_records() {
    let text = plain_log("r-", 3);
    with_decoding("splits-members", |decoding| {
        let whole = decoding.payloads(&text).payloads;
        assert_eq!(whole.len(), 3);
        let heads: Vec<_> = (0..=text.len()).map(|at| gzip(&text[..at])).collect();
        let tails: Vec<_> = (0..=text.len()).map(|at| gzip(&text[at..])).collect();
        for (at, (head, tail)) in heads.iter().zip(&tails).enumerate() {
            let given = decoding.payloads(&[&head[..], tail].concat()).payloads;
            assert!(given == whole, "cut at {at}");
        }
        // Two cuts; every pair would be a hundred thousand files.
        for (first, head) in heads.iter().enumerate().step_by(7) {
            for second in (first..=text.len()).step_by(11) {
                let between = gzip(&text[first..second]);
                let file = [&head[..], &between, &tails[second]].concat();
                let given = decoding.payloads(&file).payloads;
                assert!(given == whole, "cut at {first} and {second}");
            }
        }
        for size in 1..text.len() {
            let members: Vec<_> = text.chunks(size).map(gzip).collect();
            let given = decoding.payloads(&members.concat()).payloads;
            assert!(given == whole, "in members of {size} bytes");
        }
    });
}

/// Files of several members are streamed through a window of 1 MiB.
#[test]
fn record_across_the_window_boundary_is_delivered_for_every_offset() {
    const WINDOW: usize = 1 << 20;
    let text = plain_log("r-", 3);
    let around = 24;
    with_decoding("splits-window", |decoding| {
        let whole = decoding.payloads(&text).payloads;
        let first = gzip(&text[..1]);
        // White space after the first byte moves the end of the window to byte `cut` of the text.
        for cut in (1..text.len() + around).step_by(3) {
            let space = gzip(&vec![b' '; WINDOW - cut]);
            let file = [&first[..], &space, &gzip(&text[1..])].concat();
            let given = decoding.payloads(&file).payloads;
            assert!(given == whole, "cut at {cut}");
        }
    });
}

#[test]
fn any_number_of_records_is_delivered_in_batches_of_bounded_size() {
    let edges = [4095, 4096, 4097, 8191, 8192, 8193, 99_999, 100_000];
    with_decoding("splits-batches", |decoding| {
        for count in (0..=300).chain(edges) {
            let log = plain_log("", count);
            for file in [gzip(&log), log] {
                let taken = decoding.payloads(&file);
                assert_eq!(taken.payloads.len(), count);
                let of = |number: usize| format!("\"eventID\":\"{number}\"").into_bytes();
                for (number, payload) in taken.payloads.iter().enumerate() {
                    let id = of(number);
                    assert!(payload.windows(id.len()).any(|part| part == id), "{number}");
                }
                assert!(taken.batches.iter().all(|&events| events <= 4096));
            }
        }
    });
}

/// Files of every number of records, each as the host reads it.
#[test]
fn host_gets_any_number_of_records() {
    let scratch = Scratch::new("splits-host");
    let plugin = support::plugin("{}");
    for count in [1, 2, 3, 10, 100, 1000, 4096, 4097, 10_000, 100_000] {
        let path = scratch.write("log.json.gz", &gzip(&plain_log("", count)));
        let mut number = 0;
        let given = support::each_event(&plugin, &path, |event| {
            let id = format!("\"eventID\":\"{number}\"").into_bytes();
            assert!(event.payload().windows(id.len()).any(|part| part == id));
            number += 1;
        });
        assert_eq!(given, count);
    }
}
