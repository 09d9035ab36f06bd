//! Who signs what the tools send: the file's table, with the flags over it.
//!
//! Owns:    names and defaults of the signing options.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one signer a process.
//! Never:   prints a key.

use codecs::signing::{HashFunction, Signer};
use serde::Deserialize;

use crate::cli::{HmacHash, SignerArgs};
use crate::failure::Failure;

/// A `signer` table, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignerSection {
    name: Option<String>,
    version: Option<u32>,
    hmac_hash: Option<String>,
    hmac_key: Option<String>,
}

/// The signer, if one is named.
pub(crate) fn merge(args: &SignerArgs, section: SignerSection) -> Result<Option<Signer>, Failure> {
    let Some(name) = args.signer.clone().or(section.name) else {
        if args.hmac_key.is_some() || args.hmac_hash.is_some() || args.signer_version.is_some() {
            return Err(Failure::usage(
                "--hmac-key, --hmac-hash and --signer-version need --signer NAME",
            ));
        }
        return Ok(None);
    };
    let hash = match (args.hmac_hash, section.hmac_hash.as_deref()) {
        (Some(HmacHash::Md5), _) => HashFunction::Md5,
        (Some(HmacHash::Sha1), _) => HashFunction::Sha1,
        (Some(HmacHash::Sha256), _) => HashFunction::Sha256,
        (None, None | Some("")) => HashFunction::Md5,
        (None, Some(name)) => HashFunction::from_name(name).ok_or_else(|| {
            Failure::config(format!(
                "hmac_hash = \"{name}\": must be md5, sha1 or sha256"
            ))
        })?,
    };
    if args.signer.is_some() && args.hmac_key.is_none() && section.hmac_key.is_none() {
        return Err(Failure::usage("--signer needs --hmac-key KEY"));
    }
    let version = args.signer_version.or(section.version).unwrap_or(0);
    let key = args
        .hmac_key
        .clone()
        .or(section.hmac_key)
        .unwrap_or_default();
    Ok(Some(Signer::new(&name, version, hash, key.as_bytes())))
}
