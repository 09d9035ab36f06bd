//! Signing of records, and checking of signatures.
//!
//! Owns:    `Signer` (who signs what we send), `Keys` (whose signatures we accept), `SignerNames` (their numbers).
//! Runs on: built at start; used on every shard.            Plane: data.
//! Bounds:  at most `limits::SIGNERS_MAX` names; a signature costs no allocation.
//! Never:   prints a key, or compares digests in a time that depends on them.
//!
//! The keyed state of every hash is computed when a key is taken in and copied for each record.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;

use crate::limits;

/// Hash function of a signature, with its number on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HashFunction {
    /// Heka's default; 16 byte digests.
    #[default]
    Md5 = 0,
    /// 20 byte digests.
    Sha1 = 1,
    /// 32 byte digests; ours, unknown to Heka.
    Sha256 = 2,
}

impl HashFunction {
    /// The function with that number on the wire.
    #[inline]
    pub const fn from_wire(number: i32) -> Option<HashFunction> {
        match number {
            0 => Some(HashFunction::Md5),
            1 => Some(HashFunction::Sha1),
            2 => Some(HashFunction::Sha256),
            _ => None,
        }
    }

    /// The function that `hmac_hash` names in a config: `md5`, `sha1` or `sha256`.
    pub fn from_name(name: &str) -> Option<HashFunction> {
        match name {
            "md5" => Some(HashFunction::Md5),
            "sha1" => Some(HashFunction::Sha1),
            "sha256" => Some(HashFunction::Sha256),
            _ => None,
        }
    }

    /// Bytes of a digest.
    #[inline]
    pub const fn digest_len(self) -> usize {
        match self {
            HashFunction::Md5 => 16,
            HashFunction::Sha1 => 20,
            HashFunction::Sha256 => 32,
        }
    }
}

/// Who signs: name, version of the key, hash function and the key itself.
#[derive(Clone)]
pub struct Signer {
    name: Box<str>,
    version: u32,
    mac: KeyedMac,
}

/// A hash function with the key already mixed in.
#[derive(Clone)]
enum KeyedMac {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

/// The keyed state of one hash function. HMAC takes keys of any length.
fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl Signer {
    /// A signer. The key may be empty, as in Heka.
    pub fn new(name: &str, version: u32, hash: HashFunction, key: &[u8]) -> Signer {
        let mac = match hash {
            HashFunction::Md5 => KeyedMac::Md5(keyed(key)),
            HashFunction::Sha1 => KeyedMac::Sha1(keyed(key)),
            HashFunction::Sha256 => KeyedMac::Sha256(keyed(key)),
        };
        Signer {
            name: name.into(),
            version,
            mac,
        }
    }

    /// Name that travels with the signature.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the key.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Hash function.
    pub fn hash(&self) -> HashFunction {
        match self.mac {
            KeyedMac::Md5(_) => HashFunction::Md5,
            KeyedMac::Sha1(_) => HashFunction::Sha1,
            KeyedMac::Sha256(_) => HashFunction::Sha256,
        }
    }

    /// Writes the digest of `message` into `digest`, which has the hash function's length.
    pub(crate) fn sign(&self, message: &[u8], digest: &mut [u8]) {
        match &self.mac {
            KeyedMac::Md5(mac) => digest.copy_from_slice(&finish(mac, message)),
            KeyedMac::Sha1(mac) => digest.copy_from_slice(&finish(mac, message)),
            KeyedMac::Sha256(mac) => digest.copy_from_slice(&finish(mac, message)),
        }
    }
}

fn finish<M: Mac + Clone>(mac: &M, message: &[u8]) -> hmac::digest::Output<M> {
    let mut mac = mac.clone();
    mac.update(message);
    mac.finalize().into_bytes()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, version, hash) = (&self.name, self.version, self.hash());
        f.debug_struct("Signer")
            .field("name", name)
            .field("version", &version)
            .field("hash", &hash)
            .finish()
    }
}

/// Names of signers and their numbers. All splitters of one plan share it, so that a number means the same everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignerNames {
    names: Vec<Box<str>>,
}

impl SignerNames {
    /// No name yet.
    pub fn new() -> Self {
        SignerNames::default()
    }

    /// The number of a name, if it has one.
    pub fn number(&self, name: &str) -> Option<u8> {
        self.names
            .iter()
            .position(|known| &**known == name)
            .map(|at| at as u8)
    }

    /// The name with that number.
    pub fn name(&self, number: u8) -> Option<&str> {
        self.names.get(usize::from(number)).map(|name| &**name)
    }

    /// The name's number; a new one the first time.
    pub fn assign(&mut self, name: &str) -> Result<u8, KeyError> {
        if let Some(number) = self.number(name) {
            return Ok(number);
        }
        if self.names.len() == limits::SIGNERS_MAX {
            return Err(KeyError::TooManySigners);
        }
        self.names.push(name.into());
        Ok((self.names.len() - 1) as u8)
    }
}

/// Why a key cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The entry's name is not `<signer name>_<key version>`.
    Name(String),
    /// The same signer and version came before.
    Duplicate(String),
    /// More signer names than a message's mark can tell apart.
    TooManySigners,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Name(name) => write!(
                f,
                "signer \"{name}\": a signer's section is named <signer name>_<key version>, for example \"ops_0\""
            ),
            KeyError::Duplicate(name) => write!(f, "signer \"{name}\" is there twice"),
            KeyError::TooManySigners => write!(f, "more than {} signer names", limits::SIGNERS_MAX),
        }
    }
}

impl std::error::Error for KeyError {}

/// A key of one signer and version, for every hash function.
#[derive(Clone)]
struct Key {
    name: Box<[u8]>,
    version: u32,
    number: u8,
    md5: Hmac<Md5>,
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

/// What a signature turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right; the number of the signer's name.
    Right(u8),
    /// The signer and version are known, the digest does not fit.
    Wrong,
    /// No key for that signer and version.
    Unknown,
}

/// Keys of the signers whose records are accepted.
#[derive(Clone, Default)]
pub struct Keys {
    /// Ordered by name and version.
    keys: Vec<Key>,
}

impl Keys {
    /// No key: every signed record is from an unknown signer.
    pub fn new() -> Self {
        Keys::default()
    }

    /// Takes in the key of the section `<signer name>_<key version>`. Versions of one name share its number in `names`.
    pub fn insert(
        &mut self,
        section: &str,
        key: &[u8],
        names: &mut SignerNames,
    ) -> Result<(), KeyError> {
        let (name, version) =
            parse_section(section).ok_or_else(|| KeyError::Name(section.to_owned()))?;
        match self.position(name.as_bytes(), version) {
            Ok(_) => Err(KeyError::Duplicate(section.to_owned())),
            Err(position) => {
                let number = names.assign(name)?;
                let (md5, sha1, sha256) = (keyed(key), keyed(key), keyed(key));
                let name = name.as_bytes().into();
                self.keys.insert(
                    position,
                    Key {
                        name,
                        version,
                        number,
                        md5,
                        sha1,
                        sha256,
                    },
                );
                Ok(())
            }
        }
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[inline]
    fn position(&self, name: &[u8], version: u32) -> Result<usize, usize> {
        self.keys
            .binary_search_by(|key| (&*key.name, key.version).cmp(&(name, version)))
    }

    /// Checks the digest of `message`. The comparison takes the same time whatever the bytes.
    pub fn verify(
        &self,
        name: &[u8],
        version: u32,
        hash: Option<HashFunction>,
        digest: &[u8],
        message: &[u8],
    ) -> Verdict {
        let Ok(position) = self.position(name, version) else {
            return Verdict::Unknown;
        };
        let key = &self.keys[position];
        // A digest of another length is wrong whatever it says: do not hash for it.
        let right = match hash {
            Some(hash) if digest.len() != hash.digest_len() => false,
            Some(HashFunction::Md5) => fits(&key.md5, message, digest),
            Some(HashFunction::Sha1) => fits(&key.sha1, message, digest),
            Some(HashFunction::Sha256) => fits(&key.sha256, message, digest),
            None => false,
        };
        if right {
            Verdict::Right(key.number)
        } else {
            Verdict::Wrong
        }
    }
}

fn fits<M: Mac + Clone>(mac: &M, message: &[u8], digest: &[u8]) -> bool {
    let mut mac = mac.clone();
    mac.update(message);
    mac.verify_slice(digest).is_ok()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.keys
                    .iter()
                    .map(|key| (String::from_utf8_lossy(&key.name), key.version)),
            )
            .finish()
    }
}

/// Name and version of `<name>_<version>`; the version as Heka prints it, so no sign and no leading zero.
fn parse_section(section: &str) -> Option<(&str, u32)> {
    let (name, digits) = section.rsplit_once('_')?;
    let version: u32 = digits.parse().ok()?;
    (version.to_string() == digits).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(sections: &[(&str, &str)]) -> (Keys, SignerNames) {
        let (mut keys, mut names) = (Keys::new(), SignerNames::new());
        for (section, key) in sections {
            keys.insert(section, key.as_bytes(), &mut names).unwrap();
        }
        (keys, names)
    }

    #[test]
    fn every_hash_signs_and_checks() {
        let (keys, names) = keys(&[("ops_b_2", "k2"), ("ops_b_1", "k1"), ("dev_0", "")]);
        assert_eq!(names.number("ops_b"), Some(0));
        assert_eq!(names.name(1), Some("dev"));
        for hash in [HashFunction::Md5, HashFunction::Sha1, HashFunction::Sha256] {
            let signer = Signer::new("ops_b", 1, hash, b"k1");
            let mut digest = vec![0; hash.digest_len()];
            signer.sign(b"message", &mut digest);
            let check = |version, digest: &[u8]| {
                keys.verify(b"ops_b", version, Some(hash), digest, b"message")
            };
            assert_eq!(check(1, &digest), Verdict::Right(0));
            assert_eq!(check(2, &digest), Verdict::Wrong);
            assert_eq!(check(3, &digest), Verdict::Unknown);
            assert_eq!(check(1, &digest[1..]), Verdict::Wrong);
            digest[5] ^= 1;
            assert_eq!(check(1, &digest), Verdict::Wrong);
        }
        assert_eq!(
            keys.verify(b"dev", 0, None, &[0; 16], b"message"),
            Verdict::Wrong
        );
    }

    /// Test case 2 of RFC 2202 and of RFC 4231.
    #[test]
    fn digests_are_the_published_ones() {
        let expected = [
            (HashFunction::Md5, "750c783e6ab0b503eaa86e310a5db738"),
            (
                HashFunction::Sha1,
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                HashFunction::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ];
        for (hash, hex) in expected {
            let mut digest = vec![0; hash.digest_len()];
            Signer::new("x", 0, hash, b"Jefe").sign(b"what do ya want for nothing?", &mut digest);
            let printed: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(printed, hex);
        }
    }

    #[test]
    fn sections_that_name_no_version_are_refused() {
        let (mut keys, mut names) = keys(&[("a_1", "k")]);
        for section in ["", "a", "a_", "a_x", "a_01", "a_+1", "a_-1", "a_4294967296"] {
            assert_eq!(
                keys.insert(section, b"k", &mut names),
                Err(KeyError::Name(section.to_owned()))
            );
        }
        assert_eq!(
            keys.insert("a_1", b"k", &mut names),
            Err(KeyError::Duplicate("a_1".to_owned()))
        );
    }

    #[test]
    fn signer_names_are_bounded() {
        let mut names = SignerNames::new();
        for number in 0..limits::SIGNERS_MAX {
            assert_eq!(names.assign(&format!("s{number}")), Ok(number as u8));
        }
        assert_eq!(names.assign("one more"), Err(KeyError::TooManySigners));
        assert_eq!(names.assign("s3"), Ok(3));
    }

    #[test]
    fn keys_stay_out_of_debug_output() {
        let (keys, _) = keys(&[("a_1", "secret")]);
        let signer = Signer::new("a", 1, HashFunction::Sha1, b"secret");
        assert!(!format!("{keys:?} {signer:?}").contains("secret"));
    }
}
