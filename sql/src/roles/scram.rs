//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, with PostgreSQL's text of a verifier:
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
//!
//! A verifier tells whether a client knows the password and does not tell the password, nor
//! anything that a client could log in with. pgwire's own SCRAM needs the salted password, which a
//! client could, so it is not used.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq;

/// The mechanism's name.
pub(crate) const MECHANISM: &str = "SCRAM-SHA-256";

/// Rounds of hashing of a new verifier, PostgreSQL's `scram_iterations`.
const ITERATIONS: u32 = 4096;

/// The most rounds that a given verifier may ask of its clients.
const MAX_ITERATIONS: u32 = 1_000_000;

const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 18;

type Key = [u8; KEY_BYTES];

/// What is stored of a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// Why a message of the exchange is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The random generator of the system has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRandomness;

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

impl Verifier {
    /// The verifier of a password, with a salt of its own.
    pub(crate) fn of_password(password: &str) -> Result<Self, NoRandomness> {
        Ok(Self::derive(password, &random::<SALT_BYTES>()?, ITERATIONS))
    }

    fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        // As PostgreSQL: what cannot be normalised is used as it is.
        let normalised = stringprep::saslprep(password).unwrap_or(password.into());
        let mut salted: Key = [0; KEY_BYTES];
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            salt,
            normalised.as_bytes(),
            &mut salted,
        );
        let stored_key = sha256(&hmac_sha256(&salted, b"Client Key"));
        let server_key = hmac_sha256(&salted, b"Server Key");
        Self { iterations, salt: salt.to_vec(), stored_key, server_key }
    }

    /// A verifier for a user who has none or does not exist: nobody knows its password, and its
    /// salt is the same each time, as a real one's is.
    pub(crate) fn mock(user: &str, secret: &Key) -> Self {
        let salt = hmac_sha256(secret, user.as_bytes());
        let stored_key = hmac_sha256(secret, b"stored key");
        let server_key = hmac_sha256(secret, b"server key");
        Self { iterations: ITERATIONS, salt: salt[..SALT_BYTES].to_vec(), stored_key, server_key }
    }

    /// Reads PostgreSQL's text of a verifier; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (iterations, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
        let (salt, keys) = rest.split_once('$')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations: u32 = iterations.parse().ok()?;
        let key = |text: &str| -> Option<Key> { BASE64.decode(text).ok()?.try_into().ok() };
        let salt = BASE64.decode(salt).ok()?;
        if !(1..=MAX_ITERATIONS).contains(&iterations) || salt.is_empty() {
            return None;
        }
        Some(Self { iterations, salt, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }

    /// PostgreSQL's text of it.
    pub(crate) fn text(&self) -> String {
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(self.stored_key),
            BASE64.encode(self.server_key)
        )
    }

    /// Answers the client's first message.
    ///
    /// # Errors
    /// When the message is none of SCRAM's.
    pub(crate) fn begin(self, client_first: &[u8]) -> Result<(Exchange, String), Malformed> {
        let nonce = random::<NONCE_BYTES>().map_err(|_| Malformed("no random numbers"))?;
        self.begin_with(client_first, &BASE64.encode(nonce))
    }

    fn begin_with(
        self,
        client_first: &[u8],
        server_nonce: &str,
    ) -> Result<(Exchange, String), Malformed> {
        let text = std::str::from_utf8(client_first).map_err(|_| Malformed("not UTF-8"))?;
        // gs2-header: channel binding flag, authorization identity, both end with a comma.
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed("the first message is cut off"));
        };
        if !matches!(flag, "n" | "y") {
            return Err(Malformed("channel binding is not offered"));
        }
        if !identity.is_empty() {
            return Err(Malformed("an authorization identity is not supported"));
        }
        let mut attributes = bare.split(',');
        if !attributes.next().is_some_and(|user| user.starts_with("n=")) {
            return Err(Malformed("the user name is missing"));
        }
        let client_nonce = attributes
            .next()
            .and_then(|nonce| nonce.strip_prefix("r="))
            .filter(|nonce| !nonce.is_empty())
            .ok_or(Malformed("the nonce is missing"))?;
        let nonce = format!("{client_nonce}{server_nonce}");
        let salt = BASE64.encode(&self.salt);
        let server_first = format!("r={nonce},s={salt},i={}", self.iterations);
        let exchange = Exchange {
            header: format!("{flag},{identity},"),
            messages: format!("{bare},{server_first}"),
            nonce,
            verifier: self,
        };
        Ok((exchange, server_first))
    }
}

/// An exchange that waits for the client's proof.
#[derive(Debug)]
pub(crate) struct Exchange {
    verifier: Verifier,
    header: String,
    /// The messages that the proof is over, so far.
    messages: String,
    nonce: String,
}

impl Exchange {
    /// Checks the client's final message; the server's, if the client knows the password.
    ///
    /// # Errors
    /// When the message is none of SCRAM's.
    pub(crate) fn finish(self, client_final: &[u8]) -> Result<Option<String>, Malformed> {
        let text = std::str::from_utf8(client_final).map_err(|_| Malformed("not UTF-8"))?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(Malformed("the proof is missing"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|binding| binding.strip_prefix("c="));
        if binding != Some(BASE64.encode(&self.header).as_str()) {
            return Err(Malformed("the channel binding does not match"));
        }
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) {
            return Err(Malformed("the nonce does not match"));
        }
        let proof: Key = BASE64
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(Malformed("the proof has a wrong length"))?;
        let messages = format!("{},{without_proof}", self.messages);
        let signature = hmac_sha256(&self.verifier.stored_key, messages.as_bytes());
        let mut client_key: Key = [0; KEY_BYTES];
        for (key, (proof, signature)) in client_key.iter_mut().zip(proof.iter().zip(&signature)) {
            *key = proof ^ signature;
        }
        let is_right: bool = sha256(&client_key).ct_eq(&self.verifier.stored_key).into();
        let server = hmac_sha256(&self.verifier.server_key, messages.as_bytes());
        Ok(is_right.then(|| format!("v={}", BASE64.encode(server))))
    }
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

fn sha256(data: &[u8]) -> Key {
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_rfc_is_understood() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("is base64");
        let verifier = Verifier::derive("pencil", &salt, 4096);
        let (exchange, server_first) = verifier
            .begin_with(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
            .expect("is SCRAM");
        assert_eq!(
            server_first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let server_final = exchange
            .finish(
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                  p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            )
            .expect("is SCRAM");
        assert_eq!(server_final.as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn a_verifiers_text_comes_back_and_hides_the_password() {
        let verifier = Verifier::of_password("secret").expect("there is randomness");
        let text = verifier.text();
        assert!(!text.contains("secret"));
        assert_eq!(Verifier::parse(&text), Some(verifier));
        for wrong in ["", "md5abc", "SCRAM-SHA-256$0:YQ==$YQ==:YQ==", "SCRAM-SHA-256$4096:YQ=="] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_knows_a_mocks_password_and_its_salt_stays() {
        let secret = [7; KEY_BYTES];
        let first = |user| {
            let verifier = Verifier::mock(user, &secret);
            verifier.begin_with(b"n,,n=,r=abc", "def").expect("is SCRAM").1
        };
        assert_eq!(first("nobody"), first("nobody"));
        assert_ne!(first("nobody"), first("somebody"));
    }

    #[test]
    fn what_is_not_scram_is_malformed() {
        let verifier = || Verifier::mock("a", &[1; KEY_BYTES]);
        for first in ["", "n", "n,,", "p=tls-unique,,n=,r=a", "n,a=b,n=,r=a", "n,,n=,x=a", "n,,n="]
        {
            assert!(verifier().begin(first.as_bytes()).is_err(), "{first}");
        }
        assert!(verifier().begin(b"\xff\xfe").is_err());
        for last in ["", "c=biws", "c=biws,r=abcdef", "c=xxxx,r=abcdef,p=AAAA", "c=biws,r=x,p=AA"] {
            let (exchange, _) = verifier().begin_with(b"n,,n=,r=abc", "def").expect("is SCRAM");
            assert!(exchange.finish(last.as_bytes()).is_err(), "{last}");
        }
    }
}
