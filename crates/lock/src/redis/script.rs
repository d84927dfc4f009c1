//! The scripts, with the words that they share put in.

const COMMON: &str = include_str!("common.lua");
const GREETING: &str = include_str!("greet.lua");

/// A step as the server knows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Acquire,
    Renew,
    Release,
    Look,
    Break,
}

impl Script {
    pub(super) const ALL: [Self; 5] = [Self::Acquire, Self::Renew, Self::Release, Self::Look, Self::Break];
}

#[derive(Debug)]
pub(super) struct Scripts([String; 5]);

impl Scripts {
    pub(super) fn new() -> Self {
        let whole = |text: &str| text.replace("--COMMON", COMMON);
        let texts = [
            include_str!("acquire.lua"),
            include_str!("renew.lua"),
            include_str!("release.lua"),
            include_str!("look.lua"),
            include_str!("break.lua"),
        ];
        Self(texts.map(whole))
    }

    pub(super) fn text(&self, script: Script) -> &str {
        &self.0[script as usize]
    }

    #[expect(clippy::unused_self, reason = "all texts are asked for in one place")]
    pub(super) fn greeting(&self) -> &'static str {
        GREETING
    }
}
