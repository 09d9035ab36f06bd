-- Decoder of the slow query log of MariaDB.
--
-- Config:  truncate_sql: the bytes of the statement that are kept, with "..." behind them; a negative number is Lua's, the last byte that stays counted from the end.
-- Gives:   Type mariadb.slow-query, Timestamp, Hostname of the client, the statement as Payload, fields Query_time, Lock_time, Rows_sent, Rows_examined, Thread_id, Schema, QC_hit.
-- Refuses: any other entry: -1.

local string = require "string"
local mysql = require "mysql"

local truncate_sql = read_config("truncate_sql")

function process_message()
    local msg = mysql.mariadb_slow_query_grammar:match(read_message("Payload"))
    if not msg then
        return -1
    end
    msg.Type = "mariadb.slow-query"
    if truncate_sql and #msg.Payload > truncate_sql then
        msg.Payload = string.sub(msg.Payload, 1, truncate_sql) .. "..."
    end
    inject_message(msg)
    return 0
end
