//! Every limit of certificates, side by side.

/// Bytes of a file of certificates or of a key.
pub const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Names of a certificate that are told to whoever asked for another one.
pub const NAMES_TOLD_MAX: usize = 8;
