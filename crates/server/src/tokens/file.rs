//! The token file: JSON, readable by its owner only, replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Error, Rate, Role};
use crate::limits::TOKEN_FILE_BYTES_MAX;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    tokens: Vec<Row>,
}

/// One token as the file keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sites: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<Rate>,
    pub(super) sha256: String,
    pub(super) created_at_s: u64,
}

/// Tells one state of the file from another. A replaced file has a new inode even within one tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified_at: Option<SystemTime>,
    mode: u32,
}

impl Stamp {
    /// `None` if there is no file.
    pub(super) fn of(path: &Path) -> Result<Option<Stamp>, Error> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Some(Stamp {
                inode: meta.ino(),
                bytes: meta.len(),
                modified_at: meta.modified().ok(),
                mode: meta.mode(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { doing: "look at", path: path.to_owned(), source }),
        }
    }
}

/// All rows; none if there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, Error> {
    let failed = |source| Error::File { doing: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::File { doing: "open", path: path.to_owned(), source }),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::OpenToOthers { path: path.to_owned(), mode });
    }
    let mut text = Vec::new();
    file.take(TOKEN_FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > TOKEN_FILE_BYTES_MAX {
        return Err(Error::BadRow {
            path: path.to_owned(),
            reason: format!("it is longer than {TOKEN_FILE_BYTES_MAX} bytes"),
        });
    }
    let document: Document =
        serde_json::from_slice(&text).map_err(|source| Error::Malformed { path: path.to_owned(), source })?;
    if document.version != VERSION {
        let reason = format!("it has version {}, and this program reads version {VERSION}", document.version);
        return Err(Error::BadRow { path: path.to_owned(), reason });
    }
    Ok(document.tokens)
}

/// Shuts out other writers until the returned file is dropped. Readers need no lock, for the file is replaced whole.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let path = beside(path, ".lock");
    let failed = |doing| {
        let path = path.clone();
        move |source| Error::File { doing, path, source }
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open"))?;
    file.lock().map_err(failed("lock"))?;
    Ok(file)
}

/// Puts these rows in the place of the file, durably: a crash leaves the old file or the new one.
pub(super) fn replace(path: &Path, rows: &[Row]) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Document<'a> {
        version: u32,
        tokens: &'a [Row],
    }
    let mut text = serde_json::to_vec_pretty(&Document { version: VERSION, tokens: rows })
        .expect("rows of strings and numbers are always JSON");
    text.push(b'\n');

    let new = beside(path, ".new");
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { doing, path, source }
    };
    // A leftover of a crash may have other permissions; `create_new` below makes sure that ours are set.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &new)(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed("create", &new))?;
    file.write_all(&text).map_err(failed("write", &new))?;
    if let Ok(old) = fs::metadata(path) {
        // Whose it was can still read it: a service that could not would go on with the tokens that it knows.
        let made = file.metadata().map_err(failed("look at", &new))?;
        if made.uid() != old.uid() {
            fchown(&file, Some(old.uid()), Some(old.gid())).map_err(failed("give to its owner", &new))?;
        }
    }
    file.sync_all().map_err(failed("sync", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder", folder))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
