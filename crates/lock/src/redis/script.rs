//! The scripts, with the words that they share put in.

const COMMON: &str = include_str!("common.lua");

/// A step as the server knows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Acquire,
    Renew,
    Release,
    Look,
    Break,
    Greet,
    /// The same words to a server whose memory is full.
    GreetFull,
}

impl Script {
    pub(super) const ALL: [Self; 7] =
        [Self::Acquire, Self::Renew, Self::Release, Self::Look, Self::Break, Self::Greet, Self::GreetFull];
}

/// The first line of a script that may write though the memory is full.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";

/// The texts. Those that keep or end what is held begin by saying that they may write though the memory is full: they need
/// hardly any, and release some. A greeting does so only where it is refused without: a script with such a first line is
/// refused by a master that has lost its replicas even if it has nothing to write, and who only looks has to get in there.
#[derive(Debug)]
pub(super) struct Scripts([String; Script::ALL.len()]);

impl Scripts {
    pub(super) fn new() -> Self {
        let whole = |text: &str| text.replace("--COMMON", COMMON);
        let greet = include_str!("greet.lua");
        let greet_full = format!("{ALLOW_OOM}{greet}");
        let texts = [
            include_str!("acquire.lua"),
            include_str!("renew.lua"),
            include_str!("release.lua"),
            include_str!("look.lua"),
            include_str!("break.lua"),
            greet,
            &greet_full,
        ];
        Self(texts.map(whole))
    }

    pub(super) fn text(&self, script: Script) -> &str {
        &self.0[script as usize]
    }
}
