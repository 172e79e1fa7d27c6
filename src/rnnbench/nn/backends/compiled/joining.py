"""Products that are only added to a block of W x are added where it lies, by the product itself.

    x_k + (product + bias)  ->  joined(x_k, product) + bias

Saves writing the product, reading it again and a block of memory. The sum is taken in another order, as fused kernels
take it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

from rnnbench.nn.backends.compiled.form import Form, Operand, Step, Value, reached


def join(step: Step) -> Step:
    """The step with its products joined to W x where nothing else reads either."""
    form = step.form
    values, uses = _values_and_uses(step)
    new: dict[Value, Operand] = {}

    def rebuilt(operand: Operand) -> Operand:
        return new[operand] if isinstance(operand, Value) else operand

    inner = _inner_sums(form, values, uses)
    for value in values:
        if value.op == "product":
            product = form.product_of(value)
            rows = [rebuilt(row) for row in product.rows]
            blocks = form.product(rows, product.weight, product.transposed, product.blocks)
            new[value] = blocks[value.args[1]]
        elif not value.operands:
            new[value] = value
        elif value.op == "add" and value not in inner:
            new[value] = _sum(form, [(term, rebuilt(term)) for term in _terms(value, inner)], uses)
        elif value in inner:
            new[value] = value  # it is taken apart by the sum around it
        else:
            new[value] = form.make(value.op, *(rebuilt(a) for a in value.args))
    made = dataclasses.replace(step, output=rebuilt(step.output), new=[rebuilt(operand) for operand in step.new])
    return made if _each_once(made) else step


def _values_and_uses(step: Step) -> tuple[list[Value], Counter[Value]]:
    """All values of a step, each after what it needs, and how often each is read."""
    roots = [root for root in (step.output, *step.new) if isinstance(root, Value)]
    values = reached(step.form, roots)
    return values, Counter(need for value in values for need in step.form.needs(value)) + Counter(roots)


def _each_once(step: Step) -> bool:
    """Whether nothing but its own sum reads what was joined.

    Two sums of the same terms in another order are one value once they are rebuilt, and so are two products with them:
    then one product would be added in two places, and it can lie in one only.
    """
    values, uses = _values_and_uses(step)
    return all(uses[part] == 1 for value in values if value.op == "joined" for part in value.args)


def _inner_sums(form: Form, values: list[Value], uses: Counter[Value]) -> set[Value]:
    """Sums that are a term of one other sum and nothing else."""
    of_sums = {operand for value in values if value.op == "add" for operand in value.operands}
    return {value for value in of_sums if value.op == "add" and uses[value] == 1}


def _terms(value: Value, inner: set[Value]) -> list[Operand]:
    """The terms of a sum, through the sums that are its own."""
    found: list[Operand] = []
    for operand in value.args:
        found += _terms(operand, inner) if isinstance(operand, Value) and operand in inner else [operand]
    return found


def _sum(form: Form, terms: list[tuple[Operand, Operand]], uses: Counter[Value]) -> Operand:
    """The sum of terms, each as it was and as it is rebuilt: its products joined to its one block of W x."""
    own = [(old, new) for old, new in terms if isinstance(old, Value) and uses[old] == 1]
    inputs = [new for old, new in own if old.op == "x"]
    products = [new for old, new in own if old.op == "product"]
    rest = [new for _, new in terms]
    if len(inputs) == 1 and products:
        joined = form.make("joined", inputs[0], *products)
        rest = [joined] + [new for new in rest if new is not inputs[0] and new not in products]
    total = rest[0]
    for term in rest[1:]:
        total = form.make("add", total, term)
    return total
