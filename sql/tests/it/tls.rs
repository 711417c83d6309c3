//! TLS with real clients: psql, which is libpq, with and without a look at the certificate.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vigil_sql::DatabaseOptions;
use vigil_sql::wire::{ServeOptions, Tls};

use crate::engine::TestEngine;
use crate::server::Server;

/// A folder of its own, removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vigil-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn server(folder: &Path, name: &str) -> Server {
    let tls = Tls::self_signed(folder, &[name.to_owned()]).expect("can be made");
    let options = ServeOptions { tls: Some(tls), ..ServeOptions::default() };
    Server::start_with(TestEngine::default(), &DatabaseOptions::default(), options).await
}

/// psql's answer; `None` when there is no psql.
async fn psql(server: &Server, more: &str) -> Option<Output> {
    let uri = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=tester dbname=vigil {more}",
        server.port
    );
    let mut psql = Command::new("psql");
    psql.args(["-X", "-A", "-t", "-c", "\\conninfo", "-c", "SELECT 1 + 1", &uri]);
    let output = tokio::task::spawn_blocking(move || psql.output()).await.expect("does not panic");
    output.inspect_err(|error| eprintln!("skipped: psql could not be run ({error})")).ok()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[tokio::test(flavor = "multi_thread")]
async fn libpq_verifies_a_certificate_it_knows() {
    let folder = Folder::new("verify");
    let server = server(&folder.0, "localhost").await;
    let root = format!("sslrootcert={}", folder.0.join("server.crt").display());
    for mode in ["require", "verify-ca", "verify-full"] {
        let Some(output) = psql(&server, &format!("sslmode={mode} {root}")).await else { return };
        let said = said(&output);
        assert!(
            output.status.success() && said.contains("TLS") && said.contains("\n2\n"),
            "{said}"
        );
    }
    let Some(output) = psql(&server, "sslmode=disable").await else { return };
    assert!(output.status.success() && !said(&output).contains("TLS"), "{}", said(&output));
    server.as_owner("CREATE ROLE guard LOGIN PASSWORD 'secret'").await;
    let more = format!("sslmode=verify-full {root} user=guard password=secret");
    let Some(output) = psql(&server, &more).await else { return };
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn libpq_refuses_a_certificate_of_another_name_or_maker() {
    let (folder, other) = (Folder::new("name"), Folder::new("maker"));
    let server = server(&folder.0, "other.example").await;
    Tls::self_signed(&other.0, &["localhost".to_owned()]).expect("can be made");
    let root = |folder: &Folder| format!("sslrootcert={}", folder.0.join("server.crt").display());
    for (mode, root) in [("verify-full", root(&folder)), ("verify-ca", root(&other))] {
        let Some(output) = psql(&server, &format!("sslmode={mode} {root}")).await else { return };
        assert!(!output.status.success(), "{mode}: {}", said(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let (folder, other) = (Folder::new("old"), Folder::new("new"));
    let server = server(&folder.0, "localhost").await;
    Tls::self_signed(&other.0, &["localhost".to_owned()]).expect("can be made");
    let root = format!("sslmode=verify-full sslrootcert={}", other.0.join("server.crt").display());
    let Some(output) = psql(&server, &root).await else { return };
    assert!(!output.status.success(), "{}", said(&output));
    for file in ["server.key", "server.crt"] {
        std::fs::copy(other.0.join(file), folder.0.join(file)).expect("can be written");
    }
    let Some(output) = psql(&server, &root).await else { return };
    assert!(output.status.success(), "{}", said(&output));
    std::fs::write(folder.0.join("server.crt"), "no certificate").expect("can be written");
    let Some(output) = psql(&server, &root).await else { return };
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn files_that_are_no_certificate_are_refused() {
    let folder = Folder::new("wrong");
    let (certificate, key) = (folder.0.join("server.crt"), folder.0.join("server.key"));
    let missing = Tls::from_files(&certificate, &key).expect_err("is not there");
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    Tls::self_signed(&folder.0, &["localhost".to_owned()]).expect("can be made");
    let first = std::fs::read(&certificate).expect("is there");
    Tls::self_signed(&folder.0, &["localhost".to_owned()]).expect("is there");
    assert_eq!(std::fs::read(&certificate).expect("is there"), first, "it is made once");
    std::fs::write(&key, "no key").expect("can be written");
    let wrong = Tls::from_files(&certificate, &key).expect_err("is no key");
    assert!(wrong.to_string().contains("server.key"), "{wrong}");
}
