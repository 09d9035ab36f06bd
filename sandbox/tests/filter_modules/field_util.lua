-- What the module field_util does, on the message of this folder's tests.
local field_util = require "field_util"

local function count(set)
    local n = 0
    for _ in pairs(set) do
        n = n + 1
    end
    return n
end

function process_message()
    local set, all_base, all = field_util.field_map("Pid  a\tb")
    assert(set.Pid and set.a and set.b and count(set) == 3)
    assert(all_base == false and all == false)
    for _, text in ipairs({"**all_base**", "**all**"}) do
        set, all_base, all = field_util.field_map(text .. " a")
        assert(set.a and set.Payload and set.Type and set.EnvVersion)
        assert((all_base == true) == (text == "**all_base**") and (all == true) == (text == "**all**"))
    end
    for _, names in ipairs({"", "  "}) do
        set, all_base, all = field_util.field_map(names)
        assert(count(set) == 7 and all_base == true and all == false)
    end
    set, all_base = field_util.field_map(nil)
    assert(count(set) == 7 and all_base == true)
    -- The set is the caller's.
    set.Type = nil
    assert(field_util.base_fields_list.Type and field_util.field_map(nil).Type)

    local used = field_util.used_base_fields({Pid = true, Type = true, other = true})
    assert(count(used) == 5 and used.Hostname and not used.Pid and not used.Type)
    assert(count(field_util.used_base_fields(nil)) == 7)

    assert(field_util.message_timestamp("ms") == 1434932023500)
    assert(field_util.message_timestamp() == 1434932023500)
    assert(field_util.message_timestamp("s") == 1434932023)
    assert(field_util.message_timestamp("m") == 23915533)
    assert(field_util.message_timestamp("h") == 398592)
    return 0
end
