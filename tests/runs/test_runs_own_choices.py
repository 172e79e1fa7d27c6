"""A user's own yaml and module: whatever is wrong with them is one sentence, with file and key or file and line."""

import copy

import pytest
import yaml

from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.runs import own_choices, registry
from rnnbench.runs.own_choices import META, NODE, PAPER, SAMPLING

SHIPPED = [(group, name) for group in NODE for name in registry.choices(group)]
MINE = "mine_of_a_test"
NONSENSE = [{"a": {"b": 1}}, ["banana"], 1.5, "banana", None]
CELL = """meta: {name: mine, label: Mine, version: 1, operator: dense, kernel: null, peephole_gates: []}
_target_: %s.Mine
"""
CODE = "from rnnbench.nn import RNN\n\nclass Mine(RNN):\n    pass\n"


def required(group, node):
    """The keys without which there is no run, as paths into the node, each with what it must be."""
    yield from (((key,), rule) for key, rule in NODE[group].items())
    if group in META:
        keys = META[group]
        yield from ((("meta", key), rule) for key, rule in keys.items() if not rule.optional or key in node["meta"])
    if group == "dataset" and "paper" in node["meta"]:
        yield from ((("meta", "paper", key), rule) for key, rule in PAPER.items())
    if group == "forecast":
        yield from ((("sampling", key), rule) for key, rule in SAMPLING.items())


def as_own(group, name):
    node = copy.deepcopy(registry.read(group, name))
    if "meta" in node:
        node["meta"]["name"] = MINE
    return node


def sentence(group, node, write):
    """What is said of a node as the user's own choice; None where nothing is."""
    path = write(f"{group}/{MINE}.yaml", "")
    said = refusal(group, path, node)
    assert said is None or (str(path) in said and "\n" not in said)
    return said


def refusal(group, path, node):
    try:
        own_choices.check_node(group, path, node)
    except BadInput as error:
        return str(error)
    return None


@pytest.mark.parametrize(("group", "name"), SHIPPED)
def test_ours_as_ones_own_are_good_and_each_key_is_missed_and_checked(group, name, user_dir):
    whole = as_own(group, name)
    assert sentence(group, whole, user_dir) is None
    for path, rule in required(group, whole):
        *parents, last = path
        for value in ["missing", *NONSENSE]:
            if value != "missing" and (rule.holds(value) or (rule.optional and path[-1] not in whole)):
                continue
            node = inner = copy.deepcopy(whole)
            for parent in parents:
                inner = inner[parent]
            if value == "missing":
                inner.pop(last, None)
            else:
                inner[last] = value
            needed = not rule.optional or value != "missing" or (last in ("directions", "no_direction"))
            said = sentence(group, node, user_dir)
            assert (said is not None) == needed, (path, value, said)
            assert said is None or not node or f"{'.'.join(path)} " in said, (path, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; a cell has meta, _target_."),
        ("- a\n- b\n", "must be a mapping, `key: value` lines, not a list."),
        ("just words\n", "must be a mapping, `key: value` lines, not a str."),
        ("meta:\n\tname: mine\n", "is not valid YAML: while scanning"),
        ("seed: " + "9" * 5000, "is not valid YAML: Exceeds the limit"),
        ("meta: {name: mine}\n", "_target_ is missing"),
        ("_target_: a.B\n", "meta is missing; it is a mapping of options."),
        ("meta: 3\n_target_: a.B\n", "meta must be a mapping of options, not 3."),
        (CELL.replace("label: Mine, ", "") % "m", "meta.label is missing; it is text."),
        (
            CELL.replace("operator", "operater") % "m",
            "meta.operator is missing (is it 'operater'?); it is dense | conv2d.",
        ),
        (CELL.replace("name: mine", "name: other") % "m", "meta.name must be the file's name, mine, not 'other'."),
        (CELL % "no_such_module_at_all", "_target_: there is no module no_such_module_at_all (looked in "),
        (CELL % "rnnbench.nn.nowhere", "_target_: there is no module rnnbench.nn.nowhere"),
        (CELL % "rnnbench.nn", "has no Mine; "),
        (CELL.replace("%s.Mine", "rnnbench.nn.build_stack"), "is a function, not a class."),
        (CELL.replace("%s.Mine", "Mine"), "_target_ must be a class by its module, my_module.MyClass, not 'Mine'."),
    ],
)
@pytest.mark.parametrize("command", [["run"], ["plan"], ["sweep"], ["list", "cells"]])
def test_a_broken_yaml_is_one_sentence_of_every_command(command, text, said, user_dir, tmp_path, capsys):
    path = user_dir("cell/mine.yaml", text)
    words = command if command[0] == "list" else [*command, "cell=mine", "device=cpu", "--results", str(tmp_path / "r")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rnnbench: {path}")
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def broken(:\n    pass\n", "{file}, line 1: SyntaxError: "),
        (
            "x = 1\nimport no_such_library_at_all\n",
            "{file}, line 2: ModuleNotFoundError: No module named 'no_such_library",
        ),
        ("from rnnbench.nn import Nonsense\n", "{file}, line 1: ImportError: cannot import name 'Nonsense'"),
        ("\n\nraise KeyError('lost')\n", "{file}, line 3: KeyError: 'lost'."),
        ("import sys\nsys.exit(3)\n", "{file}, line 2: SystemExit: 3."),
        ("def helper():\n    return 1 / 0\n\nhelper()\n", "{file}, line 2: ZeroDivisionError: division by zero."),
        ("class Other: pass\n", "_target_: {file} has no Mine; known: Other."),
        ("def Mine(): pass\n", "is a function, not a class."),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan", "list"])
def test_a_broken_module_is_one_sentence_with_its_line(command, code, said, user_dir, capsys, request):
    module = f"my_{abs(hash(request.node.name))}"
    file = user_dir(f"{module}.py", code)
    user_dir("cell/mine.yaml", CELL % module)
    assert main(["list", "cells"] if command == "list" else [command, "cell=mine", "device=cpu"]) == 2
    error = capsys.readouterr().err
    assert said.format(file=file) in error
    assert error.count("\n") == 1
    assert "installed?" not in error


def test_a_choice_that_builds_on_another_is_checked_as_it_is_composed(user_dir, capsys):
    path = user_dir("cell/mine.yaml", "defaults: [lstm]\nmeta: {label: Mine}\n")
    assert main(["plan", "cell=mine"]) == 2
    assert f"{path}: meta.name must be the file's name, mine, not 'lstm'." in capsys.readouterr().err
    user_dir("cell/mine.yaml", "defaults: [lstm]\nmeta: {name: mine, label: Mine}\n")
    assert main(["plan", "cell=mine", "device=cpu"]) == 0


@pytest.mark.integration
def test_an_option_that_a_users_cell_does_not_take_is_one_sentence(user_dir, tmp_path, capsys):
    user_dir("mine_of_this_test.py", CODE)
    user_dir("cell/mine.yaml", CELL % "mine_of_this_test" + "leak: 0.5\n")
    words = ["run", "cell=mine", "budget=smoke", "device=cpu", "tracker=none", "--results", str(tmp_path / "r")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("rnnbench: cell=mine: ")
    assert "unexpected keyword argument 'leak'" in error
    assert error.count("\n") == 1


def test_ours_are_never_imported_by_planning():
    """Only what is the user's own is; ours are known to be good, and torch takes seconds."""
    for group, name in SHIPPED:
        assert not own_choices.is_own(registry.choice_path(group, name))
    assert yaml.safe_load(CELL % "m")["meta"]["name"] == "mine"


DATASET = """meta: {name: mine, version: 1, inputs: features, outputs: sequence}
_target_: collections.OrderedDict
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "dataset=mine: collections.OrderedDict is no rnnbench.datasets.Task; derive your class from it."),
        ("T: ???\n", "dataset.T has no value (???); give dataset.T=VALUE."),
    ],
)
def test_a_dataset_that_is_none_is_refused_and_so_is_an_option_without_a_value(more, said, user_dir, tmp_path, capsys):
    user_dir("dataset/mine.yaml", DATASET + more)
    words = ["run", "dataset=mine", "device=cpu", "tracker=none", "--results", str(tmp_path / "r")]
    assert main(words) == 2
    assert capsys.readouterr().err == f"rnnbench: {said}\n"
