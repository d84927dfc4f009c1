//! Faults that are planted into the locks, one at a time, to see that the explorer finds them.

/// A fault: a piece of a source of the locks, and the same with a mistake behind a switch.
#[derive(Debug)]
pub struct Fault {
    /// What it is called, and what its switch is.
    pub name: &'static str,
    /// Where.
    pub module: &'static str,
    /// As it is. It occurs once in the module.
    pub sound: &'static str,
    /// As it is planted; `crate::rt::planted(name)` switches it on.
    pub faulty: &'static str,
    /// The exploration that finds it.
    pub found_by: &'static str,
    /// What that says then, one or the other.
    pub says: &'static [&'static str],
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "a wake-up call is not passed on",
        module: "line",
        sound: "                line.wake_one(wake, 0, |_| true);",
        faulty: "                if !crate::rt::planted(\"a wake-up call is not passed on\") {\n \
                 line.wake_one(wake, 0, |_| true);\n}",
        found_by: "calm",
        says: &["had to wait for the clock"],
    },
    Fault {
        name: "who leaves looks for a wake-up call before it has left",
        module: "line",
        sound: "        let mut lines = self.lines.lock();\n        // Wakes are given under this lock too, so none \
                comes between this look and our leaving.\n        let woken = self.waiter.take_wake();",
        faulty: "        let early = crate::rt::planted(\"who leaves looks for a wake-up call before it has left\")\
                 .then(|| self.waiter.take_wake());\n\
                 let mut lines = self.lines.lock();\n\
                 let woken = early.unwrap_or_else(|| self.waiter.take_wake());",
        found_by: "calm",
        says: &["had to wait for the clock"],
    },
    Fault {
        name: "a wake-up call for one key is used up by another that is not free",
        module: "line",
        sound: "            line.wake_one(Wake::Chained, self.ticket + 1, |(ticket, _)| !waits_too(ticket));",
        faulty: "            line.wake_one(Wake::Chained, self.ticket + 1, |(ticket, _)| !waits_too(ticket) \
                 && !crate::rt::planted(\"a wake-up call for one key is used up by another that is not free\"));",
        found_by: "calm",
        says: &["had to wait for the clock"],
    },
    Fault {
        name: "who is left alone by its caller uses up a wake-up call",
        module: "line",
        sound: "                waiter.wake(wake);\n                if waiter.acts() {",
        faulty: "                waiter.wake(wake);\n                if waiter.acts() || \
                 crate::rt::planted(\"who is left alone by its caller uses up a wake-up call\") {",
        found_by: "unhurried",
        says: &["sleeps and could have"],
    },
    Fault {
        name: "after a gap only the front of each line looks",
        module: "line",
        sound: "                if modes.contains(&&waiter.mode) {",
        faulty: "                if modes.contains(&&waiter.mode) || (!modes.is_empty() && \
                 crate::rt::planted(\"after a gap only the front of each line looks\")) {",
        found_by: "unhurried",
        says: &["sleeps and could have"],
    },
    Fault {
        name: "who wants several keys uses up a wake-up call for those who share one",
        module: "line",
        sound: "            let same = waiter.mode.name() == mode.name() || self.keys.len() > 1;",
        faulty: "            let same = waiter.mode.name() == mode.name() || (self.keys.len() > 1 && \
                 !crate::rt::planted(\"who wants several keys uses up a wake-up call for those who share one\"));",
        found_by: "unhurried",
        says: &["sleeps and could have"],
    },
    Fault {
        name: "a queue hides who else waits",
        module: "table",
        sound: "            self.wanted |= wanted;",
        faulty: "            self.wanted |= wanted && !crate::rt::planted(\"a queue hides who else waits\");",
        found_by: "calm",
        says: &["had to wait for the clock"],
    },
    Fault {
        name: "only the one who asks says how many may hold it",
        module: "table",
        sound: "        let holders_max = asked.fold(mode.holders_max(), u32::min);",
        faulty: "        let asked = asked.filter(|_| !crate::rt::planted(\
                 \"only the one who asks says how many may hold it\"));\n        \
                 let holders_max = asked.fold(mode.holders_max(), u32::min);",
        found_by: "calm",
        says: &["one who lets"],
    },
    Fault {
        name: "an attempt that nobody waits for keeps what it gets",
        module: "acquisition",
        sound: "            let Some(caller) = reply.take() else {\n                self.doubt = true;",
        faulty: "            let Some(caller) = reply.take() else {\n                self.doubt = \
                 !crate::rt::planted(\"an attempt that nobody waits for keeps what it gets\");",
        found_by: "calm",
        // Who wants it next may have to wait for its lease before anybody counts what is held.
        says: &["is still held", "had to wait for the clock"],
    },
    Fault {
        name: "a waiter who is granted its lock in a shutdown is handed it",
        module: "acquisition",
        sound: "caller.send(if inner.closing() {",
        faulty: "caller.send(if inner.closing() && \
                 !crate::rt::planted(\"a waiter who is granted its lock in a shutdown is handed it\") {",
        found_by: "closing",
        says: &["is left to a process that was shut down"],
    },
    Fault {
        name: "who is granted a lock is told of a shutdown that is another one's",
        module: "acquisition",
        sound: "            if inner.closing() { Err(Error::ShutDown) } else { Ok(guard) }",
        faulty: "            if inner.closing() || \
                 crate::rt::planted(\"who is granted a lock is told of a shutdown that is another one's\") {\n \
                 Err(Error::ShutDown)\n} else {\nOk(guard)\n}",
        found_by: "closing",
        says: &["not served after", "is still held: the locks were shut down"],
    },
    Fault {
        name: "a release is not remembered, so an acquire may overtake it",
        module: "tenure",
        sound: "        remember: limit * limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS,",
        faulty: "        remember: if crate::rt::planted(\"a release is not remembered, so an acquire may overtake it\") \
                 { Duration::ZERO } else { limit * limits::RELEASE_MEMORY_RESPONSE_TIMEOUTS },",
        found_by: "calm",
        says: &["had to wait for the clock", "is still held"],
    },
    Fault {
        name: "a renewal may be sent after the release",
        module: "tenure",
        sound: "            if *gate == Gate::Closed {",
        faulty: "            if *gate == Gate::Closed && \
                 !crate::rt::planted(\"a renewal may be sent after the release\") {",
        found_by: "restless",
        says: &["was renewed after its release"],
    },
    Fault {
        name: "the end of a lease is not watched",
        module: "tenure",
        sound: "                () = signals.changed() => {}\n                () = sleep_until(self.lost_at().timer()) => {}",
        faulty: "                () = signals.changed() => {}\n                () = \
                 sleep_until((self.valid_until() + Duration::from_secs(if crate::rt::planted(\
                 \"the end of a lease is not watched\") { 60 } else { 0 })).timer()) => {}",
        found_by: "silence",
        says: &["was told of its loss late"],
    },
    Fault {
        name: "validity is counted from the answer",
        module: "acquisition",
        sound: "                let valid_until = tenure::valid_until(sent_at, self.plan.lease);",
        faulty: "                let sent_at = if crate::rt::planted(\"validity is counted from the answer\") { \
                 BootTime::now() } else { sent_at };\n\
                 let valid_until = tenure::valid_until(sent_at, self.plan.lease);",
        found_by: "restless",
        says: &["rely on the same lock"],
    },
    Fault {
        name: "a late caller is not answered before the backend is",
        module: "acquisition",
        sound: "            let timer = if asked { limit_at.min(self.deadline) } else { limit_at };",
        faulty: "            let timer = if asked && !crate::rt::planted(\"a late caller is not answered before the \
                 backend is\") { limit_at.min(self.deadline) } else { limit_at };",
        found_by: "silence",
        says: &["was answered late"],
    },
    Fault {
        name: "a new front does not watch the clock",
        module: "line",
        sound: "        if self.watcher() != before {",
        faulty: "        if self.watcher() != before && \
                 !crate::rt::planted(\"a new front does not watch the clock\") {",
        found_by: "crashed",
        // Nobody else may come and look for it, either.
        says: &["was served late", "not served after"],
    },
    Fault {
        name: "that the machine was asleep is not noticed",
        module: "inner",
        sound: "inner.signal.send_modify(|signal| signal.sleeps += 1);",
        faulty: "if !crate::rt::planted(\"that the machine was asleep is not noticed\") {\n \
                 inner.signal.send_modify(|signal| signal.sleeps += 1);\n}",
        found_by: "drowsy",
        says: &["late, by"],
    },
    Fault {
        name: "who waits does not hear that the machine was asleep",
        module: "acquisition",
        sound: "                () = signals.changed() => {}",
        faulty: "                () = signals.changed(), if !crate::rt::planted(\
                 \"who waits does not hear that the machine was asleep\") => {}",
        found_by: "drowsy",
        says: &["was served late", "was answered late"],
    },
    Fault {
        name: "who waits for a loss does not hear that the machine was asleep",
        module: "tenure",
        sound: "                () = told => {}\n                () = signals.changed() => {}",
        faulty: "                () = told, if !crate::rt::planted(\
                 \"who waits for a loss does not hear that the machine was asleep\") => {}\n                \
                 () = signals.changed(), if !crate::rt::planted(\
                 \"who waits for a loss does not hear that the machine was asleep\") => {}",
        found_by: "drowsy",
        says: &["was told of its loss late"],
    },
    Fault {
        name: "short naps do not add up",
        module: "inner",
        sound: "                slept = slept.min(now_slept);",
        faulty: "                let naps_add_up = !crate::rt::planted(\"short naps do not add up\");\n                \
                 slept = if naps_add_up { slept.min(now_slept) } else { now_slept };",
        found_by: "drowsy",
        says: &["late, by"],
    },
    Fault {
        name: "whose turn it is to ask is not told when the one before it leaves",
        module: "line",
        sound: "            line.failed.remove(self.ticket);\n            line.rouse_one(line.failed.turn);",
        faulty: "            line.failed.remove(self.ticket);\n            \
                 if !crate::rt::planted(\"whose turn it is to ask is not told when the one before it leaves\") {\n \
                 line.rouse_one(line.failed.turn);\n}",
        found_by: "failing",
        says: &["nobody asks for it any more", "sleeps and could have"],
    },
    Fault {
        name: "nobody looks at the end of a quarantine",
        module: "acquisition",
        sound: "        line.looked(0, over_at);",
        faulty: "        let late = if crate::rt::planted(\"nobody looks at the end of a quarantine\") { 60 } else { 0 };\n        \
                 line.looked(0, over_at + Duration::from_secs(late));",
        found_by: "quarantined",
        says: &["sleeps and could have"],
    },
    Fault {
        name: "another quarantine is told to no one but who looks",
        module: "acquisition",
        sound: "                    line.quarantined(until);",
        faulty: "                    if !crate::rt::planted(\"another quarantine is told to no one but who looks\") {\n \
                 line.quarantined(until);\n}",
        found_by: "quarantined",
        says: &["is told at"],
    },
    Fault {
        name: "who cannot outlast a quarantine waits for its end",
        module: "acquisition",
        sound: "                if self.line.is_none() || asked_again > self.deadline {",
        faulty: "                if self.line.is_none() || (asked_again > self.deadline && \
                 !crate::rt::planted(\"who cannot outlast a quarantine waits for its end\")) {",
        found_by: "quarantined",
        says: &["was told so after"],
    },
    Fault {
        name: "the rest of a quarantine is counted from the answer",
        module: "acquisition",
        sound: "                Next::Again((!sleeps).then(|| until.remaining() + jitter(limits::WAKE_JITTER)))",
        faulty: "                let until = if crate::rt::planted(\"the rest of a quarantine is counted from the answer\") {\n \
                 BootTime::now() + remaining\n} else {\nuntil\n};\n                \
                 Next::Again((!sleeps).then(|| until.remaining() + jitter(limits::WAKE_JITTER)))",
        found_by: "quarantined",
        says: &["sleeps and could have"],
    },
];
