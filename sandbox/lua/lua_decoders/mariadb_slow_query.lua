-- Decoder of the slow query log of MariaDB.
--
-- Config:  truncate_sql: the bytes of the statement that are kept, with "..." behind them; a negative number is Lua's, the last byte that stays counted from the end.
-- Gives:   Type mariadb.slow-query, Timestamp, Hostname of the client, the statement as Payload, fields Query_time, Lock_time, Rows_sent, Rows_examined, Thread_id, Schema, QC_hit.
-- Refuses: any other entry: -1.

local mysql = require "mysql"
local slow_query = require "hekad.slow_query"

process_message = slow_query.decoder("mariadb.slow-query", mysql.mariadb_slow_query_grammar)
