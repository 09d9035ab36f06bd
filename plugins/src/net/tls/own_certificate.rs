//! A client's own certificate, and whether a server has asked for it.
//!
//! Owns:    `OwnCertificate`.
//! Runs on: handshakes on every shard.            Plane: control.
//! Bounds:  one certificate, or none.
//! Never:   shows anything of its key.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// Gives the same certificate to every server that asks, if there is one.
pub(super) struct OwnCertificate {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl OwnCertificate {
    pub(super) fn new(key: Option<Arc<CertifiedKey>>) -> OwnCertificate {
        OwnCertificate {
            key,
            asked: AtomicBool::new(false),
        }
    }

    /// Whether the server has asked for it in any handshake so far.
    pub(super) fn was_asked_for(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCertificate")
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}
