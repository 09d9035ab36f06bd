-- Parts that the grammars of several modules are made of.
--
--   one_of(...)                      the first of the texts that is there
--   remembered_time(grammar, to_ns)  what `to_ns` makes of the table that the grammar captures; lines of one second share their text, so the last
--                                    one is kept
--
-- Bounds: one text for each remembered time.

local l = require "lpeg"

local M = {}

function M.one_of(...)
    local choice = l.P(false)
    for _, text in ipairs{...} do
        choice = choice + text
    end
    return choice
end

function M.remembered_time(grammar, to_ns)
    local last_text, last_ns
    return l.C(grammar / 0) / function(text)
        if text ~= last_text then
            last_text, last_ns = text, to_ns(grammar:match(text))
        end
        return last_ns
    end
end

return M
