//! `hekad sbmgr` and `hekad sbmgrload`: tell a SandboxManagerFilter to load or unload filters.
//!
//! Owns:    the config file of both, the control messages, the filters of `sbmgrload`.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one connection a message, whose waits are bounded.
//! Never:   knows what became of a filter: that is in the daemon's log.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use codecs::error::Full;
use codecs::framing;
use codecs::limits;
use codecs::message::{Header, MessageTable, NewValue, TableLimits};
use codecs::signing::{HashFunction, Signer};
use engine::plugin::options::Tls;
use plugins::net::tls::Client;
use serde::Deserialize;

use crate::cli::{ManagerAction, SbmgrArgs, SbmgrloadArgs, SignerArgs, TlsArgs};
use crate::encryption;
use crate::failure::Failure;
use crate::inject::{envelope, send};
use crate::receiver;
use crate::signer::{self, SignerSection};

/// Type of a control message.
const CONTROL: &str = "heka.control.sandbox";

/// Logger of a control message.
const LOGGER: &str = "hekad";

/// Largest message that is sent, bytes: the receiver's `max_message_size` may be more than the default.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The script of the filters of `sbmgrload`.
const COUNTER: &str = include_str!("sbmgr/counter.lua");

/// The config file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    ip_address: String,
    use_tls: bool,
    tls: Option<Tls>,
    signer: SignerSection,
}

/// Where to send to, and who signs.
struct Manager {
    address: String,
    client: Option<Client>,
    signer: Signer,
}

impl Manager {
    fn read(path: &Path) -> Result<Manager, Failure> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| Failure::usage(named(&error)))?;
        let config: Config =
            toml::from_str(&text).map_err(|error| Failure::config(named(&error)))?;
        receiver::check_address("ip_address", &config.ip_address)?;
        let tls = config.use_tls.then(|| config.tls.unwrap_or_default());
        let client = encryption::client(&TlsArgs::default(), tls, &config.ip_address)?;
        // Heka's tool signs whatever its file says; a receiver that does not know the signer drops the message.
        let unnamed = || Signer::new("", 0, HashFunction::Md5, b"");
        let signer = signer::merge(&SignerArgs::default(), config.signer)?;
        Ok(Manager {
            signer: signer.unwrap_or_else(unnamed),
            address: config.ip_address,
            client,
        })
    }

    /// Sends an order to load the filter that a text describes.
    fn load(&self, config: &str, script: &[u8]) -> Result<(), Failure> {
        let field = ("config", config, Some("toml"));
        self.send(ManagerAction::Load, field, script)
    }

    /// Sends an order to unload a filter.
    fn unload(&self, name: &str) -> Result<(), Failure> {
        self.send(ManagerAction::Unload, ("name", name, None), b"")
    }

    fn send(
        &self,
        action: ManagerAction,
        field: (&str, &str, Option<&str>),
        payload: &[u8],
    ) -> Result<(), Failure> {
        let frame = frame(&self.signer, action, field, payload)?;
        send(&self.address, self.client.as_ref(), &frame).map_err(|error| {
            let why = receiver::explained(&error);
            Failure::new(1, format!("cannot send to {}: {why}", self.address))
        })
    }
}

/// A signed control message in its frame.
fn frame(
    signer: &Signer,
    action: ManagerAction,
    (name, value, representation): (&str, &str, Option<&str>),
    payload: &[u8],
) -> Result<Vec<u8>, Failure> {
    let bytes = payload.len() + name.len() + value.len();
    if bytes > MESSAGE_BYTES {
        return Err(Failure::usage(format!(
            "script and configuration take {bytes} bytes, more than {MESSAGE_BYTES}"
        )));
    }
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: bytes + limits::MESSAGE_BYTES_MIN,
        messages: 1,
        fields: 2,
    });
    let full = |Full| Failure::usage("the order is too long");
    let mut draft = table.begin().map_err(full)?;
    envelope(&mut draft).map_err(full)?;
    draft
        .set(Header::Type, CONTROL)
        .and_then(|()| draft.set(Header::Logger, LOGGER))
        .and_then(|()| draft.set(Header::Payload, payload))
        .and_then(|()| {
            let representation = representation.map(Into::into);
            draft.add_field(name, NewValue::String(value.into()), representation)
        })
        .and_then(|()| {
            let action = match action {
                ManagerAction::Load => "load",
                ManagerAction::Unload => "unload",
            };
            draft.add_field("action", NewValue::String(action.into()), None)
        })
        .map_err(full)?;
    let mut frame = Vec::new();
    framing::encode_frame(table.get(0), Some(signer), MESSAGE_BYTES, &mut frame)
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(frame)
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let read = fs::read(path);
    read.map_err(|error| Failure::usage(format!("{flag} {}: {error}", path.display())))
}

/// Runs `hekad sbmgr`.
pub(crate) fn sbmgr(args: &SbmgrArgs) -> Result<ExitCode, Failure> {
    let manager = Manager::read(&args.config)?;
    match args.action {
        ManagerAction::Load => {
            let script = read("--script", &args.script)?;
            let config = read("--scriptconfig", &args.scriptconfig)?;
            let config = String::from_utf8(config).map_err(|_| {
                let path = args.scriptconfig.display();
                Failure::usage(format!("--scriptconfig {path}: it is no text"))
            })?;
            manager.load(&config, &script)?;
        }
        ManagerAction::Unload => manager.unload(&args.filtername)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `hekad sbmgrload`.
pub(crate) fn sbmgrload(args: &SbmgrloadArgs) -> Result<ExitCode, Failure> {
    let manager = Manager::read(&args.config)?;
    for number in 0..args.num {
        let name = format!("CounterSandbox{number}");
        match args.action {
            ManagerAction::Load => manager.load(&counter(&name), COUNTER.as_bytes())?,
            ManagerAction::Unload => manager.unload(&name)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn counter(name: &str) -> String {
    format!(
        "[{name}]\ntype = \"SandboxFilter\"\nmessage_matcher = \"Type == 'hekabench'\"\nticker_interval = 1\nfilename = \"\"\npreserve_data = true\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_files_are_hekas() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sbmgr.toml");
        let text = "ip_address = '127.0.0.1:5566'\nuse_tls = false\n[signer]\nname = 'test'\nhmac_hash = 'sha1'\nhmac_key = 'k'\nversion = 3\n";
        fs::write(&path, text).unwrap();
        let manager = Manager::read(&path).unwrap();
        assert_eq!(manager.address, "127.0.0.1:5566");
        assert!(manager.client.is_none());
        fs::write(&path, "ip_address = 'h:1'\nsigners = 1\n").unwrap();
        let said = Manager::read(&path).err().unwrap().to_string();
        assert!(said.contains("signers"), "{said}");
    }

    #[test]
    fn an_order_is_signed() {
        let signer = Signer::new("ops", 1, HashFunction::Md5, b"k");
        let frame = frame(&signer, ManagerAction::Unload, ("name", "F", None), b"").unwrap();
        let header = &frame[..usize::from(frame[1]) + 3];
        assert!(header.windows(3).any(|part| part == b"ops"));
    }
}
