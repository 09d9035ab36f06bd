//! Session tickets: by keys of the process's own, or by one that several servers share.
//!
//! Owns:    `SharedKey`, tickets under a key of the configuration.
//! Runs on: handshakes on every shard.            Plane: control.
//! Bounds:  a ticket is 28 bytes longer than the session in it.
//! Never:   changes a configured key by itself: whoever shares it has to change it with the others.

use std::fmt;
use std::sync::Arc;

use engine::plugin::Fault;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;

/// How long a client may use a ticket, seconds.
const LIFETIME: u32 = 12 * 60 * 60;

/// Makes tickets under a key of 64 hexadecimal digits, or under keys that are made up and changed now and then if there is none.
pub(super) fn ticketer(key: &str) -> Result<Arc<dyn ProducesTickets>, Fault> {
    if key.is_empty() {
        return rustls::crypto::ring::Ticketer::new()
            .map_err(|error| Fault::new(format!("no key for session tickets: {error}")));
    }
    let shared = SharedKey::from_hex(key)
        .ok_or_else(|| Fault::new("`session_ticket_key` is not 64 hexadecimal digits"))?;
    Ok(Arc::new(shared))
}

/// Tickets under one key.
struct SharedKey {
    key: LessSafeKey,
    random: SystemRandom,
}

impl SharedKey {
    fn from_hex(digits: &str) -> Option<SharedKey> {
        let digits = digits.as_bytes();
        let pairs = digits.chunks_exact(2);
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let key = pairs
            .map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8))
            .collect::<Option<Vec<u8>>>()?;
        let key = UnboundKey::new(&AES_256_GCM, &key).ok()?;
        Some(SharedKey {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        })
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").finish_non_exhaustive()
    }
}

impl ProducesTickets for SharedKey {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut ticket = nonce.to_vec();
        ticket.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let body = &mut ticket[NONCE_LEN..];
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), body)
            .ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = ticket.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::empty(), &mut body)
            .ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_open_under_the_same_key_alone() {
        let key = "00".repeat(32);
        let (one, same) = (ticketer(&key).unwrap(), ticketer(&key).unwrap());
        let other = ticketer(&"01".repeat(32)).unwrap();
        let ticket = one.encrypt(b"session").unwrap();
        assert_ne!(ticket, one.encrypt(b"session").unwrap());
        assert_eq!(same.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(other.decrypt(&ticket), None);
        for damaged in 0..ticket.len() {
            let mut ticket = ticket.clone();
            ticket[damaged] ^= 1;
            assert_eq!(one.decrypt(&ticket), None);
        }
        assert_eq!(one.decrypt(&ticket[..20]), None);
        assert_eq!(one.decrypt(b""), None);
    }

    #[test]
    fn keys_that_are_none() {
        assert!(ticketer("abc").is_err());
        assert!(ticketer(&"0g".repeat(32)).is_err());
    }
}
