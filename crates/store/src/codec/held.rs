//! The facts of holds whose lines and takes name each other: placed and changed.
//!
//! A placed one is packed by hand, since nearly every event of a busy day is one:
//!
//! ```text
//!   flags   id   body   [owner]   [expires_at − at]   then with SINGLE:   site sku quantity location lot
//!                                                     and without:        lines takes short
//! ```
//!
//! A single line that is wholly taken at one place says its SKU and its quantity once. With an id of 12 bytes,
//! an expiry within a year, up to 16,384 sites and 2,097,152 each of SKUs, locations and lots, an event takes
//! 48 bytes at the most; the test `sizes` counts them.

use jaego_domain::{
    Code, Fact, Timestamp,
    event::{HeldLine, Short, Take, Takes},
};
use smallvec::SmallVec;

use super::{
    bytes::{Reader, Writer},
    error::{Error, Problem, Result},
    field::Field,
};

type Lines = SmallVec<[HeldLine; 1]>;

/// One line, taken as a whole at one place.
const SINGLE: u8 = 1;
const OWNER: u8 = 2;
const EXPIRES: u8 = 4;

pub(super) fn put(w: &mut Writer, fact: &Fact, at: Timestamp) {
    let Fact::Held { id, body, owner, expires_at, lines, takes, short } = fact else {
        unreachable!("only holds are packed here");
    };
    let single = single(lines, takes, short);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    w.byte(
        flag(single.is_some(), SINGLE) | flag(owner.is_some(), OWNER) | flag(expires_at.is_some(), EXPIRES),
    );
    id.put(w);
    body.put(w);
    if let Some(owner) = owner {
        owner.put(w);
    }
    if let Some(expires_at) = expires_at {
        // Wrapping, so that every pair of times comes back, whatever the clocks were up to.
        w.zigzag(expires_at.0.wrapping_sub(at.0).cast_signed());
    }
    let Some((line, take)) = single else {
        put_lines(w, id, lines, takes, short);
        return;
    };
    assert!(!take.quantity.is_zero(), "hold {id} takes nothing");
    line.put(w);
    take.location.put(w);
    take.lot.put(w);
}

#[inline]
pub(super) fn get(r: &mut Reader<'_>, at: Timestamp) -> Result<Fact> {
    let flags_at = r.at();
    let flags = r.byte("Held.flags")?;
    if flags & !(SINGLE | OWNER | EXPIRES) != 0 {
        return Err(Error::new("Held.flags", flags_at, Problem::Flag(flags)));
    }
    let id = Code::get(r, "Held.id")?;
    let body = u64::get(r, "Held.body")?;
    let owner = if flags & OWNER == 0 { None } else { Some(Code::get(r, "Held.owner")?) };
    let expires_at = if flags & EXPIRES == 0 {
        None
    } else {
        let after = r.zigzag("Held.expires_at")?;
        Some(Timestamp(at.0.wrapping_add(after.cast_unsigned())))
    };
    let lines_at = r.at();
    if flags & SINGLE == 0 {
        let (lines, takes, short) = get_lines(r, "Held.lines")?;
        if single(&lines, &takes, &short).is_some() {
            return Err(Error::new("Held.lines", lines_at, Problem::NotShortest));
        }
        return Ok(Fact::Held { id, body, owner, expires_at, lines, takes, short });
    }
    let line = HeldLine::get(r, "Held.line")?;
    if line.quantity.is_zero() {
        return Err(Error::new("Held.line", lines_at, Problem::Zero));
    }
    let take = Take {
        line: 0,
        sku: line.sku,
        location: Field::get(r, "Held.location")?,
        lot: Field::get(r, "Held.lot")?,
        quantity: line.quantity,
    };
    let (lines, takes) = (SmallVec::from_buf([line]), SmallVec::from_buf([take]));
    Ok(Fact::Held { id, body, owner, expires_at, lines, takes, short: Vec::new() })
}

/// The line and the take that say it all.
fn single<'a>(lines: &'a [HeldLine], takes: &'a Takes, short: &[Short]) -> Option<(&'a HeldLine, &'a Take)> {
    let ([line], [take], []) = (lines, takes.as_slice(), short) else {
        return None;
    };
    let whole = take.line == 0 && take.sku == line.sku && take.quantity == line.quantity;
    whole.then_some((line, take))
}

/// `id lines takes short`
pub(super) fn put_changed(w: &mut Writer, fact: &Fact) {
    let Fact::HoldChanged { id, lines, takes, short } = fact else {
        unreachable!("only changes of holds are put here");
    };
    id.put(w);
    put_lines(w, id, lines, takes, short);
}

pub(super) fn get_changed(r: &mut Reader<'_>) -> Result<Fact> {
    let id = Code::get(r, "HoldChanged.id")?;
    let (lines, takes, short) = get_lines(r, "HoldChanged.lines")?;
    Ok(Fact::HoldChanged { id, lines, takes, short })
}

fn put_lines(w: &mut Writer, id: &Code, lines: &Lines, takes: &Takes, short: &Vec<Short>) {
    assert!(
        stray_line(lines.len(), takes, short).is_none(),
        "hold {id} takes for a line that it does not have"
    );
    lines.put(w);
    takes.put(w);
    short.put(w);
}

/// Readers of a hold look its lines up by the indexes here; so none may point past the end.
fn get_lines(r: &mut Reader<'_>, what: &'static str) -> Result<(Lines, Takes, Vec<Short>)> {
    let at = r.at();
    let lines = Lines::get(r, what)?;
    let takes = Takes::get(r, what)?;
    let short = Vec::get(r, what)?;
    match stray_line(lines.len(), &takes, &short) {
        Some(line) => Err(Error::new(what, at, Problem::Line { line, lines: lines.len() })),
        None => Ok((lines, takes, short)),
    }
}

/// A line that is named and not there.
fn stray_line(lines: usize, takes: &[Take], short: &[Short]) -> Option<u32> {
    let named = takes.iter().map(|take| take.line).chain(short.iter().map(|short| short.line));
    named.into_iter().find(|line| *line as usize >= lines)
}
