use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Error;

/// Lets this process open as many files and sockets as it may at all, and returns how many (`None`:
/// any number). The usual first limit of 1,024 is too few for a test with a thousand connections,
/// whose both ends are in one process.
pub fn raise_open_files() -> Result<Option<u64>, Error> {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum })
        .map_err(|error| Error::Net { doing: "raise the number of open files", source: error.into() })?;
    Ok(limits.maximum)
}
