use std::{fmt, sync::Arc};

use crate::limits::{HOLDERS_MAX, MODE_BYTES_MAX};

/// The mode of a plain lock.
const EXCLUSIVE: &str = "exclusive";

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
    /// It has the name of a plain lock's mode, which is for one holder.
    #[error("`exclusive` is the mode of a plain lock, for one holder: take that, or use another name")]
    Exclusive,
    /// It allows nobody, or more than [`HOLDERS_MAX`].
    #[error("a mode allows 1 to {HOLDERS_MAX} holders, not {holders_max}")]
    HoldersMax {
        /// How many were asked for.
        holders_max: u32,
    },
}

impl Mode {
    /// A mode of this name that any number of holders (up to [`HOLDERS_MAX`]) share. The name `exclusive` is that of
    /// [the mode for one holder](Self::exclusive), and stays so.
    pub fn new(name: impl AsRef<str>) -> Result<Self, ModeError> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > MODE_BYTES_MAX || name.contains(char::is_control) {
            return Err(ModeError::Name);
        }
        // Whoever else could stand beside a plain lock under its own name would.
        let holders_max = if name == EXCLUSIVE { 1 } else { HOLDERS_MAX };
        Ok(Self { name: name.into(), holders_max })
    }

    /// The mode of a plain lock: one holder, and nobody beside it.
    #[must_use]
    pub fn exclusive() -> Self {
        Self { name: EXCLUSIVE.into(), holders_max: 1 }
    }

    /// The mode of the readers beside [`exclusive`](Self::exclusive).
    #[must_use]
    pub fn shared() -> Self {
        Self { name: "shared".into(), holders_max: HOLDERS_MAX }
    }

    /// The same mode for at most so many holders, this one included.
    ///
    /// Where requests for one mode say different numbers the smallest counts, of those who hold it and of the one who
    /// asks: nobody ever has more company than it asked for, and a number can be changed in one program after the other.
    /// Who asks for few may wait for long while others who ask for more come and go; [`fair`](crate::Request::fair) gives
    /// it a place.
    pub fn max_holders(self, holders_max: u32) -> Result<Self, ModeError> {
        if holders_max == 0 || holders_max > HOLDERS_MAX {
            return Err(ModeError::HoldersMax { holders_max });
        }
        if *self.name == *EXCLUSIVE && holders_max > 1 {
            return Err(ModeError::Exclusive);
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

    /// How many may hold at once, where others may ask for the same mode with another number.
    #[cfg(feature = "redis")]
    pub(crate) fn limit(&self) -> Option<u32> {
        (*self.name != *EXCLUSIVE && self.holders_max < HOLDERS_MAX).then_some(self.holders_max)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_plain_lock_means_one_holder() {
        assert_eq!(Mode::new("exclusive"), Ok(Mode::exclusive()));
        assert!(!Mode::new("exclusive").unwrap().is_shared());
        assert_eq!(Mode::exclusive().max_holders(1), Ok(Mode::exclusive()));
        for holders_max in [2, HOLDERS_MAX] {
            assert_eq!(Mode::exclusive().max_holders(holders_max), Err(ModeError::Exclusive));
        }
        for holders_max in [0, HOLDERS_MAX + 1] {
            let error = ModeError::HoldersMax { holders_max };
            assert_eq!(Mode::shared().max_holders(holders_max), Err(error));
        }
        assert_eq!(Mode::new("shared"), Ok(Mode::shared()));
    }
}
