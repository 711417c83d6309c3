//! Who is connected and what each one does: `pg_stat_activity`, and stopping others.
//!
//! A session has a [`Backend`]; the database knows all of them by pid. Nothing is kept of a
//! session that has ended.

mod locks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use chrono::Utc;
use subtle::ConstantTimeEq;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

pub(crate) use self::locks::LockKey;
use self::locks::Locks;
use crate::TransactionStatus;

/// The pid of the first session; small numbers are those of the system.
const FIRST_PID: i32 = 100_000;

/// Most bytes of a statement that are shown, PostgreSQL's `track_activity_query_size`.
const MAX_QUERY_BYTES: usize = 1024;

/// All sessions of a database.
#[derive(Debug)]
pub(crate) struct Activity {
    next_pid: AtomicI32,
    backends: Mutex<BTreeMap<i32, Weak<Backend>>>,
    locks: Locks,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            next_pid: AtomicI32::new(FIRST_PID),
            backends: Mutex::default(),
            locks: Locks::default(),
        }
    }
}

impl Activity {
    /// A new session's part of it.
    pub(crate) fn register(self: &Arc<Self>) -> Arc<Backend> {
        let pid = self.next_pid.fetch_add(1, Ordering::Relaxed);
        let now = now_micros();
        let doing = Doing {
            user: String::new(),
            role: None,
            acts_as: None,
            application: String::new(),
            address: None,
            state: State::Idle,
            query: String::new(),
            query_start_micros: None,
            transaction_start_micros: None,
            state_change_micros: now,
        };
        let backend = Arc::new(Backend {
            pid,
            started_micros: now,
            doing: Mutex::new(doing),
            cancel: Notify::new(),
            key: Mutex::default(),
            terminated: watch::Sender::new(false),
            is_encrypted: AtomicBool::new(false),
            unsaid: Mutex::default(),
            activity: Arc::downgrade(self),
        });
        lock(&self.backends).insert(pid, Arc::downgrade(&backend));
        backend
    }

    /// The session with this pid.
    pub(crate) fn get(&self, pid: i32) -> Option<Arc<Backend>> {
        lock(&self.backends).get(&pid)?.upgrade()
    }

    /// The advisory locks of all sessions.
    pub(crate) fn locks(&self) -> &Locks {
        &self.locks
    }

    /// Ends all sessions.
    pub(crate) fn terminate_all(&self) {
        for backend in self.all() {
            backend.terminate();
        }
    }

    /// All sessions, by pid.
    pub(crate) fn all(&self) -> Vec<Arc<Backend>> {
        lock(&self.backends).values().filter_map(Weak::upgrade).collect()
    }
}

/// What a session does, as `pg_stat_activity.state` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    Idle,
    InTransaction,
    InFailedTransaction,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::InTransaction => "idle in transaction",
            Self::InFailedTransaction => "idle in transaction (aborted)",
        }
    }
}

/// A row of `pg_stat_activity`; times are microseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub(crate) struct Doing {
    pub(crate) user: String,
    pub(crate) role: Option<String>,
    /// Whom `SET SESSION AUTHORIZATION` has made of the user, and whose rights they have taken.
    pub(crate) acts_as: Option<(String, String)>,
    pub(crate) application: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) state: State,
    pub(crate) query: String,
    pub(crate) query_start_micros: Option<i64>,
    pub(crate) transaction_start_micros: Option<i64>,
    pub(crate) state_change_micros: i64,
}

/// A session as others see it.
#[derive(Debug)]
pub(crate) struct Backend {
    pid: i32,
    started_micros: i64,
    doing: Mutex<Doing>,
    cancel: Notify,
    /// What cancel requests have to bring along.
    key: Mutex<Option<Bytes>>,
    terminated: watch::Sender<bool>,
    is_encrypted: AtomicBool,
    /// Channels and texts of `pg_notify` in the statement that runs.
    unsaid: Mutex<Vec<(String, String)>>,
    activity: Weak<Activity>,
}

impl Backend {
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn started_micros(&self) -> i64 {
        self.started_micros
    }

    pub(crate) fn doing(&self) -> Doing {
        lock(&self.doing).clone()
    }

    pub(crate) fn user(&self) -> String {
        lock(&self.doing).user.clone()
    }

    /// Whose session it is; `role` is the name that it has proved to be.
    pub(crate) fn belongs_to(&self, user: &str, role: Option<&str>, address: Option<SocketAddr>) {
        let mut doing = lock(&self.doing);
        doing.user = user.to_owned();
        doing.role = role.map(str::to_owned);
        doing.address = address;
        doing.acts_as = None;
    }

    /// The session acts as itself again.
    pub(crate) fn acts_as_itself(&self) {
        lock(&self.doing).acts_as = None;
    }

    /// Whom the session acts as: the user, and the role whose rights it has.
    pub(crate) fn acts_as(&self, user: &str, role: &str) {
        lock(&self.doing).acts_as = Some((user.to_owned(), role.to_owned()));
    }

    /// `session_user`: the user, unless `SET SESSION AUTHORIZATION` has named another one.
    pub(crate) fn session_user(&self) -> String {
        let doing = lock(&self.doing);
        doing.acts_as.as_ref().map_or(&doing.user, |(user, _)| user).clone()
    }

    /// `current_user`: the role whose rights the session has.
    pub(crate) fn current_user(&self) -> String {
        let doing = lock(&self.doing);
        doing.acts_as.as_ref().map_or(&doing.user, |(_, role)| role).clone()
    }

    /// The session's client uses TLS.
    pub(crate) fn uses_tls(&self) {
        self.is_encrypted.store(true, Ordering::Relaxed);
    }

    /// Whether the session's client uses TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.is_encrypted.load(Ordering::Relaxed)
    }

    /// The role that it has logged in as.
    pub(crate) fn logged_in_as(&self) -> Option<String> {
        lock(&self.doing).role.clone()
    }

    /// Whether the session is that of a role, or acts as it.
    pub(crate) fn acts_for(&self, role: &str) -> bool {
        let doing = lock(&self.doing);
        let is_taken =
            |(user, current): &(String, String)| [user, current].iter().any(|name| *name == role);
        doing.role.as_deref() == Some(role) || doing.acts_as.as_ref().is_some_and(is_taken)
    }

    /// A statement begins.
    pub(crate) fn begins(&self, query: &str, application: &str) {
        let now = now_micros();
        let mut doing = lock(&self.doing);
        doing.state = State::Active;
        doing.query = shown(query);
        doing.application = application.to_owned();
        doing.query_start_micros = Some(now);
        doing.transaction_start_micros.get_or_insert(now);
        doing.state_change_micros = now;
    }

    /// The client has its answer and the next word.
    pub(crate) fn rests(&self, status: TransactionStatus) {
        let mut doing = lock(&self.doing);
        let state = match status {
            TransactionStatus::Idle => State::Idle,
            TransactionStatus::InBlock => State::InTransaction,
            TransactionStatus::Failed => State::InFailedTransaction,
        };
        if state == State::Idle {
            doing.transaction_start_micros = None;
        }
        if doing.state != state {
            doing.state = state;
            doing.state_change_micros = now_micros();
        }
    }

    /// Stops the statement that runs now, if one does.
    pub(crate) fn cancel(&self) {
        self.cancel.notify_waiters();
    }

    /// Is done when a statement that runs from now on is to be stopped; a request that comes before it
    /// is waited for counts.
    pub(crate) fn canceled(&self) -> Notified<'_> {
        self.cancel.notified()
    }

    /// The session's client can stop its statement by saying `key` on another connection.
    pub(crate) fn is_canceled_with(&self, key: Bytes) {
        *lock(&self.key) = Some(key);
    }

    /// Whether a client has said this session's key; how long that takes tells nothing of it.
    pub(crate) fn has_key(&self, key: &[u8]) -> bool {
        lock(&self.key).as_ref().is_some_and(|known| bool::from(known.ct_eq(key)))
    }

    /// A function of the statement that runs has something to say to other sessions.
    pub(crate) fn wants_to_say(&self, channel: &str, payload: &str) {
        lock(&self.unsaid).push((channel.to_owned(), payload.to_owned()));
    }

    /// Takes out what functions have said.
    pub(crate) fn take_unsaid(&self) -> Vec<(String, String)> {
        std::mem::take(&mut lock(&self.unsaid))
    }

    /// Ends the session.
    pub(crate) fn terminate(&self) {
        self.terminated.send_replace(true);
    }

    /// Whether the session is to end.
    pub(crate) fn is_terminated(&self) -> bool {
        *self.terminated.borrow()
    }

    /// Returns when the session is to end, also to a task that has used up what it may do at once: a statement
    /// with much to send always has.
    pub(crate) async fn terminated(&self) {
        let mut terminated = self.terminated.subscribe();
        let ended = terminated.wait_for(|terminated| *terminated);
        if tokio::task::unconstrained(ended).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(activity) = self.activity.upgrade() {
            lock(&activity.backends).remove(&self.pid);
        }
    }
}

/// A statement as others may see it: its beginning, and no password.
fn shown(query: &str) -> String {
    if query.to_ascii_lowercase().contains("password") {
        let words: Vec<&str> = query.split_whitespace().take(3).collect();
        return format!("{} <not shown: it may have a password>", words.join(" "));
    }
    let mut end = query.len().min(MAX_QUERY_BYTES);
    while !query.is_char_boundary(end) {
        end -= 1;
    }
    query[..end].to_owned()
}

pub(crate) fn now_micros() -> i64 {
    Utc::now().timestamp_micros()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listed_while_it_lives() {
        let activity = Arc::new(Activity::default());
        let (one, two) = (activity.register(), activity.register());
        assert_ne!(one.pid(), two.pid());
        assert_eq!(activity.all().len(), 2);
        drop(one);
        assert_eq!(activity.all().len(), 1);
        assert!(activity.get(two.pid()).is_some());
    }

    #[test]
    fn passwords_and_long_statements_are_not_shown() {
        assert_eq!(
            shown("CREATE ROLE a LOGIN PASSWORD 'secret'"),
            "CREATE ROLE a <not shown: it may have a password>"
        );
        let long = "ä".repeat(MAX_QUERY_BYTES);
        assert_eq!(shown(&long).len(), MAX_QUERY_BYTES);
        assert_eq!(shown("SELECT 1"), "SELECT 1");
    }
}
