use std::{fmt, sync::Arc};

use crate::limits::{HOLDERS_MAX, MODE_BYTES_MAX};

/// How a lock is held. Holders of the same mode stand side by side, as many as it allows, and shut out
/// every other mode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode {
    name: Arc<str>,
    holders_max: u32,
}

/// Why there cannot be such a [`Mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModeError {
    /// Its name is too short, too long, or has a control character.
    #[error("a mode's name has 1 to {MODE_BYTES_MAX} bytes and no control characters")]
    Name,
    /// It allows nobody, or more than [`HOLDERS_MAX`].
    #[error("a mode allows 1 to {HOLDERS_MAX} holders, not {holders_max}")]
    HoldersMax {
        /// How many were asked for.
        holders_max: u32,
    },
}

impl Mode {
    /// A mode of this name that any number of holders (up to [`HOLDERS_MAX`]) share.
    pub fn new(name: impl AsRef<str>) -> Result<Self, ModeError> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > MODE_BYTES_MAX || name.contains(char::is_control) {
            return Err(ModeError::Name);
        }
        Ok(Self { name: name.into(), holders_max: HOLDERS_MAX })
    }

    /// The mode of a plain lock: one holder, and nobody beside it.
    #[must_use]
    pub fn exclusive() -> Self {
        Self { name: "exclusive".into(), holders_max: 1 }
    }

    /// The mode of the readers beside [`exclusive`](Self::exclusive).
    #[must_use]
    pub fn shared() -> Self {
        Self { name: "shared".into(), holders_max: HOLDERS_MAX }
    }

    /// The same mode for at most so many holders. All that use the mode should say the same number.
    pub fn max_holders(self, holders_max: u32) -> Result<Self, ModeError> {
        if holders_max == 0 || holders_max > HOLDERS_MAX {
            return Err(ModeError::HoldersMax { holders_max });
        }
        Ok(Self { holders_max, ..self })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many may hold at once.
    #[must_use]
    pub fn holders_max(&self) -> u32 {
        self.holders_max
    }

    /// Whether there can be more than one holder.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.holders_max > 1
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.name, self.holders_max)
    }
}
