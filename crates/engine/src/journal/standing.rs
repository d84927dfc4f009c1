//! How far each segment has come, read beside the process that writes: for backups.

use crate::{
    disk::Disk,
    journal::{
        Error, SECTOR_LEN,
        format::Kind,
        recovery::{segment_headers, walk},
        walker::Step,
    },
};

/// A segment as it stood when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) name: String,
    /// The length of the file.
    pub(crate) len: u64,
    /// Where its last whole frame ends, seals aside; `None` for one that is sealed, and changes no more.
    pub(crate) whole: Option<u64>,
}

/// Looks at the segments, oldest first. Frames that were durable before the call are found.
///
/// The writer goes on meanwhile. So the last segment is walked before the one before it: a segment with frames has
/// a sealed predecessor, and one that is seen without frames may have one that is not sealed yet, which recovery
/// knows. A seal of the last segment is left out, for its successor is not in the list.
pub(crate) fn standing<D: Disk>(disk: &D) -> Result<Vec<Standing>, Error> {
    let segments = segment_headers(disk)?;
    if segments.is_empty() {
        return Err(Error::NotFound);
    }
    let mut list: Vec<Standing> = segments
        .iter()
        .map(|(name, header)| Standing { name: name.clone(), len: header.len, whole: None })
        .collect();
    for index in (segments.len().saturating_sub(2)..segments.len()).rev() {
        let mut walker = walk(disk, &segments[index])?;
        let mut whole = SECTOR_LEN as u64;
        let mut is_sealed = false;
        // Whatever is no whole frame was begun after the call, or is damage, which opening the copy finds.
        while let Step::Frame(header) = walker.step(segments[index].1.len)? {
            if header.kind == Kind::Seal {
                is_sealed = true;
                break;
            }
            whole = walker.offset;
        }
        let is_last = index + 1 == segments.len();
        list[index].whole = (is_last || !is_sealed).then_some(whole);
    }
    Ok(list)
}
