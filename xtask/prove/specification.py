"""What the framing core has to do: all of it, on one screen, in numbers that cannot overflow (wide.py).

Each function but the first lists cases: a condition, and what the code then has to find. The first case whose condition
holds counts. `it` is the input: `offset` and `width` are known; `adjustment`, `limit`, `trailer`, `payload_len`, `length` (how many
bytes there are) and each of `byte` (what they are) are not.
"""

from outcome import Kind, Outcome
from wide import ALWAYS, both, number

# The longest payload: isize::MAX, less the longest header (a prefix of 255 bytes, a varint of 10) and trailer (255).
ADDRESSABLE = 2**63 - 1 - (255 + 10) - 255


def is_format(it):
    """The limit must be a payload that the field can express and a buffer can hold."""
    greatest_field = 2 ** min(64, it.width * (7 if it.is_varint else 8)) - 1
    can_be_expressed = both(it.adjustment <= it.limit, it.limit <= greatest_field + it.adjustment)
    return both(can_be_expressed, it.limit <= ADDRESSABLE)


def parse(it):
    """What the bytes begin with. The last number of a refusal is how many bytes decided; of a head, its length."""
    if it.is_varint:
        yield from varint(it)
    else:
        header_len = it.offset + it.width
        yield it.length < header_len, Outcome(Kind.NEED, header_len - it.length), None
        digits = it.byte[it.offset : header_len]
        yield from sized(it, ALWAYS, header_len, number(256, digits if it.is_little else reversed(digits)))


def varint(it):
    """Seven bits a byte, least significant first; the high bit of all but the last byte is set."""
    for at in range(it.width):
        header_len = it.offset + at + 1
        byte = it.byte[it.offset + at]
        yield it.length < header_len, Outcome(Kind.NEED, header_len - it.length), None
        if at == 9:  # nine bytes have 63 bits, so the tenth may only add one more
            yield byte % 128 > 1, Outcome(Kind.OVERFLOW), header_len
        field = number(128, [byte % 128 for byte in it.byte[it.offset : header_len]])
        if it.is_minimal and at > 0:
            yield byte == 0, Outcome(Kind.NOT_MINIMAL, at + 1, field), header_len
        yield from sized(it, byte < 128, header_len, field)
    yield ALWAYS, Outcome(Kind.TOO_LONG, it.width), it.offset + it.width


def sized(it, ends_here, header_len, field):
    """A whole length field. A payload of more than 2^64 - 1 bytes is said to have just as many."""
    payload_len = field + it.adjustment
    yield both(ends_here, payload_len < 0), Outcome(Kind.UNDERFLOW, field, it.adjustment), header_len
    for condition, known in (payload_len > 2**64 - 1, 2**64 - 1), (ALWAYS, payload_len):
        yield both(ends_here, condition), Outcome(Kind.HEAD, it.offset, header_len, field, known, it.trailer), header_len


def first_frame(it):
    """The frame that the bytes begin with, if it is within the limit and whole, and how many bytes come after it."""
    for condition, found, header_len in parse(it):
        if found.kind == Kind.NEED:
            yield condition, Outcome(Kind.NOT_WHOLE, *found.numbers)
        elif found.kind == Kind.HEAD:
            field, payload_len = found.numbers[2:4]
            oversize = Outcome(Kind.OVERSIZE, field, payload_len, it.limit)
            yield both(condition, payload_len > it.limit), oversize.also(6, min(16, header_len))
            rest = it.length - header_len - payload_len - it.trailer
            yield both(condition, rest < 0), Outcome(Kind.NOT_WHOLE, 0 - rest)
            yield condition, Outcome(Kind.WHOLE, it.offset, header_len, payload_len, it.trailer, rest)
        else:  # refused; a fault shows the bytes that decided, at most 16
            yield condition, found.also(6, min(16, header_len))


def two_pieces(first, both_pieces):
    """A decoder says of the first piece what its bytes begin with; while that is not whole, the same of both pieces."""
    for condition, found in first_frame(first):
        if found.kind == Kind.NOT_WHOLE:
            for then, found_then in first_frame(both_pieces):
                yield both(condition, then), found_then.also(7, found.numbers[0])
        yield condition, found


def header(it):
    """A header is written for each payload within the limit, parses to just that payload, and is as short as can be."""
    yield it.payload_len > it.limit, Outcome(Kind.OVERSIZE, it.payload_len, it.limit)
    yield it.payload_len < it.adjustment, Outcome(Kind.UNDERSIZE, it.payload_len, it.adjustment)
    field = it.payload_len - it.adjustment
    for width in range(1 if it.is_varint else it.width, it.width + 1):
        header_len = it.offset + width
        head = Outcome(Kind.HEAD, it.offset, header_len, field, it.payload_len, it.trailer)
        yield field < 2 ** (width * (7 if it.is_varint else 8)), head.also(6, header_len)
