//! Who may come in: tokens `jaego_<id>_<secret>`, kept as digests in one file.
//!
//! The id is 16 and the secret 64 hexadecimal digits (256 bits). Only the SHA-256 of the secret is kept; it needs no
//! slow hash, for a random secret of that length cannot be guessed. The file is replaced as a whole, and a running
//! server sees the change by itself within [`Limits::token_reload_interval`](crate::Limits).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::limits::{SITE_ID_BYTES_MAX, TOKEN_RATE_MAX, TOKEN_SITES_MAX, TOKENS_MAX};

mod file;

use file::{Row, Stamp};

const PREFIX: &str = "jaego_";
const SECRET_BYTES: usize = 32;

/// What a caller may do. Each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Reader,
    /// Works through claims, picks and counts.
    Worker,
    /// Changes stock and documents.
    Operator,
    /// Changes settings as well.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Role; 4] = [Role::Reader, Role::Worker, Role::Operator, Role::Admin];

    /// As it stands in the file and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Worker => "worker",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// The holder of a valid token. Handlers find it in the request's extensions; a clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    id: TokenId,
    grant: Arc<TokenGrant>,
}

/// What a token is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// Who holds it: 1–64 letters, digits and `-_.:`. It becomes the `by` of what the holder changes.
    pub name: String,
    /// What the holder may do.
    pub role: Role,
    /// The sites where the holder may do it, or `None` for all.
    pub sites: Option<Vec<String>>,
    /// How fast the holder may do it, or `None` for as fast as the service is.
    pub rate: Option<Rate>,
}

/// How many commands and reads a token is good for. A batch counts as its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// In each second, for as long as one likes: 1 to [`TOKEN_RATE_MAX`].
    pub per_s: u32,
    /// At once, after a time without any: 1 to [`TOKEN_RATE_MAX`].
    pub burst: u32,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s, {} at once", self.per_s, self.burst)
    }
}

impl Caller {
    /// The token's public half.
    pub fn token(&self) -> TokenId {
        self.id
    }

    /// The token's name.
    pub fn name(&self) -> &str {
        &self.grant.name
    }

    /// What the caller may do.
    pub fn role(&self) -> Role {
        self.grant.role
    }

    /// The sites that the caller is bound to, or `None` for all.
    pub fn sites(&self) -> Option<&[String]> {
        self.grant.sites.as_deref()
    }

    /// How fast the caller may send commands, or `None` for as fast as the service is.
    pub fn rate(&self) -> Option<Rate> {
        self.grant.rate
    }

    /// True if the caller may act at this site.
    pub fn may_enter(&self, site: &str) -> bool {
        self.sites().is_none_or(|sites| sites.iter().any(|own| own == site))
    }
}

/// A token's public half, 16 hexadecimal digits when printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(u64);

impl TokenId {
    /// Reads 16 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<TokenId> {
        let mut bytes = [0; 8];
        parse_hex(text.as_bytes(), &mut bytes)?;
        Some(TokenId(u64::from_be_bytes(bytes)))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A whole token, secret included. Neither `Debug` nor a log shows it; only [`BearerToken::reveal`] does.
#[derive(Clone)]
pub struct BearerToken(String);

impl BearerToken {
    /// The token as its holder must send it. Show it once, and to nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(hidden)")
    }
}

/// A token as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its public half.
    pub id: TokenId,
    /// What it is made for.
    pub grant: TokenGrant,
    /// When it was made, in seconds since 1970.
    pub created_at_s: u64,
}

/// Why tokens could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// The operation.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not a token file of ours.
    #[error("cannot understand the token file {}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        #[source]
        source: serde_json::Error,
    },
    /// The file holds a row that no server wrote.
    #[error("the token file {} has a bad row: {reason}", .path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// Which row, and what is wrong with it.
        reason: String,
    },
    /// Other users of the machine may read or change the file.
    #[error("the token file {} is open to other users (mode {mode:o}); run: chmod 600 {}", .path.display(), .path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The new token's name, sites or number are not allowed.
    #[error("cannot make this token: {0}")]
    BadGrant(String),
    /// No token has this id.
    #[error("there is no token {0}")]
    NotFound(TokenId),
    /// The system gave no random bytes.
    #[error("cannot get random bytes for a token")]
    Random(#[source] getrandom::Error),
}

/// The tokens of one server. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    table: RwLock<HashMap<TokenId, Entry>>,
    seen: Mutex<Option<Stamp>>,
}

struct Entry {
    digest: [u8; SECRET_BYTES],
    caller: Caller,
    created_at_s: u64,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Opens the token file. A file that does not exist holds no tokens; the first [`Tokens::create`] makes it.
    ///
    /// # Errors
    /// If the file cannot be read, is not ours, or is open to other users of the machine.
    pub fn open(path: impl Into<PathBuf>) -> Result<Tokens, Error> {
        let tokens = Tokens { path: path.into(), table: RwLock::default(), seen: Mutex::new(None) };
        tokens.reload_if_changed()?;
        Ok(tokens)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a token, keeps its digest durably, and hands out the token itself: the only time that it is seen.
    ///
    /// # Errors
    /// If the grant is not allowed or the file cannot be written; then no token was made.
    pub fn create(&self, grant: TokenGrant) -> Result<(TokenId, BearerToken), Error> {
        check_grant(&grant).map_err(Error::BadGrant)?;
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(Error::Random)?;
        let id = TokenId(getrandom::u64().map_err(Error::Random)?);
        let digest = Sha256::digest(secret);
        let created_at_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.change(|rows| {
            if rows.len() >= TOKENS_MAX {
                return Err(Error::BadGrant(format!("the file already holds {TOKENS_MAX} tokens")));
            }
            rows.push(Row {
                id: id.to_string(),
                name: grant.name,
                role: grant.role,
                sites: grant.sites,
                rate: grant.rate,
                sha256: hex(&digest),
                created_at_s,
            });
            Ok(())
        })?;
        Ok((id, BearerToken(format!("{PREFIX}{id}_{}", hex(&secret)))))
    }

    /// All tokens, the oldest first, without their secrets.
    pub fn list(&self) -> Vec<TokenInfo> {
        let table = self.table.read().expect("nobody panics while holding the tokens");
        let mut list: Vec<TokenInfo> = table
            .iter()
            .map(|(id, entry)| TokenInfo {
                id: *id,
                grant: TokenGrant::clone(&entry.caller.grant),
                created_at_s: entry.created_at_s,
            })
            .collect();
        list.sort_by_key(|info| (info.created_at_s, info.id));
        list
    }

    /// The holder of the token with this id, for work that this server does in the token's name. `None` if there is no
    /// such token, or not any more.
    pub fn holder(&self, id: TokenId) -> Option<Caller> {
        let table = self.table.read().expect("nobody panics while holding the tokens");
        table.get(&id).map(|entry| entry.caller.clone())
    }

    /// Removes a token. This server refuses it from now on, others of the same file within their reload interval.
    ///
    /// # Errors
    /// If there is no such token or the file cannot be written.
    pub fn revoke(&self, id: TokenId) -> Result<(), Error> {
        let text = id.to_string();
        self.change(|rows| {
            let count = rows.len();
            rows.retain(|row| row.id != text);
            if rows.len() == count { Err(Error::NotFound(id)) } else { Ok(()) }
        })
    }

    /// The holder of this token, or `None`.
    ///
    /// An unknown id costs the same hashing and comparing as a known one, and the comparison takes the same time
    /// wherever the digests differ. (A text that has not a token's form is refused at once; that tells nothing.)
    pub fn verify(&self, text: &str) -> Option<Caller> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id = TokenId::parse(id)?;
        let mut bytes = [0; SECRET_BYTES];
        parse_hex(secret.as_bytes(), &mut bytes)?;
        let digest: [u8; SECRET_BYTES] = Sha256::digest(bytes).into();

        let table = self.table.read().expect("nobody panics while holding the tokens");
        let entry = table.get(&id);
        let known = entry.map_or(&[0; SECRET_BYTES], |entry| &entry.digest);
        let same = bool::from(digest.ct_eq(known));
        entry.filter(|_| same).map(|entry| entry.caller.clone())
    }

    /// Reads the file again if it is another than the one last read. Returns whether it was.
    ///
    /// A file that is gone means no tokens. If the file cannot be read or understood, the tokens stay as they were and
    /// the error tells so at every call until it is mended.
    ///
    /// # Errors
    /// Like [`Tokens::open`].
    pub fn reload_if_changed(&self) -> Result<bool, Error> {
        let mut seen = self.seen.lock().expect("nobody panics while holding the stamp");
        let stamp = Stamp::of(&self.path)?;
        if stamp == *seen {
            return Ok(false);
        }
        // The stamp is older than what is read now, so a change in between is seen at the next look.
        let rows = file::read(&self.path)?;
        self.take_over(&rows)?;
        *seen = stamp;
        Ok(true)
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Row>) -> Result<(), Error>) -> Result<(), Error> {
        let mut seen = self.seen.lock().expect("nobody panics while holding the stamp");
        // Another process may be at it too: `jaego token create` beside a running server.
        let _lock = file::lock(&self.path)?;
        let mut rows = file::read(&self.path)?;
        edit(&mut rows)?;
        file::replace(&self.path, &rows)?;
        self.take_over(&rows)?;
        *seen = Stamp::of(&self.path)?;
        Ok(())
    }

    fn take_over(&self, rows: &[Row]) -> Result<(), Error> {
        let bad = |row: &Row, reason: &str| Error::BadRow {
            path: self.path.clone(),
            reason: format!("token {:?}: {reason}", row.id),
        };
        let mut table = HashMap::with_capacity(rows.len());
        for row in rows {
            let id =
                TokenId::parse(&row.id).ok_or_else(|| bad(row, "the id is not 16 hexadecimal digits"))?;
            let mut digest = [0; SECRET_BYTES];
            parse_hex(row.sha256.as_bytes(), &mut digest)
                .ok_or_else(|| bad(row, "the digest is not 64 hexadecimal digits"))?;
            let grant = TokenGrant {
                name: row.name.clone(),
                role: row.role,
                sites: row.sites.clone(),
                rate: row.rate,
            };
            check_grant(&grant).map_err(|reason| bad(row, &reason))?;
            let entry = Entry {
                digest,
                caller: Caller { id, grant: Arc::new(grant) },
                created_at_s: row.created_at_s,
            };
            if table.insert(id, entry).is_some() {
                return Err(bad(row, "the id stands there twice"));
            }
        }
        *self.table.write().expect("nobody panics while holding the tokens") = table;
        Ok(())
    }
}

fn check_grant(grant: &TokenGrant) -> Result<(), String> {
    // It becomes the author of events, which is a code.
    if let Err(refusal) = jaego_domain::Code::new("its name", &grant.name) {
        return Err(refusal.to_string());
    }
    let sound = 1..=TOKEN_RATE_MAX;
    if let Some(Rate { per_s, burst }) = grant.rate
        && !(sound.contains(&per_s) && sound.contains(&burst))
    {
        return Err(format!("its rate and burst may be 1 to {TOKEN_RATE_MAX}, and are {per_s} and {burst}"));
    }
    let Some(sites) = &grant.sites else { return Ok(()) };
    if sites.len() > TOKEN_SITES_MAX {
        return Err(format!("it may be bound to {TOKEN_SITES_MAX} sites at most"));
    }
    let sound = |site: &String| {
        (1..=SITE_ID_BYTES_MAX).contains(&site.len())
            && site.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    match sites.iter().find(|site| !sound(site)) {
        Some(site) => Err(format!("{site:?} cannot be a site")),
        None => Ok(()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Fills `to` from exactly twice as many lower-case hexadecimal digits.
fn parse_hex(text: &[u8], to: &mut [u8]) -> Option<()> {
    fn digit(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }
    if text.len() != 2 * to.len() {
        return None;
    }
    for (byte, pair) in to.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
