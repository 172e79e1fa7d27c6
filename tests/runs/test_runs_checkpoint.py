"""Checkpoints: whole or not at all, read without running code, and a damaged one is none."""

import pickle

import pytest
import torch

from rnnbench.runs import checkpoint

STATE = {"weights": {"a": torch.arange(5.0)}, "progress": {"update": 3, "best": None, "rows": [1.5]}}


def test_what_is_saved_is_read(tmp_path):
    path = tmp_path / checkpoint.LAST
    checkpoint.save(path, STATE)
    found = checkpoint.load(path)
    assert torch.equal(found["weights"]["a"], STATE["weights"]["a"])
    assert found["progress"] == STATE["progress"]
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_there_may_be_none(tmp_path):
    assert checkpoint.load(tmp_path / "last.ckpt") is None


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    checkpoint.save(path, STATE)

    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, {"progress": {"update": 9}})
    assert checkpoint.load(path)["progress"]["update"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("keep", [0, 1, 4, 100, 500, -1, -20, -100])
def test_a_torn_file_is_none(tmp_path, keep):
    path = tmp_path / "last.ckpt"
    checkpoint.save(path, STATE)
    path.write_bytes(path.read_bytes()[:keep])
    assert checkpoint.load(path) is None


@pytest.mark.parametrize(
    "content", [b"hello", bytes(4000), bytes(range(256)) * 9, b"\x80\x02}q\x00.", b"PK\x03\x04" * 40]
)
def test_what_is_no_checkpoint_is_none(tmp_path, content):
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    assert not checkpoint.load(path)


class Bomb:
    def __reduce__(self):
        return (print, ("code was run",))


def test_no_code_is_run(tmp_path, capsys):
    path = tmp_path / "last.ckpt"
    for write in (lambda: torch.save({"x": Bomb()}, path), lambda: path.write_bytes(pickle.dumps(Bomb(), protocol=2))):
        write()
        assert checkpoint.load(path) is None
    assert capsys.readouterr().out == ""


def test_what_cannot_be_read_is_none(tmp_path):
    (tmp_path / "last.ckpt").mkdir()
    assert checkpoint.load(tmp_path / "last.ckpt") is None


@pytest.mark.parametrize("state", [[1, 2], 5, torch.zeros(3), {1: 2}])
def test_what_has_no_values_by_name_is_none(tmp_path, state):
    path, told = tmp_path / "last.ckpt", []
    torch.save(state, path)
    assert checkpoint.load(path, tell=told.append) is None
    assert told == [f"{path} cannot be read, and is left out (TypeError: it holds no values by name)"]


@pytest.mark.parametrize("write", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state))])
def test_nobody_is_advised_to_run_the_code_of_a_checkpoint(tmp_path, capsys, write):
    path, told = tmp_path / "last.ckpt", []
    write({"weights": Bomb()}, path)
    assert checkpoint.load(path, tell=told.append) is None
    assert "it is damaged, or holds more than tensors and plain values" in told[0]
    assert "weights_only" not in told[0]
    assert capsys.readouterr().out == ""
