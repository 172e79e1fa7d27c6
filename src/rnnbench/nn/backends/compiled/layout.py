"""Where every value lies and when it is computed: from a traced step and its derivative to the plan of both loops.

A loop over time does at each step, stage by stage: the products whose rows are there, then one pass over the blocks,
element by element. A second stage begins where a product needs what the first has computed (a GRU whose reset gate
acts before the product). What the backward loop needs of the forward one is kept, or computed again where that is
cheap.

The plan's parts stand in `plan`, when a value is computed in `stages`, what is kept in `keeping`, how a product is cut
in `calls`. Here is where each value lies, and what follows from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rnnbench.nn.backends.compiled.calls import Target, calls_of
from rnnbench.nn.backends.compiled.form import Operand, Product, Refused, Step, Value, reached
from rnnbench.nn.backends.compiled.gradient import Gradients
from rnnbench.nn.backends.compiled.keeping import keep
from rnnbench.nn.backends.compiled.plan import Call, Layout, Pass, Place, Stage, Store
from rnnbench.nn.backends.compiled.stages import delay, is_function, set_stages

__all__ = ["Call", "Layout", "Pass", "Place", "Stage", "is_function", "lay_out"]

NO_OPERATION = ("old", "x", "weight", "joined", "product")  # of the forward loop: no pass computes these


def lay_out(step: Step, gradients: Gradients) -> Layout:
    """The plan of a step that is joined, and of its derivative."""
    return _Planner(step, gradients).plan()


@dataclass
class _Carried:
    """The gradient of a state before the step: products, which are added where it lies, and the rest, of the last
    pass."""

    rest: Operand
    products: list[Value]


class _Planner:
    """The decisions, one after the other; each reads those before it.

    places, back_places: where values lie in the forward loop, and gradients in the backward one. stages: of both.
    kept, work, grads, back_work: how many blocks these buffers have so far.
    """

    def __init__(self, step: Step, gradients: Gradients) -> None:
        self.step, self.gradients, self.form = step, gradients, step.form
        self.places: dict[Value, Place] = {}
        self.back_places: dict[Value, Place] = {}
        self.kept = self.work = self.grads = self.back_work = 0
        self.output_is_state = isinstance(step.output, Value) and step.output is step.new[0]
        self.roots = values_of([step.output, *step.new])
        self.stages: dict[Value, int] = {}

    def plan(self) -> Layout:
        form, step, gradients = self.form, self.step, self.gradients
        self._ask_backward()
        self._keep()
        self.forward_values = reached(form, self.roots + self.kept_values.saved)
        self.forward_products = self._products(self.forward_values)
        set_stages(form, self.forward_values, self.stages, backward=False)
        delay(form, self.forward_values, {*self.roots}, self.stages)
        set_stages(form, self.back_values, self.stages, backward=True)
        self._place_forward()
        self._place_backward()
        return Layout(
            step,
            forward=self._forward_stages(),
            backward=self._backward_stages(),
            kept=self.kept,
            work=self.work,
            grads=self.grads,
            back_work=self.back_work,
            sums=len(self.sums),
            input_sums=[self._sum_of(gradient) for gradient in gradients.inputs],
            vector_sums={where: self._sum_of(gradient) for where, gradient in gradients.vectors.items()},
            weight_grads=self._weight_grads(),
            input_grads=self.input_buffer,
            output_is_state=self.output_is_state,
        )

    # what the backward loop has to give

    def _ask_backward(self) -> None:
        """Every gradient that is asked for, and all that it is computed from."""
        step, gradients = self.step, self.gradients
        self._weigh_state_gradients()
        trained = [gradient for (n, _), gradient in gradients.vectors.items() if step.weights[n].trained]
        self.sums = list(dict.fromkeys(values_of([*gradients.inputs, *trained])))
        asked = [*gradients.inputs, *self.sums, *(carried.rest for carried in self.carried)]
        asked += [block for product, blocks in gradients.products if self._trains(product) for block in blocks]
        asked += [product for carried in self.carried for product in carried.products]
        self.back_values = [value for value in reached(self.form, values_of(asked)) if value.backward]
        self.back_products = self._products(self.back_values)

    def _weigh_state_gradients(self) -> None:
        """Split each state's gradient into products, which may be added where it lies, and the rest."""
        uses = self._backward_uses()
        self.carried: list[_Carried] = []
        for gradient in self.gradients.old:
            terms = own_terms(gradient, uses)
            products = [t for t in terms if isinstance(t, Value) and t.op == "product" and uses[t] == 1]
            rest: Operand = 0.0
            for term in terms:
                if term not in products:
                    rest = self.form.make("add", rest, term)
            self.carried.append(_Carried(rest, products))

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

    # what is kept

    def _keep(self) -> None:
        """Which values of the forward loop the backward one finds in memory."""
        read = {operand for value in self.back_values for operand in value.operands if not operand.backward}
        rows = {row for product, _ in self.gradients.products if self._trains(product) for row in product.values}
        self.kept_values = keep(self.step.new, read, rows)

    # where, forwards

    def _place_forward(self) -> None:
        self.places |= self.kept_values.at_hand
        self._place_inputs()
        self._place_kept()
        self._place_work()

    def _place_inputs(self) -> None:
        """W x, and what is joined to it, lies where it is. joined: which block of W x a product's block is added to."""
        self.joined: dict[Value, int] = {}
        for value in self.forward_values:
            if value.op in ("x", "joined"):
                self.places[value] = Place("x", input_block(value))
            if value.op == "joined":
                products = value.args[1:]
                self.joined |= dict.fromkeys(products, input_block(value))

    def _place_kept(self) -> None:
        """A kept value takes a block of W x that no later stage reads, while there is one; then a block of its own."""
        saved, places = self.kept_values.saved, self.places
        last_read = self._last_reads()
        free = set(range(self.step.inputs))
        free -= {places[value].block for value in saved if value.op in ("x", "joined")}
        # It lies best where its gradient will: the backward pass reads and writes the same memory.
        for value in self._by_preference():
            wanted = [k for k in self._preferred(value) if k in free] or sorted(free)
            fitting = [k for k in wanted if self.stages[value] >= last_read[k]]
            if fitting:
                places[value] = Place("x", fitting[0])
                free.discard(fitting[0])
        for value in saved:
            if value not in places:
                places[value] = Place("kept", self.kept)
                self.kept += 1

    def _place_work(self) -> None:
        """What else a later stage or a product reads, and every product's block that is joined to nothing."""
        later = self._read_later(self.forward_values, self.forward_products)
        for value in self.forward_values:
            computed = value.op not in ("x", "old", "weight", "joined") and value not in self.joined
            if computed and value not in self.places and (value in later or value.op == "product"):
                self.places[value] = Place("work", self.work)
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
        candidates = [
            v
            for v in self.kept_values.saved
            if v.op not in ("x", "joined", "product") and v not in self.kept_values.rows
        ]
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
        fused = {value for carried in self.carried for value in carried.products}
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
        if any(self.places[value].buffer == "x" for value in self.kept_values.rows if value in self.places):
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
        in_passes += values_of(carried.rest for carried in self.carried)
        self.carry_stage = max((self.stages[value] for value in in_passes), default=0)
        self.copied: set[Value] = set()  # of a pass before the last one, which finds them in memory
        for carried in self.carried:
            late = [value for value in carried.products if self.stages[value] > self.carry_stage]
            for value in carried.products:
                if value not in late:
                    carried.rest = self.form.make("add", carried.rest, value)
                    self._add_to_last_pass(values_of([carried.rest]))
            carried.products = late
            self.copied |= {value for value in values_of([carried.rest]) if self.stages[value] < self.carry_stage}

    def _add_to_last_pass(self, values: list[Value]) -> None:
        for value in values:
            self.stages.setdefault(value, self.carry_stage)
            if value not in self.back_values:
                self.back_values.append(value)

    # the loops

    def _last_stage(self, values: Iterable[Value]) -> int:
        return max((self.stages[value] for value in values), default=0)

    def _forward_stages(self) -> list[Stage]:
        stages = range(self._last_stage(self.forward_values) + 1)
        products, target = self.forward_products, self._forward_target
        return [Stage(self._calls(products, stage, target), self._forward_pass(stage)) for stage in stages]

    def _backward_stages(self) -> list[Stage]:
        stages = range(self._last_stage(self.back_values) + 1)
        products, target = self.back_products, self._backward_target
        return [Stage(self._calls(products, stage, target), self._backward_pass(stage)) for stage in stages]

    def _calls(self, products: list[Product], stage: int, target: Callable[[Value], Target | None]) -> list[Call]:
        """The calls of a stage's products."""
        now = [product for product in products if self._product_stage(product) == stage]
        return [call for product in now for call in calls_of(product, target, self._row_place)]

    def _product_stage(self, product: Product) -> int:
        return next(self.stages[block] for block in product.results.values() if block in self.stages)

    def _forward_target(self, block: Value) -> Target | None:
        if block in self.joined:
            old_only = all(row.op == "old" for row in self.form.needs(block))
            return Target(Place("x", self.joined[block]), True, "zero start" if old_only else "")
        return Target(self.places[block]) if block in self.places else None

    def _forward_pass(self, stage: int) -> Pass:
        made = Pass()

        def known(value: Value) -> Place | None:
            here = self.stages.get(value, 0) == stage and value.op not in NO_OPERATION
            return None if here else self._forward_place(value)

        for value in self.forward_values:
            if value.op in NO_OPERATION:
                continue
            place = self.places.get(value)
            if place is not None and place.buffer != "new" and self.stages[value] == stage:
                made.stores.append(Store(place, self._visit(value, made, known)))
        for n, new in enumerate(self.step.new):
            if self._stage_of(new) == stage:
                made.stores.append(Store(Place("new", n), self._visit(new, made, known)))
        if self._stage_of(self.step.output) == stage:
            # The output that is a state is written as the state; under a mask, where they differ, by itself.
            output = self._visit(self.step.output, made, known)
            made.stores.append(Store(Place("output", 0), output, only_masked=self.output_is_state))
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

    def _backward_target(self, block: Value) -> Target | None:
        for n, carried in enumerate(self.carried):
            if block in carried.products:
                first = min(carried.products, key=lambda v: (self.stages[v], v.number))
                overwrites = block is first and not isinstance(carried.rest, Value)
                return Target(Place("gradient", n + 1), "masked" if overwrites else True, "no start gradient")
        return Target(self.back_places[block]) if block in self.back_places else None

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
            made.stores.append(Store(place, self._visit(operand, made, known)))
        for number, value in enumerate(self.sums):
            if self._back_stage(value) == stage:
                made.sums.append((number, self._visit(value, made, known)))
        for n, carried in enumerate(self.carried if stage == self.carry_stage else []):
            # A product that is alone overwrites it; under a mask it is added, so that skipped rows keep theirs.
            only_masked = not isinstance(carried.rest, Value) and bool(carried.products)
            made.stores.append(Store(Place("gradient", n + 1), self._visit(carried.rest, made, known), only_masked))
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
        return self._forward_place(value) if self.kept_values.has(value) else None

    def _back_stage(self, operand: Operand) -> int:
        return self.stages[operand] if isinstance(operand, Value) and operand.backward else 0

    # products

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


def own_terms(operand: Operand, uses: Counter[Value]) -> list[Operand]:
    """The terms of a sum, through the sums within that nothing else reads."""
    if isinstance(operand, Value) and operand.op == "add" and uses[operand] == 1:
        return [term for each in operand.args for term in own_terms(each, uses)]
    return [operand]
