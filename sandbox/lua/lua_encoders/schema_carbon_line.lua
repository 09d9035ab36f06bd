-- Writes the numbers among a message's fields as lines for Carbon: name value seconds.
--
-- Config: name_prefix (none): template before each name, see msg_interpolate; name_prefix_delimiter (.) goes between them.
--         skip_fields (none): fields to leave out, with blanks between them.
--         source_value_field (none): the only field to send, under the name of the prefix.
-- Output: see ts_line_protocol; returns -2 for a message without numbers.
-- Bounds: keeps nothing.

local table = require "table"
local ts_line_protocol = require "ts_line_protocol"

local config = ts_line_protocol.set_config({
    carbon_format = true,
    fields_unread = true,
    name_prefix = read_config("name_prefix"),
    name_prefix_delimiter = read_config("name_prefix_delimiter") or ".",
    skip_fields_str = read_config("skip_fields"),
    source_value_field = read_config("source_value_field"),
    timestamp_precision = "s",
})

function process_message()
    local lines = ts_line_protocol.carbon_line_msg(config)
    if not lines[1] then
        return -2
    end
    inject_payload("txt", "carbon_line", table.concat(lines, "\n"), "\n")
    return 0
end
