"""Where every value lies and when it is computed: the plan of the two loops, without a word of C.

A loop over time does at each step, stage by stage: the products whose rows are there, then one pass over the blocks,
element by element. A second stage begins where a product needs what the first has computed (a GRU whose reset gate
acts before the product). What the backward loop needs of the forward one is kept, or computed again where that is
cheap.

Buffers, each a row of blocks for every sequence of the batch:

    x         W x of every step; a block is overwritten by a kept value when it has been read, and in the end by its
              own gradient                                                                  (T, B, inputs H)
    kept      what else is kept of the forward loop for the backward one                    (T, B, n H)
    old, new  the state before and after the step, of each field                            (T, B, H) each
    output    where it is not the first field of the new state                              (T, B, H)
    work      within one step only                                                          (B, n H)
    grads     gradients that weights are computed from, where they have no place in x       (T, B, n H)
    gradient  of the output (0), and of the state, from the step after to the step before   (B, H) each
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from rnnbench.nn.backends.compiled.form import Operand, Product, Refused, Step, Value, reached
from rnnbench.nn.backends.compiled.gradient import Gradients
from rnnbench.nn.backends.compiled.operations import TABLE

DEPTH = 3  # cheap operations one on the other that are computed again rather than kept


AT_ONCE = 2  # functions in one pass: 1.3 to 2.5 times as fast as all of an LSTM at once


class Place(NamedTuple):
    buffer: str
    block: int


@dataclass
class Call:
    """One product of some of the blocks: target (+)= rows @ M[inputs, outputs], all counted in blocks.

    inputs, outputs: the first block of each that takes part, and width its outputs, depth its inputs. accumulate:
    whether it is added to what is there; "masked": only where there is a mask. skip: "" or what makes it useless:
    "zero start" (the first step of a state of zeros), "no start gradient" (before the first step, if nobody asks).
    """

    product: Product
    first_input: int
    depth: int
    first_output: int
    width: int
    rows: Place
    target: Place
    accumulate: bool | str
    skip: str = ""


@dataclass
class Pass:
    """One pass over the blocks of a stage. loads: value -> from where. computed: in order.

    stores: to where, what, and whether only where there is a mask. sums: (which sum, value), to be added up
    over steps and rows.
    """

    loads: dict[Value, Place] = field(default_factory=dict)
    computed: list[Value] = field(default_factory=list)
    stores: list[tuple[Place, Operand, bool]] = field(default_factory=list)
    sums: list[tuple[int, Operand]] = field(default_factory=list)


@dataclass
class Stage:
    calls: list[Call]
    passes: Pass


@dataclass
class Layout:
    """The plan of both loops. kept, work, grads, back_work, sums: how many blocks these buffers have.

    input_sums: the sum that is the gradient of each block of W's bias; vector_sums: that of each block of each weight
    that is a vector, (weight, block); None where it is zero. weight_grads: for each product the places of its gradient
    blocks (None: zero) and of its rows. input_grads: the buffer, "x" or "grads", whose first blocks are the gradient
    of W x. output_is_state: the output is the first field of the new state.
    """

    step: Step
    forward: list[Stage]
    backward: list[Stage]
    kept: int
    work: int
    grads: int
    back_work: int
    sums: int
    input_sums: list[int | None]
    vector_sums: dict[tuple[int, int], int | None]
    weight_grads: list[tuple[Product, list[Place | None], list[Place]]]
    input_grads: str
    output_is_state: bool


def lay_out(step: Step, gradients: Gradients) -> Layout:
    """The plan of a step that is joined, and of its derivative."""
    return _Planner(step, gradients).plan()


class _Planner:
    """The decisions, one after the other; each reads those before it."""

    def __init__(self, step: Step, gradients: Gradients) -> None:
        self.step, self.gradients, self.form = step, gradients, step.form
        self.places: dict[Value, Place] = {}  # of values of the forward loop
        self.back_places: dict[Value, Place] = {}
        self.kept = self.work = self.grads = self.back_work = 0
        self.output_is_state = isinstance(step.output, Value) and step.output is step.new[0]
        self.roots = values_of([step.output, *step.new])
        self.stages: dict[Value, int] = {}

    def plan(self) -> Layout:
        form, step, gradients = self.form, self.step, self.gradients
        self._weigh_state_gradients()
        trained = [g for (weight, _), g in gradients.vectors.items() if step.weights[weight].trained]
        self.sums = list(dict.fromkeys(values_of([*gradients.inputs, *trained])))
        self.back_roots = values_of([*gradients.inputs, *self.sums, *(rest for rest, _ in self.carried)])
        for product, blocks in gradients.products:
            if self._trains(product):
                self.back_roots += values_of(blocks)
        fused = [value for _, products in self.carried for value in products]
        backward = reached(form, self.back_roots + fused)
        self.back_values = [value for value in backward if value.backward]
        self.back_products = self._products(self.back_values)
        self._keep()
        self.forward_values = reached(form, self.roots + self.saved)
        self.forward_products = self._products(self.forward_values)
        self._set_stages(self.forward_values, backward=False)
        self._delay()
        self._set_stages(self.back_values, backward=True)
        self._place_forward()
        self._place_backward()
        return Layout(
            step,
            self._forward_stages(),
            self._backward_stages(),
            self.kept,
            self.work,
            self.grads,
            self.back_work,
            len(self.sums),
            [self._sum_of(gradient) for gradient in gradients.inputs],
            {where: self._sum_of(gradient) for where, gradient in gradients.vectors.items()},
            self._weight_grads(),
            self.input_buffer,
            self.output_is_state,
        )

    # what the backward loop has to give

    def _weigh_state_gradients(self) -> None:
        """Split each state's gradient into products, which may be added where it lies, and the rest."""
        uses = self._backward_uses()
        self.carried: list[tuple[Operand, list[Value]]] = []
        for gradient in self.gradients.old:
            terms = own_terms(gradient, uses)
            products = [t for t in terms if isinstance(t, Value) and t.op == "product" and uses[t] == 1]
            rest: Operand = 0.0
            for term in terms:
                if term not in products:
                    rest = self.form.make("add", rest, term)
            self.carried.append((rest, products))

    def _backward_uses(self) -> Counter[Value]:
        gradients = self.gradients
        asked = [*gradients.inputs, *gradients.old, *gradients.vectors.values()]
        asked += [block for _, blocks in gradients.products for block in blocks]
        roots = values_of(asked)
        inner = Counter(need for value in reached(self.form, roots) for need in self.form.needs(value))
        return inner + Counter(roots)

    def _sum_of(self, gradient: Operand) -> int | None:
        """The sum over steps and rows of a gradient; None where it is zero, or asked for by nobody."""
        return self.sums.index(gradient) if isinstance(gradient, Value) and gradient in self.sums else None

    def _trains(self, product: Product) -> bool:
        return self.step.weights[product.weight].trained

    def _products(self, values: Iterable[Value]) -> list[Product]:
        numbers = sorted({value.args[0] for value in values if value.op == "product"})
        return [self.form.products[number] for number in numbers]

    # when

    def _set_stages(self, values: list[Value], *, backward: bool) -> None:
        """The stage of a value: the first pass that has all it needs, or may read a product's block.

        A function of a function waits for the next pass, and so does one more than AT_ONCE. A long chain of
        operations keeps a processor waiting for each; several short ones it computes side by side.
        """
        dear: set[Value] = set()  # values whose own pass has a function on the way to them
        functions: Counter[int] = Counter()
        for value in values:
            needs = [need for need in self.form.needs(value) if need.backward or not backward]
            stage = max((self.stages.get(need, 0) for need in needs), default=0)
            if value.op == "product":
                self.stages[value] = stage + (not all(need.op == "old" for need in self.form.needs(value)))
                continue
            after = any(need in dear and self.stages[need] == stage for need in needs)
            if is_function(value):
                stage += after
                while functions[stage] >= AT_ONCE:
                    stage += 1
                functions[stage] += 1
                after = True
            self.stages[value] = stage
            if after:
                dear.add(value)

    def _delay(self) -> None:
        """Let cheap values of the forward loop wait for the first pass that reads them, so that fewer lie in memory."""
        readers: dict[Value, list[int]] = {}
        roots = {*self.roots}
        for value in reversed(self.forward_values):
            if value in readers and value not in roots and value.op in TABLE and TABLE[value.op].cheap:
                self.stages[value] = max(self.stages[value], min(readers[value]))
            for need in self.form.needs(value):
                before = self.stages[value] - (value.op == "product")
                readers.setdefault(need, []).append(before)

    # what is kept

    def _keep(self) -> None:
        """Which values of the forward loop the backward one finds in memory; the others it computes again."""
        new = self.step.new
        self.at_hand: dict[Value, Place] = {}
        for n, value in reversed([*enumerate(new)]):
            # One that is joined to W x is read from there by the forward loop, and so by the backward one.
            if isinstance(value, Value) and value.op not in ("old", "x", "weight", "joined"):
                self.at_hand[value] = Place("new", n)
        read = {operand for value in self.back_values for operand in value.operands if not operand.backward}
        read |= {value for rest, _ in self.carried for value in values_of([rest]) if not value.backward}
        in_memory = {row for product, _ in self.gradients.products if self._trains(product) for row in product.values}
        self.saved: list[Value] = []
        for value in sorted(read | in_memory, key=lambda v: v.number):
            missing = self._missing(value, DEPTH)
            if value in in_memory and value.op not in ("old", "weight") and value not in self.at_hand:
                missing = {value}
            # A cheap value of one dear one is computed again from that; of several, it is less memory than they.
            wanted = missing if len(missing) == 1 else {value} if missing else set()
            self.saved += sorted(wanted - {*self.saved}, key=lambda v: v.number)
        self.saved.sort(key=lambda v: v.number)
        self.in_memory = in_memory

    def _missing(self, value: Value, depth: int) -> set[Value]:
        """What must be kept so that cheap operations give the value; itself where none do."""
        if value.op in ("old", "weight") or value in self.at_hand or value in self.saved:
            return set()
        if value.op in ("x", "product", "joined") or not TABLE[value.op].cheap or not depth:
            return {value}
        return {each for operand in value.operands for each in self._missing(operand, depth - 1)}

    # where, forwards

    def _place_forward(self) -> None:
        places, stages = self.places, self.stages
        places |= self.at_hand
        self.joined = {
            product: value.args[0].args[0]
            for value in self.forward_values
            if value.op == "joined"
            for product in value.args[1:]
        }
        last_read = self._last_reads()
        for value in self.forward_values:
            if value.op in ("x", "joined"):
                places[value] = Place("x", input_block(value))
        free = set(range(self.step.inputs))
        free -= {places[value].block for value in self.saved if value.op in ("x", "joined")}
        # A kept value lies best where its gradient will: the backward pass reads and writes the same memory.
        for value in self._by_preference():
            wanted = [k for k in self._preferred(value) if k in free] or sorted(free)
            fitting = [k for k in wanted if stages[value] >= last_read[k]]
            if fitting:
                places[value] = Place("x", fitting[0])
                free.discard(fitting[0])
        for value in self.saved:
            if value not in places:
                places[value] = Place("kept", self.kept)
                self.kept += 1
        later = self._read_later(self.forward_values, self.forward_products)
        for value in self.forward_values:
            computed = value.op not in ("x", "old", "weight", "joined") and value not in self.joined
            if computed and value not in places and (value in later or value.op == "product"):
                places[value] = Place("work", self.work)
                self.work += 1

    def _last_reads(self) -> Counter[int]:
        """The last stage at which each block of W x, or what was joined to it, is read."""
        last: Counter[int] = Counter()

        def read(value: Value, stage: int) -> None:
            if value.op in ("x", "joined"):
                block = input_block(value)
                last[block] = max(last[block], stage)

        for value in self.forward_values:
            for need in self.form.needs(value) if value.op != "joined" else []:
                read(need, self.stages[value])  # rows of a product, too
        for root in self.roots:
            read(root, self.stages[root])
        return last

    def _by_preference(self) -> list[Value]:
        """Kept values that may lie in x: those that a gradient of W x is computed from first."""
        candidates = [v for v in self.saved if v.op not in ("x", "joined", "product") and v not in self.in_memory]
        return sorted(candidates, key=lambda v: (not self._preferred(v), v.number))

    def _preferred(self, value: Value) -> list[int]:
        """The blocks of W x whose gradient's last operations read the value."""
        found = []
        for k, gradient in enumerate(self.gradients.inputs):
            near = [gradient] if isinstance(gradient, Value) else []
            for _ in range(2):
                near += [operand for each in near for operand in each.operands]
            if value in near:
                found.append(k)
        return found

    def _read_later(self, values: list[Value], products: list[Product]) -> set[Value]:
        """Values that a later stage or a product reads."""
        later = {row for product in products for row in product.values}
        for value in values:
            if value.op != "product":
                later |= {each for each in value.operands if self.stages.get(each, 0) < self.stages[value]}
        return later

    # where, backwards

    def _place_backward(self) -> None:
        gradients, places = self.gradients, self.back_places
        in_place = self._in_place()
        self.input_buffer = "x" if in_place else "grads"
        self.input_stores: list[tuple[Place, Operand]] = []
        for k, gradient in enumerate(gradients.inputs):
            place = Place(self.input_buffer, k)
            self.input_stores.append((place, gradient))
            if isinstance(gradient, Value) and gradient.backward:
                places.setdefault(gradient, place)
        self.grads = 0 if in_place else self.step.inputs
        for product, blocks in gradients.products:
            for block in values_of(blocks) if self._trains(product) else []:
                if block not in places and block.op != "gradient":
                    places[block] = Place("grads", self.grads)
                    self.grads += 1
        self._settle_carried()
        fused = {value for _, products in self.carried for value in products}
        later = self._read_later(self.back_values, self.back_products)
        for value in self.back_values:
            if value.op == "gradient" or value in places or value in fused:
                continue
            if value in later or value.op == "product" or value in self.copied:
                places[value] = Place("back_work", self.back_work)
                self.back_work += 1

    def _in_place(self) -> bool:
        """Whether the gradient of each block of W x can overwrite the block: all that lies there was read before."""
        inputs = self.gradients.inputs
        computed = [g for g in inputs if isinstance(g, Value) and g.backward and g.op not in ("gradient", "product")]
        if len(set(computed)) != len(inputs):
            return False
        if any(self.places[value].buffer == "x" for value in self.in_memory if value in self.places):
            return False
        last: Counter[int] = Counter()
        for stage in range(self._last_stage(self.back_values) + 1):
            for place in self._backward_reads(stage).loads.values():
                if place.buffer == "x":
                    last[place.block] = stage
        return all(self.stages[g] >= last[k] for k, g in enumerate(inputs) if isinstance(g, Value))

    def _settle_carried(self) -> None:
        """The last pass overwrites each state's gradient, when nothing reads it any more; later products are added."""
        in_passes = [value for value in self.back_values if value.op != "product"]
        # A product's block that others read, too, is no longer added where it lies: the last pass waits for it.
        in_passes += values_of(rest for rest, _ in self.carried)
        self.carry_stage = max((self.stages[value] for value in in_passes), default=0)
        settled: list[tuple[Operand, list[Value]]] = []
        self.copied: set[Value] = set()
        for rest, products in self.carried:
            late = [value for value in products if self.stages[value] > self.carry_stage]
            for value in products:
                if value not in late:
                    rest = self.form.make("add", rest, value)
                    for made in values_of([rest]):
                        self.stages.setdefault(made, self.carry_stage)
                        if made not in self.back_values:
                            self.back_values.append(made)
            self.copied |= {value for value in values_of([rest]) if self.stages[value] < self.carry_stage}
            settled.append((rest, late))
        self.carried = settled

    # the loops

    def _last_stage(self, values: Iterable[Value]) -> int:
        return max((self.stages[value] for value in values), default=0)

    def _forward_stages(self) -> list[Stage]:
        last = self._last_stage(self.forward_values)
        made = []
        for stage in range(last + 1):
            calls = [
                call
                for product in self.forward_products
                if self._product_stage(product) == stage
                for call in self._calls(product, self._forward_target)
            ]
            made.append(Stage(calls, self._forward_pass(stage)))
        return made

    def _product_stage(self, product: Product) -> int:
        return next(self.stages[block] for block in product.results.values() if block in self.stages)

    def _forward_target(self, block: Value) -> tuple[Place, bool | str, str] | None:
        if block in self.joined:
            old_only = all(row.op == "old" for row in self.form.needs(block))
            return Place("x", self.joined[block]), True, "zero start" if old_only else ""
        return (self.places[block], False, "") if block in self.places else None

    def _forward_pass(self, stage: int) -> Pass:
        made = Pass()

        def known(value: Value) -> Place | None:
            here = self.stages.get(value, 0) == stage and value.op not in ("old", "x", "weight", "joined", "product")
            return None if here else self._forward_place(value)

        written = [
            value for value in self.forward_values if value.op not in ("old", "x", "weight", "joined", "product")
        ]
        for value in written:
            place = self.places.get(value)
            if place is not None and place.buffer != "new" and self.stages[value] == stage:
                made.stores.append((place, self._visit(value, made, known), False))
        for n, new in enumerate(self.step.new):
            if self._stage_of(new) == stage:
                made.stores.append((Place("new", n), self._visit(new, made, known), False))
        if self._stage_of(self.step.output) == stage:
            # The output that is a state is written as the state; under a mask, where they differ, by itself.
            output = self._visit(self.step.output, made, known)
            made.stores.append((Place("output", 0), output, self.output_is_state))
        return made

    def _stage_of(self, operand: Operand) -> int:
        return self.stages.get(operand, 0) if isinstance(operand, Value) else 0

    def _forward_place(self, value: Value) -> Place | None:
        if value.op == "old":
            return Place("old", value.args[0])
        if value.op == "weight":
            return Place("weight", 0)
        return self.places.get(value)

    def _visit(self, operand: Operand, made: Pass, known: Callable[[Value], Place | None]) -> Operand:
        """Note what of the operand must be loaded, and what is to be computed in which order."""
        if not isinstance(operand, Value) or operand in made.loads or operand in made.computed:
            return operand
        place = known(operand)
        if place is not None:
            made.loads[operand] = place
            return operand
        for each in operand.operands:
            self._visit(each, made, known)
        made.computed.append(operand)
        return operand

    def _backward_stages(self) -> list[Stage]:
        last = self._last_stage(self.back_values)
        made = []
        for stage in range(last + 1):
            calls = [
                call
                for product in self.back_products
                if self._product_stage(product) == stage
                for call in self._calls(product, self._backward_target)
            ]
            made.append(Stage(calls, self._backward_pass(stage)))
        return made

    def _backward_target(self, block: Value) -> tuple[Place, bool | str, str] | None:
        for n, (rest, products) in enumerate(self.carried):
            if block in products:
                first = min(products, key=lambda v: (self.stages[v], v.number))
                overwrites = block is first and not isinstance(rest, Value)
                return Place("gradient", n + 1), "masked" if overwrites else True, "no start gradient"
        return (self.back_places[block], False, "") if block in self.back_places else None

    def _backward_reads(self, stage: int) -> Pass:
        """What a pass of the backward loop reads, before gradients have places."""
        made = Pass()

        def known(value: Value) -> Place | None:
            if not value.backward:
                return self._in_memory_place(value)
            here = value.op not in ("gradient", "product") and self.stages[value] == stage
            return None if here else Place("gradient", 0)  # wherever: it is not in x

        for value in self.back_values:
            if self.stages[value] == stage and value.op not in ("gradient", "product"):
                self._visit(value, made, known)
        return made

    def _backward_pass(self, stage: int) -> Pass:
        made = Pass()

        def known(value: Value) -> Place | None:
            if not value.backward:
                return self._in_memory_place(value)
            if value.op == "gradient":
                return Place("gradient", value.args[0])
            here = value.op != "product" and self.stages[value] == stage
            return None if here else self.back_places[value]

        for place, operand in self._backward_stores(stage):
            made.stores.append((place, self._visit(operand, made, known), False))
        for number, value in enumerate(self.sums):
            if self._back_stage(value) == stage:
                made.sums.append((number, self._visit(value, made, known)))
        for n, (rest, products) in enumerate(self.carried):
            if self.carry_stage == stage:
                # A product that is alone overwrites it; under a mask it is added, so that skipped rows keep theirs.
                only_masked = not isinstance(rest, Value) and bool(products)
                made.stores.append((Place("gradient", n + 1), self._visit(rest, made, known), only_masked))
        return made

    def _backward_stores(self, stage: int) -> list[tuple[Place, Operand]]:
        """The gradients that a pass writes, but for those of the state."""
        found = [store for store in self.input_stores if self._back_stage(store[1]) == stage]
        inputs = {operand for _, operand in self.input_stores}
        for value in self.back_values:
            computed = value.op not in ("gradient", "product") and value not in inputs
            if computed and value in self.back_places and self.stages[value] == stage:
                found.append((self.back_places[value], value))
        return found

    def _in_memory_place(self, value: Value) -> Place | None:
        """Where the backward loop finds a value of the forward one; None where it computes it again."""
        known = value in self.saved or value in self.at_hand or value.op in ("old", "weight")
        return self._forward_place(value) if known else None

    def _back_stage(self, operand: Operand) -> int:
        return self.stages[operand] if isinstance(operand, Value) and operand.backward else 0

    # products

    def _calls(self, product: Product, target: Callable[[Value], tuple[Place, bool | str, str] | None]) -> list[Call]:
        """A product cut into calls: neighbours among its rows and among its targets go together."""
        made: list[Call] = []
        for first_output, width, place, accumulate, skip in self._target_runs(product, target):
            for number, (first_input, depth, rows) in enumerate(self._row_runs(product)):
                more = True if number else accumulate
                made.append(Call(product, first_input, depth, first_output, width, rows, place, more, skip))
        return made

    def _target_runs(
        self, product: Product, target: Callable[[Value], tuple[Place, bool | str, str] | None]
    ) -> list[tuple[int, int, Place, bool | str, str]]:
        runs: list[tuple[int, int, Place, bool | str, str]] = []
        for k, block in product.results.items():
            found = target(block)
            if found is None:
                continue
            place, accumulate, skip = found
            if runs:
                first, width, start, *rest = runs[-1]
                follows = first + width == k and place == Place(start.buffer, start.block + width)
                if follows and place.buffer != "gradient" and rest == [accumulate, skip]:
                    runs[-1] = (first, width + 1, start, accumulate, skip)
                    continue
            runs.append((k, 1, place, accumulate, skip))
        return runs

    def _row_runs(self, product: Product) -> list[tuple[int, int, Place]]:
        runs: list[tuple[int, int, Place]] = []
        for k, row in enumerate(product.rows):
            if not isinstance(row, Value):
                continue
            place = self._row_place(row)
            if runs:
                first, depth, start = runs[-1]
                lie_together = place.buffer not in ("old", "new", "gradient")
                if lie_together and first + depth == k and place == Place(start.buffer, start.block + depth):
                    runs[-1] = (first, depth + 1, start)
                    continue
            runs.append((k, 1, place))
        return runs

    def _row_place(self, row: Value) -> Place:
        if row.op == "gradient":
            return Place("gradient", row.args[0])
        place = self.back_places.get(row) if row.backward else self._forward_place(row)
        if place is None or place.buffer == "weight":
            raise Refused("a product with what is no row of the batch")
        return place

    def _weight_grads(self) -> list[tuple[Product, list[Place | None], list[Place]]]:
        found = []
        for product, blocks in self.gradients.products:
            if self._trains(product):
                grads = [self._row_place(block) if isinstance(block, Value) else None for block in blocks]
                found.append((product, grads, [self._row_place(row) for row in product.values]))
        return found


def values_of(operands: Iterable[Operand]) -> list[Value]:
    return [operand for operand in operands if isinstance(operand, Value)]


def input_block(value: Value) -> int:
    """Which block of W x a value is, or was joined to."""
    leaf = value if value.op == "x" else value.args[0]
    block: int = leaf.args[0]
    return block


def is_function(value: Value) -> bool:
    """Whether it is computed by a function of `functions.c`, of many operations."""
    return value.op in TABLE and "_(" in TABLE[value.op].c and not TABLE[value.op].cheap


def own_terms(operand: Operand, uses: Counter[Value]) -> list[Operand]:
    """The terms of a sum, through the sums within that nothing else reads."""
    if isinstance(operand, Value) and operand.op == "add" and uses[operand] == 1:
        return [term for each in operand.args for term in own_terms(each, uses)]
    return [operand]
