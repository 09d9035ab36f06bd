//! Certificates and keys in PEM files.
//!
//! Owns:    reading them, and errors that name the file and say what is missing in it.
//! Runs on: the shard that opens a plugin.            Plane: control; reading blocks.
//! Bounds:  what the files hold.
//! Never:   shows anything of a key.

use engine::plugin::Fault;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Own certificate with those that lead to its root, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Own certificates and key.
pub(super) fn identity(cert_file: &str, key_file: &str) -> Result<Identity, Fault> {
    let certificates = certificates("cert_file", cert_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| unreadable("key_file", key_file, "private key", &error))?;
    Ok((certificates, key))
}

/// Why certificate and key cannot be used together.
pub(super) fn unfit(cert_file: &str, key_file: &str, error: &rustls::Error) -> Fault {
    Fault::new(format!(
        "`cert_file` {cert_file} and `key_file` {key_file} cannot be used together: {error}"
    ))
}

/// Root certificates of the file that the option `key` names.
pub(super) fn roots(key: &str, path: &str) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path)? {
        roots.add(certificate).map_err(|error| {
            Fault::new(format!(
                "`{key}` {path} has a certificate that cannot be a root: {error}"
            ))
        })?;
    }
    Ok(roots)
}

/// Roots to check a server with: those of a file, or the host's.
pub(super) fn server_roots(root_cafile: &str) -> Result<RootCertStore, Fault> {
    if !root_cafile.is_empty() {
        return roots("root_cafile", root_cafile);
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found
            .errors
            .first()
            .map_or_else(String::new, |error| format!(" ({error})"));
        return Err(Fault::new(format!(
            "this host has no root certificates to check servers with{why}; install its package of them, or set `root_cafile` in the `tls` subsection"
        )));
    }
    Ok(roots)
}

fn certificates(key: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let read = || -> Result<Vec<_>, pem::Error> {
        let certificates = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            return Err(pem::Error::NoItemsFound);
        }
        Ok(certificates)
    };
    read().map_err(|error| unreadable(key, path, "certificate", &error))
}

fn unreadable(key: &str, path: &str, what: &str, error: &pem::Error) -> Fault {
    Fault::new(match error {
        pem::Error::Io(error) => format!("`{key}` {path} cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("`{key}` {path} holds no {what} in PEM form"),
        error => format!("`{key}` {path} is damaged: {error}"),
    })
}
