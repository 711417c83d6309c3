//! The file of the roles: JSON, readable by its owner alone, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::scram::Verifier;
use super::{Grant, Role, RoleMap};
use crate::SqlError;

/// The form that this code writes; another one is refused.
const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
struct Kept {
    version: u32,
    mock_secret: String,
    roles: BTreeMap<String, KeptRole>,
}

#[derive(Deserialize, Serialize)]
struct KeptRole {
    oid: i32,
    login: bool,
    verifier: Option<String>,
    connection_limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until_micros: Option<i64>,
    member_of: Vec<String>,
    tables: Vec<(String, String)>,
    schemas: Vec<String>,
    sources: Vec<String>,
}

/// The roles and the secret in the file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<(RoleMap, [u8; 32])>, SqlError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, "read", &error.to_string())),
    };
    let broken = |why: &str| failed(path, "read", why);
    let kept: Kept = serde_json::from_str(&text).map_err(|error| broken(&error.to_string()))?;
    if kept.version != VERSION {
        return Err(broken(&format!("version {} is not known", kept.version)));
    }
    let secret = BASE64.decode(&kept.mock_secret).ok().and_then(|secret| secret.try_into().ok());
    let secret = secret.ok_or_else(|| broken("mock_secret is not 32 bytes"))?;
    let mut roles = RoleMap::new();
    for (name, role) in kept.roles {
        let verifier = match &role.verifier {
            None => None,
            Some(text) => Some(
                Verifier::parse(text)
                    .ok_or_else(|| broken(&format!("the verifier of \"{name}\" is none")))?,
            ),
        };
        let grants = role
            .tables
            .into_iter()
            .map(|(schema, table)| Grant::Table(schema, table))
            .chain(role.schemas.into_iter().map(Grant::Schema))
            .chain(role.sources.into_iter().map(Grant::Source))
            .collect();
        let role = Role {
            oid: role.oid,
            login: role.login,
            verifier,
            connection_limit: role.connection_limit,
            valid_until_micros: role.valid_until_micros,
            member_of: role.member_of.into_iter().collect(),
            grants,
        };
        roles.insert(name, role);
    }
    Ok(Some((roles, secret)))
}

/// Replaces the file.
pub(super) fn write(path: &Path, roles: &RoleMap, secret: &[u8; 32]) -> Result<(), SqlError> {
    let kept = Kept {
        version: VERSION,
        mock_secret: BASE64.encode(secret),
        roles: roles.iter().map(|(name, role)| (name.clone(), kept_role(role))).collect(),
    };
    let text = serde_json::to_vec_pretty(&kept)
        .map_err(|error| failed(path, "write", &error.to_string()))?;
    replace(path, &text).map_err(|error| failed(path, "write", &error.to_string()))
}

fn kept_role(role: &Role) -> KeptRole {
    let mut kept = KeptRole {
        oid: role.oid,
        login: role.login,
        verifier: role.verifier.as_ref().map(Verifier::text),
        connection_limit: role.connection_limit,
        valid_until_micros: role.valid_until_micros,
        member_of: role.member_of.iter().cloned().collect(),
        tables: Vec::new(),
        schemas: Vec::new(),
        sources: Vec::new(),
    };
    for grant in &role.grants {
        match grant {
            Grant::Table(schema, table) => kept.tables.push((schema.clone(), table.clone())),
            Grant::Schema(name) => kept.schemas.push(name.clone()),
            Grant::Source(name) => kept.sources.push(name.clone()),
        }
    }
    kept
}

/// Writes beside the file and renames, so that a crash leaves the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

fn failed(path: &Path, verb: &str, why: &str) -> SqlError {
    SqlError::Query {
        sqlstate: "58030",
        message: format!("could not {verb} the roles in \"{}\"", path.display()),
        detail: Some(format!("{why}.")),
        hint: None,
    }
}
