"""Numbers that are too wide to overflow here: 128 bits, signed, known or unknown."""

import claripy

BITS = 128


class Wide:
    """A number of 128 bits. What is added up from 64-bit numbers fits, so its operators are those of mathematics."""

    def __init__(self, value):
        if isinstance(value, Wide):
            value = value.value
        self.value = claripy.BVV(value, BITS) if isinstance(value, int) else value

    @staticmethod
    def unsigned(bits):
        """The number of these bits."""
        return Wide(bits.zero_extend(BITS - bits.length))

    @staticmethod
    def signed(bits):
        """The number of these bits in two's complement."""
        return Wide(bits.sign_extend(BITS - bits.length))

    def __add__(self, other):
        return Wide(self.value + Wide(other).value)

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return Wide(self.value - Wide(other).value)

    def __rsub__(self, other):
        return Wide(other) - self

    def __mul__(self, power_of_two):
        return Wide(self.value << (power_of_two.bit_length() - 1))

    def __mod__(self, power_of_two):
        return Wide(self.value & (power_of_two - 1))

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

    def in_64_bits(self):
        """As the code says it: a negative number in two's complement."""
        return self.value[63:0]


def smaller(one, other):
    """The smaller of two numbers."""
    one, other = Wide(one), Wide(other)
    return Wide(claripy.If(one < other, one.value, other.value))


def larger(one, other):
    """The larger of two numbers."""
    one, other = Wide(one), Wide(other)
    return Wide(claripy.If(one < other, other.value, one.value))


def both(one, other):
    """Whether both conditions hold."""
    return claripy.And(one, other)


ALWAYS = claripy.true()
