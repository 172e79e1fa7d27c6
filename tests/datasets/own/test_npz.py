"""npz files of sequences: what is read, and what is refused, a pickle before anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnbench.datasets.own import npz
from rnnbench.errors import BadInput

X = np.random.default_rng(0).normal(size=(6, 5, 2))
Y = np.array(["b", "a"] * 3)


def save(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def test_sequences_labels_lengths_and_groups(tmp_path: Path) -> None:
    lengths = np.array([5, 1, 2, 3, 4, 5])
    padded = X.copy()
    padded[1, 1:] = np.nan  # what stands beyond an end is never read
    read = npz.read(save(tmp_path, x=padded, y=Y, lengths=lengths, groups=np.arange(6) // 2))
    assert [len(x) for x in read.x] == lengths.tolist()
    assert np.array_equal(read.x[3], X[3, :3])
    assert read.labels == Y.tolist()
    assert read.groups == ["0", "0", "1", "1", "2", "2"]
    assert read.channels == ["0", "1"]
    assert read.official is None


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (np.array([2, 1, 2, 1, 0, 0]), ["2", "1", "2", "1", "0", "0"]),
        (np.array([2.0, 0.5, 2, 1, 0, 0]), ["2", "0.5", "2", "1", "0", "0"]),
        (np.array([[1], [0], [1], [0], [1], [0]]), ["1", "0", "1", "0", "1", "0"]),
        (np.array([True, False] * 3), ["True", "False"] * 3),
        (np.array([b"b", b"a"] * 3), ["b", "a"] * 3),
    ],
)
def test_labels_are_numbers_or_texts(tmp_path: Path, y: np.ndarray, labels: list[str]) -> None:
    assert npz.read(save(tmp_path, x=X[..., 0], y=y)).labels == labels
    assert npz.read(tmp_path / "data.npz").x[0].shape == (5, 1)


def test_a_test_set_in_the_file(tmp_path: Path) -> None:
    read = npz.read(save(tmp_path, x_train=X, y_train=Y, x_test=X[:2, :3] + 1, y_test=Y[:2]))
    assert read.official.tolist() == [False] * 6 + [True] * 2
    assert read.names[-1] == "sequence 1 of x_test"
    assert [len(x) for x in read.x] == [5] * 6 + [3] * 2


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": X, "y": Y[:5]}, r"6 sequences and 5 labels"),
        ({"x": X}, r"data\.npz holds x and no y"),
        ({"X": X, "y": Y}, r"data\.npz holds X, y: call the sequences x \(N T C\) and the labels y \(N\)"),
        ({"x": X[..., None], "y": Y}, r"x has the shape \(6, 5, 2, 1\); it must be N T C"),
        ({"x": X[:, :0], "y": Y}, r"none of them empty"),
        ({"x": X, "y": np.zeros((6, 2))}, r"y has the shape \(6, 2\); it must be N"),
        ({"x": X, "y": Y, "lengths": np.array([5, 5, 6, 5, 5, 5])}, r"sequence 2 has the length 6; x has 1 to 5 steps"),
        ({"x": X, "y": Y, "lengths": np.full(6, 2.5)}, r"lengths must be 6 whole numbers, and is float64"),
        ({"x": X, "y": Y, "groups": np.arange(5)}, r"6 sequences and 5 groups"),
        ({"x": X.astype(complex), "y": Y}, r"holds complex128, not plain numbers"),
        ({"x_train": X, "y_train": Y, "x_test": X[..., :1], "y_test": Y}, r"x_test has the channels 0, and x_train"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        npz.read(save(tmp_path, **arrays))


class Trap:
    """What a pickle would do when it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, ("opened", "w")


def test_a_pickle_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.array([Trap(), Trap()], dtype=object)
    sentence = r"x holds objects \(a pickle\), which are never opened: pad it and give lengths\."
    with pytest.raises(BadInput, match=sentence):
        npz.read(save(tmp_path, x=objects, y=Y[:2]))
    with pytest.raises(BadInput, match=r"y holds objects \(a pickle\), which are never opened"):
        npz.read(save(tmp_path, x=X[:2], y=objects))
    assert not (tmp_path / "opened").exists()


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    path = save(tmp_path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadInput, match=r"data\.npz cannot be read as npz"):
        npz.read(path)


def test_what_is_not_read_is_told_and_two_namings_are_refused(tmp_path: Path) -> None:
    assert npz.read(save(tmp_path, x=X, y=Y, length=np.full(6, 3))).said == ["not used: 'length'"]
    with pytest.raises(BadInput, match=r"data\.npz holds x and x_test: name them x_train and x_test, or leave one out"):
        npz.read(save(tmp_path, x=X, y=Y, x_test=X, y_test=Y))


def test_more_than_the_memory_has_room_for_is_refused_by_its_header(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(npz, "machine_limit", lambda: X.nbytes - 1)
    with pytest.raises(BadInput, match=r"data\.npz: x takes .* GiB, more than half of this machine's memory"):
        npz.read(save(tmp_path, x=X, y=Y))
