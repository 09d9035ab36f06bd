-- Shows what messages a stream has: a tree of loggers, types, versions and their fields.
--
-- Input:  any message.
-- Output: payload of type txt, name "Message Schema", each tick. Numbers in brackets count messages; a field that some messages of its kind
--         lack is optional; one whose type differs between messages is a mismatch.
-- Bounds: an entry for every logger, type, version and field that was ever seen, as in Heka: for looking around, not for every day.

-- State of Heka's own filter has another form.
_PRESERVATION_VERSION = 1

local table = require "table"

local MISMATCH = -1
local TYPES = {[MISMATCH] = "mismatch", [0] = "string", [1] = "string", [2] = "number", [3] = "number", [4] = "bool"}

-- A node: how many messages, and what is below by name. A field has a type, and the number of the message that it was last seen in.
schema = {count = 0, below = {}}

local function enter(node, name)
    local child = node.below[name]
    if not child then
        child = {count = 0, below = {}}
        node.below[name] = child
    end
    child.count = child.count + 1
    return child
end

function process_message()
    local version = schema
    for _, header in ipairs({"Logger", "Type", "EnvVersion"}) do
        version = enter(version, read_message(header))
    end
    local fields = version.below
    local kind, name = read_next_field()
    while kind do
        local field = fields[name]
        if not field then
            field = {count = 0, type = kind, last = 0}
            fields[name] = field
        elseif field.type ~= kind then
            field.type = MISMATCH
        end
        -- A field that a message repeats counts once.
        if field.last ~= version.count then
            field.last = version.count
            field.count = field.count + 1
        end
        kind, name = read_next_field()
    end
    return 0
end

local function sorted(map)
    local names = {}
    for name in pairs(map) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

local function show_fields(version)
    for _, name in ipairs(sorted(version.below)) do
        local field = version.below[name]
        add_to_payload("            ", name, " (", TYPES[field.type] or "unknown")
        if field.count ~= version.count then
            add_to_payload(" - optional [", field.count, "]")
        end
        add_to_payload(")\n")
    end
end

local LEVELS = {
    {indent = "", nameless = "-no logger-"},
    {indent = "    ", nameless = "-no type-"},
    {indent = "         ", nameless = "-no version-"},
}

local function show(node, depth)
    local level = LEVELS[depth]
    if not level then
        show_fields(node)
        return
    end
    for _, name in ipairs(sorted(node.below)) do
        local child = node.below[name]
        add_to_payload(level.indent, name == "" and level.nameless or name, " [", child.count, "]\n")
        show(child, depth + 1)
    end
end

function timer_event()
    add_to_payload("Logger, Type, EnvVersion and fields; [n] is the number of messages.\n\n")
    show(schema, 1)
    inject_payload("txt", "Message Schema")
end
