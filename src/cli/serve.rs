//! `vigil serve`: the server.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use vigil_models::ModelState;
use vigil_sql::{Database, wire};

use super::error::CliError;
use super::places::{self, DEFAULT_LISTEN, EngineArguments};
use super::security::{self, SecurityArguments};
use crate::Engine;

/// So long clients may take to end after the server was asked to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The stack of a thread that reads statements: more than `vigil_sql` wants for the deepest of them, or it
/// would map another one for each statement. Only what is used of it takes memory.
const STACK_BYTES: usize = 64 << 20;

/// Start the server: PostgreSQL clients connect to it
///
/// It runs until it gets Ctrl-C or SIGTERM, then stops its sources and clients. While no role may
/// log in, clients on this machine are trusted; others need roles and TLS.
#[derive(Debug, Args)]
#[command(after_help = concat!(
    "Example:
  vigil serve --data /srv/vigil &
  psql -h 127.0.0.1 -p 7432 vigil -c \"CREATE SOURCE lobby FROM '/srv/video/lobby.mp4'\"

Configuration file:
",
    include_str!("../../examples/vigil.toml")
))]
pub(super) struct ServeArguments {
    /// Address and port to listen on [default: 127.0.0.1:7432]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// Where key frames are kept: a folder, or s3://bucket/prefix with AWS's usual environment
    /// variables [default: .vigil/data here or above, else ~/.local/share/vigil/data]
    #[arg(long, value_name = "DIR", env = "VIGIL_DATA", hide_env_values = true)]
    data: Option<String>,

    #[command(flatten)]
    security: SecurityArguments,

    #[command(flatten)]
    engine: EngineArguments,
}

/// Runs the command.
pub(super) fn serve(arguments: ServeArguments) -> Result<(), CliError> {
    let config = arguments.engine.models.config.read()?;
    let listen = arguments.listen.as_deref().or(config.listen.as_deref()).unwrap_or(DEFAULT_LISTEN);
    let data = places::data(arguments.data.as_deref(), &config);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("vigil-wire")
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| CliError::Runtime(error.to_string()))?;
    // A taken port is told before models and data are looked at.
    let listener = runtime
        .block_on(TcpListener::bind(listen))
        .map_err(|source| CliError::Bind { address: listen.to_owned(), source })?;
    let address = listener.local_addr()?;
    let options = security::database_options(&config, &data);
    let mut engine = arguments.engine.engine_config(&config, data.clone());
    engine.places.folders = arguments.security.folders(&config, address.ip().is_loopback());
    let engine = Engine::start_with(engine, config.inference)?;
    let database = Database::open(Arc::clone(&engine) as Arc<dyn vigil_sql::Engine>, &options)?;
    let needs_login = database.requires_login();
    let options = arguments.security.serve_options(&config, &data, address, needs_login)?;
    greet(address, &engine, needs_login)?;
    let served = runtime.block_on(wire::serve_with(listener, database, options, stopped()));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    tracing::info!("stopped");
    served.map_err(|source| CliError::Serve { source })
}

/// Says where everything is and how to connect.
fn greet(address: SocketAddr, engine: &Engine, needs_login: bool) -> Result<(), CliError> {
    let config = engine.config();
    let registry = engine.service().registry();
    let present = |entry: &&_| registry.state(entry) == ModelState::Present;
    let models = registry.entries();
    // What a client on this machine connects to when all addresses are listened on.
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    let mut to = io::stdout().lock();
    writeln!(to, "vigil {} listens on {address}", env!("CARGO_PKG_VERSION"))?;
    writeln!(to, "  data     {}", config.data)?;
    writeln!(
        to,
        "  models   {} ({} of {} present)",
        config.models_dir.display(),
        models.iter().filter(present).count(),
        models.len()
    )?;
    writeln!(to, "  connect  psql -h {host} -p {} vigil", address.port())?;
    writeln!(to, "  stop     Ctrl-C")?;
    to.flush()?;
    if !address.ip().is_loopback() && !needs_login {
        tracing::warn!(%address, "other machines can connect, and nobody has to log in");
    }
    Ok(())
}

/// Ends when this process is asked to stop.
async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => {
                tokio::select! {
                    _ = interrupted => {}
                    _ = terminated.recv() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be waited for; Ctrl-C stops the server");
                let _ = interrupted.await;
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = interrupted.await;
    }
    tracing::info!("stopping");
}
