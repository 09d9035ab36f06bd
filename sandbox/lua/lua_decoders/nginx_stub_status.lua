-- Decoder of the page of Nginx's stub_status module.
--
-- Config:  type ("nginx_stub_status"), payload_keep.
-- Gives:   fields connections, accepts, handled, requests, reading, writing, waiting.
-- Refuses: any other page: -1.

local l = require "lpeg"
l.locale(l)

local payload_keep = read_config("payload_keep")
local blank = l.space^0

local function number(name)
    return blank * l.Cg(l.digit^1 / tonumber, name)
end

local grammar = l.Ct("Active connections:" * number("connections") * blank
    * "server accepts handled requests" * number("accepts") * number("handled") * number("requests") * blank
    * "Reading:" * number("reading") * blank * "Writing:" * number("writing") * blank * "Waiting:" * number("waiting"))

local msg = {Type = read_config("type") or "nginx_stub_status"}

function process_message()
    local page = read_message("Payload")
    msg.Fields = grammar:match(page)
    if not msg.Fields then
        return -1
    end
    if payload_keep then
        msg.Payload = page
    end
    inject_message(msg)
    return 0
end
