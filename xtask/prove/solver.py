"""Has bitwuzla decide what claripy, and with it angr, would ask of z3: most answers come ten times as soon."""

import bitwuzla
import claripy
import z3

Z3 = claripy.backends.z3
CONTEXT = Z3._context


class Solver:
    """What claripy calls of a solver of z3, whose expressions these conditions are."""

    def __init__(self, conditions=()):
        self.conditions = list(conditions)
        self.before = []

    def add(self, *conditions):
        """Adds conditions."""
        self.conditions.extend(conditions)

    def push(self):
        """Begins conditions that `pop` takes back."""
        self.before.append(len(self.conditions))

    def pop(self):
        """Takes conditions back."""
        del self.conditions[self.before.pop() :]

    def check(self, assumed=()):
        """Whether there are values for which all conditions hold."""
        *others, last = [condition.as_ast() for condition in (*self.conditions, *assumed, z3.BoolVal(True, CONTEXT))]
        others = (z3.Ast * len(others))(*others)
        text = z3.Z3_benchmark_to_smtlib_string(CONTEXT.ref(), "", "", "unknown", "", len(others), others, last)
        options = bitwuzla.Options()
        options.set(bitwuzla.Option.PRODUCE_MODELS, True)
        self.parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
        self.parser.parse(text, True, False)
        answers = {bitwuzla.Result.SAT: z3.sat, bitwuzla.Result.UNSAT: z3.unsat}
        return answers[self.parser.bitwuzla().check_sat()]

    def model(self):
        """Such values."""
        model = z3.Model(CONTEXT)
        for term in self.parser.get_declared_funs():
            value = self.parser.bitwuzla().get_value(term).value()
            if term.sort().is_bool():
                model.update_value(z3.Bool(term.symbol(), CONTEXT), z3.BoolVal(value, CONTEXT))
            else:
                bits = term.sort().bv_size()
                model.update_value(z3.BitVec(term.symbol(), bits, CONTEXT), z3.BitVecVal(int(value, 2), bits, CONTEXT))
        return model


def satisfiable(conditions):
    """Whether there are inputs for which these conditions hold."""
    return Solver(Z3.convert(condition) for condition in conditions).check() == z3.sat


def facts(conditions):
    """What conditions say to be just one number, each with that number."""
    sides = [condition.args for condition in conditions if condition.op == "__eq__" and condition.args[1].concrete]
    return [(Z3.convert(one), Z3.convert(number)) for one, number in sides]


def same(one, other, known):
    """The condition that these are the same: true at once where both are the same sum, by known facts."""
    difference = z3.simplify(z3.substitute(Z3.convert(one - other), *known))
    is_zero = difference.eq(z3.BitVecVal(0, one.length, CONTEXT))
    return claripy.true() if is_zero else one == other


Z3.solver = lambda **_: Solver()
Z3.clone_solver = lambda solver: Solver(solver.conditions)
