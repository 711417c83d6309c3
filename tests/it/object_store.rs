//! Data on an object store: a real S3 server (PyPI's moto) keeps the pictures of key frames.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::server::{Server, free_port, vigil};

/// A running S3 server; dropping it stops it.
struct Bucket {
    server: Child,
    endpoint: String,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

const BUCKET: &str = "cameras";

/// Serves a bucket with the Python of `.venv`; `None` when it or its packages are not there.
fn bucket() -> Result<Option<Bucket>> {
    let python = vigil_test_data::top_level().join(".venv/bin/python");
    let can_serve = python.exists()
        && Command::new(&python)
            .args(["-c", "import moto.server, boto3"])
            .output()?
            .status
            .success();
    if !can_serve {
        eprintln!("object_store: skipped, .venv has no moto (run \"make setup\")");
        return Ok(None);
    }
    let port = free_port()?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let program = format!(
        "import boto3, moto.server as m, sys
server = m.ThreadedMotoServer(ip_address='127.0.0.1', port={port})
server.start()
boto3.client('s3', endpoint_url='{endpoint}', region_name='us-east-1',
    aws_access_key_id='key', aws_secret_access_key='secret').create_bucket(Bucket='{BUCKET}')
print('ready', flush=True)
sys.stdin.read()"
    );
    let mut server = Command::new(&python)
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let out = server.stdout.take().context("no output")?;
    let bucket = Bucket { server, endpoint };
    let ready = BufReader::new(out).lines().map_while(Result::ok).any(|line| line == "ready");
    ensure!(ready, "the S3 server did not start");
    Ok(Some(bucket))
}

#[test]
fn key_frames_are_kept_in_a_bucket() -> Result<()> {
    let Some(bucket) = bucket()? else { return Ok(()) };
    let environment = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT", bucket.endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    let data = format!("s3://{BUCKET}/vigil");
    let server = Server::start_with(tempfile::tempdir()?, &data, &environment)?;
    server.values(
        "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (objects = 2, frames = 20, width = 320, height = 240)
         WITH (captioner = 'none', embedder = 'none');
         WAIT FOR SOURCE boxes TIMEOUT '1 minute'",
    )?;
    let uri = server.values("SELECT frame_uri FROM frames WHERE frame_number = 0")?;
    assert_eq!(uri, format!("{data}/keyframes/boxes/000000000.jpg"));
    let picture = server.values("SELECT encode(frame_image('boxes', 0), 'hex')")?;
    assert!(picture.starts_with("ffd8ff"), "no JPEG: {}", &picture[..picture.len().min(40)]);
    assert_eq!(server.values("SELECT count(*) FROM vigil_catalog.source_errors")?, "0");
    server.values("DROP SOURCE boxes")?;

    // A bucket that is not there is known at the start.
    let home = tempfile::tempdir()?;
    let output = vigil(home.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--data", "s3://nowhere/vigil"])
        .envs(environment)
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    assert!(!output.status.success());
    assert!(said.contains("58030") && said.contains("s3://nowhere/vigil"), "{said}");
    Ok(())
}
