"""Numbers that are too wide to overflow here, signed, known or unknown."""

import claripy

BITS = 72


class Wide:
    """A number of 72 bits: what is added up here from a few 64-bit numbers fits, so its operators are mathematics. Its
    low 64 bits are also kept as sums of low bits, as the solver then sees at once which sums of the code they equal."""

    def __init__(self, value, low=None):
        if isinstance(value, Wide):
            value, low = value.value, value.low
        if isinstance(value, int):
            value, low = claripy.BVV(value, BITS), claripy.BVV(value, 64)
        self.value, self.low = value, low

    @staticmethod
    def unsigned(bits):
        """The number of these bits."""
        return Wide(bits.zero_extend(BITS - bits.length), bits.zero_extend(64 - bits.length))

    @staticmethod
    def signed(bits):
        """The number of these bits in two's complement."""
        return Wide(bits.sign_extend(BITS - bits.length), bits.sign_extend(64 - bits.length))

    def __add__(self, other):
        other = Wide(other)
        return Wide(self.value + other.value, self.low + other.low)

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        other = Wide(other)
        return Wide(self.value - other.value, self.low - other.low)

    def __rsub__(self, other):
        return Wide(other) - self

    def __mul__(self, power_of_two):
        shift = power_of_two.bit_length() - 1
        return Wide(self.value << shift, self.low << shift)

    def __mod__(self, power_of_two):
        return Wide(self.value & (power_of_two - 1), self.low & (power_of_two - 1))

    def __lt__(self, other):
        return claripy.SLT(self.value, Wide(other).value)

    def __le__(self, other):
        return claripy.SLE(self.value, Wide(other).value)

    def __gt__(self, other):
        return Wide(other) < self

    def __ge__(self, other):
        return Wide(other) <= self

    def __eq__(self, other):
        return self.value == Wide(other).value

    __hash__ = None


def number(base, digits):
    """The number with these digits, the least significant one first, in a base that is a power of two."""
    bits = claripy.Concat(*reversed([digit.value[base.bit_length() - 2 : 0] for digit in digits]))
    value = bits.zero_extend(BITS - bits.length)
    return Wide(value, value[63:0])


def both(one, other):
    """Whether both conditions hold."""
    return claripy.And(one, other)


ALWAYS = claripy.true()
