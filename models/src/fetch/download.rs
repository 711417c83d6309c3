//! An address: GET, redirects followed, the body written as it arrives.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder, Response};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use super::Job;
use super::store::{cause, chain};
use crate::ModelPlaces;

/// How long a server may take to answer the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a whole download may take; a stalled one must end at some time.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Redirects that are followed one after the other.
const MAX_REDIRECTS: usize = 10;

/// Why an address gave nothing.
pub(crate) enum Refusal {
    /// It answered that there is no such file.
    NotFound,
    /// Anything else, a clause.
    Failed(String),
}

/// Downloads the job's file from `url`.
pub(super) fn fetch(job: &mut Job<'_, '_>, url: &str) -> Result<u64, String> {
    let mut response = match ask(client(url), url) {
        Ok(response) => response,
        Err(Refusal::NotFound) => return Err("the server answered 404 Not Found".into()),
        Err(Refusal::Failed(reason)) => return Err(reason),
    };
    let total = response.content_length().or(job.file.bytes);
    let mut part = job.part()?;
    part.copy(&mut response, job.file, total, job.listener)?;
    part.finish(job.file)
}

/// What `url` answers, where `places` lets its redirects and the names in them lead. That it may be
/// asked itself is the caller's to see.
pub(crate) fn get(url: &str, places: &Arc<dyn ModelPlaces>) -> Result<Response, Refusal> {
    let (of_redirects, of_names) = (Arc::clone(places), Arc::clone(places));
    let policy = Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("it redirects without end")
        } else if of_redirects.url(attempt.url().as_str()) {
            attempt.follow()
        } else {
            attempt.error("it redirects to a host that may not be asked")
        }
    });
    let client = client(url).redirect(policy).dns_resolver(Arc::new(AllowedNames(of_names)));
    ask(client, url)
}

/// Looks names up, and keeps back the addresses that may not be asked.
struct AllowedNames(Arc<dyn ModelPlaces>);

impl Resolve for AllowedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let places = Arc::clone(&self.0);
        // It blocks the client's own thread, which does nothing else meanwhile.
        Box::pin(async move {
            let found = (name.as_str(), 0).to_socket_addrs()?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| places.address(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the host may not be asked".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn client(url: &str) -> ClientBuilder {
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .user_agent(concat!("vigil/", env!("CARGO_PKG_VERSION")));
    // The environment's proxy cannot reach this machine's own addresses.
    if is_loopback(url) { client.no_proxy() } else { client }
}

fn ask(client: ClientBuilder, url: &str) -> Result<Response, Refusal> {
    let failed = Refusal::Failed;
    let client =
        client.build().map_err(|error| failed(format!("no HTTP client: {}", chain(&error))))?;
    let response = client.get(url).send().map_err(|error| failed(unreachable_host(url, error)))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status if status.as_u16() == 404 => Err(Refusal::NotFound),
        status => Err(failed(format!("the server answered {status}"))),
    }
}

fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]"))
}

/// Says plainly which host could not be reached, and why.
fn unreachable_host(url: &str, error: reqwest::Error) -> String {
    // A redirect may have led elsewhere; the error's own address is where it ended.
    let host = match error.url() {
        Some(at) => at.host_str().unwrap_or(url).to_owned(),
        None => url.to_owned(),
    };
    let what = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "could not be reached"
    } else {
        "gave no answer"
    };
    format!("host {host} {what} ({})", cause(&error.without_url()))
}
