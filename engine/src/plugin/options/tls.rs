//! The TLS subsection of network plugins.
//!
//! Owns:    `Tls` and the checks that need no file.
//! Runs on: build time.            Plane: control.
//! Bounds:  TLS 1.2 is the oldest version spoken.
//! Never:   opens a certificate; the plugin does when it starts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::section::Section;

/// What a server asks of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ClientAuth {
    /// Asks for no certificate.
    #[default]
    NoClientCert,
    /// Asks for one, takes any or none.
    RequestClientCert,
    /// Needs one, takes any.
    RequireAnyClientCert,
    /// Asks for one; if there is one it must be valid.
    VerifyClientCertIfGiven,
    /// Needs a valid one.
    RequireAndVerifyClientCert,
}

/// A version of the protocol.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
pub enum TlsVersion {
    /// SSL 3.0.
    SSL30,
    /// TLS 1.0.
    TLS10,
    /// TLS 1.1.
    TLS11,
    /// TLS 1.2.
    TLS12,
    /// TLS 1.3.
    TLS13,
}

/// Cipher suites of TLS 1.2 that are spoken here, by Heka's names (the last four are ours).
pub const CIPHERS: [&str; 6] = [
    "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Cipher suites that Heka knew and nobody should speak any more: accepted, with a warning.
pub const CIPHERS_RETIRED: [&str; 11] = [
    "RSA_WITH_RC4_128_SHA",
    "RSA_WITH_3DES_EDE_CBC_SHA",
    "RSA_WITH_AES_128_CBC_SHA",
    "RSA_WITH_AES_256_CBC_SHA",
    "ECDHE_ECDSA_WITH_RC4_128_SHA",
    "ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "ECDHE_RSA_WITH_RC4_128_SHA",
    "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "ECDHE_RSA_WITH_AES_256_CBC_SHA",
];

/// Length of a session ticket key in hexadecimal digits.
const TICKET_KEY_DIGITS: usize = 64;

/// TLS settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Server name used for the check of the certificate
    pub server_name: String,
    /// Path of the certificate, PEM
    pub cert_file: String,
    /// Path of the private key, PEM
    pub key_file: String,
    /// What a server asks of clients
    pub client_auth: ClientAuth,
    /// Allowed cipher suites of TLS 1.2; empty means the library's
    pub ciphers: Vec<String>,
    /// Client accepts any server certificate
    pub insecure_skip_verify: bool,
    /// Server picks the cipher by its own order
    pub prefer_server_ciphers: bool,
    /// No resumption of sessions by tickets
    pub session_tickets_disabled: bool,
    /// Hex of a 32 byte ticket key
    #[schemars(extend("x-also" = ["sesion_ticket_key"]))]
    pub session_ticket_key: String,
    /// Lowest accepted protocol version
    pub min_version: Option<TlsVersion>,
    /// Highest accepted protocol version; not below min_version
    pub max_version: Option<TlsVersion>,
    /// Roots for the check of client certificates, PEM
    pub client_cafile: String,
    /// Roots for the check of servers, PEM; empty means the host's
    pub root_cafile: String,
}

impl Tls {
    /// Checks the `tls` subsection of a plugin that listens.
    pub fn check_server<C>(&self, section: &mut Section<'_, C>) {
        for (key, value) in [("cert_file", &self.cert_file), ("key_file", &self.key_file)] {
            if value.is_empty() {
                section
                    .problem(
                        &["tls", key],
                        format!("`{key}` is missing: a TLS server needs a certificate and its key"),
                    )
                    .help(format!(
                        "add `{key} = \"PATH.pem\"` to the `tls` subsection"
                    ));
            }
        }
        let verifies = matches!(
            self.client_auth,
            ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert
        );
        if verifies && self.client_cafile.is_empty() {
            section
                .problem(
                    &["tls", "client_auth"],
                    "client certificates cannot be verified without `client_cafile`",
                )
                .help("add `client_cafile = \"PATH.pem\"` to the `tls` subsection");
        }
        self.check_either(section);
    }

    /// Checks the `tls` subsection of a plugin that connects.
    pub fn check_client<C>(&self, section: &mut Section<'_, C>) {
        for (key, value, other, other_value) in [
            ("cert_file", &self.cert_file, "key_file", &self.key_file),
            ("key_file", &self.key_file, "cert_file", &self.cert_file),
        ] {
            if value.is_empty() && !other_value.is_empty() {
                section
                    .problem(
                        &["tls", other],
                        format!("`{other}` is of no use without `{key}`"),
                    )
                    .help(format!(
                        "add `{key} = \"PATH.pem\"` to the `tls` subsection"
                    ));
            }
        }
        self.check_either(section);
    }

    fn check_either<C>(&self, section: &mut Section<'_, C>) {
        if let (Some(min), Some(max)) = (self.min_version, self.max_version)
            && max < min
        {
            section.problem(
                &["tls", "max_version"],
                "`max_version` is below `min_version`",
            );
        } else if self.max_version.is_some_and(|max| max < TlsVersion::TLS12) {
            section
                .problem(&["tls", "max_version"], "nothing below TLS 1.2 is spoken")
                .help("use \"TLS12\", or leave `max_version` out");
        }
        if self.min_version.is_some_and(|min| min < TlsVersion::TLS12) {
            section.warning(
                &["tls", "min_version"],
                "nothing below TLS 1.2 is spoken; this means \"TLS12\"",
            );
        }
        let digits = &self.session_ticket_key;
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits.is_empty() && (digits.len() != TICKET_KEY_DIGITS || !hexadecimal) {
            section.problem(
                &["tls", "session_ticket_key"],
                "must be 64 hexadecimal digits (32 bytes)",
            );
        }
        self.check_ciphers(section);
    }

    fn check_ciphers<C>(&self, section: &mut Section<'_, C>) {
        let mut usable = 0;
        for (position, cipher) in self.ciphers.iter().enumerate() {
            let position = position.to_string();
            let path = ["tls", "ciphers", position.as_str()];
            if CIPHERS.contains(&cipher.as_str()) {
                usable += 1;
            } else if CIPHERS_RETIRED.contains(&cipher.as_str()) {
                section.warning(
                    &path,
                    "this cipher suite is not safe any more and never used",
                );
            } else {
                section
                    .problem(&path, format!("unknown cipher suite `{cipher}`"))
                    .help(format!("known are {}", CIPHERS.join(", ")));
            }
        }
        if !self.ciphers.is_empty() && usable == 0 && !section.has_problems() {
            section
                .problem(&["tls", "ciphers"], "none of these cipher suites is used")
                .help(format!(
                    "use {}, or leave `ciphers` out",
                    CIPHERS.join(", ")
                ));
        }
    }
}
