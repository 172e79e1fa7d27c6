"""The C text of a layout: a forward and a backward loop over time for any number of steps, rows and features.

It is written to be read (`rnnbench show --kernel CELL`): buffers have the names of `layout`, weights and states those
of the cell.
"""

from __future__ import annotations

import math
import re
from importlib import resources

from rnnbench.nn.backends.compiled.form import Operand, Value
from rnnbench.nn.backends.compiled.layout import Call, Layout, Pass, Place
from rnnbench.nn.backends.compiled.operations import TABLE

CHUNK = 32  # rows of the batch that are added up before they are added to the others: no thread divides them
REALS = {"float32": "float", "float64": "double"}


def emit(layout: Layout, name: str, dtype: str) -> str:
    """The whole C source. name: the cell, for the head's comment. dtype: float32 | float64."""
    real = REALS[dtype]
    parts = [
        f"/* {name}: one loop over time forwards, one backwards, from the cell's own step. {real}. */",
        "#include <math.h>\n#include <string.h>",
        f"typedef {real} R;\n#define CHUNK {CHUNK}" + ("\n#define SINGLE" if real == "float" else ""),
        _file("product.c"),
        _file("matrices.c"),
        _file("functions.c"),
        _arguments(layout),
        _Loop(layout, backward=False).text(),
        _Loop(layout, backward=True).text(),
    ]
    return "\n\n".join(parts) + "\n"


def loops(layout: Layout, name: str, dtype: str) -> str:
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
        self.form = layout.step.form
        self.stages = layout.backward if backward else layout.forward
        self.names = _identifiers(layout)

    def text(self) -> str:
        kind = "backward" if self.backward else "forward"
        body = "\n".join(self._stages())
        steps = "long t = a->T - 1; t >= 0; t--" if self.backward else "long t = 0; t < a->T; t++"
        return f"""INLINE void {kind}_steps(const arguments *a, const int masked) {{
{self._head()}
{self._packing()}
    for ({steps}) {{
{self._step_head()}
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

    def _head(self) -> str:
        lines = ["const long T = a->T, B = a->B, H = a->H, rows = a->last - a->first;", "(void)T;"]
        for n, weight in enumerate(self.layout.step.weights):
            lines.append(f"const R *restrict {self.names.weights[n]} = a->weight[{n}]; /* {weight.path} */")
            lines.append(f"(void){self.names.weights[n]};")
        return _indented(lines, 1)

    def _packing(self) -> str:
        """Every product's matrix packed, and whether all that the first step may leave out is finite."""
        lines = ["R *panels = a->panels;", "R finite = 0;"]
        for number, call in enumerate(self._calls()):
            weight = self.layout.step.weights[call.product.weight]
            name = self.names.weights[call.product.weight]
            row_blocks = weight.columns
            # product @ M: M's element (k, j) is the weight's (j, k) where it is transposed, else its (k, j).
            down, right = ("1", f"{row_blocks} * H") if call.product.transposed else (f"{row_blocks} * H", "1")
            first = (
                f"{call.first_output} * H * {row_blocks} * H + {call.first_input} * H"
                if call.product.transposed
                else f"{call.first_input} * H * {row_blocks} * H + {call.first_output} * H"
            )
            depth, width = f"{call.depth} * H", f"{call.width} * H"
            lines.append(f"R *const panel_{number} = panels;")
            lines.append(f"finite += pack(panels, {name} + {first}, {depth}, {width}, {down}, {right});")
            lines.append(f"panels += panel_size({depth}, {width});")
        lines.append("(void)panels;")
        lines.append("const int zero_start = a->zero_start && finite == 0;")
        lines.append("(void)zero_start;")
        return _indented(lines, 1)

    def _calls(self) -> list[Call]:
        return [call for stage in self.stages for call in stage.calls]

    # one step

    def _step_head(self) -> str:
        """Where the buffers' rows of this step begin."""
        layout = self.layout
        lines = [
            "const long now = a->reverse ? T - 1 - t : t, before = a->reverse ? now + 1 : now - 1;",
            "(void)before;",
        ]
        if self.layout.step.inputs:
            lines.append(f"R *const x = a->x + now * B * {layout.step.inputs} * H;")
        if layout.kept:
            lines.append(f"R *const kept = a->kept + (a->keep ? now : 0) * B * {layout.kept} * H;")
        if not self.backward and layout.work:
            lines.append("R *const work = a->work;")
        if self.backward and layout.grads:
            lines.append(f"R *const grads = a->grads + now * B * {layout.grads} * H;")
        if self.backward and layout.back_work:
            lines.append("R *const back_work = a->back_work;")
        for n, field in enumerate(self.names.fields):
            state = f"a->state[{n}]"
            if self.backward:
                lines.append(f"const R *const new_{field} = {state} + now * B * H;")
                lines.append(f"const R *const old_{field} = t ? {state} + before * B * H : a->start[{n}];")
                lines.append(f"R *const gradient_{field} = a->state_gradient[{n}];")
            else:
                lines.append(f"R *const new_{field} = {state} + (a->whole[{n}] ? now : t & 1) * B * H;")
                old = f"{state} + (a->whole[{n}] ? before : (t - 1) & 1) * B * H"
                lines.append(f"const R *const old_{field} = t ? {old} : a->start[{n}];")
            lines.append(f"(void)new_{field}, (void)old_{field};")
        if self.backward:
            lines.append("const R *const output_gradient = a->output_gradient + now * a->gradient_step;")
            lines.append("(void)output_gradient;")
        else:
            lines.append("R *const output = a->output + now * B * H;")
            lines.append("(void)output;")
        return _indented(lines, 2)

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
        number = next(n for n, each in enumerate(self._calls()) if each is call)
        sizes = f"rows, {_times(call.depth)}, {_times(call.width)}"
        text = f"product({sizes}, {rows}, {a_row}, panel_{number}, {start}, {c_row}, {target}, {c_row});"
        condition = {"": "", "zero start": "if (t || !zero_start)", "no start gradient": "if (t || a->start_gradient)"}
        lines = [condition[call.skip], "    " + text] if call.skip else [text]
        return _indented(lines, 2)

    def _rows(self, place: Place) -> tuple[str, str]:
        """The first row's address of a block in C, and how far the next is."""
        buffer, width = self._buffer(place)
        if place.buffer == "gradient" and place.block == 0:
            return "output_gradient + a->first * a->gradient_row", "a->gradient_row"
        offset = f" + {place.block} * H" if width != "H" and place.block else ""
        return f"{buffer} + a->first * {width}{offset}", width

    def _buffer(self, place: Place) -> tuple[str, str]:
        """The name of a place's buffer and the numbers of one of its rows."""
        layout = self.layout
        wide = {
            "x": layout.step.inputs,
            "kept": layout.kept,
            "work": layout.work,
            "grads": layout.grads,
            "back_work": layout.back_work,
        }
        if place.buffer in wide:
            return place.buffer, f"{wide[place.buffer]} * H"
        if place.buffer == "output":
            return "output", "H"
        if place.buffer == "gradient":
            if place.block == 0:
                return "output_gradient", "a->gradient_row"
            return f"gradient_{self.names.fields[place.block - 1]}", "H"
        return f"{place.buffer}_{self.names.fields[place.block]}", "H"

    # one pass

    def _passes(self, together: list[Pass]) -> str:
        """One loop over the rows, and for each pass one over the features of a row."""
        together = [each for each in together if each.stores or each.sums]
        if not together:
            return ""
        pointers: dict[str, str] = {}
        loops: list[str] = []
        for each in together:
            loops += ["    INDEPENDENT", "    for (long j = 0; j < H; j++) {"]
            loops += ["        " + text for text in self._pass(each, pointers)]
            loops += ["    }"]
        lines = ["for (long b = a->first; b < a->last; b++) {", *("    " + text for text in pointers.values())]
        lines += ["    if (masked && !a->mask[now * B + b]) {", *self._skipped(together), "        continue;", "    }"]
        return _indented([*lines, *loops, "}"], 2)

    def _pass(self, made: Pass, pointers: dict[str, str]) -> list[str]:
        loads = [self._load(value, place, pointers) for value, place in made.loads.items()]
        computed = [f"const R {self._name(value)} = {self._expression(value)};" for value in made.computed]
        stores = [self._store(*store, pointers) for store in made.stores]
        sums = [f"sums[{number} * H + j] += {self._read(operand)};" for number, operand in made.sums]
        if sums:
            pointers["sums"] = f"R *restrict sums = a->sums + b / CHUNK * {self.layout.sums} * H;"
        return [*loads, *computed, *stores, *sums]

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
        buffer, width = self._buffer(place)
        return f"{buffer}_b[{place.block} * H + j]" if width.endswith("* H") and place.block else f"{buffer}_b[j]"

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
        if place.buffer == "weight":
            weight, block = value.args
            index = "0" if self.layout.step.weights[weight].dim == 0 else f"{block} * H + j" if block else "j"
            return f"const R {self._name(value)} = {self.names.weights[weight]}[{index}];"
        self._pointer(place, pointers, written=False)
        return f"const R {self._name(value)} = {self._element(place)};"

    def _store(self, place: Place, operand: Operand, only_masked: bool, pointers: dict[str, str]) -> str:
        self._pointer(place, pointers, written=True)
        text = f"{self._element(place)} = {self._read(operand)};"
        return f"if (masked) {text}" if only_masked else text

    def _name(self, value: Value) -> str:
        return f"v{value.number}"

    def _read(self, operand: Operand) -> str:
        return self._name(operand) if isinstance(operand, Value) else _number(operand)

    def _expression(self, value: Value) -> str:
        return TABLE[value.op].c.format(*(self._read(operand) for operand in value.args))


def _times(blocks: int) -> str:
    """So many blocks of H features."""
    return "H" if blocks == 1 else f"{blocks} * H"


def _number(number: float) -> str:
    """A number in C, in the loop's precision."""
    if math.isinf(number) or math.isnan(number):
        return {"inf": "(R)INFINITY", "-inf": "(R)-INFINITY"}.get(str(number), "(R)NAN")
    return f"(R){number!r}"


class _identifiers:
    """C names of the cell's states and weights: its own, made fit."""

    def __init__(self, layout: Layout) -> None:
        step = layout.step
        self.fields = [_identifier(field) for field in step.fields]
        self.weights = [f"w_{_identifier(weight.path)}" for weight in step.weights]


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def _indented(lines: list[str], depth: int) -> str:
    return "\n".join("    " * depth + line for line in lines if line)
