//! The library `os`, as Heka leaves it.
//!
//! Owns:    clock, date, difftime, time; for inputs and outputs also getenv, execute, remove, rename and tmpname.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  a format of date of `codecs::time::FORMAT_BYTES_MAX`.
//! Never:   knows another time zone than UTC, which Heka sets for its process.

use std::ffi::{CStr, OsStr};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use codecs::time::{Strftime, Zone};
use mlua::{Lua, LuaString, MultiValue, Table, Value};

use crate::call::Call;
use crate::clock;
use crate::files::{Failed, outcome};
use crate::lua::{Arguments, Function, Machine, Push, Refused, Returns};
use crate::state::State;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Makes the library, but for what the prelude adds: `date` and `time` take the time from `now` where they are not given one.
pub(crate) fn open(machine: &Machine, trusted: bool) -> mlua::Result<Table> {
    let lua = machine.lua();
    let library = lua.create_table()?;
    let difference =
        |_: &Lua, (later, earlier): (f64, Option<f64>)| Ok(later - earlier.unwrap_or(0.0));
    library.raw_set(
        "clock",
        lua.create_function(|_, _: MultiValue| Ok(clock::of_process().as_secs_f64()))?,
    )?;
    library.raw_set("difftime", lua.create_function(difference)?)?;
    library.raw_set("now", machine.function::<Now>()?)?;
    library.raw_set("date", lua.create_function(date)?)?;
    library.raw_set("time", lua.create_function(time)?)?;
    if trusted {
        add_trusted(lua, &library)?;
    }
    Ok(library)
}

/// The host's time, whole seconds.
struct Now;

impl Function for Now {
    const NAME: &'static CStr = c"now";

    fn call<'s>(
        _arguments: Arguments<'s>,
        _state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        let now = call.map_or_else(clock::system, |call| call.host.now());
        Ok(Returns::One(Push::Number(now.div_euclid(SECOND) as f64)))
    }
}

/// `date` with format and time; nil for a time that nobody lives to see.
fn date(lua: &Lua, (format, seconds): (LuaString, f64)) -> mlua::Result<Value> {
    let format = format.to_str().map_err(|_| bad_format("not UTF-8"))?;
    let format = format.strip_prefix('!').unwrap_or(&format);
    let Some(ns) = (seconds.floor() as i64).checked_mul(SECOND) else {
        return Ok(Value::Nil);
    };
    if format.starts_with("*t") {
        return Ok(Value::Table(civil(lua, ns / SECOND)?));
    }
    let format = Strftime::new(format).map_err(|error| bad_format(&error.to_string()))?;
    let mut text = Vec::new();
    format.write(ns, &Zone::utc(), &mut text);
    Ok(Value::String(lua.create_string(text)?))
}

fn bad_format(why: &str) -> mlua::Error {
    mlua::Error::runtime(format!("bad argument #1 to 'date' ({why})"))
}

/// The parts of a time as a table.
fn civil(lua: &Lua, seconds: i64) -> mlua::Result<Table> {
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = date_of(days);
    let parts = lua.create_table()?;
    for (name, value) in [
        ("year", year),
        ("month", month),
        ("day", day),
        ("hour", rest / 3600),
        ("min", rest / 60 % 60),
        ("sec", rest % 60),
        // The epoch was a Thursday, the fifth day of a week that begins with 1.
        ("wday", (days + 4).rem_euclid(7) + 1),
        ("yday", days - days_of(year, 1, 1) + 1),
    ] {
        parts.raw_set(name, value)?;
    }
    parts.raw_set("isdst", false)?;
    Ok(parts)
}

/// `time` of a table; parts beyond their range are carried over.
fn time(_: &Lua, parts: Value) -> mlua::Result<f64> {
    let Value::Table(parts) = parts else {
        return Err(mlua::Error::runtime(format!(
            "bad argument #1 to 'time' (table expected, got {})",
            parts.type_name()
        )));
    };
    let part = |name: &str, default: Option<i64>| -> mlua::Result<i64> {
        match parts.get::<Value>(name)? {
            Value::Integer(number) => Ok(number),
            Value::Number(number) => Ok(number as i64),
            Value::String(text) => {
                let number = crate::number::parse(&text.as_bytes());
                number.map(|number| number as i64).or(default)
            }
            .ok_or_else(|| missing(name)),
            _ => default.ok_or_else(|| missing(name)),
        }
    };
    // Nobody means more; so sums cannot overflow.
    let bounded = |number: i64| number.clamp(-1 << 40, 1 << 40);
    let month = bounded(part("month", None)?) - 1;
    let year = bounded(part("year", None)?) + month.div_euclid(12);
    let days = days_of(year, month.rem_euclid(12) + 1, 1) + bounded(part("day", None)?) - 1;
    let seconds = bounded(part("hour", Some(12))?) * 3600
        + bounded(part("min", Some(0))?) * 60
        + bounded(part("sec", Some(0))?);
    Ok(days as f64 * DAY as f64 + seconds as f64)
}

fn missing(name: &str) -> mlua::Error {
    mlua::Error::runtime(format!("field '{name}' missing in date table"))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from March, so that the leap day is the last one; 400 of them have 146,097 days.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day counted from 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// What touches the host, for scripts that belong to the operator.
fn add_trusted(lua: &Lua, library: &Table) -> mlua::Result<()> {
    let getenv = lua.create_function(|lua, name: LuaString| {
        let value = std::env::var_os(OsStr::from_bytes(&name.as_bytes()));
        value
            .map(|value| lua.create_string(value.as_bytes()))
            .transpose()
    })?;
    let execute = lua.create_function(|_, command: Option<LuaString>| match command {
        None => Ok(1),
        Some(command) => {
            let status = Command::new("sh")
                .arg("-c")
                .arg(OsStr::from_bytes(&command.as_bytes()))
                .status();
            Ok(status.map_or(-1, ExitStatusExt::into_raw))
        }
    })?;
    let remove = lua.create_function(|lua, path: LuaString| {
        let bytes = path.as_bytes();
        let file = Path::new(OsStr::from_bytes(&bytes));
        let done = match fs::symlink_metadata(file) {
            Ok(about) if about.is_dir() => fs::remove_dir(file),
            _ => fs::remove_file(file),
        };
        outcome(lua, done, &path)
    })?;
    let rename = lua.create_function(|lua, (from, to): (LuaString, LuaString)| {
        let done = fs::rename(
            OsStr::from_bytes(&from.as_bytes()),
            OsStr::from_bytes(&to.as_bytes()),
        );
        outcome(lua, done, &from)
    })?;
    let tmpname = lua.create_function(|_, ()| {
        temporary().map_err(|error| {
            mlua::Error::runtime(format!(
                "unable to generate a unique filename: {}",
                Failed::from(error).text
            ))
        })
    })?;
    for (name, function) in [
        ("getenv", getenv),
        ("execute", execute),
        ("remove", remove),
        ("rename", rename),
        ("tmpname", tmpname),
    ] {
        library.raw_set(name, function)?;
    }
    Ok(())
}

/// Makes an empty file of a name that nothing had.
fn temporary() -> io::Result<String> {
    for _ in 0..100 {
        let name = format!("lua_{:06x}", fastrand::u32(0..1 << 24));
        let path = std::env::temp_dir().join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(path.to_string_lossy().into_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((1900, 3, 1), -25_508),
            ((2262, 4, 11), 106_751),
        ] {
            assert_eq!(days_of(date.0, date.1, date.2), days);
            assert_eq!(date_of(days), date);
        }
        for days in (-200_000..200_000).step_by(17) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }
}
