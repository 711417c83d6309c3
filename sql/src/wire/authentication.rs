//! Who a client is: trusted on this machine while nobody can log in, else asked for a password by
//! SCRAM-SHA-256.
//!
//! A wrong password and a user who does not exist get the same answer after the same work.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use bytes::{Buf, Bytes};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};

use super::errors::{fatal_error, violation};
use super::limits::Failures;
use crate::roles::scram::{Exchange, MECHANISM, Malformed, Verifier};
use crate::{Session, SqlError};

/// Who may come in without logging in while nobody can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Clients on the server's own machine.
    #[default]
    Loopback,
    /// Everybody who reaches the server.
    Everybody,
}

/// Where a client stands.
#[derive(Debug, Default)]
pub(super) struct Authenticator {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Begun,
    /// Its name is known, its first word is awaited.
    Asked { user: String, verifier: Verifier },
    /// Its proof is awaited.
    Challenged { user: String, exchange: Exchange },
}

/// What to tell the client next.
pub(super) enum Next {
    /// It is in; these are told on the way.
    In(Option<Authentication>),
    /// It is told this, and its answer is awaited.
    Ask(Authentication),
}

impl Authenticator {
    /// The client has said its name.
    pub(super) fn begin(
        &self,
        session: &mut Session,
        user: &str,
        address: SocketAddr,
        trust: Trust,
        failures: &Failures,
    ) -> PgWireResult<Next> {
        if !session.requires_login() {
            if trust == Trust::Everybody || address.ip().to_canonical().is_loopback() {
                session.trust(user, Some(address));
                return Ok(Next::In(None));
            }
            return Err(refused(
                "28000",
                "no role may log in, so only clients on the server's machine may connect".into(),
                Some("CREATE ROLE name LOGIN PASSWORD '…' there."),
            ));
        }
        if failures.is_over(address.ip(), Instant::now()) {
            return Err(refused(
                "28000",
                "too many failed authentications from this address".into(),
                Some("Try again in a minute."),
            ));
        }
        let verifier = session.verifier(user);
        self.set(State::Asked { user: user.to_owned(), verifier });
        Ok(Next::Ask(Authentication::SASL(vec![MECHANISM.to_owned()])))
    }

    /// The client has answered.
    pub(super) fn answer(
        &self,
        session: &mut Session,
        message: PasswordMessageFamily,
        address: SocketAddr,
        failures: &Failures,
    ) -> PgWireResult<Next> {
        let malformed =
            |Malformed(why): Malformed| violation(&format!("malformed SCRAM message: {why}"));
        let state = self.set(State::Begun);
        match state {
            State::Begun => Err(violation("a password was not asked for")),
            State::Asked { user, verifier } => {
                let (mechanism, data) = initial_response(message)?;
                if mechanism != MECHANISM.as_bytes() {
                    return Err(violation(
                        "client selected an invalid SASL authentication mechanism",
                    ));
                }
                let (exchange, challenge) = verifier.begin(&data).map_err(malformed)?;
                self.set(State::Challenged { user, exchange });
                Ok(Next::Ask(Authentication::SASLContinue(challenge.into())))
            }
            State::Challenged { user, exchange } => {
                let proof = message.into_sasl_response()?;
                match exchange.finish(&proof.data).map_err(malformed)? {
                    Some(signature) => {
                        let entered = session.log_in(&user, Some(address));
                        entered.map_err(|error| fatal_error(&error))?;
                        Ok(Next::In(Some(Authentication::SASLFinal(signature.into()))))
                    }
                    None => {
                        failures.count(address.ip(), Instant::now());
                        tracing::warn!(%address, "a password was wrong");
                        let message = format!("password authentication failed for user \"{user}\"");
                        Err(refused("28P01", message, None))
                    }
                }
            }
        }
    }

    fn set(&self, state: State) -> State {
        let mut current = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut current, state)
    }
}

/// The mechanism and the first message in a client's first answer. pgwire's own reading panics when
/// it is cut off.
pub(super) fn initial_response(message: PasswordMessageFamily) -> PgWireResult<(Bytes, Bytes)> {
    let cut_off = || violation("a SASL message is cut off");
    let PasswordMessageFamily::Raw(body) = message else { return Err(cut_off()) };
    let mut body = body.freeze();
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(cut_off)?;
    let mechanism = body.split_to(end);
    if body.len() < 5 {
        return Err(cut_off());
    }
    body.advance(1);
    let length = body.get_i32();
    let length = usize::try_from(length).map_err(|_| cut_off())?;
    if length != body.len() {
        return Err(cut_off());
    }
    Ok((mechanism, body))
}

fn refused(sqlstate: &'static str, message: String, hint: Option<&str>) -> PgWireError {
    let hint = hint.map(str::to_owned);
    fatal_error(&SqlError::Invalid { sqlstate, message, hint, position: None })
}
