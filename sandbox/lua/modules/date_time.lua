-- Grammars of dates and times, and nanoseconds since 1970 from what they capture.
--
-- Owns:    the module `date_time`: components, RFC 3339, RFC 3164, log and database formats, strftime.
-- Captures: year, month, day, hour, min, sec as text; sec_frac, offset_hour, offset_min, time_t as numbers; offset_sign, period as text.
-- Bounds:  grammars are built once; a conversion makes no table.

local l = require "lpeg"
l.locale(l)
local string = require "string"
local math = require "math"
local os = require "os"

local M = {}
local digit = l.digit
local floor = math.floor

-- Days before each month of a year that is not a leap year.
local DAYS_BEFORE = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334}
-- Leap days up to the end of 1969.
local LEAP_DAYS_1970 = 477

local function leap_days(years)
    return floor(years / 4) - floor(years / 100) + floor(years / 400)
end

local function part(t, name, default)
    local value = tonumber(t[name]) or default
    if not value then
        error("field '" .. name .. "' missing in date table", 3)
    end
    return value
end

-- Seconds since 1970 of a date in UTC; what exceeds its unit moves on to the next larger one, as with os.time.
local function seconds_since_1970(year, month, day, hour, min, sec)
    if month < 1 or month > 12 then
        year = year + floor((month - 1) / 12)
        month = (month - 1) % 12 + 1
    end
    local days = (year - 1970) * 365 + leap_days(year - 1) - LEAP_DAYS_1970 + DAYS_BEFORE[month] + day - 1
    if month > 2 and year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) then
        days = days + 1
    end
    return ((days * 24 + hour) * 60 + min) * 60 + sec
end

local function hour_of_day(hour, period)
    if period == "AM" and hour == 12 then
        return 0
    elseif period == "PM" and hour < 12 then
        return hour + 12
    end
    return hour
end

-- Nanoseconds since 1970 of a captured time table; 0 for nil.
function M.time_to_ns(t)
    if not t then
        return 0
    end
    if t.time_t then
        return t.time_t * 1e9
    end
    local hour = hour_of_day(part(t, "hour", 12), t.period)
    local seconds = seconds_since_1970(part(t, "year"), part(t, "month"), part(t, "day"), hour, part(t, "min", 0), part(t, "sec", 0))
    local offset = 0
    if t.offset_hour then
        offset = t.offset_hour * 3600 + t.offset_min * 60
        if t.offset_sign == "+" then
            offset = -offset
        end
    end
    return (seconds + (t.sec_frac or 0) + offset) * 1e9
end

-- Nanoseconds of seconds given as text or number.
function M.seconds_to_ns(seconds)
    return tonumber(seconds) * 1e9
end

local function named(name, pattern)
    return l.Cg(pattern, name)
end

local MONTHS = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}

-- A choice of names of months; `length` shortens each.
local function month_names(length)
    local choice = l.P(false)
    for i, name in ipairs(MONTHS) do
        choice = choice + l.P(string.sub(name, 1, length)) * l.Cc(string.format("%d", i))
    end
    return named("month", choice)
end

local two_digits = digit * digit
local year_text = two_digits * two_digits
local month_text = "0" * l.R"19" + "1" * l.R"02"
local day_text = "0" * l.R"19" + l.R"12" * digit + "3" * l.R"01"
local hour_text = l.R"01" * digit + "2" * l.R"03"
local sixty_text = l.R"05" * digit

M.date_fullyear = named("year", year_text)
M.date_month = named("month", month_text)
M.date_mabbr = month_names(3)
M.date_mfull = month_names(-1)
M.date_mday = named("day", day_text)
M.date_mday_sp = named("day", " " * l.R"19" + l.R"12" * digit + "3" * l.R"01")
M.time_hour = named("hour", hour_text)
M.time_minute = named("min", sixty_text)
-- 60 is a leap second.
M.time_second = named("sec", sixty_text + "60")
M.time_secfrac = named("sec_frac", "." * digit^1 / tonumber)

local function offset(sign, hours)
    return named("offset_sign", l.Cc(sign)) * named("offset_hour", l.Cc(hours)) * named("offset_min", l.Cc(0))
end

-- Abbreviations of North America; any other is taken as UTC.
M.timezone = l.P"UTC" * offset("+", 0)
for name, hours in pairs{PST = 8, PDT = 7, MST = 7, MDT = 6, CST = 6, CDT = 5, EST = 5, EDT = 4} do
    M.timezone = M.timezone + l.P(name) * offset("-", hours)
end
M.timezone = M.timezone + l.alpha^-5 * offset("+", 0)

local offset_sign = named("offset_sign", l.S"+-")
local offset_hour = named("offset_hour", hour_text / tonumber)
local offset_min = named("offset_min", sixty_text / tonumber)
M.timezone_offset = offset_sign * offset_hour * offset_min

M.rfc3339_time_numoffset = offset_sign * offset_hour * ":" * offset_min
M.rfc3339_time_offset = "Z" + M.rfc3339_time_numoffset
local clock = M.time_hour * ":" * M.time_minute * ":" * M.time_second
M.rfc3339_partial_time = clock * M.time_secfrac^-1
M.rfc3339_full_date = M.date_fullyear * "-" * M.date_month * "-" * M.date_mday
M.rfc3339_full_time = M.rfc3339_partial_time * M.rfc3339_time_offset
M.rfc3339 = l.Ct(M.rfc3339_full_date * "T" * M.rfc3339_full_time)

-- 10/Feb/2014:08:46:41 -0800
M.clf_timestamp = l.Ct(M.date_mday * "/" * M.date_mabbr * "/" * M.date_fullyear * ":" * clock * " " * M.timezone_offset)

local function this_year()
    return os.date("%Y")
end

-- Feb  9 14:17:01 and, as some senders write it, Feb 9 14:17:01
M.rfc3164_timestamp = l.Ct(M.date_mabbr * l.P" "^1 * named("day", digit * digit^-1) * l.P" "^1 * clock
    * named("year", l.P(true) / this_year))

M.mysql_timestamp = l.Ct(M.date_fullyear * M.date_month * M.date_mday * M.time_hour * M.time_minute * M.time_second)
M.pgsql_timestamp = l.Ct(M.rfc3339_full_date * " " * clock)

local century = string.sub(os.date("%Y"), 1, 2)
local year_of_century = named("year", two_digits / function(text)
    return century .. text
end)
local hour_of_twelve = named("hour", "0" * digit + "1" * l.R"02")
local period = named("period", l.P"AM" + "PM")
local week_day = l.P"Mon" + "Tue" + "Wed" + "Thu" + "Fri" + "Sat" + "Sun"
local american_date = M.date_month * "/" * M.date_mday * "/" * year_of_century
local week_of_year = l.R"04" * digit + "5" * l.R"03"

local SPECIFIERS = {
    ["%"] = l.P"%",
    a = week_day,
    A = l.P"Monday" + "Tuesday" + "Wednesday" + "Thursday" + "Friday" + "Saturday" + "Sunday",
    b = M.date_mabbr,
    B = M.date_mfull,
    c = week_day * " " * M.date_mabbr * " " * M.date_mday_sp * " " * clock * " " * M.date_fullyear,
    C = two_digits,
    d = M.date_mday,
    D = american_date,
    e = M.date_mday_sp,
    F = M.rfc3339_full_date,
    g = year_of_century,
    G = M.date_fullyear,
    h = M.date_mabbr,
    H = M.time_hour,
    I = hour_of_twelve,
    j = "00" * l.R"19" + "0" * l.R"19" * digit + l.R"12" * two_digits + "3" * l.R"05" * digit + "36" * l.R"06",
    k = named("hour", l.S" 1" * digit + "2" * l.R"03"),
    l = named("hour", l.space * digit + "1" * l.R"02"),
    m = M.date_month,
    M = M.time_minute,
    n = l.P"\n",
    p = period,
    r = hour_of_twelve * ":" * M.time_minute * ":" * M.time_second * " " * period,
    R = M.time_hour * ":" * M.time_minute,
    s = named("time_t", digit^1 / tonumber),
    S = named("sec", sixty_text + "6" * l.R"01"),
    t = l.P"\t",
    T = clock,
    u = l.R"17",
    U = week_of_year,
    V = week_of_year,
    w = l.R"06",
    W = week_of_year,
    x = american_date,
    X = clock,
    y = year_of_century,
    Y = M.date_fullyear,
    z = M.timezone_offset,
    Z = M.timezone,
}

local function specifier(letter)
    local pattern = SPECIFIERS[letter]
    if not pattern then
        error("unknown strftime specifier: " .. letter, 3)
    end
    return pattern
end

-- A grammar that captures a time table from text in a strftime format. A blank of the format matches any one blank.
function M.build_strftime_grammar(format)
    if type(format) ~= "string" or format == "" then
        error("could not parse the strftime format", 2)
    end
    local grammar, at = l.P(true), 1
    while at <= #format do
        local letter = string.match(format, "^%%([%w%%])", at)
        if letter then
            grammar, at = grammar * specifier(letter), at + 2
        elseif string.find(format, "^%s", at) then
            grammar, at = grammar * l.space, at + 1
        else
            local literal = string.match(format, "^%%?[^%%%s]*", at)
            grammar, at = grammar * literal, at + #literal
        end
    end
    return l.Ct(grammar)
end

return M
