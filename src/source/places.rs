//! Which files and addresses a source or a model may be read from.
//!
//! A path is followed to where it really leads before it is compared: `..`, symbolic links and
//! `file://` spellings lead to one place. Nothing is said of whether a file outside is there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};

use url::{Host, Url};

use super::error::SourceError;

/// Where sources may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedPlaces {
    /// Files below these folders; `None` is every file that the process may read.
    pub folders: Option<Vec<PathBuf>>,
    /// Whether URLs may lead to link-local and metadata addresses.
    pub local_addresses: LocalAddresses,
}

/// Whether URLs may lead to link-local and metadata addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalAddresses {
    /// They may not: what answers there trusts whoever asks.
    #[default]
    Refused,
    /// They may.
    Allowed,
}

impl AllowedPlaces {
    /// The place that `path` leads to, if it is in one of the folders.
    ///
    /// # Errors
    /// [`SourceError::NotAllowed`].
    pub(crate) fn file(&self, path: &Path) -> Result<PathBuf, SourceError> {
        let Some(folders) = &self.folders else { return Ok(path.to_owned()) };
        let refused = || SourceError::NotAllowed { path: path.display().to_string() };
        let place = place_of(path).ok_or_else(refused)?;
        let mut folders = folders.iter().filter_map(|folder| folder.canonicalize().ok());
        if folders.any(|folder| place.starts_with(folder)) { Ok(place) } else { Err(refused()) }
    }

    /// Refuses URLs of hosts that are none of a client's business.
    ///
    /// # Errors
    /// [`SourceError::ForbiddenAddress`].
    pub(crate) fn url(&self, url: &Url) -> Result<(), SourceError> {
        let forbidden = match url.host() {
            None => false,
            Some(Host::Domain(name)) => match name.parse::<IpAddr>() {
                Ok(address) => is_forbidden(address),
                Err(_) => is_metadata_name(name),
            },
            Some(Host::Ipv4(address)) => is_forbidden(address.into()),
            Some(Host::Ipv6(address)) => is_forbidden(address.into()),
        };
        if forbidden && self.local_addresses == LocalAddresses::Refused {
            return Err(SourceError::ForbiddenAddress {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        Ok(())
    }
}

impl AllowedPlaces {
    /// Whether a machine of this address may be asked.
    pub(crate) fn allows_address(&self, address: IpAddr) -> bool {
        self.local_addresses == LocalAddresses::Allowed || !is_forbidden(address)
    }
}

/// Where a path leads: as far as it is there, without links; the rest as written, without `..`.
fn place_of(path: &Path) -> Option<PathBuf> {
    let mut rest = Vec::new();
    let mut there = path;
    loop {
        match there.canonicalize() {
            Ok(mut place) => {
                place.extend(rest.iter().rev());
                return Some(place);
            }
            // A link that leads nowhere yet may lead anywhere later.
            Err(_) if there.is_symlink() => return None,
            Err(_) => match there.components().next_back()? {
                Component::Normal(name) => {
                    rest.push(name.to_owned());
                    there = there.parent()?;
                }
                Component::CurDir => there = there.parent()?,
                _ => return None,
            },
        }
    }
}

/// Link-local addresses, those that reach every host or this one under another name, and the
/// metadata services of clouds outside of them.
///
/// IPv4 link-local: RFC 3927; IPv6: RFC 4291, section 2.5.6. Metadata: 169.254.169.254 (most),
/// fd00:ec2::254 (Amazon), 100.100.100.200 (Alibaba), 168.63.129.16 (Azure).
fn is_forbidden(address: IpAddr) -> bool {
    const METADATA: [IpAddr; 3] = [
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    ];
    let address = match address {
        // ::a.b.c.d and ::ffff:a.b.c.d are IPv4 addresses.
        IpAddr::V6(v6) => match v6.to_ipv4() {
            Some(v4) if !v6.is_loopback() => IpAddr::V4(v4),
            _ => IpAddr::V6(v6),
        },
        v4 => v4,
    };
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified(),
        }
}

fn is_metadata_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    matches!(name.as_str(), "metadata" | "metadata.google.internal" | "instance-data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_judged_by_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("videos"), folder.path().join("secrets"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(inside.join("a.mp4"), "video").unwrap();
        std::fs::write(outside.join("key"), "secret").unwrap();
        let places =
            AllowedPlaces { folders: Some(vec![inside.clone()]), ..AllowedPlaces::default() };
        let may = |path: PathBuf| places.file(&path).is_ok();
        assert!(may(inside.join("a.mp4")));
        assert!(may(inside.join("../videos/a.mp4")));
        assert!(may(inside.join("not-there.mp4")));
        assert!(!may(outside.join("key")));
        assert!(!may(inside.join("../secrets/key")));
        assert!(!may(inside.join("nowhere/../../secrets/key")));
        assert!(!may(folder.path().join("videos-too/a.mp4")));
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink(outside.join("key"), inside.join("link")).unwrap();
            symlink(&outside, inside.join("folder")).unwrap();
            symlink(folder.path().join("later"), inside.join("dangling")).unwrap();
            symlink(inside.join("a.mp4"), outside.join("back")).unwrap();
            assert!(!may(inside.join("link")));
            assert!(!may(inside.join("folder/key")));
            assert!(!may(inside.join("dangling")));
            assert!(may(outside.join("back")));
        }
        assert!(AllowedPlaces::default().file(&outside.join("key")).is_ok());
    }

    #[test]
    fn metadata_and_link_local_addresses_are_forbidden() {
        let places = AllowedPlaces::default();
        for host in [
            "169.254.169.254",
            "169.254.0.1",
            "0xa9fea9fe",
            "2852039166",
            "[fe80::1]",
            "[::ffff:169.254.169.254]",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "0.0.0.0",
            "metadata.google.internal",
            "METADATA.google.internal.",
        ] {
            for scheme in ["http", "rtsp"] {
                let url = Url::parse(&format!("{scheme}://{host}/latest/meta-data")).unwrap();
                // Only http and its like give numbers another spelling.
                if scheme == "rtsp" && (host.starts_with("0x") || host.starts_with('2')) {
                    continue;
                }
                let error = places.url(&url).unwrap_err();
                assert_eq!(error.sqlstate(), "42501", "{url}");
            }
        }
        for good in ["rtsp://camera.example/1", "rtsp://192.168.1.10/1", "http://[2001:db8::1]/"] {
            assert_eq!(places.url(&Url::parse(good).unwrap()), Ok(()), "{good}");
        }
        let lenient = AllowedPlaces { local_addresses: LocalAddresses::Allowed, ..places };
        assert_eq!(lenient.url(&Url::parse("http://169.254.1.1/").unwrap()), Ok(()));
    }
}
