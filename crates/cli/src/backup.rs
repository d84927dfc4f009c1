//! `jaego backup` and `jaego restore`: a data folder copied, and the copy proven.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use jaego_api::Time;
use jaego_engine::{
    Verified,
    backup::{Copied, Links, copy},
};
use jaego_server::{Tokens, audit::Kind};
use serde::{Deserialize, Serialize};

use crate::{
    audit::write_down,
    data,
    remote::print,
    settings::{DataFolder, SettingsFile},
    verify::{self, Output},
};

/// Says that a backup is whole: it is written last.
const MANIFEST: &str = "backup.json";

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataFolder,
    #[command(flatten)]
    settings: SettingsFile,
    /// The folder of the backup: empty, or not there yet.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Copy every file, also where a hard link would do. A link costs no room, and shares the disk's fate.
    #[arg(long)]
    copy: bool,
    #[command(flatten)]
    output: Output,
}

/// What a backup says of itself.
#[derive(Serialize, Deserialize)]
struct Manifest {
    /// The version of the program that made it.
    version: String,
    /// When it was made: its tokens are those of this time or of a little later.
    made_at: String,
    /// The last event in it.
    sequence: u64,
    /// The hash of all rows after that event.
    state: String,
    /// Whether in these rows wallets say how much of what they paid was for orders: not in backups that were made before
    /// they did.
    #[serde(default)]
    counts_sold: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let from = options.data.get(&options.settings.read()?)?;
    let store = data::store_folder(&from);
    ensure!(store.is_dir(), "{} has no store", from.display());
    let start = Instant::now();
    let links = if options.copy { Links::Never } else { Links::Allowed };
    make_empty(&options.to)?;
    let placed = back_up(&from, &options.to, links);
    let (copied, verified) = or_emptied(&options.to, "backed up", placed)?;
    write_down(&from, Kind::BackedUp, format!("event {} to {}", verified.sequence, options.to.display()));
    eprintln!(
        "{} files linked, {} copied ({} bytes), in {:.1} s",
        copied.linked,
        copied.copied,
        copied.bytes,
        start.elapsed().as_secs_f64()
    );
    tell(&verified, &options.output, "backed up", &options.to)
}

/// Copies a data folder into an empty one, proves the copy, and says in its manifest what it is.
fn back_up(from: &Path, to: &Path, links: Links) -> Result<(Copied, Verified)> {
    let copied = copy(&data::store_folder(from), &data::store_folder(to), links)
        .with_context(|| format!("cannot back up {}", from.display()))?;
    tell_passed_over(&copied);
    // Before the tokens are read: what is revoked from now on may be among them, and who restores asks for that time.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    copy_tokens(from, to)?;
    let verified = prove(to)?;
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: Time(u64::try_from(now.as_millis()).context("the clock is out of range")?).to_string(),
        sequence: verified.sequence.0,
        state: state(verified.hash),
        counts_sold: true,
    };
    let json = serde_json::to_string_pretty(&manifest).context("cannot write the manifest")?;
    let path = to.join(MANIFEST);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all((json + "\n").as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    sync(&path)?;
    sync(to)?;
    Ok((copied, verified))
}

#[derive(Args)]
pub(crate) struct RestoreOptions {
    /// The folder of the backup.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The new data folder: empty, or not there yet.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn restore(options: &RestoreOptions) -> Result<()> {
    let path = options.from.join(MANIFEST);
    let manifest = match fs::read(&path) {
        Ok(manifest) => manifest,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let from = options.from.display();
            return Err(error).with_context(|| format!("{from} is no whole backup: it has no {MANIFEST}"));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let manifest: Manifest =
        serde_json::from_slice(&manifest).with_context(|| format!("cannot understand {}", path.display()))?;
    make_empty(&options.data)?;
    // A store that is not the one that was backed up must not be served.
    let verified = or_emptied(&options.data, "restored", place(options, &manifest))?;
    let from = options.from.display();
    sync(&options.data)?;
    write_down(&options.data, Kind::Restored, format!("event {} from {from}", verified.sequence));
    tell_tokens(&options.data, &manifest);
    tell(&verified, &options.output, "restored", &options.data)
}

/// Copies a backup into an empty folder, and proves that the copy is what the manifest says.
fn place(options: &RestoreOptions, manifest: &Manifest) -> Result<Verified> {
    // Copied, never linked: the backup has to outlive what becomes of the new folder.
    let copied = copy(&data::store_folder(&options.from), &data::store_folder(&options.data), Links::Never)
        .with_context(|| format!("cannot restore {}", options.from.display()))?;
    tell_passed_over(&copied);
    copy_tokens(&options.from, &options.data)?;
    let verified = prove(&options.data)?;
    let state = state(if manifest.counts_sold { verified.hash } else { verified.hash_without_sold });
    ensure!(
        (verified.sequence.0, &state) == (manifest.sequence, &manifest.state),
        "{} holds event {} and state {}, and its manifest says event {} and state {}: take another backup",
        options.from.display(),
        verified.sequence,
        state,
        manifest.sequence,
        manifest.state
    );
    Ok(verified)
}

/// What was placed in a folder that was empty before; where that failed, the folder is emptied again, for the next try and
/// so that nobody takes it for what it is not.
fn or_emptied<T>(folder: &Path, what: &str, placed: Result<T>) -> Result<T> {
    placed.or_else(|error| {
        let path = folder.display();
        remove_placed(folder)
            .with_context(|| format!("{error:#}; and {path} is not to be used: it could not be emptied"))?;
        Err(error.context(format!("nothing was {what}, and {path} is empty again")))
    })
}

/// Removes what was placed in a folder that was empty before.
fn remove_placed(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Says which checkpoints were left out: the copy is whole, and the disk deserves a look.
fn tell_passed_over(copied: &Copied) {
    for error in &copied.passed_over {
        eprintln!("a checkpoint cannot be used and is left out: {:#}", anyhow!(error.clone()));
    }
}

/// Says that the tokens are those of the backup: what was revoked since is valid again.
fn tell_tokens(data: &Path, manifest: &Manifest) {
    let made_at = &manifest.made_at;
    match Tokens::open(data::tokens_file(data)).map(|tokens| tokens.list().len()) {
        Ok(0) => {}
        Ok(1) => eprintln!("one token as of {made_at}: revoke it again if it was revoked since"),
        Ok(count) => eprintln!("{count} tokens as of {made_at}: revoke again what was revoked since"),
        // The store is restored all the same, and new ones can be made.
        Err(error) => eprintln!("the tokens of {made_at} cannot be read: {:#}", anyhow!(error)),
    }
}

/// Prints what a folder was proven to hold.
fn tell(verified: &Verified, output: &Output, what: &str, folder: &Path) -> Result<()> {
    if output.json {
        let mut json = verify::json(verified);
        json["folder"] = folder.display().to_string().into();
        return print(&format!("{json}\n"));
    }
    print(&format!("{}{what} and proven: {}\n", verify::text(verified), folder.display()))
}

fn state(hash: u128) -> String {
    format!("{hash:032x}")
}

fn make_empty(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.exists()).collect();
    // Nobody else is to read what it will hold.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    for made in missing {
        // A folder is there for good when the one that names it is synced.
        let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync(above)?;
    }
    let is_empty =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?.next().is_none();
    ensure!(
        is_empty,
        "{} is not empty: choose a new folder, or remove this one first if a backup or a restore that was killed left it",
        folder.display()
    );
    Ok(())
}

fn copy_tokens(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (data::tokens_file(from), data::tokens_file(to));
    match fs::copy(&from, &to) {
        Ok(_) => {
            sync(&to)?;
            sync(to.parent().expect("the tokens lie in the data folder"))
        }
        // A store that was never served has none.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot copy {}", from.display())),
    }
}

fn sync(path: &Path) -> Result<()> {
    let synced = fs::File::open(path).and_then(|file| file.sync_all());
    synced.with_context(|| format!("cannot sync {}", path.display()))
}

/// Opens and proves a copy, and takes away what opening leaves: the lock, and the room for the next segment.
fn prove(data: &Path) -> Result<Verified> {
    let verified = verify::prove(data)?;
    for name in ["lock", "spare"] {
        let path = data::store_folder(data).join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(verified)
}
