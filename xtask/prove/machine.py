"""Runs a function of the shim for all inputs at once, by angr, and compares what it finds with the specification."""

import logging

# It tells of an optional part that is not installed, before anyone can ask it not to.
logging.getLogger("angr.state_plugins.unicorn_engine").setLevel(logging.CRITICAL)

import angr
import claripy
from angr.concretization_strategies import SimConcretizationStrategyRange

from outcome import Kind
from solver import facts, same, satisfiable
from wide import Wide

# Where the input, the output, and the bytes are, and where a call returns to. Nothing else is there.
INPUT, OUTPUT, BYTES, RETURN = 0x1000_0000, 0x1100_0000, 0x2000_0000, 0x3000_0000
# How many bytes the specification may look at; the memory behind them is just as unknown.
KNOWN_BYTES = 32
WORDS = 8
# How many bytes a copy may have.
MOST_COPIED = 64
# More steps than any call takes; a path that still runs after them is unfinished.
MOST_STEPS = 5000

for noisy in ("angr", "cle", "claripy", "pyvex"):
    logging.getLogger(noisy).setLevel(logging.CRITICAL)


class Layout:
    """Where the length field is, and what it is: what a run knows."""

    ORDERS = ("le", "be", "varint", "minimal")

    def __init__(self, order, width, offset=0, start=0):
        self.order, self.width, self.offset, self.start = order, width, offset, start

    @property
    def is_varint(self):
        """Whether the field is a varint."""
        return self.order in ("varint", "minimal")

    @property
    def order_number(self):
        """The order as the shim has it."""
        return self.ORDERS.index(self.order)

    def __str__(self):
        return f"{self.order}{self.width}@{self.offset}" + (f"+{self.start}" if self.start else "")


class Given:
    """The input of a call: a layout, which is known, and the rest, which is not. `unknown` of it are not known, and
    `more` are."""

    def __init__(self, layout, unknown=(), **more):
        self.layout = layout
        known = {"bytes": BYTES, "offset": layout.offset, "width": layout.width, "order": layout.order_number}
        known = {"start": layout.start} | known | more
        self.bits = {
            name: claripy.BVV(known[name], bits)
            if name in known and name not in unknown
            else claripy.BVS(name, bits, explicit_name=True)
            for name, bits in INPUT_FIELDS.items()
        }
        self.memory = [claripy.BVS(f"byte{at}", 8, explicit_name=True) for at in range(KNOWN_BYTES)]
        # What every slice in Rust has.
        self.conditions = [self.bits["len"] <= 2**63 - 1]

    # What the specification reads.
    offset = property(lambda self: self.layout.offset)
    width = property(lambda self: self.layout.width)
    is_varint = property(lambda self: self.layout.is_varint)
    is_minimal = property(lambda self: self.layout.order == "minimal")
    is_little = property(lambda self: self.layout.order == "le")
    adjustment = property(lambda self: Wide.signed(self.bits["adjustment"]))
    limit = property(lambda self: Wide.unsigned(self.bits["limit"]))
    trailer = property(lambda self: Wide.unsigned(self.bits["trailer"]))
    payload_len = property(lambda self: Wide.unsigned(self.bits["payload_len"]))
    length = property(lambda self: Wide.unsigned(self.bits["len"]) - self.layout.start)
    byte = property(lambda self: [Wide.unsigned(byte) for byte in self.memory[self.layout.start :]])


# `Input` of shim/src/lib.rs: its fields in order, and their bits.
INPUT_FIELDS = {
    "adjustment": 64,
    "limit": 64,
    "bytes": 64,
    "len": 64,
    "start": 64,
    "payload_len": 64,
    "offset": 8,
    "width": 8,
    "order": 8,
    "trailer": 8,
}


class Refuted(Exception):
    """The code finds something else than the specification; with the input."""

    def __init__(self, counterexample):
        super().__init__("refuted")
        self.counterexample = counterexample


class NotShown(Exception):
    """The run cannot say: a path ended in an unknown way, or some input or outcome was not reached."""


class Copy(angr.SimProcedure):
    """`memcpy`, in one step for all lengths, of which there are few."""

    def run(self, to, from_, count):
        """Copies the bytes before `count`."""
        # So many values that one is too great, if any is.
        values = self.state.solver.eval_upto(count, MOST_COPIED + 2)
        if max(values) > MOST_COPIED:
            raise angr.errors.SimMemoryLimitError("a copy of more bytes than a header has")
        for at in range(max(values)):
            byte, before = self.state.memory.load(from_ + at, 1), self.state.memory.load(to + at, 1)
            self.state.memory.store(to + at, claripy.If(count > at, byte, before))
        return to


class Machine:
    """The shim, loaded."""

    def __init__(self, library):
        self.project = angr.Project(library, auto_load_libs=False)
        self.panicked = self.address("panicked")
        self.project.hook_symbol("memcpy", Copy())

    def address(self, name):
        """The address of an exported function."""
        return self.project.loader.find_symbol(name).rebased_addr

    def check(self, function, *runs):
        """Runs `function` for all inputs of each run: a pair of what is given, and cases. On each path it must find what
        the first case that applies allows: a case is a pair of a condition and a list of outcomes. Returns how many
        paths there are."""
        count, wanted, reached = 0, set(), set()
        for given, cases in runs:
            paths = self.paths(function, given, cases)
            for state in paths:
                wrong = wrong_in(state, cases)
                if satisfiable([*state.solver.constraints, wrong]):
                    raise Refuted(counterexample(function, given, state, cases, wrong))
            every_input_is_on_a_path(given, paths)
            count += len(paths)
            wanted |= {outcome.kind for _, outcomes in cases for outcome in outcomes}
            reached |= {kind for kind in wanted - reached if any(is_reached(kind, state) for state in paths)}
        # A proof over no path proves nothing.
        if wanted - reached:
            raise NotShown(f"not reached: {', '.join(kind.name for kind in wanted - reached)}")
        return count

    def paths(self, function, given, cases):
        """All paths through `function`, each as the state in which it returns; none may reach a panic."""
        state = self.project.factory.call_state(
            self.address(function), INPUT, OUTPUT, ret_addr=RETURN, add_options=UNKNOWN_MEMORY
        )
        # An address with more values than this is an error, as it would else be cut down to one of them.
        state.memory.read_strategies = [SimConcretizationStrategyRange(1024)]
        state.memory.write_strategies = [SimConcretizationStrategyRange(128)]
        state.add_constraints(*given.conditions)
        store(state, given)
        manager = self.project.factory.simulation_manager(state, save_unconstrained=True)
        manager.use_technique(angr.exploration_techniques.Explorer(find=RETURN, avoid=self.panicked, num_find=2**31))
        manager.run(n=MOST_STEPS)
        for state in manager.stashes.get("avoid", []):
            raise Refuted(counterexample(function, given, state, cases))
        for stash in ("active", "deadended", "unconstrained"):
            for state in manager.stashes.get(stash, []):
                raise NotShown(f"a path is {stash} at {state.regs.rip}")
        for error in manager.errored:
            raise NotShown(f"a path ended in an error of the executor: {error.error}")
        return manager.found


def every_input_is_on_a_path(given, paths):
    """A path that the executor lost would else not be missed."""
    on_a_path = claripy.Or(*(claripy.And(*state.solver.constraints) for state in paths))
    if satisfiable([*given.conditions, claripy.Not(on_a_path)]):
        raise NotShown("an input is on no path")


def is_reached(kind, state):
    """Whether the call finds this on this path for any input."""
    word = words_of(state)[0]
    if word.concrete:  # the executor has kept the path only as there is an input for it
        return word.concrete_value == kind
    return satisfiable([*state.solver.constraints, word == int(kind)])


UNKNOWN_MEMORY = {
    angr.options.SYMBOL_FILL_UNCONSTRAINED_MEMORY,
    angr.options.SYMBOL_FILL_UNCONSTRAINED_REGISTERS,
}


def store(state, given):
    """Writes the input and its bytes to memory."""
    at = INPUT
    for name in INPUT_FIELDS:
        state.memory.store(at, given.bits[name], endness="Iend_LE")
        at += INPUT_FIELDS[name] // 8
    for index, byte in enumerate(given.memory):
        state.memory.store(BYTES + index, byte)


def words_of(state):
    """The numbers that a call wrote."""
    return [state.memory.load(OUTPUT + 8 * at, 8, endness="Iend_LE") for at in range(WORDS)]


def wrong_in(state, cases):
    """When the call finds what the cases do not allow."""
    words, known = words_of(state), facts(state.solver.constraints)
    wrong = claripy.true()
    for condition, outcomes in reversed(cases):
        allowed = claripy.Or(*(is_found(words, outcome, known) for outcome in outcomes))
        wrong = claripy.If(condition, claripy.Not(allowed), wrong)
    return wrong


def is_found(words, outcome, known):
    """Whether the words are this outcome."""
    return claripy.And(*(same(word, number, known) for word, number in zip(words, numbers_of(outcome))))


def numbers_of(outcome):
    """An outcome as the words of a call."""
    numbers = [Wide(number).low for number in (int(outcome.kind), *outcome.numbers)]
    return numbers + [claripy.BVV(0, 64)] * (WORDS - len(numbers))


def counterexample(function, given, state, cases, wrong=None):
    """An input on this path for which the code is `wrong`, or panics, as text for the test of the shim. It has few
    bytes if there is such an input."""
    state = state.copy()
    state.add_constraints(claripy.true() if wrong is None else wrong)
    for most in (64, 2**20, 2**30):
        if state.solver.satisfiable(extra_constraints=[given.bits["len"] <= most]):
            state.add_constraints(given.bits["len"] <= most)
            break
    lines = [f"function={function}"]
    for name in INPUT_FIELDS:
        if name != "bytes":
            value = state.solver.eval(given.bits[name])
            state.add_constraints(given.bits[name] == value)
            signed = value - 2**64 if name == "adjustment" and value >= 2**63 else value
            lines.append(f"{name}={signed}")
    length = state.solver.eval(given.bits["len"])
    known = []
    for byte in given.memory[:length]:
        known.append(state.solver.eval(byte))
        state.add_constraints(byte == known[-1])
    lines.append(f"bytes={bytes(known).hex()}")
    found = "panic" if wrong is None else " ".join(str(state.solver.eval(word)) for word in words_of(state))
    lines.append(f"found={found}")
    allowed = next((outcomes for condition, outcomes in cases if state.solver.satisfiable([condition])), [])
    texts = (" ".join(str(state.solver.eval(number)) for number in numbers_of(outcome)) for outcome in allowed)
    lines.append(f"allowed={';'.join(texts)}")
    return "\n".join(lines) + "\n"
