"""The derivative of a traced step: from the gradients of its output and new states to those of all it reads."""

from __future__ import annotations

from dataclasses import dataclass

from rnnbench.nn.backends.compiled.form import Form, Operand, Product, Step, Value, reached
from rnnbench.nn.backends.compiled.operations import TABLE


@dataclass
class Gradients:
    """What the backward loop computes at every step.

    inputs: of each block of W x. old: of each state before the step. vectors: of each block of each weight that is a
    vector or a number, (weight, block) -> a value to be summed over steps and rows. products: of each product with a
    weight, the gradients of its blocks; the weight's own is their product with the rows, over all steps at once.
    """

    inputs: list[Operand]
    old: list[Operand]
    vectors: dict[tuple[int, int], Operand]
    products: list[tuple[Product, list[Operand]]]


def differentiate(step: Step) -> Gradients:
    """Reverse-mode differentiation of one step (Griewank & Walther 2008, ch. 3)."""
    form = step.form
    found: dict[Value, Operand] = {}

    def add(operand: Operand, gradient: Operand | None) -> None:
        if isinstance(operand, Value) and gradient is not None:
            before = found.get(operand)
            found[operand] = gradient if before is None else form.make("add", before, gradient)

    # In the order of their numbers, so that the C text is the same in every process.
    add(step.output, form.leaf("gradient", 0))
    for n, new in enumerate(step.new):
        add(new, form.leaf("gradient", n + 1))

    products: list[tuple[Product, list[Operand]]] = []
    seen: set[int] = set()
    roots = [root for root in (step.output, *step.new) if isinstance(root, Value)]
    for value in reversed(reached(form, roots)):
        if value.op == "product":
            product = form.product_of(value)
            # Its blocks are older than every user of any of them, so all gradients are complete by now.
            if product.number not in seen:
                seen.add(product.number)
                blocks = [_computed(form, found.get(block, 0.0)) for block in product.results.values()]
                if not any(isinstance(block, Value) for block in blocks):
                    continue
                products.append((product, blocks))
                back = form.product(blocks, product.weight, not product.transposed, len(product.rows))
                for row, gradient in zip(product.rows, back, strict=True):
                    add(row, gradient)
        elif value in found and value.op not in ("x", "old", "weight"):
            rule = TABLE[value.op].gradient
            assert rule is not None  # a derivative is no part of a step
            for operand, share in zip(value.args, rule(form, value, found[value]), strict=True):
                add(operand, share)

    weights = [v for v in found if v.op == "weight"]
    return Gradients(
        inputs=[found.get(form.leaf("x", k), 0.0) for k in range(step.inputs)],
        old=[found.get(form.leaf("old", n), 0.0) for n in range(len(step.fields))],
        vectors={(v.args[0], v.args[1]): found[v] for v in sorted(weights, key=lambda v: v.number)},
        products=products,
    )


def _computed(form: Form, gradient: Operand) -> Operand:
    """The gradient as a value of its own: one that comes from outside is gone after the step."""
    outside = isinstance(gradient, Value) and gradient.op == "gradient"
    return form.make("stop", gradient) if outside else gradient
