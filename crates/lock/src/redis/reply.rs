//! What the scripts answer, and what they publish.

use std::time::Duration;

use ::redis::Value;

use crate::backend::{Acquired, Conflict, Ended, Next, Notice, Owner, Renewed};
use crate::look::{Broken, HolderState, LockState, WaiterState};
use crate::{LockKey, Mode};

/// An answer that no script of ours gives.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(String);

fn malformed(what: &str, value: &impl std::fmt::Debug) -> Malformed {
    Malformed(format!("{what}: {value:?}"))
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, Malformed> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(malformed("not a list", &other)),
    }
}

/// Takes out the second of the list: the server's time, in microseconds.
pub(super) fn take_time(list: &mut Vec<Value>) -> Result<u64, Malformed> {
    if list.len() < 2 {
        return Err(malformed("too short", list));
    }
    number(&list.remove(1))
}

fn number(value: &Value) -> Result<u64, Malformed> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| malformed("negative", value)),
        other => Err(malformed("not a number", other)),
    }
}

fn at(list: &[Value], index: usize) -> Result<u64, Malformed> {
    list.get(index).map_or_else(|| Err(malformed("too short", &list)), number)
}

fn duration(list: &[Value], index: usize) -> Result<Duration, Malformed> {
    at(list, index).map(Duration::from_micros)
}

/// The answer to an acquire; nothing if it arrived too late.
pub(super) fn acquired(list: &[Value]) -> Result<Option<Acquired>, Malformed> {
    Ok(Some(match at(list, 0)? {
        1 => Acquired::Granted { fence: at(list, 1)?, turn: at(list, 2)? },
        2 => Acquired::Conflict(Conflict {
            key: usize::try_from(at(list, 1)?).unwrap_or(usize::MAX),
            holder_remaining: duration(list, 2)?,
            retry_after: duration(list, 3)?,
            place: at(list, 4)?,
            head: match list.get(5) {
                Some(Value::BulkString(head)) if head.is_empty() => None,
                Some(Value::BulkString(head)) => {
                    Some(owner(&String::from_utf8_lossy(head)).ok_or_else(|| malformed("no owner", head))?)
                }
                _ => return Err(malformed("no head", &list)),
            },
        }),
        3 => Acquired::Quarantined { remaining: duration(list, 1)? },
        4 => Acquired::Ended,
        5 => return Ok(None),
        6 => Acquired::TooManyWaiters,
        _ => return Err(malformed("an unknown answer", &list)),
    }))
}

pub(super) fn renewed(list: &[Value]) -> Result<Renewed, Malformed> {
    Ok(match at(list, 0)? {
        1 => Renewed::Held,
        _ => Renewed::NotHeld { holder: holder(list)? },
    })
}

pub(super) fn ended(list: &[Value]) -> Result<Ended, Malformed> {
    Ok(match at(list, 0)? {
        1 => Ended::Released,
        _ => Ended::NotHeld { holder: holder(list)? },
    })
}

/// The answer to a look, given at `now`.
pub(super) fn state(key: &LockKey, now: u64, list: &[Value]) -> Result<LockState, Malformed> {
    let [_, mode, wanted, queued, Value::Array(holders), Value::Array(waiters)] = list else {
        return Err(malformed("no state of a lock", &list));
    };
    let left = |until: u64| Duration::from_micros(until.saturating_sub(now));
    let holders: Result<Vec<_>, Malformed> = holders
        .chunks(3)
        .map(|holder| {
            let until_us = at(holder, 1)?;
            let (owner, fence, remaining) = (owner_at(holder)?, at(holder, 2)?, left(until_us));
            Ok(HolderState { owner, process: None, fence, until_us, remaining })
        })
        .collect();
    let waiters = waiters.chunks(4).map(|waiter| {
        let wish = waiter.get(3).map(bytes).transpose()?.unwrap_or_default();
        let mut wish = std::str::from_utf8(wish).unwrap_or_default().splitn(3, ':');
        let (Some(fair), Some(_), Some(mode)) = (wish.next(), wish.next(), wish.next()) else {
            return Err(malformed("no wish", &waiter));
        };
        let (fair, mode) = (fair == "1", mode.to_owned());
        let (owner, place, remaining) = (owner_at(waiter)?, at(waiter, 1)?, left(at(waiter, 2)?));
        Ok(WaiterState { owner, process: None, mode, fair, place, remaining })
    });
    let (mut holders, waiters) = (holders?, waiters.collect::<Result<Vec<_>, _>>()?);
    holders.sort_unstable_by_key(|holder| holder.fence);
    let mode = (!holders.is_empty()).then(|| bytes(mode)).transpose()?;
    let (waiters_count, wanted) = (number(queued)?, number(wanted)? == 1);
    Ok(LockState {
        key: key.clone(),
        mode: mode.map(|mode| String::from_utf8_lossy(mode).into_owned()),
        wanted: wanted && (!holders.is_empty() || waiters_count > 0),
        holders,
        waiters,
        waiters_count,
    })
}

/// The answer to a break.
pub(super) fn broken(list: &[Value]) -> Result<Broken, Malformed> {
    let [_, fence, Value::Array(ended)] = list else { return Err(malformed("nothing broken", &list)) };
    let ended: Result<Vec<_>, Malformed> =
        ended.chunks(2).map(|ended| Ok((owner_at(ended)?, at(ended, 1)?))).collect();
    let mut ended = ended?;
    ended.sort_unstable_by_key(|(_, fence)| *fence);
    Ok(Broken { ended, fence: number(fence)? })
}

fn bytes(value: &Value) -> Result<&[u8], Malformed> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        other => Err(malformed("not a text", other)),
    }
}

/// The owner that a list begins with.
fn owner_at(list: &[Value]) -> Result<Owner, Malformed> {
    let text = list.first().map(bytes).transpose()?.unwrap_or_default();
    owner(&String::from_utf8_lossy(text)).ok_or_else(|| malformed("no owner", &list))
}

fn holder(list: &[Value]) -> Result<Option<u64>, Malformed> {
    Ok(Some(at(list, 1)?).filter(|fence| *fence > 0))
}

fn owner(text: &str) -> Option<Owner> {
    let number = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    Some(Owner::from_bytes(number.to_be_bytes()))
}

/// A message on a channel of ours: owner, room, holders at most and mode of the first of the queue, or four
/// times nothing, and the key. Or `!`, the owner of a hold that was broken, three times nothing, and the key.
pub(super) fn notice(message: &[u8]) -> Option<Notice> {
    let message = std::str::from_utf8(message).ok()?;
    let parts: Vec<&str> = message.splitn(5, '\n').collect();
    let [first, room, holders_max, mode, key] = parts.as_slice() else { return None };
    let key = LockKey::new(key).ok()?;
    if first.is_empty() {
        return Some(Notice::Freed { key, next: None });
    }
    if let Some(broken) = first.strip_prefix('!') {
        return Some(Notice::Broken { owner: owner(broken)?, key });
    }
    let mode = Mode::new(mode).ok()?.max_holders(holders_max.parse().ok()?).ok()?;
    let next = Next { owner: owner(first)?, mode, room: room.parse().ok()? };
    Some(Notice::Freed { key, next: Some(next) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_nonsense_is_not() {
        let key = LockKey::new("a:1").unwrap();
        assert_eq!(notice(b"\n\n\n\na:1"), Some(Notice::Freed { key: key.clone(), next: None }));
        let first = Owner::random();
        let mode = Mode::new("allocate").unwrap().max_holders(7).unwrap();
        let next = Some(Next { owner: first, mode, room: 3 });
        let message = format!("{first}\n3\n7\nallocate\na:1");
        assert_eq!(notice(message.as_bytes()), Some(Notice::Freed { key, next }));
        let broken = Notice::Broken { owner: first, key: LockKey::new("a:1").unwrap() };
        assert_eq!(notice(format!("!{first}\n\n\n\na:1").as_bytes()), Some(broken));
        for nonsense in ["!x\n\n\n\na:1", "", "\n\n\n\n", "x\n3\n7\nallocate\na:1", "a:1", "\n\n\na:1"] {
            assert_eq!(notice(nonsense.as_bytes()), None, "{nonsense:?}");
        }
    }

    #[test]
    fn an_unknown_answer_is_an_error() {
        let int = Value::Int;
        let granted = Some(Acquired::Granted { fence: 7, turn: 5 });
        assert_eq!(acquired(&[int(1), int(7), int(5)]).unwrap(), granted);
        assert!(acquired(&[int(1), int(7)]).is_err());
        assert_eq!(acquired(&[int(5)]).unwrap(), None);
        assert!(acquired(&[int(9)]).is_err());
        assert!(acquired(&[int(2), int(0)]).is_err());
        assert!(acquired(&[]).is_err());
        assert!(renewed(&[int(0), int(-1)]).is_err());
        assert_eq!(ended(&[int(0), int(0)]).unwrap(), Ended::NotHeld { holder: None });
        assert!(list(Value::Nil).is_err());
        assert!(take_time(&mut vec![int(1)]).is_err());
    }
}
