//! What must hold for any bytes that a script hands to a module: the bodies of the fuzz targets `cjson`, `struct_pack`, `circular_buffer`.
//!
//! Owns:    the checks, and the machine that they run in.
//! Runs on: the fuzz targets and the replay of their corpus.            Plane: data.
//! Bounds:  the input, and the machine's memory.
//! Never:   takes an error of a module for a failure: only the host's own failures are.

use mlua::{Function, Lua};

/// Bytes that the machine may use.
const MEMORY: usize = 64 * 1024 * 1024;

thread_local! {
    static MACHINE: Lua = machine();
}

fn machine() -> Lua {
    let lua = sandbox::trial::lua().expect("every module opens");
    lua.set_memory_limit(MEMORY).expect("a limit");
    lua
}

/// Calls a function made of `source` with the input.
fn call(source: &str, inputs: [&[u8]; 2]) {
    MACHINE.with(|lua| {
        let run = || {
            let function: Function = lua.load(source).set_name("=check").into_function()?;
            let [one, other] = inputs.map(|input| lua.create_string(input));
            function.call::<()>((one?, other?))
        };
        if let Err(error) = run() {
            panic!("{error}");
        }
    });
}

/// JSON is read or refused; what is read is written, and read again as the same.
pub fn cjson(input: &[u8]) {
    call(
        "local text = ...
        cjson.encode_invalid_numbers(true)
        cjson.encode_number_precision(17)
        cjson.encode_sparse_array(true)
        for _, null in ipairs({ true, false }) do
            cjson.decode_null(null)
            for _, invalid in ipairs({ true, false }) do
                cjson.decode_invalid_numbers(invalid)
                local ok, value = pcall(cjson.decode, text)
                if ok then
                    cjson.decode_invalid_numbers(true)
                    local written = cjson.encode(value)
                    local again = cjson.encode(cjson.decode(written))
                    assert(#again == #written, written)
                else
                    assert(type(value) == 'string')
                end
            end
        end",
        [input, b""],
    );
}

/// The first line is a format, the rest is unpacked and packed again.
pub fn struct_pack(input: &[u8]) {
    let end = input.iter().position(|&byte| byte == b'\n');
    let (format, rest) = input.split_at(end.unwrap_or(input.len()));
    call(
        "local format, text = ...
        pcall(struct.size, format)
        for _, position in ipairs({ 1, 2, #text + 1, #text + 2 }) do
            pcall(struct.unpack, format, text, position)
        end
        local back = { pcall(struct.unpack, format, text) }
        if back[1] and #back < 200 then
            pcall(struct.pack, format, unpack(back, 2, #back - 1))
        end
        pcall(struct.pack, format, 1, -1, 2^64, 0/0, text, text)",
        [format, rest.get(1..).unwrap_or_default()],
    );
}

/// A text is restored or refused; either way the buffer goes on.
pub fn circular_buffer(input: &[u8]) {
    call(
        "local text = ...
        for _, deltas in ipairs({ true, false }) do
            local buffer = circular_buffer.new(3, 2, 5, deltas)
            buffer:set_header(1, text, text, 'min')
            local before = buffer:current_time()
            local ok, said = pcall(buffer.fromstring, buffer, text)
            assert(ok or buffer:current_time() == before)
            assert(ok or type(said) == 'string')
            for _, form in ipairs({ 'cbuf', 'cbufd' }) do buffer:format(form) end
            buffer:compute('sd', 2)
            buffer:add(buffer:current_time(), 1, 1)
            buffer:set(1e9, 2, -1)
            buffer:add(1e18, 1, 1)
            pcall(buffer.mannwhitneyu, buffer, 1, 0, 5e9, 10e9, 10e9)
        end",
        [input, b""],
    );
}
