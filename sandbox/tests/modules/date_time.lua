-- Module date_time: every component, every specifier, conversion.

local checks = require "checks"
local os = require "os"
local dt = require "date_time"
local l = require "lpeg"
local equal, raises = checks.equal, checks.raises

local function conversion()
    equal(dt.time_to_ns(nil), 0)
    equal(dt.time_to_ns{time_t = 1392050801}, 1392050801e9)
    equal(dt.time_to_ns{year = "1970", month = "01", day = "01"}, 43200e9, "noon where there is no hour")
    equal(dt.time_to_ns{year = 1970, month = 1, day = 1, hour = 0}, 0)
    equal(dt.time_to_ns{year = 1969, month = 12, day = 31, hour = 23, min = 59, sec = 58}, -2e9)
    equal(dt.time_to_ns{year = 2000, month = 2, day = 29, hour = 0}, 951782400e9)
    equal(dt.time_to_ns{year = 2000, month = 3, day = 1, hour = 0}, 951868800e9)
    equal(dt.time_to_ns{year = 2100, month = 3, day = 1, hour = 0}, 4107542400e9)
    equal(dt.time_to_ns{year = 2014, month = 13, day = 1, hour = 0}, dt.time_to_ns{year = 2015, month = 1, day = 1, hour = 0})
    equal(dt.time_to_ns{year = 2014, month = 2, day = 10, hour = 16, min = 46, sec = 41, sec_frac = 0.25}, 1392050801250000000)
    for hour, expected in pairs{["12"] = 0, ["01"] = 1, ["11"] = 11} do
        equal(dt.time_to_ns{year = 1970, month = 1, day = 1, hour = hour, period = "AM"}, expected * 3600e9)
    end
    for hour, expected in pairs{["12"] = 12, ["01"] = 13, ["11"] = 23} do
        equal(dt.time_to_ns{year = 1970, month = 1, day = 1, hour = hour, period = "PM"}, expected * 3600e9)
    end
    raises("field 'day' missing in date table", dt.time_to_ns, {year = 2014, month = 1})
    equal(dt.seconds_to_ns("1391794831.755"), 1391794831755000000)
end

-- Every day of a hundred years from 1969 on has the number after the one before.
local function days()
    local months = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
    local last = -366 * 86400e9
    for year = 1969, 2069 do
        for month, count in ipairs(months) do
            local leap = month == 2 and year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
            for day = 1, leap and 29 or count do
                local ns = dt.time_to_ns{year = year, month = month, day = day, hour = 0}
                equal(ns - last, 86400e9, year .. "-" .. month .. "-" .. day)
                last = ns
            end
        end
    end
end

local function rfc3339()
    equal(dt.rfc3339:match"1999-05-05T23:23:59.217-07:30", {
        year = "1999", month = "05", day = "05", hour = "23", min = "23", sec = "59", sec_frac = 0.217, offset_sign = "-", offset_hour = 7, offset_min = 30,
    })
    equal(dt.rfc3339:match"1985-04-12T23:20:50Z", {year = "1985", month = "04", day = "12", hour = "23", min = "20", sec = "50"})
    equal(dt.time_to_ns(dt.rfc3339:match"1990-12-31T23:59:60Z"), 662688000e9, "a leap second")
    equal(dt.time_to_ns(dt.rfc3339:match"2014-02-10T17:46:41+01:00"), 1392050801e9)
    for _, text in ipairs{"", "1985-04-12", "1985-04-12t23:20:50Z", "1985-04-12T23:20:50z", "1985-13-12T23:20:50Z", "1985-04-32T23:20:50Z",
        "1985-04-12T24:20:50Z", "1985-04-12T23:60:50Z", "1985-04-12T23:20:50", "1985-04-12T23:20:50-0700"} do
        equal(dt.rfc3339:match(text), nil, text)
    end
end

local function other_formats()
    equal(dt.time_to_ns(dt.clf_timestamp:match"10/Feb/2014:08:46:41 -0800"), 1392050801e9)
    equal(dt.clf_timestamp:match"10/Fev/2014:08:46:41 -0800", nil)
    equal(dt.time_to_ns(dt.mysql_timestamp:match"20140210164641"), 1392050801e9)
    equal(dt.time_to_ns(dt.pgsql_timestamp:match"2014-02-10 16:46:41"), 1392050801e9)
    local year = os.date("%Y")
    for _, text in ipairs{"Feb  9 16:46:41", "Feb 9 16:46:41"} do
        equal(dt.rfc3164_timestamp:match(text), {year = year, month = "2", day = "9", hour = "16", min = "46", sec = "41"}, text)
    end
    equal(dt.rfc3164_timestamp:match"Feb 16:46:41", nil)
end

local function strftime()
    local century = os.date("%Y"):sub(1, 2)
    local cases = {
        {"%a %A", "Mon Tuesday", {}}, {"%b", "Sep", {month = "9"}}, {"%h", "Dec", {month = "12"}}, {"%B", "September", {month = "9"}},
        {"%c", "Mon Feb 10 16:46:41 2014", {month = "2", day = "10", hour = "16", min = "46", sec = "41", year = "2014"}},
        {"%c", "Mon Feb  1 16:46:41 2014", {month = "2", day = " 1", hour = "16", min = "46", sec = "41", year = "2014"}},
        {"%C%%", "20%", {}}, {"%d", "31", {day = "31"}}, {"%e", " 7", {day = " 7"}}, {"%D", "02/10/14", {month = "02", day = "10", year = century .. "14"}},
        {"%x", "02/10/14", {month = "02", day = "10", year = century .. "14"}}, {"%F", "2014-02-10", {year = "2014", month = "02", day = "10"}},
        {"%g", "14", {year = century .. "14"}}, {"%G", "2014", {year = "2014"}}, {"%H", "23", {hour = "23"}}, {"%I %p", "12 PM", {hour = "12", period = "PM"}},
        {"%j", "366", {}}, {"%k", " 9", {hour = " 9"}}, {"%l", " 9", {hour = " 9"}}, {"%m", "12", {month = "12"}}, {"%M", "59", {min = "59"}},
        {"%n%t", "\n\t", {}}, {"%r", "04:46:41 PM", {hour = "04", min = "46", sec = "41", period = "PM"}}, {"%R", "16:46", {hour = "16", min = "46"}},
        {"%s", "1392050801", {time_t = 1392050801}}, {"%S", "61", {sec = "61"}}, {"%T", "16:46:41", {hour = "16", min = "46", sec = "41"}},
        {"%X", "16:46:41", {hour = "16", min = "46", sec = "41"}}, {"%u%w", "70", {}}, {"%U %V %W", "53 00 52", {}}, {"%y", "99", {year = century .. "99"}},
        {"%Y", "2014", {year = "2014"}}, {"%z", "+0130", {offset_sign = "+", offset_hour = 1, offset_min = 30}},
        {"%Z", "PDT", {offset_sign = "-", offset_hour = 7, offset_min = 0}}, {"%Z", "UTC", {offset_sign = "+", offset_hour = 0, offset_min = 0}},
        {"%Z", "CET", {offset_sign = "+", offset_hour = 0, offset_min = 0}}, {"at %H h", "at\t23 h", {hour = "23"}}, {"100%", "100%", {}},
    }
    for _, case in ipairs(cases) do
        equal(dt.build_strftime_grammar(case[1]):match(case[2]), case[3], case[1])
    end
    for format, text in pairs{["%d"] = "32", ["%m"] = "13", ["%H"] = "24", ["%M"] = "60", ["%S"] = "62", ["%j"] = "367", ["%I"] = "13", ["%b"] = "Foo"} do
        equal(dt.build_strftime_grammar(format):match(text), nil, format)
    end
    raises("unknown strftime specifier: E", dt.build_strftime_grammar, "%E")
    raises("could not parse the strftime format", dt.build_strftime_grammar, "")
end

-- Parts, as scripts put them together.
local function components()
    equal(l.Ct(dt.date_mfull * " " * dt.date_mday_sp * " " * dt.date_fullyear):match"May  5 2014", {month = "5", day = " 5", year = "2014"})
    equal(l.Ct(dt.time_hour * dt.time_minute * dt.time_second * dt.time_secfrac):match"164660.5", {hour = "16", min = "46", sec = "60", sec_frac = 0.5})
    equal(l.Ct(dt.rfc3339_full_time):match"16:46:41Z", {hour = "16", min = "46", sec = "41"})
    equal(l.Ct(dt.rfc3339_time_offset):match"+05:30", {offset_sign = "+", offset_hour = 5, offset_min = 30})
    equal(l.Ct(dt.timezone_offset):match"-0800", {offset_sign = "-", offset_hour = 8, offset_min = 0})
    equal(l.Ct(dt.timezone):match"EST", {offset_sign = "-", offset_hour = 5, offset_min = 0})
end

function process_message()
    conversion()
    days()
    rfc3339()
    other_formats()
    strftime()
    components()
    return 0
end
