//! The channels of `LISTEN` and `NOTIFY`: which sessions listen, and what waits for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

/// Notifications that wait for one session; more push out the oldest.
const MAX_WAITING: usize = 10_000;

/// What one session tells those that listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// The process id that the sender's client was told.
    pub(crate) sender: i32,
    pub(crate) channel: String,
    pub(crate) payload: String,
}

/// All mailboxes of a database.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    mailboxes: Mutex<Vec<Weak<Mailbox>>>,
}

impl Channels {
    /// A mailbox for a new session; it is gone when the session is.
    pub(crate) fn mailbox(&self) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        let mut mailboxes = lock(&self.mailboxes);
        mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        mailboxes.push(Arc::downgrade(&mailbox));
        mailbox
    }

    /// Puts a notification into the mailbox of everyone who listens, the sender among them.
    pub(crate) fn send(&self, notification: Notification) {
        for mailbox in lock(&self.mailboxes).iter().filter_map(Weak::upgrade) {
            mailbox.put(&notification);
        }
    }
}

/// What a session listens to, and what has come.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    channels: BTreeSet<String>,
    waiting: VecDeque<Notification>,
}

impl Mailbox {
    pub(crate) fn listen(&self, channel: &str) {
        lock(&self.inner).channels.insert(channel.to_owned());
    }

    /// Stops listening to a channel; `None` is all.
    pub(crate) fn unlisten(&self, channel: Option<&str>) {
        let mut inner = lock(&self.inner);
        match channel {
            Some(channel) => {
                inner.channels.remove(channel);
            }
            None => inner.channels.clear(),
        }
    }

    /// What is listened to.
    pub(crate) fn channels(&self) -> Vec<String> {
        lock(&self.inner).channels.iter().cloned().collect()
    }

    /// Returns when something has come since the last time.
    pub(crate) async fn came(&self) {
        self.came.notified().await;
    }

    /// Takes out what has come.
    pub(crate) fn take(&self) -> VecDeque<Notification> {
        std::mem::take(&mut lock(&self.inner).waiting)
    }

    fn put(&self, notification: &Notification) {
        let mut inner = lock(&self.inner);
        if inner.channels.contains(&notification.channel) {
            if inner.waiting.len() == MAX_WAITING {
                inner.waiting.pop_front();
            }
            inner.waiting.push_back(notification.clone());
            self.came.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
