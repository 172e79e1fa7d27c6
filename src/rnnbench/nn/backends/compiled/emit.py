"""The C text of a layout: a forward and a backward loop over time for any number of steps, rows and features.

It is written to be read (`rnnbench show --kernel CELL`): buffers have the names of `layout`, values those of `naming`.
What is read once stands where it is read, with the parentheses that C needs to compute in the same order.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from importlib import resources

from rnnbench.nn.backends.compiled.form import Operand, Value
from rnnbench.nn.backends.compiled.layout import Call, Layout, Pass, Place
from rnnbench.nn.backends.compiled.naming import Names
from rnnbench.nn.backends.compiled.operations import TABLE

CHUNK = 32  # rows of the batch that are added up before they are added to the others: no thread divides them
REALS = {"float32": "float", "float64": "double"}
FIXED = ("product.c", "matrices.c", "functions.c")  # the same for every cell
LONGEST = 60  # characters of an expression within another
# By operation: what may stand on its left and on its right without parentheses.
BARE: dict[str, tuple[set[str], set[str]]] = {
    "add": ({"add", "sub", "mul", "div"}, {"mul", "div"}),
    "sub": ({"add", "sub", "mul", "div"}, {"mul", "div"}),
    "mul": ({"mul", "div"}, set()),
    "div": ({"mul", "div"}, set()),
}
COMMENTS = {
    False: """\
/* Forwards. A row of x is W x of one sequence, {gates}: H features each; what the backward loop needs is left in their
   place, and in kept. old_, new_: the state before and after the step. _b: the row of sequence b. */""",
    True: """\
/* Backwards. A row of x is what the forward loop left there, and then the gradient of W x. gradient_: of the state,
   from the step after to the step before. d_: the gradient of what follows; a_: a gate before its function. */""",
}


def emit(layout: Layout, name: str, dtype: str) -> str:
    """The whole C source. name: the cell, for the head's comment. dtype: float32 | float64."""
    real = REALS[dtype]
    parts = [
        f"/* {name}: one loop over time forwards, one backwards, from the cell's own step. {real}. */",
        "#include <math.h>\n#include <string.h>",
        f"typedef {real} R;\n#define CHUNK {CHUNK}" + ("\n#define SINGLE" if real == "float" else ""),
        *(_file(name) for name in FIXED),
        _arguments(layout),
        loops(layout).strip(),
    ]
    return "\n\n".join(parts) + "\n"


def loops(layout: Layout) -> str:
    """The two loops alone, without what is the same for every cell."""
    return "\n\n".join(_Loop(layout, backward=way).text() for way in (False, True)) + "\n"


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8").strip()


def _arguments(layout: Layout) -> str:
    """The struct of `library.Arguments`, field by field."""
    states, weights = len(layout.step.fields), max(len(layout.step.weights), 1)
    return f"""/* The rows [first, last) of a batch of B. keep: whether a backward loop will follow. mask: (T, B), NULL.
   state: of every step where whole[n], else of two in turn. gradient_row, gradient_step: strides of the output's
   gradient. panels: room for the packed weights. sums: of each CHUNK of rows, H features each. */
typedef struct {{
    long T, B, H, first, last;
    long reverse, keep, zero_start, start_gradient;
    const unsigned char *mask;
    R *x, *kept, *work, *grads, *back_work, *sums, *panels, *output;
    const R *output_gradient;
    long gradient_row, gradient_step;
    const R *start[{states}];
    R *state[{states}], *state_gradient[{states}];
    long whole[{states}];
    const R *weight[{weights}];
}} arguments;"""


class _Loop:
    """One of the two loops."""

    def __init__(self, layout: Layout, *, backward: bool) -> None:
        self.layout, self.backward = layout, backward
        self.stages = layout.backward if backward else layout.forward
        self.calls = [call for stage in self.stages for call in stage.calls]
        self.names = Names(layout)

    def text(self) -> str:
        kind = "backward" if self.backward else "forward"
        steps = "long t = a->T - 1; t >= 0; t--" if self.backward else "long t = 0; t < a->T; t++"
        body = "\n".join(self._stages())
        packing = _indented(self._packing(), 1)
        step_head = _indented(_needed(self._step_head(), body), 2)
        head = _indented(_needed(self._head(), packing + step_head + body), 1)
        return f"""{COMMENTS[self.backward].format(gates=" ".join(map(_said, self.names.gates)))}
INLINE void {kind}_steps(const arguments *a, const int masked) {{
{head}
{packing}
    for ({steps}) {{
{step_head}
{body}
    }}
}}

void {kind}(const arguments *a) {{
    if (a->mask)
        {kind}_steps(a, 1);
    else
        {kind}_steps(a, 0);
}}"""

    # before the loop

    def _head(self) -> list[tuple[str, str]]:
        lines = [
            ("T", "const long T = a->T, B = a->B, H = a->H;"),
            ("rows", "const long rows = a->last - a->first;"),
        ]
        for n, weight in enumerate(self.layout.step.weights):
            name = self.names.weights[n]
            lines.append((name, f"const R *restrict {name} = a->weight[{n}]; /* {_said(weight.path)} */"))
        return lines

    def _packing(self) -> list[str]:
        """Every product's matrix packed, and whether all that the first step may leave out is finite."""
        skips = any(call.skip == "zero start" for call in self.calls)
        lines = ["R finite = 0;"] if skips else []
        room = "a->panels"
        for number, call in enumerate(self.calls):
            weight, name = self.layout.step.weights[call.product.weight], self.names.weights[call.product.weight]
            depth, width, row = _times(call.depth), _times(call.width), _times(weight.columns)
            # product @ M: M's element (k, j) is the weight's (j, k) where it is transposed, else its (k, j).
            down, right = ("1", row) if call.product.transposed else (row, "1")
            rows, columns = call.first_input, call.first_output
            if call.product.transposed:
                rows, columns = columns, rows
            first = name + _plus(rows * weight.columns, "H * H") + _plus(columns, "H")
            lines.append(f"R *const panel_{number} = {room};")
            lines.append(f"{'finite += ' * skips}pack(panel_{number}, {first}, {depth}, {width}, {down}, {right});")
            room = f"panel_{number} + panel_size({depth}, {width})"
        return [*lines, "const int zero_start = a->zero_start && finite == 0;"] if skips else lines

    # one step

    def _step_head(self) -> list[tuple[str, str]]:
        """Where the buffers' rows of this step begin."""
        layout = self.layout
        lines = [
            ("now", "const long now = a->reverse ? T - 1 - t : t;"),
            ("before", "const long before = a->reverse ? now + 1 : now - 1;"),
            ("x", f"R *const x = a->x + now * B * {_times(layout.step.inputs)};"),
            ("kept", f"R *const kept = a->kept + (a->keep ? now : 0) * B * {_times(layout.kept)};"),
            ("work", "R *const work = a->work;"),
            ("grads", f"R *const grads = a->grads + now * B * {_times(layout.grads)};"),
            ("back_work", "R *const back_work = a->back_work;"),
        ]
        for n, field in enumerate(self.names.fields):
            state = f"a->state[{n}]"
            new, old = "now", "before"
            if not self.backward:
                new, old = f"(a->whole[{n}] ? now : t & 1)", f"(a->whole[{n}] ? before : (t - 1) & 1)"
            constant = "const " * self.backward
            lines.append((f"new_{field}", f"{constant}R *const new_{field} = {state} + {new} * B * H;"))
            old = f"t ? {state} + {old} * B * H : a->start[{n}]"
            lines.append((f"old_{field}", f"const R *const old_{field} = {old};"))
            lines.append((f"gradient_{field}", f"R *const gradient_{field} = a->state_gradient[{n}];"))
        gradient = "const R *const output_gradient = a->output_gradient + now * a->gradient_step;"
        return [*lines, ("output_gradient", gradient), ("output", "R *const output = a->output + now * B * H;")]

    def _stages(self) -> list[str]:
        """Products and passes in turn; passes with no product between them go over each row together."""
        parts: list[str] = []
        together: list[Pass] = []
        for stage in self.stages:
            if stage.calls:
                parts.append(self._passes(together))
                together = []
                parts += [self._call(call) for call in stage.calls]
            together.append(stage.passes)
        parts.append(self._passes(together))
        return [part for part in parts if part]

    def _call(self, call: Call) -> str:
        rows, a_row = self._rows(call.rows)
        target, c_row = self._rows(call.target)
        start = {True: target, False: "0", "masked": f"masked ? {target} : 0"}[call.accumulate]
        number = next(n for n, each in enumerate(self.calls) if each is call)
        condition = {"": "", "zero start": "if (t || !zero_start)", "no start gradient": "if (t || a->start_gradient)"}
        text = [
            f"product(rows, {_times(call.depth)}, {_times(call.width)}, {rows}, {a_row}, panel_{number},",
            f"        {start}, {c_row}, {target}, {c_row});",
        ]
        if call.skip:
            text = [condition[call.skip], *("    " + line for line in text)]
        return _indented([f"/* {self._said_of(call)} */", *text], 2)

    def _said_of(self, call: Call) -> str:
        """A product in words: x (i f g o) += old_h @ U.weight^T."""
        path = _said(self.layout.step.weights[call.product.weight].path)
        sign = "+=" if call.accumulate is True else "="
        matrix = path + "^T" * call.product.transposed
        return f"{self._words(call.target, call.width)} {sign} {self._words(call.rows, call.depth)} @ {matrix}"

    def _words(self, place: Place, count: int) -> str:
        """Some blocks of a buffer, for a comment."""
        buffer, _ = self._buffer(place)
        if place.buffer == "x":
            return f"x ({' '.join(_said(gate) for gate in self.names.gates[place.block : place.block + count])})"
        if place.buffer not in self._wide():
            return buffer
        last = place.block + count - 1
        return f"{buffer} {place.block}" if count == 1 else f"{buffer} {place.block} to {last}"

    def _rows(self, place: Place) -> tuple[str, str]:
        """The first row's address of a block in C, and how far the next is."""
        buffer, width = self._buffer(place)
        return f"{buffer} + a->first * {width}{_plus(self._block(place), 'H')}", width

    def _wide(self) -> dict[str, int]:
        """The buffers whose rows have several blocks, and how many."""
        layout = self.layout
        return {
            "x": layout.step.inputs,
            "kept": layout.kept,
            "work": layout.work,
            "grads": layout.grads,
            "back_work": layout.back_work,
        }

    def _buffer(self, place: Place) -> tuple[str, str]:
        """The name of a place's buffer and the numbers of one of its rows."""
        if (blocks := self._wide().get(place.buffer)) is not None:
            return place.buffer, _times(blocks)
        if place.buffer == "output":
            return "output", "H"
        if place.buffer == "gradient":
            if place.block == 0:
                return "output_gradient", "a->gradient_row"
            return f"gradient_{self.names.fields[place.block - 1]}", "H"
        return f"{place.buffer}_{self.names.fields[place.block]}", "H"

    def _block(self, place: Place) -> int:
        """Which block of a row of its buffer a place is."""
        return place.block if place.buffer in self._wide() else 0

    # one pass

    def _passes(self, together: list[Pass]) -> str:
        """One loop over the rows, and for each pass one over the features of a row."""
        together = [each for each in together if each.stores or each.sums]
        if not together:
            return ""
        pointers: dict[str, str] = {}
        loops: list[str] = []
        for each in together:
            lines = self._pass(each, pointers)
            loops += [f"    /* {self._said_of_pass(each)} */", "    INDEPENDENT", "    for (long j = 0; j < H; j++) {"]
            loops += ["        " + text for text in lines]
            loops += ["    }"]
        lines = ["for (long b = a->first; b < a->last; b++) {", *("    " + text for text in pointers.values())]
        lines += ["    if (masked && !a->mask[now * B + b]) {", *self._skipped(together), "        continue;", "    }"]
        return _indented([*lines, *loops, "}"], 2)

    def _said_of_pass(self, made: Pass) -> str:
        """What a pass gives."""
        stored = [self.names.of(each) for _, each, masked in made.stores if isinstance(each, Value) and not masked]
        words = [*dict.fromkeys(stored), *(["sums"] if made.sums else [])]
        return ", ".join(words) or "zeros"

    def _pass(self, made: Pass, pointers: dict[str, str]) -> list[str]:
        lines = [self._load(value, place, pointers) for value, place in made.loads.items()]
        computed, inner = self._computed(made)
        lines += computed
        lines += [self._store(*store, inner, pointers) for store in made.stores]
        for number, operand in made.sums:
            pointers["sums"] = f"R *restrict sums = a->sums + b / CHUNK * {_times(self.layout.sums)};"
            index = f"{_times(number)} + j" if number else "j"
            lines.append(f"sums[{index}] += {self._alone(operand, inner)};{self._said_of_sum(number)}")
        return lines

    def _computed(self, made: Pass) -> tuple[list[str], dict[Value, str]]:
        """The lines of a pass that compute, and the expressions that have no line of their own: what is read once.

        Everything is computed in the order of `made.computed`, whatever has a line: which product a compiler joins to a
        sum, and so the last bit, follows from the order.
        """
        once = self._read_once(made)
        lines: list[str] = []
        inner: dict[Value, str] = {}
        waiting: list[Value] = []  # those of inner that nothing has read yet

        def give_lines() -> None:
            for value in waiting:
                text = _without_parentheses(value, inner.pop(value))
                lines.append(f"const R {self.names.of(value)} = {text};")
            waiting.clear()

        for value in made.computed:
            own = [operand for operand in value.operands if operand in waiting]
            if own and (waiting[-len(own) :] != own or (len(own) > 1 and value.op not in BARE)):
                give_lines()
                own = []
            text = self._expression(value, inner)
            del waiting[len(waiting) - len(own) :]
            if value in once and len(text) <= LONGEST and not text.startswith("(-"):
                inner[value] = text
                waiting.append(value)
            else:
                give_lines()
                lines.append(f"const R {self.names.of(value)} = {_without_parentheses(value, text)};")
        read = [operand for _, operand, _ in made.stores] + [operand for _, operand in made.sums]
        if [operand for operand in read if operand in waiting] != waiting:
            give_lines()
        return lines, inner

    def _read_once(self, made: Pass) -> set[Value]:
        """The values of a pass without a name that one expression reads, once: they stand in it.

        A compiler makes b - a of -a + b where it sees both at once, and then in another order: `_computed` leaves
        negative ones out.
        """
        reads: Counter[Operand] = Counter()
        for value in made.computed:
            for n, operand in enumerate(value.args):
                reads[operand] += TABLE[value.op].c.count(f"{{{n}}}")
        for _, operand, only_masked in made.stores:
            reads[operand] += 2 if only_masked else 1
        reads.update(operand for _, operand in made.sums)
        return {value for value in made.computed if reads[value] == 1 and not self.names.is_named(value)}

    def _said_of_sum(self, number: int) -> str:
        """Of which weights' blocks a sum is the gradient, as a comment."""
        layout = self.layout
        words = [
            f"W's bias ({_said(gate)})"
            for gate, n in zip(self.names.gates, layout.input_sums, strict=True)
            if n == number
        ]
        for (weight, block), n in layout.vector_sums.items():
            if n == number:
                part = self.names.block(weight, block)
                words.append(_said(layout.step.weights[weight].path) + (f" ({_said(part)})" if part else ""))
        return f" /* {', '.join(words)} */" if words else ""

    def _skipped(self, together: list[Pass]) -> list[str]:
        """What a step that the mask leaves out does: the state stays, its gradient passes, all else is zero."""
        lines = []
        for place in dict.fromkeys(place for made in together for place, _, _ in made.stores):
            target = self._element(place)
            if place.buffer == "gradient":
                continue
            if place.buffer == "new":
                lines.append(f"{target} = {self._element(Place('old', place.block))};")
            else:
                lines.append(f"{target} = 0;")
        if not lines:
            return []
        return ["        for (long j = 0; j < H; j++) {", *("            " + line for line in lines), "        }"]

    def _element(self, place: Place) -> str:
        """One element of a block in the row's pointer."""
        block = self._block(place)
        return f"{self._buffer(place)[0]}_b[{_times(block) + ' + ' if block else ''}j]"

    def _pointer(self, place: Place, pointers: dict[str, str], *, written: bool) -> None:
        buffer, width = self._buffer(place)
        constant = "" if self._writable(place) else "const "
        pointers[buffer] = f"{constant}R *restrict {buffer}_b = {buffer} + b * {width};"
        if written and place.buffer == "new":
            self._pointer(Place("old", place.block), pointers, written=False)

    def _writable(self, place: Place) -> bool:
        if place.buffer in ("old", "weight") or place == Place("gradient", 0):
            return False
        return not (self.backward and place.buffer == "new")

    def _load(self, value: Value, place: Place, pointers: dict[str, str]) -> str:
        name = self.names.of(value)
        if place.buffer == "weight":
            weight, block = value.args
            number = self.layout.step.weights[weight].dim == 0
            index = "0" if number else f"{_times(block)} + j" if block else "j"
            return f"const R {name} = {self.names.weights[weight]}[{index}];"
        self._pointer(place, pointers, written=False)
        return f"const R {name} = {self._element(place)};"

    def _store(
        self, place: Place, operand: Operand, only_masked: bool, inner: dict[Value, str], pointers: dict[str, str]
    ) -> str:
        self._pointer(place, pointers, written=True)
        text = f"{self._element(place)} = {self._alone(operand, inner)};"
        return f"if (masked) {text}" if only_masked else text

    # expressions; inner: the values that have no line of their own

    def _expression(self, value: Value, inner: dict[Value, str]) -> str:
        operation = TABLE[value.op]
        call = re.fullmatch(r"\w+_\([^()]*\)", operation.c) and "-" not in operation.c
        parts = []
        for side, operand in enumerate(value.args):
            text = self._read(operand, inner)
            bare = BARE.get(value.op, (set(), set()))[side > 0]
            if isinstance(operand, Value) and operand in inner and (call or operand.op in bare):
                text = _without_parentheses(operand, text)
            parts.append(text)
        return operation.c.format(*parts)

    def _alone(self, operand: Operand, inner: dict[Value, str]) -> str:
        """An operand that is a whole right side."""
        text = self._read(operand, inner)
        return _without_parentheses(operand, text) if isinstance(operand, Value) and operand in inner else text

    def _read(self, operand: Operand, inner: dict[Value, str]) -> str:
        if not isinstance(operand, Value):
            return _number(operand)
        return inner.get(operand) or self.names.of(operand)


def _without_parentheses(value: Value, text: str) -> str:
    """The expression of a value without those that its operation puts around it."""
    return text[1:-1] if TABLE[value.op].c.startswith("(") else text


def _times(blocks: int) -> str:
    """So many blocks of H features."""
    return "H" if blocks == 1 else f"{blocks} * H"


def _plus(count: int, unit: str) -> str:
    """What is added to an address; nothing for nothing."""
    return "" if count == 0 else f" + {unit}" if count == 1 else f" + {count} * {unit}"


def _number(number: float) -> str:
    """A number in C, in the loop's precision."""
    if math.isinf(number) or math.isnan(number):
        return {"inf": "(R)INFINITY", "-inf": "(R)-INFINITY"}.get(str(number), "(R)NAN")
    text = repr(number)
    return f"(R){text.removesuffix('.0') if text != '-0.0' else text}"


def _said(name: str) -> str:
    """A name for a comment, which it cannot end."""
    return re.sub(r"[^\w.]", "_", name)


def _needed(lines: list[tuple[str, str]], rest: str) -> list[str]:
    """Of declarations, each a name and its line, those that the rest or a later one reads."""
    kept: list[str] = []
    for name, line in reversed(lines):
        if re.search(rf"(?<![\w>])(?<!a->){name}\b", "\n".join([rest, *kept])):
            kept.insert(0, line)
    return kept


def _indented(lines: list[str], depth: int) -> str:
    return "\n".join("    " * depth + line for line in lines if line)
