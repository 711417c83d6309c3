//! Where the pictures of key frames are kept: `keyframes/<source>/<frame>.jpg` in an object
//! store, which is a local folder or an `s3://` bucket.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Cursor;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::sync::RwLock;
use url::Url;
use vigil_models::Image;

/// How long the store may take to answer when it is opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// What can go wrong with the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The data folder cannot be made or written.
    #[error("could not open data folder \"{folder}\": {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// What the system says.
        reason: String,
        /// Whether it is a matter of permission.
        denied: bool,
    },
    /// Another process has the data folder.
    #[error("data folder \"{folder}\" is in use")]
    InUse {
        /// The folder.
        folder: String,
    },
    /// The address is none that an object store is known for.
    #[error("invalid data address \"{url}\": {reason}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not answer or refuses.
    #[error("object store \"{url}\" failed: {reason}")]
    Store {
        /// The store.
        url: String,
        /// What it says, in one line.
        reason: String,
    },
    /// The picture could not be encoded.
    #[error("could not encode the picture: {reason}")]
    Encode {
        /// What the encoder says.
        reason: String,
    },
    /// The source was dropped before its picture was written.
    #[error("source \"{source_name}\" was dropped")]
    Dropped {
        /// The source.
        source_name: String,
    },
    /// There is no such picture.
    #[error("no picture of frame {frame_number} of source \"{source_name}\" is kept")]
    NotFound {
        /// The source.
        source_name: String,
        /// The frame.
        frame_number: i64,
    },
}

impl StoreError {
    /// The SQLSTATE of PostgreSQL's appendix A that fits best.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Folder { denied: true, .. } => "42501",
            Self::Folder { .. } | Self::Store { .. } => "58030",
            Self::InUse { .. } => "55006",
            Self::Address { .. } => "22023",
            Self::Encode { .. } => "58000",
            Self::Dropped { .. } => "42704",
            Self::NotFound { .. } => "02000",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Folder { .. } => {
                Some("Name a folder that this user may write with --data or VIGIL_DATA.")
            }
            Self::Address { .. } => Some("Give a folder or an address such as s3://bucket/prefix."),
            Self::InUse { .. } => Some(
                "Another Vigil keeps its key frames there: stop it, or name another folder with --data.",
            ),
            Self::Store { url, .. } if url.starts_with("file:") => {
                Some("Check that the data folder is there, may be written and has room.")
            }
            Self::Store { .. } => {
                Some("Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT.")
            }
            Self::Encode { .. } | Self::Dropped { .. } | Self::NotFound { .. } => None,
        }
    }
}

/// The pictures of all key frames.
#[derive(Debug)]
pub struct FrameStore {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The address of `prefix`, without a slash at its end.
    url: String,
    runtime: Handle,
    /// Keeps other processes out of a folder for as long as it is open.
    _lock: Option<File>,
    /// Sources whose pictures are being written; whoever removes them waits.
    writers: Mutex<BTreeMap<String, Arc<RwLock<()>>>>,
}

impl FrameStore {
    /// Opens the store of a data address: a folder (made when it is not there) or an `s3://` URL,
    /// whose credentials come from the usual environment variables. Input and output run on
    /// `runtime`.
    ///
    /// # Errors
    /// [`StoreError::Folder`], [`StoreError::InUse`], [`StoreError::Address`] or
    /// [`StoreError::Store`].
    pub fn open(data: &str, runtime: Handle) -> Result<Self, StoreError> {
        if let Some(folder) = local_folder(data)? {
            return Self::open_folder(&folder, runtime);
        }
        let address = |reason: String| StoreError::Address { url: data.to_owned(), reason };
        let url = Url::parse(data).map_err(|error| address(error.to_string()))?;
        let (store, prefix) = object_store::parse_url_opts(&url, store_variables())
            .map_err(|error| address(one_line(&error)))?;
        let this = Self {
            store: store.into(),
            prefix,
            url: data.trim_end_matches('/').to_owned(),
            runtime,
            _lock: None,
            writers: Mutex::default(),
        };
        this.check()?;
        Ok(this)
    }

    fn open_folder(folder: &FilePath, runtime: Handle) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Folder {
            folder: folder.display().to_string(),
            denied: error.kind() == std::io::ErrorKind::PermissionDenied,
            reason: plain_reason(&error),
        };
        std::fs::create_dir_all(folder.join("keyframes")).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let probe = folder.join("keyframes").join(format!(".probe-{}", std::process::id()));
        std::fs::write(&probe, b"").map_err(failed)?;
        std::fs::remove_file(&probe).map_err(failed)?;
        let lock = lock(&folder).map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { folder: folder.display().to_string() },
            TryLockError::Error(error) => failed(error),
        })?;
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| StoreError::Folder {
                folder: folder.display().to_string(),
                reason: one_line(&error),
                denied: false,
            })?
            .with_automatic_cleanup(true);
        let url = Url::from_directory_path(&folder).map_or_else(
            |()| format!("file://{}", folder.display()),
            |url| url.as_str().trim_end_matches('/').to_owned(),
        );
        Ok(Self {
            store: Arc::new(store),
            prefix: Path::default(),
            url,
            runtime,
            _lock: lock,
            writers: Mutex::default(),
        })
    }

    /// Asks the store for something, to know at the start whether it answers.
    fn check(&self) -> Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        let prefix = self.prefix.clone();
        let listing = self.runtime.block_on(async move {
            tokio::time::timeout(
                OPEN_TIMEOUT,
                async move { store.list(Some(&prefix)).try_next().await },
            )
            .await
        });
        match listing {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(StoreError::Store {
                url: self.url.clone(),
                reason: format!("no answer in {} s", OPEN_TIMEOUT.as_secs()),
            }),
        }
    }

    /// The address of the data folder.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Encodes a picture and keeps it, if it `is_wanted` by then; `done` gets its address, on
    /// another thread.
    pub fn put(
        self: &Arc<Self>,
        source: &str,
        frame_number: i64,
        image: Arc<Image>,
        jpeg_quality: u8,
        is_wanted: impl Fn() -> bool + Send + 'static,
        done: impl FnOnce(Result<String, StoreError>) + Send + 'static,
    ) {
        let this = Arc::clone(self);
        let path = self.path(source, frame_number);
        let source = source.to_owned();
        self.runtime.spawn(async move {
            let encoded =
                tokio::task::spawn_blocking(move || encode_jpeg(&image, jpeg_quality)).await;
            let bytes = match encoded {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(error)) => return done(Err(error)),
                Err(error) => return done(Err(StoreError::Encode { reason: error.to_string() })),
            };
            let _writing = this.writers_of(&source).read_owned().await;
            if !is_wanted() {
                return done(Err(StoreError::Dropped { source_name: source }));
            }
            done(match this.store.put(&path, bytes.into()).await {
                Ok(_) => Ok(this.address(&path)),
                Err(error) => Err(this.failed(&error)),
            });
        });
    }

    /// The address of a picture. In a folder the path is the file's name as it is, which a URL
    /// writes with its own escapes; in a bucket it is the key.
    fn address(&self, path: &Path) -> String {
        let below = self.below_prefix(path);
        let file = Url::parse(&self.url).ok().filter(|url| url.scheme() == "file");
        let file = file.and_then(|url| url.to_file_path().ok());
        match file.and_then(|folder| Url::from_file_path(folder.join(below)).ok()) {
            Some(url) => url.into(),
            None => format!("{}/{below}", self.url),
        }
    }

    /// The picture of a key frame, as JPEG.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Store`].
    pub async fn get(&self, source: &str, frame_number: i64) -> Result<Bytes, StoreError> {
        let path = self.path(source, frame_number);
        let got = match self.store.get(&path).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        got.map_err(|error| match error {
            object_store::Error::NotFound { .. } => {
                StoreError::NotFound { source_name: source.to_owned(), frame_number }
            }
            error => self.failed(&error),
        })
    }

    /// Removes the pictures of a source, when those that are being written are there. Nobody may
    /// want further ones by then.
    ///
    /// # Errors
    /// [`StoreError::Store`].
    pub async fn remove(&self, source: &str) -> Result<(), StoreError> {
        let writers = self.writers_of(source);
        let _alone = writers.write().await;
        let folder = self.folder(source);
        let pictures = Box::pin(self.store.list(Some(&folder)).map_ok(|picture| picture.location));
        let removed: Result<Vec<_>, _> = self.store.delete_stream(pictures).try_collect().await;
        self.lock_writers().remove(source);
        removed.map(drop).map_err(|error| self.failed(&error))
    }

    fn writers_of(&self, source: &str) -> Arc<RwLock<()>> {
        Arc::clone(self.lock_writers().entry(source.to_owned()).or_default())
    }

    fn lock_writers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<RwLock<()>>>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, source: &str) -> Path {
        self.prefix.clone().join("keyframes").join(source)
    }

    fn path(&self, source: &str, frame_number: i64) -> Path {
        self.folder(source).join(format!("{frame_number:09}.jpg"))
    }

    fn below_prefix<'a>(&self, path: &'a Path) -> &'a str {
        path.as_ref()
            .strip_prefix(self.prefix.as_ref())
            .unwrap_or(path.as_ref())
            .trim_start_matches('/')
    }

    fn failed(&self, error: &object_store::Error) -> StoreError {
        StoreError::Store { url: self.url.clone(), reason: one_line(error) }
    }
}

/// A picture as JPEG (baseline, `jpeg_quality` 1..=100).
///
/// # Errors
/// [`StoreError::Encode`].
pub fn encode_jpeg(image: &Image, jpeg_quality: u8) -> Result<Bytes, StoreError> {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, jpeg_quality)
        .encode(image.rgb(), image.width(), image.height(), ExtendedColorType::Rgb8)
        .map_err(|error| StoreError::Encode { reason: error.to_string() })?;
    Ok(bytes.into_inner().into())
}

/// The folder that a data address names, if it names one.
fn local_folder(data: &str) -> Result<Option<PathBuf>, StoreError> {
    if let Some((scheme, _)) = data.split_once("://") {
        if scheme != "file" {
            return Ok(None);
        }
        let address =
            |reason: &str| StoreError::Address { url: data.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(data).map_err(|_| address("it is not a URL"))?;
        return url.to_file_path().map(Some).map_err(|()| address("it names no local path"));
    }
    Ok(Some(PathBuf::from(data)))
}

/// The environment variables that are meant for an object store. Without this choice a `TOKEN` or
/// `BUCKET` that means something else would be taken for one.
fn store_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.to_ascii_uppercase().starts_with("AWS_"))
}

fn plain_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        std::io::ErrorKind::ReadOnlyFilesystem => "read-only file system".to_owned(),
        _ => error.to_string(),
    }
}

fn one_line(error: &object_store::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes the folder for this process. A file system that has no locks is used without.
fn lock(folder: &FilePath) -> Result<Option<File>, TryLockError> {
    let file = File::create(folder.join(".vigil.lock")).map_err(TryLockError::Error)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
            tracing::warn!(folder = %folder.display(), "the data folder cannot be locked");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
