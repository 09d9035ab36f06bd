local t = {}
t.value = t
t[2] = t
function process_message() pcall(inject_message, {Fields = {t, a = t}}) inject_message({Fields = t}) return 0 end
