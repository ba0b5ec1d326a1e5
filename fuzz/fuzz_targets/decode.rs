//! The payloads of a log file's events are complete records, consecutive slices of its text if that has no escapes, and
//! a file over the size limit is an error.
//!
//! Input: a byte that sets the limit, and the log file, plain or gzip.
#![no_main]

use cloudtrail::testing::{Batch, BatchSender, Content, Decoder, Limits, Log, MemoryBudget, Metrics, MultiMemberReader, Object, Scan, Scanner, TapeBuffer, is_gzip};
use libfuzzer_sys::fuzz_target;
use std::io::Read;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let Some((&limit, stored)) = data.split_first() else {
        return;
    };
    let limit = 1 << (limit % 24);
    let mut text: Vec<u8> = stored.iter().copied().take(limit as usize + 1).collect();
    // Three layers of gzip are unpacked.
    for _ in 0..3 {
        if is_gzip(&text) {
            let layer = std::mem::take(&mut text);
            let _ = MultiMemberReader::new(&layer[..]).take(limit + 1).read_to_end(&mut text);
        }
    }
    let (metrics, log) = (Metrics::default(), Log::default());
    let budget = Arc::new(MemoryBudget::new(u64::MAX));
    let permit = budget.try_acquire(0, 0).expect("room");
    let object = Object {
        name: "111122223333_CloudTrail_us-east-1_20260114T1200Z_x.json.gz".to_owned(),
        content: Content::Memory(stored.to_vec(), permit),
        ack: None,
    };
    let limits = Limits {
        max_object_bytes: limit,
        insights: true,
    };
    let mut decoder = Decoder::new(limits, &metrics, &log, Batch::default());
    let mut payloads = Payloads::default();
    let result = decoder.decode(&object, &mut payloads);
    payloads.flush(&mut decoder.batch);
    if text.len() as u64 > limit {
        assert!(result.is_err());
    }
    let mut rest = &text[..];
    for payload in &payloads.0 {
        let scan = Scanner::baseline().scan(payload, &mut TapeBuffer::default());
        assert!(matches!(scan, Scan::Whole { len, .. } if len == payload.len()));
        if text.contains(&b'\\') {
            continue;
        }
        let at = rest
            .windows(payload.len())
            .position(|slice| slice == payload);
        rest = &rest[at.expect("a slice of the text") + payload.len()..];
    }
    assert!(log.take().iter().all(|(_, line)| !line.contains('\n')));
});

/// The payloads of all batches.
#[derive(Default)]
struct Payloads(Vec<Vec<u8>>);

impl BatchSender for Payloads {
    fn flush(&mut self, full: &mut Batch) -> bool {
        let records = (0..full.len()).filter_map(|number| full.record(number));
        self.0
            .extend(records.map(|record| record.tape.text().to_vec()));
        full.clear();
        true
    }
}
