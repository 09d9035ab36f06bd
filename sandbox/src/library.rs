//! The Lua scripts and modules that come with the daemon.
//!
//! Owns:    the sources under `sandbox/lua`, by the names that Heka gives them.
//! Runs on: build time, and the shard of the plugin while its script loads.            Plane: control.
//! Bounds:  what is in the binary.
//! Never:   looks at a file: who prefers files (`share_dir`, `module_directory`) asks for them first.

/// A script or module in the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Heka's name: what `filename` says of a script, `lua_decoders/json.lua`, and where a module lies, `lua_modules/util.lua`.
    pub name: &'static str,
    /// Lua source.
    pub source: &'static [u8],
}

/// Sources of one folder: its name here, its name in Heka, and the files in it.
macro_rules! shipped {
    ($folder:literal, $heka:literal, $($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: concat!($heka, "/", $name, ".lua"),
            source: include_bytes!(concat!("../lua/", $folder, "/", $name, ".lua")),
        }),*]
    };
}

/// Modules that `require` finds without a file.
pub const MODULES: &[Shipped] = shipped!(
    "modules",
    "lua_modules",
    "alert",
    "annotation",
    "anomaly",
    "bind",
    "cbufd",
    "common_log_format",
    "date_time",
    "elasticsearch",
    "field_util",
    "graphite",
    "ip_address",
    "msg_interpolate",
    "mysql",
    "postfix",
    "sfl4j",
    "syslog",
    "syslog_message",
    "ts_line_protocol",
    "util",
);

/// Modules for inputs and outputs alone: LuaSocket's that are not in Rust.
pub const IO_MODULES: &[Shipped] =
    shipped!("io_modules", "lua_io_modules", "ltn12", "mime", "socket");

/// The same, in the folder of the module that they belong to.
pub const SOCKET_MODULES: &[Shipped] = shipped!(
    "io_modules/socket",
    "lua_io_modules/socket",
    "ftp",
    "headers",
    "http",
    "smtp",
    "tp",
    "url",
);

/// What the scripts and modules share among themselves: `require "hekad.NAME"`, a folder where no file of a user's is found by accident.
const SHARED: &[Shipped] = shipped!(
    "hekad",
    "lua_modules/hekad",
    "access_log",
    "cbuf_graph",
    "cbufd_graphs",
    "influx_lines",
    "log_grammar",
    "plain_text",
    "slow_query",
    "stats_text",
);

/// Decoders.
pub const DECODERS: &[Shipped] = shipped!(
    "lua_decoders",
    "lua_decoders",
    "apache_access",
    "bind_query_log",
    "graylog_extended",
    "json",
    "linux_diskstats",
    "linux_loadavg",
    "linux_memstats",
    "linux_netdev",
    "linux_netstat",
    "linux_procstat",
    "mariadb_slow_query",
    "mysql_slow_query",
    "nginx_access",
    "nginx_error",
    "nginx_stub_status",
    "rsyslog",
);

/// Filters.
pub const FILTERS: &[Shipped] = shipped!(
    "lua_filters",
    "lua_filters",
    "cbufd_aggregator",
    "cbufd_host_aggregator",
    "diskstats",
    "frequent_items",
    "heartbeat",
    "heka_memstat",
    "heka_message_schema",
    "heka_process_message_failures",
    "http_status",
    "influx_batch",
    "loadavg",
    "memstats",
    "mysql_slow_query",
    "procstat",
    "stat_graph",
    "unique_items",
);

/// Encoders.
pub const ENCODERS: &[Shipped] = shipped!(
    "lua_encoders",
    "lua_encoders",
    "alert",
    "cbuf_librato",
    "es_payload",
    "schema_carbon_line",
    "schema_influx",
    "schema_influx_line",
    "statmetric_influx",
);

/// Every script, by kind.
const SCRIPTS: &[&[Shipped]] = &[DECODERS, FILTERS, ENCODERS];

/// The script that a plugin's `filename` names.
pub fn script(filename: &str) -> Option<&'static Shipped> {
    let mut scripts = SCRIPTS.iter().flat_map(|kind| kind.iter());
    scripts.find(|script| script.name == filename)
}

/// The module that `require` is asked for.
pub fn module(name: &str) -> Option<&'static Shipped> {
    find(MODULES.iter().chain(SHARED), "lua_modules/", name)
}

/// The same of those that only inputs and outputs have.
pub fn io_module(name: &str) -> Option<&'static Shipped> {
    find(
        IO_MODULES.iter().chain(SOCKET_MODULES),
        "lua_io_modules/",
        name,
    )
}

fn find(
    mut modules: impl Iterator<Item = &'static Shipped>,
    folder: &str,
    name: &str,
) -> Option<&'static Shipped> {
    let path = name.replace('.', "/");
    modules.find(|module| {
        let file = module.name.strip_prefix(folder);
        file.and_then(|file| file.strip_suffix(".lua")) == Some(&path)
    })
}

/// Names of all scripts.
pub fn scripts() -> impl Iterator<Item = &'static str> {
    SCRIPTS
        .iter()
        .flat_map(|kind| kind.iter())
        .map(|script| script.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names of a table, without the folder.
    fn listed(table: &[Shipped]) -> BTreeSet<String> {
        let names = table.iter().filter_map(|one| one.name.rsplit_once('/'));
        names.map(|(_, file)| file.to_owned()).collect()
    }

    #[test]
    fn every_file_is_in_the_binary() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/lua");
        let tables = [
            ("modules", MODULES),
            ("hekad", SHARED),
            ("io_modules", IO_MODULES),
            ("io_modules/socket", SOCKET_MODULES),
            ("lua_decoders", DECODERS),
            ("lua_filters", FILTERS),
            ("lua_encoders", ENCODERS),
        ];
        for (folder, table) in tables {
            let files: BTreeSet<String> = std::fs::read_dir(format!("{root}/{folder}"))
                .expect("a folder")
                .map(|entry| entry.expect("an entry"))
                .filter(|entry| entry.path().is_file())
                .map(|entry| entry.file_name())
                .map(|name| name.into_string().expect("a name in ASCII"))
                .collect();
            assert_eq!(files, listed(table), "{folder}");
        }
    }

    #[test]
    fn scripts_and_modules_have_hekas_names() {
        let script = script("lua_decoders/nginx_access.lua").expect("it is shipped");
        assert!(script.source.starts_with(b"-- "));
        assert!(module("date_time").is_some());
        assert!(module("lua_modules/date_time").is_none());
        assert!(module("date_time.lua").is_none());
        assert!(io_module("socket.http").is_some() && module("socket.http").is_none());
        assert!(module("hekad.access_log").is_some() && module("access_log").is_none());
    }
}
