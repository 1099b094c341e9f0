"""What a call can find: the outcomes of `shim/src/calls.rs`, with the same numbers."""

from enum import IntEnum


class Kind(IntEnum):
    """Which outcome."""

    NO_FORMAT = 0
    FORMAT = 1
    NEED = 2
    HEAD = 3
    UNDERFLOW = 4
    OVERSIZE = 5
    TOO_LONG = 6
    OVERFLOW = 7
    NOT_MINIMAL = 8
    UNDERSIZE = 9
    NOT_WHOLE = 10
    WHOLE = 11
    STRANGE = 12


class Outcome:
    """An outcome with its numbers; those at the end that are not named are 0."""

    def __init__(self, kind, *numbers):
        self.kind = kind
        self.numbers = numbers

    def also(self, place, number):
        """The same outcome, with this number as the one of this place."""
        missing = place - 1 - len(self.numbers)
        return Outcome(self.kind, *self.numbers, *[0] * missing, number)
