//! `jaego archive`: moves old pieces of the journal to another folder, so that the disk does not fill up with history.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use jaego_api::Time;
use jaego_domain::{Sequence, Timestamp};
use jaego_engine::{
    Config,
    disk::RealDisk,
    floor::{self, Before},
    journal::Segment,
    open,
};
use jaego_server::audit::Kind;
use serde_json::json;

use crate::{
    audit::write_down,
    data::{self, Progress},
    remote::print,
    settings::{DataFolder, SettingsFile},
    verify::Output,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataFolder,
    #[command(flatten)]
    settings: SettingsFile,
    /// The folder that the pieces go to, on another disk perhaps; one for each store.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// What is older goes: the number of an event, a day as in 2026-11-22 (it begins at midnight UTC), or an instant.
    #[arg(long, value_name = "SEQUENCE|DATE", value_parser = before)]
    before: Before,
    #[command(flatten)]
    output: Output,
}

/// A number, a day or an instant.
fn before(text: &str) -> Result<Before, String> {
    if text.len() == "20261122".len()
        && text.starts_with("20")
        && text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(format!(
            "{text} is an event or a day: write a day as 2026-11-22, and an event as 0{text}"
        ));
    }
    if let Ok(sequence) = text.parse() {
        return Ok(Before::Sequence(Sequence(sequence)));
    }
    let day = Time::parse("before", &format!("{text}T00:00:00Z"));
    let instant = day.or_else(|_| Time::parse("before", text));
    instant.map(|time| Before::Time(Timestamp(time.0))).map_err(|_| {
        "is neither the number of an event nor a date like 2026-11-22 or 2026-11-22T14:59:59Z".to_owned()
    })
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let data = options.data.get(&options.settings.read()?)?;
    let store = data::store_folder(&data);
    ensure!(store.is_dir(), "{} has no store", data.display());
    let start = Instant::now();
    let disk = data::take(&data)?;
    let to = RealDisk::open(&options.to)
        .with_context(|| format!("cannot open {} (is it in use?)", options.to.display()))?;
    let recovered = open(disk, Config::default().journal, |_| {})
        .with_context(|| format!("cannot open the store in {}", store.display()))?;
    let mut progress = Progress::new("read");
    let raised = floor::raise(recovered, &to, options.before, |events| progress.tell(events));
    progress.end();
    let raised = raised.with_context(|| format!("cannot archive history of {}", data.display()))?;
    let Some(last) = raised.segments.last() else {
        if options.output.json {
            return print(&format!("{}\n", json!({ "files": 0, "bytes": 0, "first": raised.first.0 })));
        }
        let why = match raised.checkpoint {
            None => "there are no two checkpoints yet, and without them all of it is needed".to_owned(),
            Some(checkpoint) => format!(
                "no whole piece of the journal is older than that and than the checkpoint of event {checkpoint}"
            ),
        };
        return print(&format!("nothing to archive: {why}\n"));
    };
    let gone = format!("events {} to {}", raised.segments[0].first_sequence, last.next_sequence - 1);
    write_down(&data, Kind::Archived, format!("{gone} to {}", options.to.display()));
    eprintln!(
        "{} copied and read back, {} of them by an earlier try, in {:.1} s",
        raised.segments.len(),
        raised.were_there,
        start.elapsed().as_secs_f64()
    );
    let bytes = raised.segments.iter().map(|segment: &Segment| segment.len).sum::<u64>();
    if options.output.json {
        let json = json!({ "files": raised.segments.len(), "bytes": bytes, "first": raised.first.0 });
        return print(&format!("{json}\n"));
    }
    print(&format!(
        "archived   {gone}\nfiles      {}\nbytes      {bytes}\nkept from  event {}\n",
        raised.segments.len(),
        raised.first
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_a_day_and_an_instant_are_understood() {
        let day = 1_795_305_600_000;
        for (text, expected) in [
            ("0", Before::Sequence(Sequence(0))),
            ("12345", Before::Sequence(Sequence(12_345))),
            ("2026-11-22", Before::Time(Timestamp(day))),
            ("2026-11-22T00:00:01Z", Before::Time(Timestamp(day + 1_000))),
            ("2026-11-22T09:00:00+09:00", Before::Time(Timestamp(day))),
        ] {
            assert_eq!(before(text), Ok(expected), "{text}");
        }
        for text in ["", "-1", "yesterday", "2026-13-01", "2026-11-22T25:00:00Z"] {
            assert!(before(text).is_err(), "{text}");
        }
    }
}
