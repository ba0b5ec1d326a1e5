//! Channel between the threads of a pipeline. Threads that have to wait sleep at once.
//!
//! Those of crossbeam spin and yield first. A pipeline that reads from the network waits for each group of objects, far
//! longer than that: a third of its context switches were yields.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A channel of at most `capacity` messages.
pub(super) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel {
        capacity,
        state: Mutex::new(ChannelState {
            queue: VecDeque::new(),
            senders: 1,
            receivers: 1,
            waiting_senders: 0,
            waiting_receivers: 0,
        }),
        message: Condvar::new(),
        room: Condvar::new(),
    });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

/// A channel that always has room.
pub(super) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

/// The sending end. Clones send to the same channel.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Channel<T>>);

/// The receiving end. Each message goes to one of its clones.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Channel<T>>);

#[derive(Debug)]
struct Channel<T> {
    capacity: usize,
    state: Mutex<ChannelState<T>>,
    message: Condvar,
    room: Condvar,
}

#[derive(Debug)]
struct ChannelState<T> {
    queue: VecDeque<T>,
    senders: usize,
    receivers: usize,
    /// Waking costs a system call even if no thread waits, so those that wait are counted.
    waiting_senders: usize,
    waiting_receivers: usize,
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiveError {
    /// There is no message yet.
    Empty,
    /// There are no messages, and all senders are dropped.
    Disconnected,
}

/// A message that was not sent: all receivers are dropped, or the channel is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SendError<T>(pub(super) T);

impl<T> Sender<T> {
    /// Sends a message; waits while there is no room.
    pub(super) fn send(&self, message: T) -> Result<(), SendError<T>> {
        let channel = &*self.0;
        let mut state = channel.state();
        while state.receivers > 0 && state.queue.len() >= channel.capacity {
            state.waiting_senders += 1;
            let woken = channel.room.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.waiting_senders -= 1;
        }
        channel.push(state, message)
    }

    /// Sends a message if there is room.
    pub(super) fn try_send(&self, message: T) -> Result<(), SendError<T>> {
        let state = self.0.state();
        match state.queue.len() < self.0.capacity {
            true => self.0.push(state, message),
            false => Err(SendError(message)),
        }
    }
}

impl<T> Receiver<T> {
    /// Receives a message; waits while there is none. `None`: there will be none.
    pub(super) fn recv(&self) -> Option<T> {
        self.receive(None).ok()
    }

    /// As [`Receiver::recv`], until `deadline` at most.
    pub(super) fn recv_deadline(&self, deadline: Instant) -> Result<T, ReceiveError> {
        self.receive(Some(deadline))
    }

    /// Receives a message if there is one.
    pub(super) fn try_recv(&self) -> Result<T, ReceiveError> {
        self.0.pop(self.0.state()).map_err(|(_, error)| error)
    }

    /// Receives the messages that are there.
    pub(super) fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    fn receive(&self, deadline: Option<Instant>) -> Result<T, ReceiveError> {
        let channel = &*self.0;
        let mut state = channel.state();
        loop {
            state = match channel.pop(state) {
                Ok(message) => return Ok(message),
                Err((_, ReceiveError::Disconnected)) => return Err(ReceiveError::Disconnected),
                Err((state, ReceiveError::Empty)) => state,
            };
            let left = match deadline {
                None => Duration::MAX,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            if left.is_zero() {
                return Err(ReceiveError::Empty);
            }
            state.waiting_receivers += 1;
            state = match deadline {
                None => {
                    let woken = channel.message.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(_) => {
                    let woken = channel.message.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.waiting_receivers -= 1;
        }
    }
}

impl<T> Channel<T> {
    fn push(
        &self,
        mut state: MutexGuard<'_, ChannelState<T>>,
        message: T,
    ) -> Result<(), SendError<T>> {
        if state.receivers == 0 {
            return Err(SendError(message));
        }
        state.queue.push_back(message);
        let waits = state.waiting_receivers > 0;
        drop(state);
        if waits {
            self.message.notify_one();
        }
        Ok(())
    }

    fn pop<'c>(
        &self,
        mut state: MutexGuard<'c, ChannelState<T>>,
    ) -> Result<T, (MutexGuard<'c, ChannelState<T>>, ReceiveError)> {
        let Some(message) = state.queue.pop_front() else {
            let nothing = match state.senders {
                0 => ReceiveError::Disconnected,
                _ => ReceiveError::Empty,
            };
            return Err((state, nothing));
        };
        let waits = state.waiting_senders > 0;
        drop(state);
        if waits {
            self.room.notify_one();
        }
        Ok(message)
    }

    fn state(&self) -> MutexGuard<'_, ChannelState<T>> {
        // Nothing can panic under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state().receivers += 1;
        Receiver(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.senders -= 1;
        let wake = state.senders == 0 && state.waiting_receivers > 0;
        drop(state);
        if wake {
            self.0.message.notify_all();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.receivers -= 1;
        if state.receivers > 0 {
            return;
        }
        let wake = state.waiting_senders > 0;
        // Dropped after the lock is released: messages may hold ends of other channels.
        let unread = std::mem::take(&mut state.queue);
        drop(state);
        if wake {
            self.0.room.notify_all();
        }
        drop(unread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Runs `wait` on another thread, then `end` once it waits. What `wait` returned.
    fn waiting<T: Send + 'static>(
        wait: impl FnOnce() -> T + Send + 'static,
        waits: impl Fn() -> bool,
        end: impl FnOnce(),
    ) -> T {
        let (send, result) = mpsc::channel();
        thread::spawn(move || send.send(wait()));
        while !waits() {
            thread::sleep(Duration::from_millis(1));
        }
        end();
        result.recv_timeout(PATIENCE).expect("it ends")
    }

    #[test]
    fn messages_arrive_in_order_and_end_with_the_last_sender() {
        let (sender, receiver) = unbounded();
        let other = sender.clone();
        assert_eq!(receiver.try_recv(), Err(ReceiveError::Empty));
        sender.send(1).expect("sent");
        other.send(2).expect("sent");
        drop(sender);
        assert_eq!(receiver.recv(), Some(1));
        drop(other);
        assert_eq!(receiver.recv(), Some(2));
        assert_eq!(receiver.recv(), None);
        assert_eq!(
            receiver.recv_deadline(Instant::now()),
            Err(ReceiveError::Disconnected)
        );
    }

    #[test]
    fn receiver_that_waits_is_woken_by_a_message_and_by_the_end() {
        let (sender, receiver) = bounded(1);
        let channel = Arc::clone(&sender.0);
        let waits = || channel.state().waiting_receivers > 0;
        let own = receiver.clone();
        let got = waiting(
            move || own.recv(),
            waits,
            || sender.send(7).expect("a receiver"),
        );
        assert_eq!(got, Some(7));
        let ended = waiting(move || receiver.recv(), waits, || drop(sender));
        assert_eq!(ended, None);
    }

    #[test]
    fn receiver_waits_until_its_deadline() {
        let (_sender, receiver) = bounded::<u8>(1);
        let started = Instant::now();
        let pause = Duration::from_millis(20);
        assert_eq!(
            receiver.recv_deadline(started + pause),
            Err(ReceiveError::Empty)
        );
        assert!(started.elapsed() >= pause);
        assert_eq!(receiver.recv_deadline(started), Err(ReceiveError::Empty));
    }

    #[test]
    fn sender_that_waits_is_woken_by_room_and_by_the_end() {
        let (sender, receiver) = bounded(1);
        let channel = Arc::clone(&sender.0);
        let waits = || channel.state().waiting_senders > 0;
        sender.send(1).expect("room");
        assert_eq!(sender.try_send(2), Err(SendError(2)));
        let own = sender.clone();
        let sent = waiting(
            move || own.send(2),
            waits,
            || assert_eq!(receiver.recv(), Some(1)),
        );
        assert_eq!(sent, Ok(()));
        let own = sender.clone();
        let sent = waiting(move || own.send(3), waits, || drop(receiver));
        assert_eq!(sent, Err(SendError(3)));
        assert_eq!(sender.try_send(4), Err(SendError(4)));
    }

    #[test]
    fn unread_messages_are_dropped_with_the_last_receiver() {
        let (sender, receiver) = unbounded();
        let (inner, inner_receiver) = unbounded::<()>();
        sender.send(inner).expect("a receiver");
        let other = receiver.clone();
        drop(receiver);
        assert_eq!(inner_receiver.try_recv(), Err(ReceiveError::Empty));
        drop(other);
        assert_eq!(inner_receiver.try_recv(), Err(ReceiveError::Disconnected));
    }
}
