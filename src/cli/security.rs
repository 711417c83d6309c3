//! Who may come in and what they may use: the flags and settings of `vigil serve` about that.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use vigil_sql::wire::{Encryption, Limits, ServeOptions, Tls, Trust};
use vigil_sql::{DatabaseOptions, QueryLimits};

use super::config::Config;
use super::error::CliError;
use super::places;

/// The security of a server.
#[derive(Debug, Args)]
pub(super) struct SecurityArguments {
    /// Certificate chain for TLS, PEM; read again when it changes [default: a self-signed one, made
    /// at the first start when listening beyond loopback]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Listen beyond loopback although nobody has to log in
    #[arg(long)]
    insecure: bool,

    /// Folder that CREATE SOURCE may read files from; can be given more than once [default: all
    /// folders on loopback, else the current one]
    #[arg(long = "allow-folder", value_name = "DIR")]
    allowed_folders: Vec<PathBuf>,
}

/// The settings of a server in `[limits]` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LimitsConfig {
    pub(super) connections: Option<usize>,
    pub(super) query_memory_mb: Option<usize>,
    pub(super) total_query_memory_mb: Option<usize>,
    pub(super) message_mb: Option<usize>,
    pub(super) max_rows: Option<usize>,
    pub(super) authentication_seconds: Option<usize>,
    pub(super) failed_authentications: Option<usize>,
}

const MEGABYTE: usize = 1 << 20;

impl LimitsConfig {
    fn queries(&self) -> QueryLimits {
        let default = QueryLimits::default();
        let total = self.total_query_memory_mb.map(|mb| mb * MEGABYTE);
        let total_memory_bytes = total.unwrap_or(default.total_memory_bytes);
        let own = self.query_memory_mb.map(|mb| mb * MEGABYTE);
        QueryLimits {
            memory_bytes: own.unwrap_or(total_memory_bytes / 2).min(total_memory_bytes),
            total_memory_bytes,
            max_rows: self.max_rows.unwrap_or(default.max_rows),
            ..default
        }
    }

    fn clients(&self) -> Limits {
        let default = Limits::default();
        let seconds =
            self.authentication_seconds.map(|seconds| Duration::from_secs(seconds as u64));
        let failures = self.failed_authentications.and_then(|count| u32::try_from(count).ok());
        Limits {
            max_connections: self.connections.unwrap_or(default.max_connections),
            max_message_bytes: self
                .message_mb
                .map_or(default.max_message_bytes, |mb| mb * MEGABYTE),
            authentication_timeout: seconds.unwrap_or(default.authentication_timeout),
            max_failed_authentications: failures.unwrap_or(default.max_failed_authentications),
            ..default
        }
    }
}

/// How the database is to be run: the roles' file is in the data folder, or beside the user's own
/// data when that is a bucket.
pub(super) fn database_options(config: &Config, data: &str) -> DatabaseOptions {
    let folder = own_folder(data);
    DatabaseOptions { roles_file: Some(folder.join("roles.json")), limits: config.limits.queries() }
}

fn own_folder(data: &str) -> PathBuf {
    if data.contains("://") { places::user_folder() } else { Path::new(data).to_owned() }
}

impl SecurityArguments {
    /// How clients are to be served at `address`.
    ///
    /// # Errors
    /// When others could come in without logging in or without TLS, and when a certificate is
    /// none.
    pub(super) fn serve_options(
        &self,
        config: &Config,
        data: &str,
        address: SocketAddr,
        needs_login: bool,
    ) -> Result<ServeOptions, CliError> {
        let is_loopback = address.ip().is_loopback();
        if !is_loopback && !needs_login && !self.insecure {
            return Err(CliError::Insecure { address: address.to_string() });
        }
        let given = self.tls_cert.as_ref().or(config.tls_cert.as_ref());
        let key = self.tls_key.as_ref().or(config.tls_key.as_ref());
        let tls = match (given, key) {
            (Some(certificate), Some(key)) => Some(Tls::from_files(certificate, key)),
            (None, None) if is_loopback => None,
            (None, None) => {
                let names = vec!["localhost".to_owned(), address.ip().to_string()];
                Some(Tls::self_signed(&own_folder(data), &names))
            }
            _ => return Err(CliError::HalfTls),
        };
        Ok(ServeOptions {
            limits: config.limits.clients(),
            tls: tls.transpose().map_err(CliError::Tls)?,
            encryption: match (is_loopback, self.insecure) {
                (false, false) => Encryption::RequiredBeyondLoopback,
                _ => Encryption::Offered,
            },
            trust: if self.insecure { Trust::Everybody } else { Trust::Loopback },
        })
    }

    /// The folders that sources may be read from; `None` is all.
    pub(super) fn folders(
        &self,
        config: &Config,
        listens_on_loopback: bool,
    ) -> Option<Vec<PathBuf>> {
        if !self.allowed_folders.is_empty() {
            return Some(self.allowed_folders.clone());
        }
        if config.allowed_folders.is_some() {
            return config.allowed_folders.clone();
        }
        (!listens_on_loopback).then(|| std::env::current_dir().into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> SecurityArguments {
        SecurityArguments {
            tls_cert: None,
            tls_key: None,
            insecure: false,
            allowed_folders: Vec::new(),
        }
    }

    #[test]
    fn others_are_let_in_with_roles_and_tls_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().display().to_string();
        let config = Config::default();
        let (here, all) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        let loopback = arguments().serve_options(&config, &data, here, false).unwrap();
        assert!(loopback.tls.is_none() && loopback.trust == Trust::Loopback);
        let refused = arguments().serve_options(&config, &data, all, false).unwrap_err();
        assert!(matches!(refused, CliError::Insecure { .. }));
        let safe = arguments().serve_options(&config, &data, all, true).unwrap();
        assert!(safe.tls.is_some() && safe.encryption == Encryption::RequiredBeyondLoopback);
        assert!(folder.path().join("server.crt").exists());
        let insecure = SecurityArguments { insecure: true, ..arguments() };
        let open = insecure.serve_options(&config, &data, all, false).unwrap();
        assert_eq!((open.trust, open.encryption), (Trust::Everybody, Encryption::Offered));
    }

    #[test]
    fn folders_are_limited_beyond_loopback() {
        let config = Config::default();
        assert_eq!(arguments().folders(&config, true), None);
        assert_eq!(arguments().folders(&config, false).unwrap().len(), 1);
        let given = SecurityArguments { allowed_folders: vec!["/srv".into()], ..arguments() };
        assert_eq!(given.folders(&config, true), Some(vec!["/srv".into()]));
    }
}
