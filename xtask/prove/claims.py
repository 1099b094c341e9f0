"""The claims, each over all adjustments, limits, lengths and bytes. A function takes the shim and a layout, returns how
many paths there are, and raises `Refuted` or `NotShown`. No path of any of them reaches a panic: that is claim 6."""

import specification
from machine import Given
from outcome import Kind, Outcome
from wide import ALWAYS, both

NO_FORMAT, NOT_WHOLE = Outcome(Kind.NO_FORMAT), Outcome(Kind.NOT_WHOLE)
# How many bytes a decoder gets after the longest header.
MORE = 2


def new(machine, layout):
    """`Format::new` accepts just what the specification accepts; here offset and width are unknown, too."""
    it = Given(layout, unknown=("offset", "width"))
    cases = []
    for width in range(1, 11 if layout.is_varint else 9):
        layout.width = width
        cases.append((both(it.bits["width"] == width, specification.is_format(it)), [Outcome(Kind.FORMAT)]))
    return machine.check("new", (it, [*cases, (ALWAYS, [NO_FORMAT])]))


def parse(machine, layout):
    """`parse` is the specification."""
    it = format_of(layout)
    cases = [(condition, [found]) for condition, found, _ in specification.parse(it)]
    return machine.check("parse", (it, cases))


def whole_frame(machine, layout):
    """`whole_frame` takes no frame that the specification, and `parse`, would not take just so. It may decline."""
    it = format_of(layout)
    cases = []
    for condition, found in specification.first_frame(it):
        allowed = [NOT_WHOLE]
        if found.kind == Kind.WHOLE:
            _, header_len, payload_len, trailer, _ = found.numbers
            allowed.append(Outcome(Kind.WHOLE, payload_len + header_len + trailer))
        cases.append((condition, allowed))
    return machine.check("whole_frame", (it, cases))


def header(machine, layout):
    """An encoded header parses to what was encoded, for every payload within the limit; all others are refused."""
    it = format_of(layout)
    # The first bytes are the prefix to encode.
    it.conditions.append(it.bits["len"] >= layout.offset)
    cases = [(condition, [found]) for condition, found in specification.header(it)]
    return machine.check("header", (it, cases))


def split_first(machine, layout):
    """`split_first` agrees with the specification: the frame, what comes after it, and the fault."""
    it = format_of(layout)
    found_in = specification.first_frame(it)
    cases = [(condition, [NOT_WHOLE if found.kind == Kind.NOT_WHOLE else found]) for condition, found in found_in]
    return machine.check("split_first", (it, cases))


def decoder(machine, layout):
    """A decoder fed in two pieces, cut anywhere, yields that frame or that error, which is final, or needs just the bytes
    that the frame is known to need."""
    runs = []
    length = layout.offset + layout.width + MORE
    for cut in range(length + 1):
        first, both_pieces = format_of(layout, len=cut), format_of(layout, len=length, start=cut)
        cases = [(condition, [found]) for condition, found in specification.two_pieces(first, both_pieces)]
        runs.append((both_pieces, cases))
    return machine.check("decoder", *runs)


def format_of(layout, **known):
    """The input where there is a format: by claim 1, just where the specification says so."""
    it = Given(layout, **known)
    it.conditions.append(specification.is_format(it))
    return it


# By the number that the table shows.
CLAIMS = {"1": new, "2": parse, "3": whole_frame, "4": header, "5": split_first, "7": decoder}
