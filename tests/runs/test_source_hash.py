"""The hash of the source: what it says and not where it lies, and what is no Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import platformdirs
import pytest

import rnnbench
from rnnbench.runs import source_hash as hashing
from rnnbench.runs.source_hash import ROOMS, hash_of, kept_hash, source_hash

PACKAGE = Path(rnnbench.__file__).parent
SIZES = '"""What."""\n\n\ndef size(n: int, *, of="a") -> int:\n    """How."""\n    return n + 1\n'


@pytest.fixture
def package(tmp_path):
    """A small package of our own, with files that import each other."""
    root = tmp_path / "rnnbench"
    for name, text in {
        "seeds.py": "def derive(seed):\n    return seed\n",
        "errors.py": "class BadInput(ValueError): ...\n",
        "nn/__init__.py": "from rnnbench.nn.maps import Dense\nfrom rnnbench.nn.sizes import size\n",
        "nn/maps.py": "from rnnbench.errors import BadInput\n\n\nclass Dense:\n    bias = 1\n",
        "nn/sizes.py": SIZES,
        "nn/other.py": SIZES.replace("+ 1", "+ 2"),
        "datasets/__init__.py": "",
        "datasets/adding.py": "from rnnbench.nn import sizes\nfrom rnnbench.seeds import derive\n\nN = sizes.size(3)\n",
        "training/__init__.py": "import torch\n\nfrom rnnbench.nn.sizes import size\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What.", "Something else."),
        ('    """How."""\n', ""),
        ("    return n + 1", "    # why\n    return (\n        n\n        + 1\n    )  # so"),
        ('"a"', "'a'"),
    ],
)
def test_words_and_layout_do_not_move_it(package, old, new):
    before = hash_of(package)
    assert len(before) == 12
    change(package / "nn/sizes.py", old, new)
    assert hash_of(package) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n + 1", "n + 2"),
        ("n + 1", "n - 1"),
        ("n + 1", "n + 1.0"),
        ('of="a"', 'of="b"'),
        ("n: int, *,", "n: int,"),
        ('    """How."""\n', '    "a" + "b"\n'),
    ],
)
def test_code_moves_it(package, old, new):
    before = hash_of(package)
    change(package / "nn/sizes.py", old, new)
    assert hash_of(package) != before


def test_a_file_that_moves_does_not_move_it(package):
    before = hash_of(package)
    (package / "datasets/base").mkdir()
    (package / "datasets/base/__init__.py").write_text('"""A new room."""\n')
    (package / "nn/sizes.py").rename(package / "datasets/base/sizes.py")
    for name in ("nn/__init__.py", "training/__init__.py"):
        change(package / name, "rnnbench.nn.sizes", "rnnbench.datasets.base.sizes")
    change(package / "datasets/adding.py", "from rnnbench.nn import sizes", "from rnnbench.datasets.base import sizes")
    assert hash_of(package) == before
    (package / "nn/maps.py").rename(package / "nn/products.py")
    change(package / "nn/__init__.py", "rnnbench.nn.maps", "rnnbench.nn.products")
    assert hash_of(package) == before


def test_the_order_and_grouping_of_our_imports_do_not_move_it(package):
    before = hash_of(package)
    change(package / "datasets/adding.py", "from rnnbench.nn import sizes\nfrom rnnbench.seeds import derive\n",
           "from rnnbench.seeds import (\n    derive,\n)\nfrom rnnbench.nn import sizes\n")  # fmt: skip
    assert hash_of(package) == before


def test_an_import_of_another_file_that_has_the_same_name_moves_it(package):
    before = hash_of(package)
    change(package / "training/__init__.py", "rnnbench.nn.sizes", "rnnbench.nn.other")
    assert hash_of(package) != before
    change(package / "training/__init__.py", "rnnbench.nn.other", "rnnbench.nn.sizes")
    assert hash_of(package) == before
    change(package / "training/__init__.py", "import size", "import size as bytes_of")
    assert hash_of(package) != before


def test_two_files_that_change_places_move_it(package):
    before = hash_of(package)
    sizes, other = package / "nn/sizes.py", package / "nn/other.py"
    texts = sizes.read_text(), other.read_text()
    other.write_text(texts[0])
    sizes.write_text(texts[1])
    assert hash_of(package) != before


@pytest.mark.parametrize("name", ["kernel.c", "kernel.cu", "table.json", "points.csv", "start.npz", "words.txt"])
def test_what_is_no_python_counts_by_its_bytes_and_name_wherever_it_lies(package, name):
    before = hash_of(package)
    path = package / "nn" / name
    path.write_bytes(b"1.0")
    one = hash_of(package)
    assert one != before
    path.rename(package / "datasets" / name)
    assert hash_of(package) == one
    (package / "datasets" / name).write_bytes(b"2.0")
    assert hash_of(package) not in (before, one)


def test_notes_and_what_python_leaves_behind_do_not_count(package):
    before = hash_of(package)
    (package / "nn/README.md").write_text("notes")
    (package / "nn/.cell.py.swp").write_text("an editor's")
    (package / "nn/__pycache__").mkdir()
    (package / "nn/__pycache__/sizes.cpython-311.pyc").write_bytes(b"\0")
    assert hash_of(package) == before


def test_the_streams_of_random_numbers_count_and_the_rest_of_the_house_does_not(package):
    before = hash_of(package)
    (package / "runs").mkdir()
    (package / "runs/run.py").write_text("more = 1\n")
    (package / "errors.py").write_text("class BadInput(ValueError):\n    exit_code = 2\n")
    assert hash_of(package) == before
    change(package / "seeds.py", "return seed", "return seed + 1")
    assert hash_of(package) != before


@pytest.mark.integration
@pytest.mark.parametrize("room", ROOMS)
def test_todays_hash_moves_with_every_room(tmp_path, room):
    for name in ROOMS:
        shutil.copytree(PACKAGE / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "seeds.py", tmp_path)
    assert hash_of(tmp_path) == source_hash()
    path = sorted((tmp_path / room).rglob("*.py"))[-1]
    path.write_text(path.read_text() + "more = 1\n")
    assert hash_of(tmp_path) != source_hash()


def swap(one, other):
    texts = one.read_text(), other.read_text()
    one.write_text(texts[1])
    other.write_text(texts[0])


@pytest.mark.parametrize(
    "text",
    [
        "from .sizes import size\nfrom .other import size as another\n",
        "from . import sizes, other\n",
        "from ..nn.sizes import size\n",
        "import rnnbench.nn.sizes\n\nN = rnnbench.nn.sizes.size(3)\n",
        "import rnnbench.nn.sizes as sizes\n",
    ],
)
def test_two_files_that_change_places_move_it_however_they_are_imported(package, text):
    (package / "nn/user.py").write_text(text)
    before = hash_of(package)
    swap(package / "nn/sizes.py", package / "nn/other.py")
    for name in ("nn/__init__.py", "training/__init__.py"):  # these follow, and the third does not
        change(package / name, "rnnbench.nn.sizes", "rnnbench.nn.other")
    change(package / "datasets/adding.py", "from rnnbench.nn import sizes", "from rnnbench.nn import other as sizes")
    assert hash_of(package) != before


@pytest.mark.parametrize(
    "text",
    [
        "if fast:\n    from rnnbench.nn.sizes import size\nelse:\n    from rnnbench.nn.other import size\n",
        "try:\n    from rnnbench.nn.sizes import size\nexcept ImportError:\n    from rnnbench.nn.other import size\n",
        "def a():\n    from rnnbench.nn.sizes import size\n    return size\n\n\n"
        "def b():\n    from rnnbench.nn.other import size\n    return size\n",
        "from rnnbench.nn.sizes import size\nfrom rnnbench.nn.other import size\n",
    ],
)
def test_in_which_branch_or_function_an_import_stands_moves_it(package, text):
    (package / "nn/user.py").write_text(text)
    before = hash_of(package)
    text = text.replace("nn.sizes", "nn.x").replace("nn.other", "nn.sizes").replace("nn.x", "nn.other")
    (package / "nn/user.py").write_text(text)
    assert hash_of(package) != before


def test_what_lies_two_imports_away_moves_it(package):
    """Two files that say the same but for where they have it from, and who has which of them."""
    for n, where in enumerate(("sizes", "other")):
        (package / f"nn/way_{n}.py").write_text(f"from rnnbench.nn.{where} import size\n")
        (package / f"nn/use_{n}.py").write_text(f"from rnnbench.nn.way_{n} import size\n\nN = {n}\n")
    before = hash_of(package)
    for n in range(2):
        change(package / f"nn/use_{n}.py", f"way_{n}", f"way_{1 - n}")
    assert hash_of(package) != before


def test_a_circle_of_imports_has_a_hash(package):
    (package / "nn/one.py").write_text("from rnnbench.nn import two\n")
    (package / "nn/two.py").write_text("from rnnbench.nn import one\n")
    assert hash_of(package) == hash_of(package)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache, a folder of the test's own."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "rnnbench" / "source_hash"


def test_a_hash_that_was_kept_is_read_and_never_answers_for_other_source(package, cache, monkeypatch):
    first = kept_hash(package)
    assert first == hash_of(package)
    assert [path.read_text() for path in cache.iterdir()] == [first]
    with monkeypatch.context() as patch:
        patch.setattr(hashing, "hash_of", lambda package: pytest.fail("it was kept"))
        assert kept_hash(package) == first
    change(package / "nn" / "sizes.py", "+ 1", "+ 3")
    assert kept_hash(package) == hash_of(package) != first


def test_a_hash_of_source_that_is_edited_meanwhile_is_not_kept(package, cache, monkeypatch):
    """Else it would answer for the source of before, should that come back."""
    before = hash_of(package)

    def late(package):
        change(package / "nn" / "sizes.py", "+ 1", "+ 3")
        return hash_of(package)

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "hash_of", late)
        assert kept_hash(package) == hash_of(package) != before
    change(package / "nn" / "sizes.py", "+ 3", "+ 1")
    assert kept_hash(package) == before


@pytest.mark.parametrize("content", ["", "0123", "0123456789ab\n", "not a hash..", "\xff" * 12])
def test_what_is_no_hash_in_the_cache_is_not_believed(package, cache, content):
    kept_hash(package)
    (path,) = cache.iterdir()
    path.write_text(content, encoding="latin-1")
    assert kept_hash(package) == hash_of(package) == path.read_text()


def test_without_a_place_to_keep_it_the_hash_is_the_same(package, cache):
    cache.parent.parent.write_text("a file in the way")
    assert kept_hash(package) == hash_of(package)
