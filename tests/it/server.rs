//! `vigil serve` as a user starts it, and psql as a user asks it. Both are real processes.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// How long a server may take to say that it listens.
const START: Duration = Duration::from_secs(60);

/// The binary under test, with an environment that this machine's user has no part in.
pub(crate) fn vigil(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigil"));
    for name in ["VIGIL_CONFIG", "VIGIL_DATA", "VIGIL_MODELS", "VIGIL_URL", "VIGIL_LOG"] {
        command.env_remove(name);
    }
    if let Some(library) = onnx_runtime() {
        command.env("ORT_DYLIB_PATH", library);
    }
    command.env("HOME", home).current_dir(home).stdin(Stdio::null());
    command
}

/// The ONNX Runtime library that `make setup` put into `.venv`, unless the environment names one.
fn onnx_runtime() -> Option<PathBuf> {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        return None;
    }
    let lib = vigil_test_data::top_level().join(".venv/lib");
    let pythons = std::fs::read_dir(lib).ok()?.flatten();
    let capi = pythons.map(|python| python.path().join("site-packages/onnxruntime/capi"));
    let files = capi.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    files.map(|file| file.path()).find(|file| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
    })
}

/// A running server; dropping it stops it.
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// The folder it was started in; its data is in `data`.
    pub(crate) home: TempDir,
}

impl Server {
    /// Starts a server with its data and home in a folder of its own.
    pub(crate) fn start() -> Result<Self> {
        let home = tempfile::tempdir()?;
        let data = home.path().join("data").display().to_string();
        Self::start_with(home, &data, &[])
    }

    /// Starts a server with its data at an address and more in its environment.
    pub(crate) fn start_with(home: TempDir, data: &str, env: &[(&str, &str)]) -> Result<Self> {
        let port = free_port()?;
        let mut child = vigil(home.path())
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data", data])
            .arg("--models")
            .arg(vigil_test_data::models())
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Whatever it says first, on either stream, it says when it listens or when it fails.
        let (heard, hears) = mpsc::channel();
        for stream in [
            child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>),
            child.stderr.take().map(|err| Box::new(err) as Box<dyn Read + Send>),
        ]
        .into_iter()
        .flatten()
        {
            let heard = heard.clone();
            std::thread::Builder::new().name("server-output".into()).spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = heard.send(line);
                }
            })?;
        }
        drop(heard);
        let mut server = Self { child, port, home };
        let mut said = Vec::new();
        loop {
            let Ok(line) = hears.recv_timeout(START) else {
                let status = server.child.try_wait()?;
                bail!("the server does not listen ({status:?}); it said: {said:?}");
            };
            said.push(line);
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
        }
    }

    /// The address for clients.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://vigil@127.0.0.1:{}/vigil", self.port)
    }

    /// Whether it is still there.
    pub(crate) fn is_up(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Asks it to stop as `kill` does, and waits until it has.
    pub(crate) fn terminate(mut self) -> Result<std::process::ExitStatus> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(asked.success(), "kill could not be run");
        Ok(self.child.wait()?)
    }

    /// psql with these arguments; errors are told with their SQLSTATE.
    pub(crate) fn psql(&self, arguments: &[&str]) -> Result<Output> {
        Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--set", "VERBOSITY=verbose", "--set"])
            .args(["ON_ERROR_STOP=1", "--pset", "pager=off"])
            .args(arguments)
            .arg(self.url())
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::null())
            .output()
            .context("psql could not be run: Debian's package is postgresql-client")
    }

    /// The bare values of a statement's rows, a row a line, with `|` between them.
    pub(crate) fn values(&self, sql: &str) -> Result<String> {
        let output = self.psql(&["--no-align", "--tuples-only", "--command", sql])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{sql}: {said}");
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// What psql says of a statement that must fail.
    pub(crate) fn error(&self, sql: &str) -> Result<String> {
        let output = self.psql(&["--command", sql])?;
        ensure!(!output.status.success(), "{sql} did not fail");
        Ok(String::from_utf8(output.stderr)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
