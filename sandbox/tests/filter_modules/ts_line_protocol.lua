-- What the module ts_line_protocol does with a whole message, as scripts of people call it. The options are in the golden cases of
-- schema_influx_line and schema_carbon_line.
local ts_line_protocol = require "ts_line_protocol"

local function is(lines, expected)
    assert(#lines == #expected, #lines .. " lines")
    for i, line in ipairs(lines) do
        assert(line == expected[i], line)
    end
end

local TAGS = "Hostname=host\\ name,Logger=GoSpec,Severity=6,Type=TEST"

function process_message()
    -- The fields are read from the message as a whole: it does not matter what has read them before.
    read_next_field()
    local config = ts_line_protocol.set_config(nil)
    for _ = 1, 2 do
        is(ts_line_protocol.influxdb_line_msg(config), {
            "foo," .. TAGS .. ' value="bar" 1434932023500',
            "int," .. TAGS .. " value=999.000000 1434932023500",
            "double," .. TAGS .. " value=99.900000 1434932023500",
            "bool," .. TAGS .. " value=true 1434932023500",
            "false," .. TAGS .. " value=false 1434932023500",
            "list," .. TAGS .. " value=1.000000 1434932023500",
            "list_vidx_1," .. TAGS .. " value=2.000000 1434932023500",
            "list_vidx_2," .. TAGS .. " value=3.000000 1434932023500",
            "list_fidx_1," .. TAGS .. ' value="x" 1434932023500',
            "large," .. TAGS .. " value=1434932023123.000000 1434932023500",
        })
    end
    -- Two configurations do not disturb each other.
    local other = ts_line_protocol.set_config({decimal_precision = "1", tag_fields_str = "Type", source_value_field = "double"})
    is(ts_line_protocol.influxdb_line_msg(other), {"double,Type=TEST value=99.9 1434932023500"})
    assert(ts_line_protocol.influxdb_line_msg(config)[3] == "double," .. TAGS .. " value=99.900000 1434932023500")
    is(ts_line_protocol.carbon_line_msg(ts_line_protocol.set_config({
        carbon_format = true, name_prefix = "p.%{int}", name_prefix_delimiter = ".", skip_fields_str = "list large",
        timestamp_precision = "s",
    })), {"p.999.int 999 1434932023", "p.999.double 99.9 1434932023"})
    return 0
end
