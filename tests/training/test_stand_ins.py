"""The stand-ins: not noticed by whoever asks for the real modules, at whatever moment and by whatever way."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

# Each script is a process of its own: what is imported in one stays imported.
START = """
import importlib, sys
import torch
from rnnbench.training import stand_ins
from rnnbench.training.stand_ins import DYNAMO, PLOT, SIGNAL, waits
import pytorch_lightning, torchmetrics
from lightning_fabric.wrappers import OptimizedModule
assert waits(DYNAMO) and waits(PLOT) and waits(SIGNAL)
"""

SCRIPTS = {
    "an optimizer steps": """
for make in (torch.optim.Adam, torch.optim.SGD):
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = make([weight], lr=0.1)
    weight.grad = torch.ones(1)
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
    assert weight.item() < 1 and weight.grad is None
assert waits(DYNAMO) and "sympy" not in sys.modules
""",
    "a network is compiled": """
assert not isinstance(torch.nn.Linear(1, 1), OptimizedModule) and not issubclass(torch.nn.Linear, OptimizedModule)
assert waits(DYNAMO)
graphs = []
def backend(graph, inputs):
    graphs.append(graph)
    return graph.forward
linear = torch.nn.Linear(2, 2)
compiled = torch.compile(linear, backend=backend)
assert not waits(DYNAMO) and torch._dynamo is sys.modules[DYNAMO] and hasattr(torch._dynamo, "reset")
x = torch.ones(1, 2)
assert torch.equal(compiled(x), linear(x)) and len(graphs) == 1
assert isinstance(compiled, OptimizedModule) and not isinstance(linear, OptimizedModule)
assert issubclass(type(compiled), OptimizedModule) and not issubclass(torch.nn.Linear, OptimizedModule)
from pytorch_lightning.utilities.compile import OptimizedModule as in_lightning
assert in_lightning is OptimizedModule
""",
    "a function is kept from the compiler, before and after there is one": """
def seen(x):
    called.append(torch.compiler.is_compiling())
    return x + 1
called, graphs = [], []
early = torch.compiler.disable(seen)
assert early(1) == 2 and waits(DYNAMO)
def backend(graph, inputs):
    graphs.append([node.target for node in graph.graph.nodes if node.op == "call_function"])
    return graph.forward
@torch.compile(backend=backend)
def compiled(x):
    return early(x * 2) * 3
assert compiled(torch.ones(1)).item() == 9
assert called == [False, False], "traced"
assert len(graphs) == 2, "one graph before it and one after it"
assert torch.compiler.disable(seen)(1) == 2
""",
    "what is no function is kept from the compiler by the compiler": """
module = torch.compiler.disable(torch.nn.Linear(1, 1))
assert not waits(DYNAMO) and module(torch.ones(1, 1)).shape == (1, 1)
assert torch.compiler.disable()(lambda: 3)() == 3
""",
    "a submodule is imported first": """
import torch._dynamo.config as config
assert not waits(DYNAMO) and torch._dynamo.config is config is sys.modules["torch._dynamo.config"]
assert config.__spec__.name == "torch._dynamo.config" and type(config.__spec__.loader).__name__ == "SourceFileLoader"
import torch._dynamo.profiler as other  # which the package does not import by itself
assert other.__spec__.name == "torch._dynamo.profiler" and torch._dynamo.profiler is other
try:
    import torch._dynamo.no_such_module
except ModuleNotFoundError as error:
    assert error.name == "torch._dynamo.no_such_module"
else:
    raise AssertionError
""",
    "a submodule that its package does not import comes first": """
import torch._dynamo.profiler as other
assert not waits(DYNAMO) and torch._dynamo.profiler is other is sys.modules["torch._dynamo.profiler"]
""",
    "another optimizer steps while the compiler is there": """
weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.Adam([weight], lr=0.1)
torch._dynamo.config
assert not waits(DYNAMO)
weight.grad = torch.ones(1)
optimizer.step()
optimizer.zero_grad()
torch.optim.Adam([weight]).add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})
assert weight.item() < 1 and weight.grad is None
""",
    "who held the stand-in has the real module": """
from torch import _dynamo as held
assert waits(DYNAMO) and held.graph_break() is None
held.note = 1
assert not waits(DYNAMO) and torch._dynamo.note == 1 and held.note == 1
del held.note
assert not hasattr(torch._dynamo, "note") and not hasattr(held, "note")
assert held.disable is torch._dynamo.disable and held.OptimizedModule is torch._dynamo.OptimizedModule
assert "OptimizedModule" in dir(held)
""",
    "all names of the compiler are taken": """
from torch._dynamo import *
assert not waits(DYNAMO) and explain is torch._dynamo.explain
""",
    "nobody asks by walking through all modules": """
import inspect, warnings
for module in list(sys.modules.values()):
    for name in ("__warningregistry__", "__file__", "__wrapped__"):
        getattr(module, name, None)
inspect.getmodule(inspect.currentframe())
assert importlib.util.find_spec(DYNAMO).name == DYNAMO and importlib.import_module(DYNAMO) is sys.modules[DYNAMO]
assert waits(DYNAMO) and waits(PLOT) and waits(SIGNAL)
""",
    "an unknown name is an AttributeError": """
try:
    torch._dynamo.no_such_name
except AttributeError as error:
    assert "torch._dynamo" in str(error)
else:
    raise AssertionError
try:
    from torchmetrics.utilities.plot import no_such_name
except ImportError:
    pass
else:
    raise AssertionError
assert not waits(DYNAMO) and not waits(PLOT) and waits(SIGNAL)
""",
    "a metric is drawn": """
import matplotlib
matplotlib.use("agg")
assert waits(PLOT)
metric = torchmetrics.SumMetric()
metric.update(2.0)
figure, axes = metric.plot()
assert not waits(PLOT) and isinstance(figure, matplotlib.figure.Figure)
from torchmetrics.utilities.plot import _AX_TYPE, plot_curve
assert isinstance(axes, _AX_TYPE) and plot_curve.__module__ == PLOT
assert torchmetrics.utilities.plot is sys.modules[PLOT]
""",
    "a signal is filtered": """
import scipy.signal
assert waits(SIGNAL) and scipy.signal.hamming(3)[1] == 1
from scipy.signal import find_peaks
assert not waits(SIGNAL) and list(find_peaks([0, 1, 0])[0]) == [1]
assert scipy.signal is sys.modules[SIGNAL] and scipy.signal.hamming(3)[1] == 1, "as torchmetrics left it"
""",
    "windows come first": """
from scipy.signal.windows import hann
import scipy
assert not waits(SIGNAL) and scipy.signal.windows.hann is hann and scipy.signal.hamming(3)[1] == 1
""",
    "a module is reached through its package": """
import torchmetrics.utilities.plot, scipy.signal
assert torchmetrics.utilities.plot is sys.modules[PLOT] and scipy.signal is sys.modules[SIGNAL]
assert waits(PLOT) and waits(SIGNAL)
""",
    "someone asks where it lies": """
import importlib.resources, os, pkgutil, scipy.signal
for name in (DYNAMO, SIGNAL, PLOT):
    module, spec = importlib.import_module(name), importlib.util.find_spec(name)
    assert spec is module.__spec__ and spec.origin == module.__file__ and os.path.isfile(spec.origin)
assert importlib.resources.files("scipy.signal").joinpath("__init__.py").is_file()
assert "windows" in {module.name for module in pkgutil.iter_modules(scipy.signal.__path__)}
assert waits(DYNAMO) and waits(PLOT) and waits(SIGNAL)
""",
    "a module is reloaded": """
module = importlib.import_module(PLOT)
try:
    importlib.reload(module)
except ImportError as error:
    assert PLOT in str(error)
else:
    raise AssertionError
assert not waits(PLOT) and importlib.reload(sys.modules[PLOT]).plot_curve.__module__ == PLOT
""",
    "put again": """
stand_ins.put()
assert sum(type(finder).__name__ == "_Imports" for finder in sys.meta_path) == 1
stand_ins.load(SIGNAL)
stand_ins.put()
assert waits(DYNAMO) and not waits(SIGNAL)
""",
    "several threads ask at once": """
import threading
found, barrier = [], threading.Barrier(8)
def ask():
    barrier.wait()
    found.append((torch._dynamo.explain, importlib.import_module("torch._dynamo.config")))
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len({(id(a), id(b)) for a, b in found}) == 1
""",
}
FIRST = """
import sys
from rnnbench.training.stand_ins import DYNAMO, PLOT, SIGNAL, waits
assert all(map(waits, (DYNAMO, PLOT, SIGNAL)))
import torchmetrics.utilities.plot
assert torchmetrics.utilities.plot is sys.modules[PLOT] and waits(PLOT)
import scipy.signal.windows
assert not waits(SIGNAL) and scipy.signal.windows is sys.modules["scipy.signal.windows"]
"""
ALREADY = """
import sys
import torch._dynamo, scipy.signal, torchmetrics.utilities.plot
before = [sys.modules[name] for name in ("torch._dynamo", "scipy.signal", "torchmetrics.utilities.plot")]
import rnnbench.training.fit
from rnnbench.training.stand_ins import DYNAMO, PLOT, SIGNAL, waits
assert [sys.modules[name] for name in (DYNAMO, SIGNAL, PLOT)] == before
assert not any(map(waits, (DYNAMO, SIGNAL, PLOT)))
"""


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.integration
@pytest.mark.parametrize("what", SCRIPTS)
def test_nobody_is_fooled_when(what):
    done = fresh(START + SCRIPTS[what])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.integration
def test_a_module_may_be_asked_for_before_lightning_is():
    done = fresh(FIRST)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.integration
def test_what_is_imported_already_is_left_alone():
    done = fresh(ALREADY)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_answers_are_those_of_the_real_modules():
    """What they answer without importing: the names are there, do nothing, or take the same arguments."""
    import torch._dynamo as dynamo
    from torchmetrics.utilities import plot

    from rnnbench.training import stand_ins

    for name in (stand_ins.DYNAMO, stand_ins.PLOT):
        real = stand_ins.load(name)
        assert [key for key in stand_ins._ANSWERS[name] if not hasattr(real, key)] == []
    assert (dynamo.graph_break(), dynamo.graph_break.__code__.co_names) == (None, ()), "it does nothing"
    assert list(inspect.signature(dynamo.disable).parameters)[:2] == ["fn", "recursive"]
    assert inspect.signature(dynamo.disable).parameters["recursive"].default is True
    assert callable(plot.plot_curve)
