"""The stages between a traced step and its library: joined sums, the derivative, the plan of memory, the C text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from against_eager import CALLS, DENSE, Call, differences, needs_compiler, own
from registry import PEEPHOLES, build, seen_gates
from rnnbench.nn.backends.compiled import program_of
from rnnbench.nn.backends.compiled.form import Form, Step, Value, reached
from rnnbench.nn.backends.compiled.gradient import differentiate
from rnnbench.nn.backends.compiled.joining import join
from rnnbench.nn.backends.compiled.layout import lay_out
from rnnbench.nn.backends.compiled.tracing import trace

pytestmark = pytest.mark.usefixtures("quickly")

EVERY = [(cell, "off") for cell in DENSE]
EVERY += [(cell, name) for cell in DENSE for name in PEEPHOLES if seen_gates(cell, name)]
every = pytest.mark.parametrize(("cell", "peephole"), EVERY)


def planned(cell):
    step = join(trace(cell))
    return lay_out(step, differentiate(step))


def roots(step: Step) -> list[Value]:
    return [each for each in (step.output, *step.new) if isinstance(each, Value)]


# the form


def test_two_values_that_are_computed_alike_are_one():
    made = Form()
    x, y = made.leaf("x", 0), made.leaf("old", 0)
    assert made.make("mul", x, y) is made.make("mul", x, y)
    assert made.make("mul", x, y) is not made.make("mul", y, x)
    assert made.product([x], 0, True, 2)[1] is made.product([x], 0, True, 2)[1]


@pytest.mark.parametrize(
    ("op", "args"), [("add", (None, 0.0)), ("add", (0.0, None)), ("sub", (None, 0.0)), ("mul", (None, 1.0)),
                     ("mul", (1.0, None)), ("div", (None, 1.0))]
)  # fmt: skip
def test_an_operation_that_changes_nothing_is_none(op, args):
    made = Form()
    x = made.leaf("x", 0)
    assert made.make(op, *(x if each is None else each for each in args)) is x


def test_values_come_after_what_they_need():
    step = trace(build("fgr", "on"))
    seen = set()
    for value in reached(step.form, roots(step)):
        assert seen.issuperset(step.form.needs(value))
        seen.add(value)


# joining


def joined(step):
    return [value for value in reached(step.form, roots(step)) if value.op == "joined"]


def test_a_product_that_is_only_added_to_w_x_is_joined_to_it():
    (value,) = joined(join(trace(own(lambda cell, wx, s: (torch.tanh(wx + cell.U(s.h)),)))))
    assert [part.op for part in value.args] == ["x", "product"]


def test_of_all_sums_of_a_gate_one_is_joined():
    step = trace(own(lambda cell, wx, s: (torch.tanh(cell.v * s.h + (cell.U(s.h) + (wx + cell.v))),)))
    (value,) = joined(join(step))
    assert [part.op for part in value.args] == ["x", "product"]


@pytest.mark.parametrize(
    "step",
    [
        lambda cell, wx, s: (torch.tanh(wx + cell.U(s.h)) * wx,),  # W x is read again
        lambda cell, wx, s: (torch.tanh(wx * (cell.U(s.h) + 1)),),  # no sum
        lambda cell, wx, s: (torch.tanh(wx + wx.detach() + cell.U(s.h)),),
        lambda cell, wx, s: (torch.tanh(wx + torch.tanh(cell.U(s.h))),),
    ],
)
def test_nothing_is_joined_that_is_read_elsewhere(step):
    assert joined(join(trace(own(step)))) == []


# the derivative


def test_a_number_has_no_gradient_and_a_cut_one_none():
    step = join(trace(own(lambda cell, wx, s: (torch.tanh(wx.detach()) + 0.5 * s.h.detach() + cell.b,))))
    found = differentiate(step)
    assert found.inputs == [0.0]
    assert found.old == [0.0]
    assert found.products == []


def test_every_read_weight_has_a_gradient_and_no_other():
    step = join(trace(own(lambda cell, wx, s: (torch.tanh(wx * cell.v + cell.b * s.h),))))
    found = differentiate(step)
    paths = {step.weights[number].path for number, _ in found.vectors}
    assert "v" in paths
    assert not {"n", "U.weight", "U.bias"} & paths
    assert [weight.path for weight in step.weights if not weight.trained] == ["b"]


# the plan


@every
@pytest.mark.parametrize("biases", [0, None])
def test_memory_is_read_before_it_is_overwritten_and_written_before_it_is_read(cell, peephole, biases):
    """Both loops followed place by place: what is loaded is what was stored there last."""
    layout = planned(build(cell, peephole, biases=biases))
    memory = {("x", k): ("W x", k) for k in range(layout.step.inputs)}
    follow(layout.forward, memory, backward=False)
    follow(layout.backward, memory, backward=True)


OUTSIDE = ("old", "weight", "gradient")  # filled by others


def follow(stages, memory, *, backward):
    for stage in stages:
        for call in stage.calls:
            read_rows(call, memory)
            write_product(call, memory)
        for value, place in stage.passes.loads.items():
            if place.buffer not in OUTSIDE:
                assert lies_there(value, memory.get(tuple(place))), (value.op, place)
        stores = [(place, operand) for place, operand, only_masked in stage.passes.stores if not only_masked]
        assert len(stores) == len(dict(stores)), "two values in one place"
        assert not backward or not {place.buffer for place, _ in stores} & {"kept", "new", "old", "output"}
        memory.update((tuple(place), operand) for place, operand in stores)


def read_rows(call, memory):
    if call.rows.buffer in OUTSIDE:
        return
    for n, row in enumerate(call.product.rows[call.first_input : call.first_input + call.depth]):
        assert lies_there(row, memory.get((call.rows.buffer, call.rows.block + n))), (call.rows, row)


def write_product(call, memory):
    for n in range(call.width):
        place = (call.target.buffer, call.target.block + n)
        block = call.product.results[call.first_output + n]
        if not call.accumulate:
            memory[place] = block
        elif place[0] == "x":
            memory[place] = ("joined", memory[place], block)


def lies_there(value, there):
    if value.op == "x":
        return there == ("W x", value.args[0])
    if value.op == "joined":
        return flat(there) == {("W x", value.args[0].args[0]), *value.args[1:]}
    return there == value


def flat(there):
    if isinstance(there, tuple) and there[0] == "joined":
        return flat(there[1]) | {there[2]}
    return {there}


@every
def test_places_are_within_their_buffers(cell, peephole):
    layout = planned(build(cell, peephole))
    sizes = {"x": layout.step.inputs, "kept": layout.kept, "work": layout.work, "grads": layout.grads}
    sizes |= {"back_work": layout.back_work, "gradient": 1 + len(layout.step.fields), "output": 1, "weight": 1}
    sizes |= dict.fromkeys(("old", "new"), len(layout.step.fields))
    for stage in (*layout.forward, *layout.backward):
        places = [(call.rows, call.depth) for call in stage.calls] + [(call.target, call.width) for call in stage.calls]
        places += [(place, 1) for place in stage.passes.loads.values()]
        places += [(place, 1) for place, _, _ in stage.passes.stores]
        for place, count in places:
            assert 0 <= place.block <= place.block + count <= sizes[place.buffer], place
        assert all(0 <= number < layout.sums for number, _ in stage.passes.sums)


def test_what_is_kept_of_the_known_cells():
    """Blocks of H numbers a step and sequence beside W x and the states: more is slower."""
    kept = {name: planned(build(name, "on" if seen_gates(name, "on") else "off")).kept for name in DENSE}
    assert kept["rnn"] == kept["rnn_relu"] == 0
    rglru = kept.pop("rglru")  # a power of a sigmoid, and a root with a bound on its slope
    assert max(kept.values()) <= 3 < rglru <= 6


# the C text


def source(name, dtype="float32", **options):
    return program_of(build(name, "on" if seen_gates(name, "on") else "off", **options), dtype).source


@pytest.mark.parametrize("name", DENSE)
def test_one_text_for_every_size(name):
    assert source(name, hidden_size=4, input_size=3) == source(name, hidden_size=33, input_size=8)


@pytest.mark.integration
def test_the_text_is_the_same_in_every_process():
    """Whatever the seed of Python's hashes: else no library would be found again."""
    code = (
        "import hashlib, sys; sys.path.insert(0, 'tests')\n"
        "from against_eager import DENSE\nfrom test_compiled_stages import source\n"
        "text = ''.join(source(name, dtype) for name in DENSE for dtype in ('float32', 'float64'))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    root, here = Path(__file__).parents[4], Path(__file__).parent
    found = set()
    for seed in ("1", "2"):
        path = os.pathsep.join([str(here), *sys.path])
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1


def test_the_text_has_the_cells_own_names():
    text = source("lstm")
    for name in ("w_U_bias", "w_peephole_w_f", "old_c", "new_h", "/* LSTM: one loop over time"):
        assert name in text
    assert "typedef float R;" in text
    assert "typedef double R;" in source("lstm", "float64")


@needs_compiler
def test_names_that_are_words_of_c():
    """States and weights may be called what they like."""

    def make(i, h):
        return own(lambda cell, wx, s: (torch.tanh(wx + s.int), s.T * 0.5 + wx), "int T", input_size=i, hidden_size=h)

    assert differences(make, CALLS["holes begin"], torch.float64, "words") == {}


@needs_compiler
@pytest.mark.parametrize("number", [0.1, 1e300, 3])
def test_numbers_arrive_as_they_are(number):
    def make(i, h):
        return own(lambda cell, wx, s: (torch.tanh(wx + number) + 0.5 * s.h,), input_size=i, hidden_size=h)

    assert differences(make, Call(), torch.float64, "numbers") == {}
