//! Hands the records that messages hold to the decode threads, in the order of the messages' arrival.
#![forbid(unsafe_code)]

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Queue;
use super::ack::Done;
use super::waiting_bodies::WaitingBody;
use crate::log::Escaped;
use crate::object::ack::{AckHandle, ack_handles};
use crate::object::memory_budget::UNORDERED;
use crate::object::{Content, Object};
use crate::pipeline::UnorderedSender;

/// Messages of one job for a decode thread.
const GROUP: usize = 256;

/// The records of one message.
#[derive(Debug)]
pub(super) struct MessageRecords {
    /// The message's number in flight.
    pub(super) number: u64,
    /// The message's id.
    pub(super) id: String,
    /// A record or a log.
    pub(super) text: Vec<u8>,
    /// Counts `text` until it has its memory permit.
    pub(super) waiting: Option<WaitingBody>,
}

/// Delivers records until the source closes.
///
/// One group is with the decode threads and the host at a time: with several decode threads, a later one could pass it.
/// What arrives meanwhile is the next group, so this costs no throughput.
pub(super) async fn run(
    queue: Arc<Queue>,
    feed: UnorderedSender,
    done: mpsc::UnboundedSender<Done>,
    mut records: mpsc::UnboundedReceiver<MessageRecords>,
) {
    let budget = Arc::clone(feed.stored_budget());
    let mut next = None;
    loop {
        let Some(mut first) = (match next.take() {
            Some(first) => Some(first),
            None => records.recv().await,
        }) else {
            return;
        };
        let Some(mut permit) = budget
            .acquire(UNORDERED, first.text.capacity() as u64)
            .await
        else {
            // The source is closed, which returns the message.
            continue;
        };
        // The permit counts it from now on.
        drop(first.waiting.take());
        let (group, mut settled) = mpsc::channel::<()>(1);
        let mut message = first;
        let mut objects = Vec::new();
        loop {
            let ack = ack_handle(message.number, done.clone(), group.clone());
            objects.push(Object {
                name: format!("{}: message {}", queue.shown, Escaped(&message.id)),
                content: Content::Memory(message.text, permit),
                ack,
            });
            if objects.len() == GROUP {
                break;
            }
            let Ok(mut following) = records.try_recv() else {
                break;
            };
            // Waiting for more memory while holding some could wait forever.
            match budget.try_acquire(UNORDERED, following.text.capacity() as u64) {
                Some(more) => {
                    drop(following.waiting.take());
                    (message, permit) = (following, more);
                }
                None => {
                    next = Some(following);
                    break;
                }
            }
        }
        // A closed source drops the objects, and with them the ack handles.
        let _ = feed.submit(objects);
        drop(group);
        // Ends when the last ack handle is settled.
        let _ = settled.recv().await;
    }
}

/// The ack handle of a message's records. `group` is dropped when it is settled.
fn ack_handle(
    number: u64,
    done: mpsc::UnboundedSender<Done>,
    group: mpsc::Sender<()>,
) -> Option<AckHandle> {
    let mut handles = ack_handles(1, move |outcome| {
        // Without a receiver the source is closed.
        let _ = done.send(Done::Message {
            number,
            objects: Vec::new(),
            outcome,
        });
        drop(group);
    });
    handles.pop()
}
