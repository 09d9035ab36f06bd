-- What the module alert does, as Heka documents it: an hour between alerts, a queue, time 0. Injects first\nsecond, third, fourth, many.
local alert = require "alert"
local string = require "string"

local HOUR = 3600 * 1e9

function process_message()
    assert(_LAST_ALERT == 0)
    assert(not alert.send(2 * HOUR, nil))
    assert(not alert.send(2 * HOUR, ""))
    assert(not alert.send_queue(2 * HOUR))
    assert(not alert.queue(HOUR, "too early"))
    assert(alert.queue(2 * HOUR, "first"))
    assert(alert.queue(2 * HOUR, "second"))
    assert(alert.send_queue(2 * HOUR))
    assert(_LAST_ALERT == 2 * HOUR)
    assert(not alert.send_queue(4 * HOUR))

    assert(alert.throttled(3 * HOUR))
    assert(not alert.throttled(3 * HOUR + 1e6))
    assert(alert.throttled(HOUR))
    assert(not alert.throttled(0))
    alert.set_throttle(1e9)
    assert(not alert.send(2 * HOUR + 1e9, "too early"))
    assert(alert.send(2 * HOUR + 2e9, "third"))
    assert(alert.send(0, "fourth"))
    assert(_LAST_ALERT == 2 * HOUR + 2e9)

    -- What is queued and then comes too early is lost.
    assert(alert.queue(3 * HOUR, "lost"))
    _LAST_ALERT = 3 * HOUR
    assert(not alert.send_queue(3 * HOUR))
    assert(not alert.send_queue(5 * HOUR))

    -- Four fit in 32 KiB with their newlines; the others are counted.
    for _ = 1, 10 do
        assert(alert.queue(0, ("m"):rep(8000)))
    end
    assert(alert.send_queue(0))
    return 0
end
