-- Module util: flattened tables and beheaded arrays.

local checks = require "checks"
local util = require "util"
local equal = checks.equal

local function flattened(...)
    local fields = {}
    util.table_to_fields(..., fields)
    return fields
end

local function tables()
    local t = {top = 0, s = {a = true, list = {"x", "y"}, deep = {er = "n"}}}
    equal(flattened(t), {top = 0, ["s.a"] = true, ["s.list.1"] = "x", ["s.list.2"] = "y", ["s.deep.er"] = "n"})
    local fields = {}
    util.table_to_fields(t, fields, nil, "_", 2)
    equal(fields, {top = 0, s_a = true, s_list = '["x","y"]', s_deep = '{"er":"n"}'})
    fields = {}
    util.table_to_fields({a = {b = {c = 1}}}, fields, nil, ".", 1)
    equal(fields, {a = '{"b":{"c":1}}'})
    fields = {}
    util.table_to_fields({a = {b = 1}, c = 2}, fields, "p", ".", 2)
    equal(fields, {["p.a"] = '{"b":1}', ["p.c"] = 2}, "the parent is a level")
    fields = {}
    util.table_to_fields({["a.b"] = {c = {d = 1}}}, fields, nil, ".", 2)
    equal(fields, {["a.b.c"] = '{"d":1}'}, "a dot in a key is no level")
    equal(flattened({}), {})
end

local function arrays()
    for index, expected in pairs{[0] = {1, 2, 3}, [1] = {1, 2, 3}, [2] = {2, 3}, [3] = {3}, [4] = {}, [9] = {}} do
        local array = {1, 2, 3}
        util.behead_array(index, array)
        equal(array, expected, index)
    end
end

function process_message()
    tables()
    arrays()
    return 0
end
