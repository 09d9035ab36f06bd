-- Grammars of dates and times, and nanoseconds since 1970 from what they capture.
--
-- Owns:    the module `date_time`: components, RFC 3339, RFC 3164, log and database formats, strftime.
-- Captures: year, month, day, hour, min, sec as text; sec_frac, offset_hour, offset_min, time_t as numbers; offset_sign, period as text.
-- Bounds:  a grammar is made once, when it is first asked for; a conversion makes no table.

local l = require "lpeg"
l.locale(l)
local string = require "string"
local math = require "math"
local os = require "os"
local log_grammar = require "hekad.log_grammar"

local digit = l.digit
local floor = math.floor

-- Grammars by name, as functions that make them.
local make = {}

-- A grammar is made when it is first asked for: there are many, and a script needs few.
local M = setmetatable({}, {
    __index = function(module, name)
        local maker = make[name]
        local grammar = maker and maker()
        rawset(module, name, grammar)
        return grammar
    end,
})

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
local hour_text = l.R"01" * digit + "2" * l.R"03"
local sixty_text = l.R"05" * digit

function make.date_fullyear()
    return named("year", two_digits * two_digits)
end

function make.date_month()
    return named("month", "0" * l.R"19" + "1" * l.R"02")
end

function make.date_mabbr()
    return month_names(3)
end

function make.date_mfull()
    return month_names(-1)
end

function make.date_mday()
    return named("day", "0" * l.R"19" + l.R"12" * digit + "3" * l.R"01")
end

function make.date_mday_sp()
    return named("day", " " * l.R"19" + l.R"12" * digit + "3" * l.R"01")
end

function make.time_hour()
    return named("hour", hour_text)
end

function make.time_minute()
    return named("min", sixty_text)
end

-- 60 is a leap second.
function make.time_second()
    return named("sec", sixty_text + "60")
end

function make.time_secfrac()
    return named("sec_frac", "." * digit^1 / tonumber)
end

local function clock()
    return M.time_hour * ":" * M.time_minute * ":" * M.time_second
end

-- Hours behind UTC of North America's abbreviations; any other is taken as UTC.
local BEHIND = {UTC = 0, PST = 8, PDT = 7, MST = 7, MDT = 6, CST = 6, CDT = 5, EST = 5, EDT = 4}

function make.timezone()
    local function offset(hours)
        return named("offset_sign", l.Cc(hours == 0 and "+" or "-")) * named("offset_hour", l.Cc(hours)) * named("offset_min", l.Cc(0))
    end
    local choice = l.P(false)
    for name, hours in pairs(BEHIND) do
        choice = choice + l.P(name) * offset(hours)
    end
    return choice + l.alpha^-5 * offset(0)
end

local function offset_with(separator)
    return named("offset_sign", l.S"+-") * named("offset_hour", hour_text / tonumber) * separator * named("offset_min", sixty_text / tonumber)
end

function make.timezone_offset()
    return offset_with("")
end

function make.rfc3339_time_numoffset()
    return offset_with(":")
end

function make.rfc3339_time_offset()
    return "Z" + M.rfc3339_time_numoffset
end

function make.rfc3339_partial_time()
    return clock() * M.time_secfrac^-1
end

function make.rfc3339_full_date()
    return M.date_fullyear * "-" * M.date_month * "-" * M.date_mday
end

function make.rfc3339_full_time()
    return M.rfc3339_partial_time * M.rfc3339_time_offset
end

function make.rfc3339()
    return l.Ct(M.rfc3339_full_date * "T" * M.rfc3339_full_time)
end

-- 10/Feb/2014:08:46:41 -0800
function make.clf_timestamp()
    return l.Ct(M.date_mday * "/" * M.date_mabbr * "/" * M.date_fullyear * ":" * clock() * " " * M.timezone_offset)
end

local function this_year()
    return os.date("%Y")
end

-- Feb  9 14:17:01 and, as some senders write it, Feb 9 14:17:01
function make.rfc3164_timestamp()
    return l.Ct(M.date_mabbr * l.P" "^1 * named("day", digit * digit^-1) * l.P" "^1 * clock() * named("year", l.P(true) / this_year))
end

function make.mysql_timestamp()
    return l.Ct(M.date_fullyear * M.date_month * M.date_mday * M.time_hour * M.time_minute * M.time_second)
end

function make.pgsql_timestamp()
    return l.Ct(M.rfc3339_full_date * " " * clock())
end

-- The current century's.
local function year_of_century()
    local century = string.sub(this_year(), 1, 2)
    return named("year", two_digits / function(text)
        return century .. text
    end)
end

local function hour_of_twelve()
    return named("hour", "0" * digit + "1" * l.R"02")
end

local function period()
    return named("period", l.P"AM" + "PM")
end

local function week_day()
    return log_grammar.one_of("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
end

local function american_date()
    return M.date_month * "/" * M.date_mday * "/" * year_of_century()
end

local function week_of_year()
    return l.R"04" * digit + "5" * l.R"03"
end

-- Specifiers of strftime: names of grammars, texts that stand for themselves, or functions that make a grammar.
local NAMED = {
    b = "date_mabbr", B = "date_mfull", d = "date_mday", e = "date_mday_sp", F = "rfc3339_full_date", G = "date_fullyear", h = "date_mabbr",
    H = "time_hour", m = "date_month", M = "time_minute", Y = "date_fullyear", z = "timezone_offset", Z = "timezone",
}
local TEXTS = {["%"] = "%", n = "\n", t = "\t"}
local MADE = {
    a = week_day,
    A = function()
        return log_grammar.one_of("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    end,
    c = function()
        return week_day() * " " * M.date_mabbr * " " * M.date_mday_sp * " " * clock() * " " * M.date_fullyear
    end,
    C = function()
        return two_digits
    end,
    D = american_date,
    g = year_of_century,
    I = hour_of_twelve,
    j = function()
        return "00" * l.R"19" + "0" * l.R"19" * digit + l.R"12" * two_digits + "3" * l.R"05" * digit + "36" * l.R"06"
    end,
    k = function()
        return named("hour", l.S" 1" * digit + "2" * l.R"03")
    end,
    l = function()
        return named("hour", l.space * digit + "1" * l.R"02")
    end,
    p = period,
    r = function()
        return hour_of_twelve() * ":" * M.time_minute * ":" * M.time_second * " " * period()
    end,
    R = function()
        return M.time_hour * ":" * M.time_minute
    end,
    s = function()
        return named("time_t", digit^1 / tonumber)
    end,
    S = function()
        return named("sec", sixty_text + "6" * l.R"01")
    end,
    T = clock,
    u = function()
        return l.R"17"
    end,
    U = week_of_year,
    V = week_of_year,
    w = function()
        return l.R"06"
    end,
    W = week_of_year,
    x = american_date,
    X = clock,
    y = year_of_century,
}

local function specifier(letter)
    if NAMED[letter] then
        return M[NAMED[letter]]
    elseif MADE[letter] then
        return MADE[letter]()
    elseif not TEXTS[letter] then
        error("unknown strftime specifier: " .. letter, 3)
    end
    return l.P(TEXTS[letter])
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
