//! `LISTEN`, `UNLISTEN` and `NOTIFY`: texts from one session to others, sent at the end of the
//! transaction block.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::Command;
use crate::SqlError;
use crate::channels::Notification;
use crate::dialect::Cursor;
use crate::session::{Outcome, Session, TransactionStatus};

/// PostgreSQL's limit of a notification's text, bytes.
const MAX_PAYLOAD: usize = 8000;

/// The statement.
#[derive(Clone, Debug)]
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

impl Session {
    pub(super) fn run_channel(&mut self, channel: &Channel) -> Result<Outcome, SqlError> {
        Ok(match channel {
            Channel::Listen(name) => {
                self.mailbox.listen(name);
                Outcome::done("LISTEN", [])
            }
            Channel::Unlisten(name) => {
                self.mailbox.unlisten(name.as_deref());
                Outcome::done("UNLISTEN", [])
            }
            Channel::Notify(channel, payload) => {
                let notification = Notification {
                    sender: self.backend.pid(),
                    channel: channel.clone(),
                    payload: payload.clone(),
                };
                if self.transaction_status() == TransactionStatus::Idle {
                    self.database.channels().send(notification);
                } else if !self.unsent.contains(&notification) {
                    self.unsent.push(notification);
                }
                Outcome::done("NOTIFY", [])
            }
        })
    }

    /// Sends what `NOTIFY` said in the block that has ended.
    pub(in crate::session) fn send_notifications(&mut self) {
        for notification in std::mem::take(&mut self.unsent) {
            self.database.channels().send(notification);
        }
    }
}
