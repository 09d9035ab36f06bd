-- What the module annotation does, as Heka documents it.
local annotation = require "annotation"
local cjson = require "cjson"
local string = require "string"
local table = require "table"

local DAY = 24 * 3600 * 1e9

local function texts(line)
    assert(line:sub(-1) == "\n")
    local list = {}
    for i, note in ipairs(cjson.decode(line).annotations) do
        list[i] = note.text
    end
    return table.concat(list, " ")
end

function process_message()
    local note = annotation.create(1400000000123456789, 2, "A", "text")
    assert(note.x == 1400000000123 and note.col == 2 and note.shortText == "A" and note.text == "text")

    annotation.add("test", 1e9, 1, "A", "one")
    annotation.add("test", 5e9, 2, "A", "two")
    annotation.add("test", 60e9, 1, "M", "three")
    assert(texts(annotation.prune("test", 60e9)) == "one two three")
    -- A day is kept unless set otherwise; what is exactly as old as that goes.
    assert(texts(annotation.prune("test", 1e9 + DAY)) == "two three")
    annotation.set_prune("test", 30e9)
    assert(texts(annotation.prune("test", 80e9)) == "three")
    assert(annotation.prune("test", 90e9) == '{"annotations":{}}\n')

    annotation.concat("test", {annotation.create(5e9, 2, "A", "old"), annotation.create(90e9, 2, "A", "new")})
    assert(#_ANNOTATIONS.test.annotations == 2)
    assert(texts(annotation.prune("test", 90e9)) == "new")
    assert(#_ANNOTATIONS.test.annotations == 1)

    annotation.remove("test")
    assert(_ANNOTATIONS.test == nil)
    assert(annotation.prune("test", 90e9) == '{"annotations":{}}\n')
    annotation.concat("other", {annotation.create(0, 1, "A", 'a "quote"')})
    assert(texts(annotation.prune("other", 1)) == 'a "quote"')
    return 0
end
