//! What the functions answer, and what they notify of.

use std::time::Duration;

use tokio_postgres::Row;

use crate::backend::{Acquired, Conflict, Ended, Next, Notice, Owner, Renewed};
use crate::limits::LOOK_WAITERS_MAX;
use crate::look::{Broken, HolderState, LockState, WaiterState};
use crate::{LockKey, Mode};

/// An answer that no function of ours gives.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(String);

fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, Malformed> {
    row.try_get(name).map_err(|error| Malformed(format!("{name}: {error}")))
}

fn number(row: &Row, name: &str) -> Result<u64, Malformed> {
    let number: i64 = column(row, name)?;
    u64::try_from(number).map_err(|_| Malformed(format!("{name} is negative: {number}")))
}

fn duration(row: &Row, name: &str) -> Result<Duration, Malformed> {
    number(row, name).map(Duration::from_micros)
}

/// The server's time, in microseconds.
pub(super) fn time(row: &Row) -> Result<u64, Malformed> {
    number(row, "o_now")
}

/// Whether there may be more to sweep up.
pub(super) fn more(row: &Row) -> Result<bool, Malformed> {
    column(row, "o_more")
}

/// The answer to an acquire; nothing if it arrived too late.
pub(super) fn acquired(row: &Row) -> Result<Option<Acquired>, Malformed> {
    Ok(Some(match column(row, "o_outcome")? {
        1 => Acquired::Granted { fence: number(row, "o_number")?, turn: number(row, "o_turn")? },
        2 => {
            let key: i32 = column(row, "o_key")?;
            let head: Option<&[u8]> = column(row, "o_head")?;
            Acquired::Conflict(Conflict {
                key: usize::try_from(key).map_err(|_| Malformed(format!("no key has the index {key}")))?,
                holder_remaining: duration(row, "o_holder_remaining")?,
                retry_after: duration(row, "o_retry_after")?,
                place: number(row, "o_number")?,
                head: head.map(owner).transpose()?,
            })
        }
        3 => Acquired::Quarantined { remaining: duration(row, "o_retry_after")? },
        4 => Acquired::Ended,
        5 => return Ok(None),
        6 => Acquired::TooManyWaiters,
        other => return Err(Malformed(format!("an unknown outcome: {other}"))),
    }))
}

/// The answer to who told of a clock that was set: for how long nothing is granted.
pub(super) fn quarantine(row: &Row) -> Result<Duration, Malformed> {
    let calm_at = number(row, "o_calm_at")?;
    Ok(Duration::from_micros(calm_at.saturating_sub(time(row)?)))
}

pub(super) fn renewed(row: &Row) -> Result<Renewed, Malformed> {
    Ok(match column(row, "o_outcome")? {
        1 => Renewed::Held,
        _ => Renewed::NotHeld { holder: holder(row)? },
    })
}

pub(super) fn ended(row: &Row) -> Result<Ended, Malformed> {
    Ok(match column(row, "o_outcome")? {
        1 => Ended::Released,
        _ => Ended::NotHeld { holder: holder(row)? },
    })
}

/// The answer to a look: those who have something to do with a lock come one after the other.
pub(super) fn states(rows: &[Row]) -> Result<Vec<LockState>, Malformed> {
    let mut states: Vec<LockState> = Vec::new();
    for row in rows {
        let key =
            LockKey::new(column::<&str>(row, "o_key")?).map_err(|error| Malformed(error.to_string()))?;
        if states.last().is_none_or(|state| state.key != key) {
            states.push(LockState::free(key));
        }
        let Some(state) = states.last_mut() else { unreachable!("it was put there") };
        let (owner, process) = (owner(column(row, "o_owner")?)?, column(row, "o_process")?);
        let (mode, until_us): (String, _) = (column(row, "o_mode")?, number(row, "o_until")?);
        let remaining = Duration::from_micros(until_us.saturating_sub(time(row)?));
        state.wanted |= column::<bool>(row, "o_wanted")?;
        if column::<Option<i64>>(row, "o_fence")?.is_some() {
            let fence = number(row, "o_fence")?;
            state.mode = Some(mode);
            state.holders.push(HolderState { owner, process, fence, until_us, remaining });
            continue;
        }
        state.waiters_count += 1;
        if state.waiters.len() < LOOK_WAITERS_MAX {
            let (fair, place) = (column(row, "o_fair")?, number(row, "o_place")?);
            state.waiters.push(WaiterState { owner, process, mode, fair, place, remaining });
        }
    }
    Ok(states)
}

/// The answer to a break.
pub(super) fn broken(rows: &[Row]) -> Result<Broken, Malformed> {
    let (last, ended) = rows.split_last().ok_or_else(|| Malformed("no answer".to_owned()))?;
    let ended: Result<Vec<_>, Malformed> =
        ended.iter().map(|row| Ok((owner(column(row, "o_owner")?)?, number(row, "o_fence")?))).collect();
    let mut ended = ended?;
    ended.sort_unstable_by_key(|(_, fence)| *fence);
    Ok(Broken { ended, fence: number(last, "o_fence")? })
}

fn holder(row: &Row) -> Result<Option<u64>, Malformed> {
    let fence: Option<i64> = column(row, "o_number")?;
    Ok(fence.and_then(|fence| u64::try_from(fence).ok()))
}

fn owner(bytes: &[u8]) -> Result<Owner, Malformed> {
    let bytes = bytes.try_into().map_err(|_| Malformed(format!("an owner of {} bytes", bytes.len())))?;
    Ok(Owner::from_bytes(bytes))
}

/// Reads five lines: the first of the queue, room, holders at most, mode (all empty without a queue), and
/// the key. Or `!` and the owner of a hold that was broken, three empty ones, and the key.
pub(super) fn notice(payload: &str) -> Option<Notice> {
    let mut lines = payload.splitn(5, '\n');
    let [owner, room, holders_max, mode, key] = std::array::from_fn(|_| lines.next());
    let key = LockKey::new(key?).ok()?;
    let owner = owner?;
    if owner.is_empty() {
        return Some(Notice::Freed { key, next: None });
    }
    if let Some(broken) = owner.strip_prefix('!') {
        return Some(Notice::Broken { owner: parse_owner(broken)?, key });
    }
    let next = Next {
        owner: parse_owner(owner)?,
        mode: Mode::new(mode?).ok()?.max_holders(holders_max?.parse().ok()?).ok()?,
        room: room?.parse().ok()?,
    };
    Some(Notice::Freed { key, next: Some(next) })
}

fn parse_owner(text: &str) -> Option<Owner> {
    let number = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok())??;
    Some(Owner::from_bytes(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read() {
        let key = LockKey::new("상품|17").unwrap();
        assert_eq!(notice("\n\n\n\n상품|17"), Some(Notice::Freed { key: key.clone(), next: None }));
        let owner = Owner::random();
        let mode = Mode::new("allocate").unwrap().max_holders(5).unwrap();
        let next = Some(Next { owner, mode, room: 3 });
        assert_eq!(notice(&format!("{owner}\n3\n5\nallocate\n상품|17")), Some(Notice::Freed { key, next }));
        let broken = Notice::Broken { owner, key: LockKey::new("a").unwrap() };
        assert_eq!(notice(&format!("!{owner}\n\n\n\na")), Some(broken));
        for odd in ["", "a", "!x\n\n\n\na", "\n\n\n\n", "xyz\n1\n1\nm\na", &format!("{owner}\n1\n0\nm\na")] {
            assert_eq!(notice(odd), None, "{odd:?}");
        }
    }
}
