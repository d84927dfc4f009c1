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
}

impl Script {
    pub(super) const ALL: [Self; 6] =
        [Self::Acquire, Self::Renew, Self::Release, Self::Look, Self::Break, Self::Greet];
}

/// The texts. Those that keep or end what is held begin by saying that they may write though the memory is full: they need
/// hardly any, and release some.
#[derive(Debug)]
pub(super) struct Scripts([String; 6]);

impl Scripts {
    pub(super) fn new() -> Self {
        let whole = |text: &str| text.replace("--COMMON", COMMON);
        let texts = [
            include_str!("acquire.lua"),
            include_str!("renew.lua"),
            include_str!("release.lua"),
            include_str!("look.lua"),
            include_str!("break.lua"),
            include_str!("greet.lua"),
        ];
        Self(texts.map(whole))
    }

    pub(super) fn text(&self, script: Script) -> &str {
        &self.0[script as usize]
    }
}
