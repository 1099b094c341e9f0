
-- Everything above this line depends on the format. The rest is the same for any format, and uses no operator or library that
-- one of Lua 5.1 to 5.4 lacks.


local proto = Proto(NAME, TITLE)

local fields = {
    prefix = ProtoField.bytes(NAME .. ".prefix", "Prefix"),
    length = ProtoField.uint64(NAME .. ".length", "Length field"),
    payload_len = ProtoField.uint32(NAME .. ".payload_len", "Payload length"),
    payload = ProtoField.bytes(NAME .. ".payload", "Payload"),
    text = ProtoField.string(NAME .. ".text", "Text"),
    trailer = ProtoField.bytes(NAME .. ".trailer", "Trailer"),
    rest = ProtoField.bytes(NAME .. ".rest", "Bytes outside frames"),
}
proto.fields = fields

local experts = {
    bad = ProtoExpert.new(NAME .. ".bad", "Not a frame", expert.group.MALFORMED, expert.severity.ERROR),
    after = ProtoExpert.new(NAME .. ".after", "Not dissected", expert.group.UNDECODED, expert.severity.NOTE),
}
proto.experts = experts

proto.prefs.port = Pref.range("TCP ports", PORT, "The ports whose streams are frames, such as 4747 or 4747,5000-5010", 65535)
proto.prefs.reassemble = Pref.bool("Reassemble frames over segments", true, "Needs the same preference of TCP")
proto.prefs.midstream = Pref.bool(
    "Dissect streams without a beginning",
    false,
    "Take the first byte captured of a connection whose handshake is missing as the start of a frame"
)

-- The bytes of the shortest header.
local MIN_HEADER_LEN = OFFSET + (VARINT and 1 or WIDTH)
-- A float, so that numbers of 64 bits do not wrap around in Lua 5.3 and later.
local WORD = 4294967296.0
-- A longer payload is not searched for text.
local MAX_TEXT_LEN = 65536
-- Bytes of a text that the line of a frame and the column show.
local MAX_SHOWN_LEN = 60

local function byte(tvb, at)
    return tvb(at, 1):uint()
end

-- Reads a fixed-width length field: its width, and its number in two words of 32 bits.
local function fixed(tvb, at)
    local high, low = 0.0, 0.0
    for index = 0, WIDTH - 1 do
        local place = LITTLE and index or WIDTH - 1 - index
        if place < 4 then
            low = low + byte(tvb, at + index) * 256 ^ place
        else
            high = high + byte(tvb, at + index) * 256 ^ (place - 4)
        end
    end
    return WIDTH, high, low
end

-- Reads a varint in the same way; nil if it is not all there, nil and a reason if it is refused.
local function varint(tvb, at)
    local high, low = 0.0, 0.0
    for index = 0, WIDTH - 1 do
        if at + index >= tvb:len() then
            return nil
        end
        local bits = byte(tvb, at + index)
        local is_last = bits < 128
        bits = bits % 128
        if index == 9 and bits > 1 then
            return nil, "the varint holds more than 64 bits"
        elseif index < 4 then
            low = low + bits * 128 ^ index
        elseif index == 4 then
            -- Four of its bits belong to the low word.
            low = low + bits % 16 * 268435456.0
            high = (bits - bits % 16) / 16
        else
            high = high + bits * 128 ^ (index - 5) * 8
        end
        if is_last then
            if MINIMAL and index > 0 and bits == 0 then
                return nil, "the varint is longer than its number needs"
            end
            return index + 1, high, low
        end
    end
    return nil, string.format("the varint has more than %d bytes", WIDTH)
end

-- The header of the frame at `at`: its width, its payload's length, and the two words of its field. Nil if the header is not
-- all there; nil and a reason if no frame can begin with these bytes.
local function header(tvb, at)
    if tvb:len() - at < MIN_HEADER_LEN then
        return nil
    end
    local read = VARINT and varint or fixed
    local width, high, low = read(tvb, at + OFFSET)
    if not width then
        return nil, high
    end
    -- How far the field is above the one of the least payload: exact wherever it is within the limit.
    local above = (high - LEAST_FIELD_HIGH) * WORD + (low - LEAST_FIELD_LOW)
    if above < 0 then
        return nil, string.format("the length field of %.0f makes the payload's length negative", high * WORD + low)
    end
    local payload_len = above + LEAST_PAYLOAD
    if payload_len > MAX_PAYLOAD then
        return nil, string.format("a payload of %.0f bytes is over the limit of %.0f", payload_len, MAX_PAYLOAD)
    end
    return OFFSET + width, payload_len, high, low
end

-- The whole length of the frame at `at`, in bytes, for Wireshark's loop; 0 asks for one more segment. `scan` has been there
-- before: no frame that is refused comes here.
local function frame_len(tvb, pinfo, at)
    local header_len, payload_len = header(tvb, at)
    return header_len and header_len + payload_len + TRAILER or 0
end

-- The bytes of the whole frames at the start, and the reason why no frame follows, if there is one.
local function scan(tvb)
    local at = 0
    while at < tvb:len() do
        local header_len, payload_len = header(tvb, at)
        if not header_len then
            return at, payload_len
        end
        -- At least one byte, as a header has one: so this loop ends.
        local next_at = at + header_len + payload_len + TRAILER
        if next_at > tvb:len() then
            return at
        end
        at = next_at
    end
    return at
end

-- What follows an ASCII character or precedes one in UTF-8, without control characters.
local CHARACTERS = {
    "^[\t\n\r\32-\126]+",
    "^[\225-\236\238\239][\128-\191][\128-\191]",
    "^\194[\160-\191]",
    "^[\195-\223][\128-\191]",
    "^\224[\160-\191][\128-\191]",
    "^\237[\128-\159][\128-\191]",
    "^\240[\144-\191][\128-\191][\128-\191]",
    "^[\241-\243][\128-\191][\128-\191][\128-\191]",
    "^\244[\128-\143][\128-\191][\128-\191]",
}

-- The last byte of the run of characters that begins at `at`; nil if none does.
local function characters(bytes, at)
    for _, pattern in ipairs(CHARACTERS) do
        local _, last = string.find(bytes, pattern, at)
        if last then
            return last
        end
    end
end

-- A payload's bytes if they are text, and the part of them that fits a line.
local function text_of(range)
    if range:len() > MAX_TEXT_LEN then
        return nil
    end
    local bytes = range:raw()
    local at, shown = 1, 0
    while at <= #bytes do
        local last = characters(bytes, at)
        if not last then
            return nil
        end
        if last <= MAX_SHOWN_LEN then
            shown = last
        elseif string.byte(bytes, at) < 128 then
            shown = math.max(shown, MAX_SHOWN_LEN)
        end
        at = last + 1
    end
    local line = string.gsub(string.sub(bytes, 1, shown), "%c", " ")
    return bytes, shown < #bytes and line .. "..." or line
end

-- Shows one frame; `tvb` is all of it.
local function show(tvb, pinfo, root)
    local header_len, payload_len, high, low = header(tvb, 0)
    local tree = root:add(proto, tvb(), string.format("%s, payload: %.0f bytes", TITLE, payload_len))
    if OFFSET > 0 then
        tree:add(fields.prefix, tvb(0, OFFSET))
    end
    tree:add(fields.length, tvb(OFFSET, header_len - OFFSET), UInt64.new(low, high))
    local summary = string.format("%.0f bytes", payload_len)
    local payload = payload_len > 0 and tvb(header_len, payload_len)
    tree:add(fields.payload_len, payload or tvb(OFFSET, header_len - OFFSET), payload_len):set_generated()
    if payload then
        tree:add(fields.payload, payload)
        local text, line = text_of(payload)
        if text then
            tree:add_packet_field(fields.text, payload, ENC_UTF_8 + ENC_STRING)
            tree:append_text(": " .. line)
            summary = line
        end
    end
    if TRAILER > 0 then
        tree:add(fields.trailer, tvb(header_len + payload_len, TRAILER))
    end
    pinfo.cols.protocol = TITLE
    pinfo.cols.info:append(" [" .. summary .. "]")
    return tvb:len()
end

-- Shows bytes that are in no frame, and why.
local function show_rest(range, pinfo, root, kind, reason)
    local tree = root:add(proto, range, TITLE .. ": " .. reason)
    tree:add(fields.rest, range)
    tree:add_proto_expert_info(kind, reason)
    pinfo.cols.protocol = TITLE
    pinfo.cols.info:append(" [" .. reason .. "]")
end

-- A field of another protocol, or a function that gives nothing if this Wireshark does not have it.
local function field_of(name)
    local has, field = pcall(Field.new, name)
    return has and field or function() end
end

local tcp_stream, tcp_completeness = field_of("tcp.stream"), field_of("tcp.completeness")

-- Where each direction of a stream ceased to be frames: the number of the packet. What comes after it is not dissected.
local ended_in = {}

function proto.init()
    ended_in = {}
end

-- Whether the handshake of this connection, or a part of it, was captured. If this Wireshark does not say, it was.
local function has_beginning()
    local completeness = tcp_completeness()
    return not completeness or completeness.value % 4 > 0
end

local function direction(pinfo)
    local stream = tcp_stream()
    return table.concat({ stream and stream.value or "", tostring(pinfo.src), pinfo.src_port, pinfo.dst_port }, " ")
end

function proto.dissector(tvb, pinfo, root)
    local key = direction(pinfo)
    local ended = ended_in[key]
    if ended and pinfo.number > ended then
        show_rest(tvb(), pinfo, root, experts.after, string.format("no frames are found after packet %d", ended))
        return tvb:len()
    end
    if not has_beginning() and not proto.prefs.midstream then
        show_rest(tvb(), pinfo, root, experts.after, "the capture has no beginning of this stream: see the preferences")
        return tvb:len()
    end
    local whole, reason = scan(tvb)
    local kind = experts.bad
    local can_reassemble = proto.prefs.reassemble and pinfo.can_desegment > 0
    if not reason and whole < tvb:reported_len() and not can_reassemble then
        kind, reason = experts.after, "the frame is not whole, and cannot be reassembled"
    end
    if not reason then
        dissect_tcp_pdus(tvb, root, MIN_HEADER_LEN, frame_len, show, true)
        return tvb:len()
    end
    ended_in[key] = pinfo.number
    if whole > 0 then
        dissect_tcp_pdus(tvb(0, whole):tvb(), root, MIN_HEADER_LEN, frame_len, show, true)
    end
    if whole < tvb:len() then
        show_rest(tvb(whole), pinfo, root, kind, reason)
    end
    return tvb:len()
end

local registered = ""

local function register()
    local table_of_ports = DissectorTable.get("tcp.port")
    if registered ~= "" then
        table_of_ports:remove(registered, proto)
    end
    registered = proto.prefs.port
    if registered ~= "" then
        table_of_ports:add(registered, proto)
    end
end

proto.prefs_changed = register
register()
-- For "decode as", over TCP and over TLS.
DissectorTable.get("tcp.port"):add_for_decode_as(proto)
DissectorTable.get("tls.port"):add_for_decode_as(proto)
