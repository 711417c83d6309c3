//! An address: GET, redirects followed, the body written as it arrives.

use std::time::Duration;

use reqwest::blocking::Client;

use super::Job;
use super::store::{cause, chain};

/// How long a server may take to answer the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a whole download may take; a stalled one must end at some time.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Downloads the job's file from `url`.
pub(super) fn fetch(job: &mut Job<'_, '_>, url: &str) -> Result<u64, String> {
    let mut client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .user_agent(concat!("vigil/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        // The environment's proxy cannot reach this machine's own addresses.
        client = client.no_proxy();
    }
    let client = client.build().map_err(|error| format!("no HTTP client: {}", chain(&error)))?;
    let mut response = client.get(url).send().map_err(|error| unreachable_host(url, error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("the server answered {status}"));
    }
    let total = response.content_length().or(job.file.bytes);
    let mut part = job.part()?;
    part.copy(&mut response, job.file, total, job.listener)?;
    part.finish(job.file)
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
