//! What `#[distributed_lock]` expands to, besides the requests that anybody can make.

use crate::{Error, Held, Lost, Outcome};

/// Lets the lock go after the work. A result of work that may not have had the lock to itself until its end
/// is no result, but [`Error::Lost`]; an error of the work stays what it is.
///
/// A result stays as well if a transaction under the lock is known to be committed: the database had checked the fence,
/// the work is done, and a caller who heard of a loss would do it again.
pub async fn settle<T, E: From<Error>>(guard: impl Held, result: Result<T, E>) -> Result<T, E> {
    let (key, check, committed) = (guard.fences()[0].0.clone(), guard.check(), guard.has_committed());
    let outcome = guard.release().await;
    match how_lost(check, &outcome) {
        Some(how) if result.is_ok() && !committed => Err(Error::Lost { key, how }.into()),
        _ => result,
    }
}

/// How the lock was lost before its release, going by a look just before and by the release's outcome.
fn how_lost(check: Result<(), Lost>, outcome: &Outcome) -> Option<Lost> {
    match (check, outcome) {
        // It was let go behind our back, and a second release says the same as the first.
        (Err(Lost::Released), _) => Some(Lost::Released),
        // The backend knows better than our clock, which is careful.
        (_, Outcome::Released | Outcome::StillHeld(_)) => None,
        (_, Outcome::Stolen { fence }) => Some(Lost::Stolen { fence: *fence }),
        (_, Outcome::Broken) => Some(Lost::Broken),
        (Err(how), Outcome::Expired | Outcome::Unknown(_)) => Some(how),
        (Ok(()), Outcome::Expired) => Some(Lost::Expired),
        // It was ours by our own clock; only its end was not confirmed, and comes with the lease.
        (Ok(()), Outcome::Unknown(_)) => None,
    }
}
