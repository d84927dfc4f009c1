//! What the numbers were measured on.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::Error;
use crate::load::histogram;

/// The machine, as far as it tells.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that we may use.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// Kernel and its version.
    pub kernel: String,
    /// Distribution.
    pub system: String,
    /// Whether it says that it runs under a hypervisor.
    pub is_virtual: bool,
    /// The file system of the data folder, and its device.
    pub file_system: String,
    /// Time of an `fdatasync` after an append of 4 KiB in the data folder: median, in microseconds.
    pub sync_us_p50: f64,
    /// The same, 99th percentile.
    pub sync_us_p99: f64,
}

/// Appends that the disk is measured with.
const SYNCS: usize = 300;

impl Machine {
    /// Looks around, and measures the disk under `folder`.
    pub(crate) fn look(folder: &Path) -> Result<Self, Error> {
        let cpu_info = read("/proc/cpuinfo");
        let memory_kib: u64 = after(&read("/proc/meminfo"), "MemTotal:")
            .and_then(|text| text.trim_end_matches(" kB").parse().ok())
            .unwrap_or_default();
        let system = read("/etc/os-release");
        let (sync_us_p50, sync_us_p99) = sync_times(folder)?;
        Ok(Self {
            cpu: after(&cpu_info, "model name\t:").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (memory_kib + (1 << 19)) >> 20,
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            system: after(&system, "PRETTY_NAME=").unwrap_or("unknown").trim_matches('"').to_owned(),
            is_virtual: after(&cpu_info, "flags\t\t:").is_some_and(|flags| flags.contains(" hypervisor")),
            file_system: file_system(&read("/proc/self/mountinfo"), folder),
            sync_us_p50,
            sync_us_p99,
        })
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What stands behind this on the first line that begins with it.
fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim)
}

/// Type and device of the file system that a folder is on: the mount with the longest path above it.
fn file_system(mounts: &str, folder: &Path) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mounts = mounts.lines().filter_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        let mut source = source.split(' ');
        let (kind, device) = (source.next()?, source.next()?);
        folder.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
    });
    // Of two mounts at one place the later one is seen.
    mounts.max_by_key(|(len, _)| *len).map_or_else(|| "unknown".to_owned(), |(_, name)| name)
}

fn sync_times(folder: &Path) -> Result<(f64, f64), Error> {
    let mut named =
        tempfile::NamedTempFile::new_in(folder).map_err(Error::file("create a file in", folder))?;
    let path = named.path().to_owned();
    let file = named.as_file_mut();
    let mut times = histogram();
    for _ in 0..SYNCS {
        file.write_all(&[1; 4096]).map_err(Error::file("append to", &path))?;
        let began = Instant::now();
        file.sync_data().map_err(Error::file("sync", &path))?;
        times.saturating_record(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    named.close().map_err(Error::file("delete", &path))?;
    #[expect(clippy::cast_precision_loss, reason = "a time of a disk has few digits")]
    let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Ok((us(0.5), us(0.99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_is_the_one() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/root rw\n2 1 0:5 / /tmp rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(file_system(mounts, Path::new("/")), "ext4 on /dev/root");
        assert_eq!(file_system(mounts, Path::new("/tmp/no-such-folder/x")), "tmpfs on tmpfs");
        assert_eq!(file_system("", Path::new("/")), "unknown");
    }

    #[test]
    fn the_machine_tells_of_itself() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::look(folder.path()).unwrap();
        assert!(machine.cores > 0 && machine.memory_gib > 0 && machine.sync_us_p50 > 0.0, "{machine:?}");
        assert!(machine.sync_us_p99 >= machine.sync_us_p50, "{machine:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
