//! The advisory locks of all sessions: who has which number, and how often.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

use super::lock;

/// What is locked; a number and two numbers are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LockKey {
    One(i64),
    Two(i64, i64),
}

/// The locks by what is locked: the session that has it, and how often it has taken it.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<LockKey, (i32, usize)>>);

impl Locks {
    /// Takes a lock for the session `pid`, again if it has it; false when another session has it.
    pub(crate) fn take(&self, pid: i32, key: LockKey) -> bool {
        match lock(&self.0).entry(key) {
            Entry::Vacant(free) => {
                free.insert((pid, 1));
                true
            }
            Entry::Occupied(mut taken) => {
                let (owner, count) = taken.get_mut();
                if *owner == pid {
                    *count += 1;
                }
                *owner == pid
            }
        }
    }

    /// Gives a lock back once; false when the session does not have it.
    pub(crate) fn give_back(&self, pid: i32, key: LockKey) -> bool {
        let mut locks = lock(&self.0);
        let Some((_, count)) = locks.get_mut(&key).filter(|(owner, _)| *owner == pid) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            locks.remove(&key);
        }
        true
    }

    /// Gives all locks of a session back.
    pub(crate) fn give_back_all(&self, pid: i32) {
        lock(&self.0).retain(|_, (owner, _)| *owner != pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_by_one_session_until_it_is_given_back_as_often() {
        let locks = Locks::default();
        let (one, two) = (LockKey::One(1), LockKey::Two(0, 1));
        assert!(locks.take(1, one) && locks.take(1, one));
        assert!(!locks.take(2, one));
        assert!(locks.take(2, two));
        assert!(!locks.give_back(2, one));
        assert!(locks.give_back(1, one));
        assert!(!locks.take(2, one));
        assert!(locks.give_back(1, one));
        assert!(locks.take(2, one));
        locks.give_back_all(2);
        assert!(locks.take(3, one) && locks.take(3, two));
    }
}
