//! What clients may use before and while they are served.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The limits of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; one more is told so (53300) and closed.
    pub max_connections: usize,
    /// Bytes of one message of a client.
    pub max_message_bytes: usize,
    /// So long a client may take to be let in.
    pub authentication_timeout: Duration,
    /// Wrong passwords from one address in [`Limits::failed_authentication_window`]; then the
    /// address has to wait.
    pub max_failed_authentications: u32,
    /// The time that wrong passwords are counted over.
    pub failed_authentication_window: Duration,
}

impl Default for Limits {
    /// 500 connections, messages of 64 MiB, a minute to be let in, ten wrong passwords a minute.
    fn default() -> Self {
        Self {
            max_connections: 500,
            max_message_bytes: 64 << 20,
            authentication_timeout: Duration::from_secs(60),
            max_failed_authentications: 10,
            failed_authentication_window: Duration::from_secs(60),
        }
    }
}

/// Addresses that are remembered at most; a flood of new ones pushes out the oldest.
const MAX_ADDRESSES: usize = 10_000;

/// Wrong passwords by address.
#[derive(Debug)]
pub(super) struct Failures {
    max: u32,
    window: Duration,
    by_address: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Failures {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max: limits.max_failed_authentications,
            window: limits.failed_authentication_window,
            by_address: Mutex::default(),
        })
    }

    /// Whether the address has to wait.
    pub(super) fn is_over(&self, address: IpAddr, now: Instant) -> bool {
        let known = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&network(address)).is_some_and(|(since, count)| {
            now.saturating_duration_since(*since) < self.window && *count >= self.max
        })
    }

    /// Counts a wrong password.
    pub(super) fn count(&self, address: IpAddr, now: Instant) {
        let mut known = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if known.len() >= MAX_ADDRESSES && !known.contains_key(&address) {
            known.retain(|_, (since, _)| now.saturating_duration_since(*since) < self.window);
            if known.len() >= MAX_ADDRESSES
                && let Some(oldest) = known.iter().min_by_key(|(_, (since, _))| *since)
            {
                let oldest = *oldest.0;
                known.remove(&oldest);
            }
        }
        let (since, count) = known.entry(address).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= self.window {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
    }
}

/// An IPv4 address as it is; of an IPv6 address the network, as a host has a whole one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            std::net::Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_too_many() {
        let limits = Limits { max_failed_authentications: 2, ..Limits::default() };
        let failures = Failures::new(&limits);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        failures.count(one, now);
        assert!(!failures.is_over(one, now));
        failures.count(one, now);
        assert!(failures.is_over(one, now) && !failures.is_over(other, now));
        assert!(!failures.is_over(one, now + Duration::from_secs(61)));
        failures.count(one, now + Duration::from_secs(61));
        assert!(!failures.is_over(one, now + Duration::from_secs(62)));
    }

    #[test]
    fn addresses_of_a_network_count_together_and_few_are_kept() {
        let failures =
            Failures::new(&Limits { max_failed_authentications: 1, ..Limits::default() });
        let address = |text: &str| text.parse::<IpAddr>().expect("is an address");
        let now = Instant::now();
        failures.count(address("2001:db8::1"), now);
        assert!(failures.is_over(address("2001:db8::2"), now));
        assert!(!failures.is_over(address("2001:db8:0:1::1"), now));
        for number in 0..20_000_u32 {
            failures.count(IpAddr::from(number.to_be_bytes()), now);
        }
        let kept = failures.by_address.lock().expect("is not poisoned").len();
        assert!(kept <= MAX_ADDRESSES, "{kept}");
    }
}
