//! Certificates for tests: an authority that issues what a test asks for.
//!
//! Owns:    `Authority`, and the folder with its root and what it has issued.
//! Runs on: tests.            Plane: both.
//! Bounds:  one issued certificate at a time.
//! Never:   leaves a key behind: the folder goes with the test.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

/// An authority with its root in `root.pem`.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Authorities of one name would be taken for each other.
        let name = folder.path().to_string_lossy().into_owned();
        params.distinguished_name.push(DnType::CommonName, name);
        let root = params.self_signed(&key).expect("a root");
        std::fs::write(folder.path().join("root.pem"), root.pem()).expect("room");
        Authority {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// The path of one of its files.
    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str()
            .expect("temporary folders have plain names")
            .to_owned()
    }

    /// Issues `cert.pem` with `key.pem` for names and addresses, valid until a year.
    pub(crate) fn issue(&self, names: &[&str], until: i32) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names as in certificates");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.path("cert.pem"), certificate.pem()).expect("room");
        std::fs::write(self.path("key.pem"), key.serialize_pem()).expect("room");
    }
}
