//! Opens a journal after whatever happened to it: hands out what is there, and decides about the end.
//!
//! The law: only one frame is ever in flight, and everything before it was durable when it was written. So bytes
//! behind the last good frame are the remains of that one frame, never acknowledged, and are cut and reported;
//! unless something shows that writing went on after them, or a crash cannot have left them. Then they were
//! acknowledged, and the journal refuses to open.

use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::journal::error::Error;
use crate::journal::format::{
    FORMAT_VERSION, FrameHeader, Kind, NoSegment, SECTOR_LEN, SegmentHeader, StoreId, parse_segment_name,
};
use crate::journal::reader::Segment;
use crate::journal::signposts::Signposts;
use crate::journal::walker::{Broken, Frame, Step, Walker};
use crate::journal::{Active, Config, Journal, RESERVED_LEN, SEGMENT_LEN_MAX, SEGMENT_LEN_MIN};

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The sequence that the next record gets.
    pub next_sequence: u64,
    /// Segments in the folder.
    pub segments: usize,
    /// Frames of records handed out.
    pub frames: u64,
    /// The remains of a frame that was being written when the power or the process went.
    pub cut: Option<Cut>,
}

/// A torn tail that was cut off. Nothing of it was ever acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file's name in the journal's folder.
    pub file: String,
    /// Where the cut was made, in bytes from its start.
    pub offset: u64,
    /// From there to the last byte that was not zero.
    pub len: u64,
    /// What was wrong with the frame there.
    pub what: String,
}

/// A journal that is being opened: call [`Recovery::next`] until it gives `None`, then [`Recovery::finish`].
///
/// Until `finish` nothing on the disk is changed.
#[derive(Debug)]
pub struct Recovery<D: Disk> {
    disk: Arc<D>,
    config: Config,
    from: u64,
    segments: Vec<(String, SegmentHeader)>,
    index: usize,
    walker: Walker<D::File>,
    frames: u64,
    /// The segment before the last, if its seal has to be written again.
    unsealed: Option<Walker<D::File>>,
    cut: Option<Cut>,
    ended: bool,
    signposts: Signposts,
}

impl<D: Disk> Recovery<D> {
    pub(crate) fn start(disk: D, config: Config, from: u64) -> Result<Recovery<D>, Error> {
        config.check()?;
        let disk = Arc::new(disk);
        let segments = segment_headers(&*disk)?;
        let first = &segments.first().ok_or(Error::NotFound)?.1;
        if from < first.first_sequence {
            let what = format!("its first segment begins with sequence {}", first.first_sequence);
            return Err(Error::Missing { sequence: from, what });
        }
        let holding = segments.iter().rposition(|(_, header)| header.first_sequence <= from);
        // The segment before the last is always walked: a crash may have kept it from being sealed.
        let index = holding.expect("the first one begins before").min(segments.len().saturating_sub(2));
        let walker = walk(&*disk, &segments[index])?;
        Ok(Recovery {
            disk,
            config,
            from,
            segments,
            index,
            walker,
            frames: 0,
            unsealed: None,
            cut: None,
            ended: false,
            signposts: Signposts::default(),
        })
    }

    /// The store that the journal belongs to.
    pub fn store(&self) -> StoreId {
        self.walker.header.store
    }

    /// The next frame that holds a record at or after the sequence asked for. The first one may begin before it.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows the recovery's buffer")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, Error> {
        while !self.ended {
            let step = self.walker.step(self.walker.header.len)?;
            match step {
                Step::Frame(header) if header.kind == Kind::Records => {
                    self.signposts.enter(&header);
                    if header.first_sequence + u64::from(header.count) > self.from {
                        self.frames += 1;
                        return Ok(Some(self.walker.frame(&header)));
                    }
                }
                Step::Frame(header) if header.kind == Kind::Seal => self.leave_sealed()?,
                Step::Frame(_) => {}
                Step::Blank | Step::Broken(_) if self.index + 1 < self.segments.len() => {
                    self.leave_unsealed(&step)?;
                }
                Step::Blank => self.end(None)?,
                Step::Broken(broken) => self.end(Some(broken))?,
            }
        }
        Ok(None)
    }

    /// Cuts the torn tail, repairs what a crash left half done, and opens the journal for writing. Frames that
    /// were not asked for with [`Recovery::next`] are checked and passed over.
    pub fn finish(mut self) -> Result<(Journal<D>, Report), Error> {
        while self.next()?.is_some() {}
        if self.from > self.walker.next_sequence {
            let what = format!("it ends there, and sequence {} was asked for", self.from);
            return Err(Error::Missing { sequence: self.walker.next_sequence, what });
        }
        // A process that died while it began a segment may have left a name that the next power loss takes away.
        self.disk.sync().map_err(|source| Error::io("sync", "the folder", source))?;
        leaves_room(&self.walker)?;
        if let Some(unsealed) = &self.unsealed {
            leaves_room(unsealed)?;
        }
        self.zero_the_cut()?;
        self.seal_the_unsealed()?;
        let report = Report {
            next_sequence: self.walker.next_sequence,
            segments: self.segments.len(),
            frames: self.frames,
            cut: self.cut,
        };
        let mut listed: Vec<Segment> = Vec::with_capacity(self.segments.len());
        for (_, header) in self.segments {
            if let Some(before) = listed.last_mut() {
                before.next_sequence = header.first_sequence;
            }
            listed.push(Segment {
                segment: header.segment,
                first_sequence: header.first_sequence,
                next_sequence: self.walker.next_sequence,
                len: header.len,
            });
        }
        let active = Active {
            file: self.walker.file,
            name: self.walker.name,
            header: self.walker.header,
            offset: self.walker.offset,
            hash: self.walker.hash,
            next_sequence: self.walker.next_sequence,
            last: self.walker.last,
            synced: true,
        };
        let mut journal = Journal::assemble(self.disk, self.config, active, listed, self.signposts)?;
        // What was recovered is durable and will be built upon: from now on damage to it is damage.
        journal.write_watermark()?;
        Ok((journal, report))
    }

    fn leave_sealed(&mut self) -> Result<(), Error> {
        if self.index + 1 == self.segments.len() {
            let what = "the last segment here is sealed, so there was one after it".to_owned();
            return Err(Error::Missing { sequence: self.walker.next_sequence, what });
        }
        if let Some(end) = self.walker.remains(self.walker.offset)?.end {
            return Err(Error::damaged(
                &self.walker.name,
                end - 1,
                "there are bytes behind the segment's seal",
            ));
        }
        let next = self.enter_next()?;
        self.walker = next;
        Ok(())
    }

    /// The next segment exists before this one is sealed, so a crash between the two leaves no seal, or a torn
    /// one; but only while the next one is unused, which `end` looks at.
    fn leave_unsealed(&mut self, step: &Step) -> Result<(), Error> {
        let what = match step {
            Step::Broken(broken) => broken.what,
            _ => "frames are missing here",
        };
        let misplaced = matches!(step, Step::Broken(Broken { misplaced: true, .. }));
        let seal_end = self.walker.offset + SECTOR_LEN as u64;
        let penultimate = self.index + 2 == self.segments.len();
        // The next segment names the frame before the seal, so no frame of records can be missing here. A seal
        // with a good header and a bad rest is one that was being written over a torn one.
        let (_, next) = &self.segments[self.index + 1];
        let follows = next.previous == self.walker.hash && next.first_sequence == self.walker.next_sequence;
        if misplaced || !penultimate || !follows || seal_end > self.walker.header.len {
            return Err(self.walker.damaged(what));
        }
        if self.walker.remains(seal_end)?.end.is_some() {
            return Err(self.walker.damaged("no seal is here, but bytes follow"));
        }
        let next = self.enter_next()?;
        self.unsealed = Some(std::mem::replace(&mut self.walker, next));
        Ok(())
    }

    fn enter_next(&mut self) -> Result<Walker<D::File>, Error> {
        let walker = walk(&*self.disk, &self.segments[self.index + 1])?;
        if walker.header.previous != self.walker.hash || walker.next_sequence != self.walker.next_sequence {
            let what = "the segment does not follow the one before it";
            return Err(Error::damaged(&walker.name, 0, what));
        }
        self.index += 1;
        Ok(walker)
    }

    /// The last segment has no further good frame: is this where writing stopped, or was something destroyed?
    fn end(&mut self, broken: Option<Broken>) -> Result<(), Error> {
        let what = broken.as_ref().map_or("the frame's header is blank", |broken| broken.what);
        if broken.as_ref().is_some_and(|broken| broken.misplaced) {
            return Err(self.walker.damaged(what));
        }
        let remains = self.walker.remains(self.walker.offset)?;
        // A header right here belongs to the torn frame. Any other, even inside what the torn frame claims, is of
        // a later one.
        let later = match remains.frame {
            Some(at) if at == self.walker.offset => {
                self.walker.remains(self.walker.offset + SECTOR_LEN as u64)?.frame
            }
            found => found,
        };
        if let Some(at) = later {
            let what = format!("{what}, but a later frame is at byte {at}");
            return Err(self.walker.damaged(what));
        }
        let frame_end = broken.as_ref().and_then(|broken| broken.end);
        if let (Some(frame_end), Some(end)) = (frame_end, remains.end)
            && end > frame_end
        {
            let what = format!("{what}, and bytes follow the frame up to byte {end}");
            return Err(self.walker.damaged(what));
        }
        let used = self.walker.last.is_some() || remains.end.is_some();
        if let Some(unsealed) = &self.unsealed
            && used
        {
            return Err(unsealed.damaged("the seal is missing, though the next segment is in use"));
        }
        self.cut = remains.end.map(|end| Cut {
            file: self.walker.name.clone(),
            offset: self.walker.offset,
            len: end - self.walker.offset,
            what: what.to_owned(),
        });
        self.ended = true;
        Ok(())
    }

    // Whatever is written next must have nothing behind it that could be taken for a part of it, or of a later
    // frame.
    fn zero_the_cut(&mut self) -> Result<(), Error> {
        let Some(cut) = &self.cut else { return Ok(()) };
        let zeros = vec![0; SECTOR_LEN * 128];
        let end = (cut.offset + cut.len).next_multiple_of(SECTOR_LEN as u64);
        let mut offset = cut.offset;
        while offset < end {
            let len = usize::try_from(end - offset).map_or(zeros.len(), |left| left.min(zeros.len()));
            let written = self.walker.file.write_all_at(&zeros[..len], offset);
            written.map_err(|error| Error::io("cut the torn tail of", &cut.file, error.source))?;
            offset += len as u64;
        }
        self.walker.file.sync_data().map_err(|source| Error::io("sync", &cut.file, source))
    }

    fn seal_the_unsealed(&mut self) -> Result<(), Error> {
        let Some(unsealed) = &self.unsealed else { return Ok(()) };
        let seal = FrameHeader {
            kind: Kind::Seal,
            payload_len: 0,
            count: 0,
            first_sequence: unsealed.next_sequence,
            watermark: unsealed.next_sequence - 1,
            offset: unsealed.offset,
            previous: unsealed.hash,
            segment: unsealed.header.segment,
            payload_crc: 0,
        };
        let mut bytes = [0; SECTOR_LEN];
        let encoded = seal.encode(unsealed.header.store.seed());
        bytes[..encoded.len()].copy_from_slice(&encoded);
        let written = unsealed.file.write_all_at(&bytes, unsealed.offset);
        written.map_err(|error| Error::io("seal", &unsealed.name, error.source))?;
        unsealed.file.sync_data().map_err(|source| Error::io("sync", &unsealed.name, source))
    }
}

/// Every frame of ours leaves room for what ends its segment: a watermark, if it has records, and the seal.
fn leaves_room<F: DiskFile>(walker: &Walker<F>) -> Result<(), Error> {
    let needed = match walker.last {
        Some(Kind::Records) => RESERVED_LEN,
        Some(Kind::Watermark) | None => SECTOR_LEN as u64,
        Some(Kind::Seal) => 0,
    };
    if walker.header.len.saturating_sub(walker.offset) < needed {
        return Err(walker.damaged("the frame before leaves no room for the end of its segment"));
    }
    Ok(())
}

/// Reads and checks the headers of all segments in the folder, oldest first.
pub(crate) fn segment_headers<D: Disk>(disk: &D) -> Result<Vec<(String, SegmentHeader)>, Error> {
    let mut names = segment_names(disk)?;
    names.sort_unstable_by_key(|named| (named.segment, named.first_sequence));
    let unsettled = names.len().saturating_sub(2);
    let mut segments: Vec<(String, SegmentHeader)> = Vec::with_capacity(names.len());
    for (index, SegmentName { name, first_sequence, segment }) in names.into_iter().enumerate() {
        // A process that died after a failed sync may have written to these two.
        let settle = index >= unsettled;
        let header = segment_header(disk, &name, settle)?;
        if (header.first_sequence, header.segment) != (first_sequence, segment) {
            return Err(Error::damaged(&name, 32, "the header is of another segment than the name"));
        }
        if let Some((_, before)) = segments.last() {
            if header.store != before.store {
                return Err(Error::damaged(&name, 16, "the segment belongs to another store"));
            }
            if header.segment != before.segment + 1 || header.first_sequence < before.first_sequence {
                let what = format!("{name} follows segment {}", before.segment);
                return Err(Error::Missing { sequence: before.first_sequence, what });
            }
        }
        segments.push((name, header));
    }
    Ok(segments)
}

/// A segment's file name and what it tells.
pub(crate) struct SegmentName {
    pub(crate) name: String,
    first_sequence: u64,
    segment: u64,
}

/// The names of all segments in the folder, in no particular order.
pub(crate) fn segment_names<D: Disk>(disk: &D) -> Result<Vec<SegmentName>, Error> {
    let names = disk.list().map_err(|source| Error::io("list", "the folder", source))?;
    let mut segments = Vec::new();
    for name in names.into_iter().filter(|name| name.ends_with(".journal")) {
        match parse_segment_name(&name) {
            Some((first_sequence, segment)) => segments.push(SegmentName { name, first_sequence, segment }),
            None => return Err(Error::damaged(&name, 0, "the journal does not give such names")),
        }
    }
    Ok(segments)
}

fn segment_header<D: Disk>(disk: &D, name: &str, settle: bool) -> Result<SegmentHeader, Error> {
    let file = disk.open(name).map_err(|source| Error::io("open", name, source))?;
    if settle {
        file.settle().map_err(|source| Error::io("sync", name, source))?;
    }
    let len = file.len().map_err(|source| Error::io("read", name, source))?;
    if len < SECTOR_LEN as u64 {
        return Err(Error::damaged(name, len, "the file is shorter than a segment's header"));
    }
    let mut bytes = [0; SECTOR_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(|source| Error::io("read", name, source))?;
    let header = match SegmentHeader::decode(&bytes) {
        Ok(header) => header,
        Err(NoSegment::Damaged) => {
            return Err(Error::damaged(name, 0, "no segment header, or its checksum is wrong"));
        }
        Err(NoSegment::Version(version)) => {
            return Err(Error::Version { file: name.to_owned(), version, supported: FORMAT_VERSION });
        }
    };
    // Segments get their whole length before they get their name, so no crash leaves a short one.
    if header.len != len {
        let what = format!("the file has {len} bytes, its header says {}", header.len);
        return Err(Error::damaged(name, len.min(header.len), what));
    }
    let len_fits = (SEGMENT_LEN_MIN..=SEGMENT_LEN_MAX).contains(&len) && len % SECTOR_LEN as u64 == 0;
    if !len_fits || header.segment == 0 || header.first_sequence == 0 {
        return Err(Error::damaged(name, 32, "the header has numbers that are never written"));
    }
    Ok(header)
}

pub(crate) fn walk<D: Disk>(
    disk: &D,
    (name, header): &(String, SegmentHeader),
) -> Result<Walker<D::File>, Error> {
    let file = disk.open(name).map_err(|source| Error::io("open", name, source))?;
    Ok(Walker::new(file, name.clone(), header.clone()))
}
