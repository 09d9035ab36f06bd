//! TLS of what the tools send: the file's table, with the flags over it.
//!
//! Owns:    names of the TLS flags, and errors in the words of the flags.
//! Runs on: the main thread; the sending ones put errors in its words.            Plane: control.
//! Bounds:  one set of certificates a process.
//! Never:   shows anything of a key.

use engine::plugin::options::Tls;
use plugins::net::tls::Client;

use crate::cli::TlsArgs;
use crate::failure::Failure;

/// Options of a `tls` table, and the flags that say the same.
const FLAGS: [(&str, &str); 6] = [
    ("`root_cafile`", "`--tls-ca`"),
    ("`cert_file`", "`--tls-cert`"),
    ("`key_file`", "`--tls-key`"),
    ("`server_name`", "`--tls-server-name`"),
    ("`use_tls`", "`--tls`"),
    (" in the `tls` subsection", ""),
];

/// Who connects with TLS, if anybody is to. `address` is `host:port`.
pub(crate) fn client(
    args: &TlsArgs,
    file: Option<Tls>,
    address: &str,
) -> Result<Option<Client>, Failure> {
    if !args.tls && file.is_none() {
        return Ok(None);
    }
    let mut options = file.unwrap_or_default();
    for (flag, option) in [
        (&args.tls_ca, &mut options.root_cafile),
        (&args.tls_cert, &mut options.cert_file),
        (&args.tls_key, &mut options.key_file),
        (&args.tls_server_name, &mut options.server_name),
    ] {
        if let Some(value) = flag {
            option.clone_from(value);
        }
    }
    if options.cert_file.is_empty() != options.key_file.is_empty() {
        return Err(Failure::usage(
            "a certificate needs its key, and a key its certificate: give --tls-cert and --tls-key",
        ));
    }
    Client::load(&options, address)
        .map(Some)
        .map_err(|fault| Failure::usage(in_flags(&fault.message)))
}

/// A text about TLS in the words of the flags.
pub(crate) fn in_flags(text: &str) -> String {
    FLAGS.iter().fold(text.to_owned(), |text, (option, flag)| {
        text.replace(option, flag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_flags() {
        let args = TlsArgs {
            tls: true,
            tls_ca: Some("/nowhere.pem".to_owned()),
            ..TlsArgs::default()
        };
        let said = client(&args, None, "h:1").unwrap_err().to_string();
        assert!(said.contains("`--tls-ca` /nowhere.pem"), "{said}");
        let args = TlsArgs {
            tls: true,
            tls_cert: Some("c.pem".to_owned()),
            ..TlsArgs::default()
        };
        let said = client(&args, None, "h:1").unwrap_err().to_string();
        assert!(said.contains("--tls-key"), "{said}");
    }

    #[test]
    fn without_the_flag_nothing_is_encrypted() {
        let client = client(&TlsArgs::default(), None, "h:1").unwrap();
        assert!(client.is_none());
    }
}
