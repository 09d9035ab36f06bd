local function f() while true do pcall(f) end end
function process_message() xpcall(f, f) return 0 end
function timer_event() pcall(f) end
