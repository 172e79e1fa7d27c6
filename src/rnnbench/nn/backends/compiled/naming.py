"""What values are called in the C text: by the cell's own words where it has some, else by their number.

i, f, g, o    a gate: the function of the sum that its letter in W begins
a_i           that sum: W x, with the products that were added where it lies (x_i: W x alone)
h, h_old      a state after and before the step
U_n, U_bias_n a block of a product with a weight, of a weight that is a vector
tanh_c        a function of one of these
d_...         the gradient of the loss by one of these (d_h: from the step after; d_h_all: with this step's)
v17           what has no name
"""

from __future__ import annotations

import re

from rnnbench.nn.backends.compiled.form import Operand, Product, Value
from rnnbench.nn.backends.compiled.layout import Layout, Place, is_function

# What the text around the values uses, and what C keeps for itself. Names of rows end in _b, those of functions in _.
RESERVED = (
    "a b j t x T B H R rows now before masked keep kept work grads back_work output output_gradient sums panels finite "
    "zero_start forward backward auto break case char const continue default do double else enum extern float for goto "
    "if inline int long register restrict return short signed sizeof static struct switch typedef union unsigned void "
    "volatile while asm typeof"
)
UNFIT = re.compile(r"^[^a-zA-Z]|_b$|_$|^(v|panel_)\d+$|^[A-Z_]{3,}$")  # in capitals: a macro, perhaps


class Names:
    """The names of a layout's states, weights and values. Different things have different names.

    fields: of the states. weights: of the arrays that weights are. gates: of the blocks of W x, for comments as well.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout, step = layout, layout.step
        passes = [stage.passes for stage in (*layout.forward, *layout.backward)]
        used = {value for each in passes for value in (*each.loads, *each.computed)}
        self._values = sorted(used, key=lambda value: value.number)
        self._taken = {*RESERVED.split()}
        self._names: dict[Value, str] = {}
        self.gates = step.gates or tuple(str(k) for k in range(step.inputs))
        self.weights = [self._array(f"w_{_identifier(weight.path)}") for weight in step.weights]
        self.fields = [self._array(_identifier(field)) for field in step.fields]
        for kind in ("old", "new", "gradient"):
            self._taken |= {f"{kind}_{field}" for field in self.fields}
        self._taken -= {*self.fields}  # the new state's value is called as the state
        self._name_states()
        self._name_leaves()
        self._name_gates()
        self._name_gradients()

    def of(self, value: Value) -> str:
        return self._names.get(value, f"v{value.number}")

    def is_named(self, value: Value) -> bool:
        return value in self._names

    def block(self, weight: int, block: int) -> str:
        """A block of a weight's outputs: its gate where the map has some, else its number; empty of the only one."""
        found = self._layout.step.weights[weight]
        if found.gates and len(found.gates) == found.blocks:
            return found.gates[block]
        return str(block) if found.blocks > 1 else ""

    def _array(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _give(self, operand: Operand, hint: str) -> None:
        """Call a value so, unless it has a name, or another has this one."""
        name = _identifier(hint)
        free = name not in self._taken and not UNFIT.search(name)
        if free and isinstance(operand, Value) and operand not in self._names:
            self._names[operand] = name
            self._taken.add(name)

    def _name_states(self) -> None:
        step = self._layout.step
        for field, new in zip(self.fields, step.new, strict=True):
            if not isinstance(new, Value) or new.op not in ("old", "x", "joined", "weight"):
                self._give(new, field)
        for n, field in enumerate(self.fields):
            self._give(step.form.leaf("old", n), f"{field}_old")
            self._give(step.form.leaf("gradient", n + 1), f"d_{field}")
        self._give(step.form.leaf("gradient", 0), "d_output")

    def _name_leaves(self) -> None:
        step = self._layout.step
        for value in self._values:
            if value.op == "x":
                self._give(value, f"x_{self.gates[value.args[0]]}")
            elif value.op == "joined":
                self._give(value, f"a_{self.gates[value.args[0].args[0]]}")
            elif value.op == "weight":
                self._give(value, self._of_weight(*value.args))
            elif value.op == "product" and not value.backward:
                self._give(value, self._of_product(step.form.product_of(value), value.args[1]))

    def _of_weight(self, weight: int, block: int) -> str:
        path = _identifier(self._layout.step.weights[weight].path)
        part = self.block(weight, block)
        return f"{path}_{part}" if part else path

    def _of_product(self, product: Product, block: int) -> str:
        path = _identifier(self._layout.step.weights[product.weight].path.removesuffix(".weight"))
        return f"{path}_{self.block(product.weight, block) or 'h'}" if product.transposed else f"{path}_t_{block}"

    def _name_gates(self) -> None:
        """A gate is the first function of a sum that has one block of W x."""
        for value in self._values:
            if value.backward or not (is_function(value) or value.op in ("relu", "leaky")):
                continue
            leaves = [v if v.op == "x" else v.args[0] for v in _terms(value.args[0]) if v.op in ("x", "joined")]
            if len(leaves) == 1:
                self._give(value, self.gates[leaves[0].args[0]])
        for value in self._values:
            if is_function(value) and value.args[0] in self._names:
                self._give(value, f"{value.op}_{self.of(value.args[0])}")

    def _name_gradients(self) -> None:
        """By where they are stored; and the whole gradient of a state, which from the step after is one term of."""
        layout = self._layout
        hints: dict[Place, str] = {Place(layout.input_grads, k): f"d_a_{gate}" for k, gate in enumerate(self.gates)}
        hints |= {Place("gradient", n + 1): f"d_{field}_old" for n, field in enumerate(self.fields)}
        for product, grads, _ in layout.weight_grads:
            for block, place in enumerate(grads):
                if place is not None and place not in hints:
                    hints[place] = f"d_{self._of_product(product, block)}"
        for stage in layout.backward:
            for place, operand, _ in stage.passes.stores:
                if place in hints and isinstance(operand, Value) and operand.backward:
                    self._give(operand, hints[place])
        for n, field in enumerate(self.fields):
            leaf = layout.step.form.leaf("gradient", n + 1)
            sums = [v for v in self._values if v.op == "add" and leaf in _terms(v) and not self.is_named(v)]
            if sums:
                self._give(sums[-1], f"d_{field}_all")


def _terms(operand: Operand) -> list[Value]:
    """The terms of a sum that are values."""
    if isinstance(operand, Value) and operand.op == "add":
        return [term for each in operand.args for term in _terms(each)]
    return [operand] if isinstance(operand, Value) else []


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)
