require "table"
local last = {}
for i = 1, 40 do
    local next = {[last] = table.foreach, [{}] = table.foreach}
    for k, v in pairs(last) do next[k] = v end
    last = next
end
function process_message() table.foreach(last, table.foreach) return 0 end
