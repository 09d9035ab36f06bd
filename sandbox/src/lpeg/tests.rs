//! LPeg from the outside: what the manual says, errors, bounds, and the machine against an interpreter.
//!
//! Owns:    the Lua that tests run scripts in.
//! Runs on: tests.            Plane: data.
//! Bounds:  those of its parts.
//! Never:   depends on time.

mod bounds;
mod captures;
mod errors;
mod manual;
mod oracle;
mod syntax;

use mlua::Lua;

use crate::trial;

/// What scripts compare with.
const HELP: &str = r##"
function show(value)
    if type(value) ~= "table" then return tostring(value) end
    local parts, row = {}, #value
    for index = 1, row do parts[index] = show(value[index]) end
    local names = {}
    for name in pairs(value) do
        if type(name) ~= "number" or name < 1 or name > row then table.insert(names, name) end
    end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for _, name in ipairs(names) do table.insert(parts, tostring(name) .. "=" .. show(value[name])) end
    return "{" .. table.concat(parts, ",") .. "}"
end
function all(...)
    local parts = {}
    for index = 1, select("#", ...) do parts[index] = show((select(index, ...))) end
    return table.concat(parts, " ")
end
-- is(wanted, values...)
function is(wanted, ...)
    local found = all(...)
    if found ~= wanted then error("expected " .. wanted .. ", found " .. found, 2) end
end
-- fails(part of the text, function, arguments...)
function fails(wanted, f, ...)
    local fine, said = pcall(f, ...)
    if fine then error("expected the error " .. wanted, 2) end
    if not tostring(said):find(wanted, 1, true) then error("expected " .. wanted .. ", found " .. tostring(said), 2) end
end
"##;

/// A Lua with `lpeg` and `re`, and what scripts compare with.
fn lua() -> Lua {
    let lua = trial::lua().expect("modules");
    lua.load(HELP).exec().expect("help");
    lua
}

/// Runs a script that checks what it does.
fn run(script: &str) {
    run_in(&lua(), script);
}

fn run_in(lua: &Lua, script: &str) {
    let script = format!("local lpeg, re = lpeg, re; {script}");
    let done = trial::load(lua, "script", &script).and_then(|script| script.call::<()>(()));
    if let Err(error) = done {
        panic!("{error}");
    }
}
