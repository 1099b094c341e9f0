-- The part of Wireshark that a dissector needs, for versions of Lua that no Wireshark at hand has: lua stand_in.lua DISSECTOR
-- Standard input has a stream in hexadecimal in each line. For each, the lengths of its frames are printed.

-- Takes any call and any field, and gives itself.
local function anything()
    local it = {}
    return setmetatable(it, {
        __index = function()
            return it
        end,
        __call = function()
            return it
        end,
    })
end

-- Fails, as Wireshark does, if a number is not whole.
local function whole(number)
    return tonumber(string.format("%d", number))
end

local buffer = {}
buffer.__index = buffer
buffer.__call = function(self, at, len)
    at = whole(at or 0)
    len = whole(len or #self.bytes - at)
    assert(at >= 0 and len >= 0 and at + len <= #self.bytes, "outside of the buffer")
    return setmetatable({ bytes = string.sub(self.bytes, at + 1, at + len) }, buffer)
end
function buffer:len()
    return #self.bytes
end
buffer.reported_len = buffer.len
function buffer:raw()
    return self.bytes
end
function buffer:tvb()
    return self
end
function buffer:uint()
    assert(#self.bytes == 1)
    return string.byte(self.bytes)
end

local proto
function Proto()
    proto = { prefs = {} }
    return proto
end
Pref = {
    range = function(_, default)
        return default
    end,
    bool = function(_, default)
        return default
    end,
}
UInt64 = {
    new = function(low, high)
        assert(whole(low) < 4294967296 and whole(high) < 4294967296)
        return low
    end,
}
Field = {
    new = function()
        return function() end
    end,
}
ProtoField, ProtoExpert, expert, DissectorTable = anything(), anything(), anything(), anything()
ENC_UTF_8, ENC_STRING = 2, 16777216

local found
function dissect_tcp_pdus(tvb, root, least, len_of, show)
    local at = 0
    while tvb:len() - at >= least do
        local len = whole(len_of(tvb, { number = 1 }, at))
        if len == 0 or len > tvb:len() - at then
            return
        end
        show(tvb(at, len), { cols = { info = anything() } }, root)
        found[#found + 1] = string.format("%d", len)
        at = at + len
    end
end

dofile(arg[1])

for line in io.lines() do
    found = {}
    local bytes = string.gsub(line, "%x%x", function(byte)
        return string.char(tonumber(byte, 16))
    end)
    proto.init()
    local pinfo = { number = 1, can_desegment = 1, src = "a", src_port = 1, dst_port = 2, cols = { info = anything() } }
    proto.dissector(setmetatable({ bytes = bytes }, buffer), pinfo, anything())
    print(table.concat(found, " "))
end
