//! `LISTEN`, `UNLISTEN` and `NOTIFY`: texts from one session to others, sent at the end of the
//! transaction block.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::Command;
use crate::SqlError;
use crate::channels::Notification;
use crate::dialect::Cursor;
use crate::session::{Outcome, Session};

/// PostgreSQL's limit of a notification's text, bytes.
pub(crate) const MAX_PAYLOAD: usize = 8000;

/// The statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Listen(String),
    /// `None` is all channels.
    Unlisten(Option<String>),
    Notify(String, String),
}

pub(super) fn parse_listen(cursor: &mut Cursor) -> Result<Command, SqlError> {
    Ok(Command::Channel(Channel::Listen(cursor.identifier()?)))
}

pub(super) fn parse_unlisten(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let all = cursor.accept_sign(&Token::Mul);
    let channel = if all { None } else { Some(cursor.identifier()?) };
    Ok(Command::Channel(Channel::Unlisten(channel)))
}

pub(super) fn parse_notify(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let channel = cursor.identifier()?;
    let position = cursor.position();
    let payload = if cursor.accept_sign(&Token::Comma) { cursor.string()? } else { String::new() };
    if payload.len() >= MAX_PAYLOAD {
        return Err(SqlError::Invalid {
            sqlstate: "22023",
            message: "payload string too long".into(),
            hint: Some(format!("It has to be shorter than {MAX_PAYLOAD} bytes.")),
            position: Some(position),
        });
    }
    Ok(Command::Channel(Channel::Notify(channel, payload)))
}

/// What waits for the end of the transaction block, each with the number of savepoints before it.
#[derive(Debug, Default)]
pub(in crate::session) struct Unsaid(Vec<(usize, Channel)>);

impl Unsaid {
    fn push(&mut self, depth: usize, said: Channel) {
        // The same notification is sent once.
        let is_again =
            matches!(said, Channel::Notify(..)) && self.0.iter().any(|(_, before)| *before == said);
        if !is_again {
            self.0.push((depth, said));
        }
    }

    pub(in crate::session) fn clear(&mut self) {
        self.0.clear();
    }

    /// Back to savepoint `at`, from 0.
    pub(in crate::session) fn rollback_to(&mut self, at: usize) {
        self.0.retain(|(depth, _)| *depth <= at);
    }

    /// Savepoint `at` is forgotten, with those after it.
    pub(in crate::session) fn release(&mut self, at: usize) {
        for (depth, _) in &mut self.0 {
            *depth = at.min(*depth);
        }
    }
}

impl Session {
    pub(super) fn run_channel(&mut self, channel: &Channel) -> Result<Outcome, SqlError> {
        self.unsaid.push(self.transaction.depth(), channel.clone());
        if self.transaction.is_alone() {
            self.say();
        }
        let tag = match channel {
            Channel::Listen(_) => "LISTEN",
            Channel::Unlisten(_) => "UNLISTEN",
            Channel::Notify(..) => "NOTIFY",
        };
        Ok(Outcome::done(tag, []))
    }

    /// Says what `pg_notify` said in the statement before, or keeps it for the end of the block.
    pub(crate) fn hear_functions(&mut self) {
        let said = self.backend.take_unsaid();
        if said.is_empty() {
            return;
        }
        for (channel, payload) in said {
            self.unsaid.push(self.transaction.depth(), Channel::Notify(channel, payload));
        }
        if self.transaction.is_alone() {
            self.say();
        }
    }

    /// Does what was said in the block that has ended. What it listens to comes first, so that a session
    /// hears itself.
    pub(in crate::session) fn say(&mut self) {
        let (notify, listen): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unsaid.0)
            .into_iter()
            .partition(|(_, said)| matches!(said, Channel::Notify(..)));
        for (_, said) in listen.into_iter().chain(notify) {
            match said {
                Channel::Listen(name) => self.mailbox.listen(&name),
                Channel::Unlisten(name) => self.mailbox.unlisten(name.as_deref()),
                Channel::Notify(channel, payload) => {
                    let sender = self.backend.pid();
                    self.database.channels().send(Notification { sender, channel, payload });
                }
            }
        }
    }
}
