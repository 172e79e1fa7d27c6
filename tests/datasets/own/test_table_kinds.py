"""Which dataset a file is taken for."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnnbench.datasets.own.kinds import kind_of
from rnnbench.errors import BadInput


@pytest.mark.parametrize(
    ("name", "text", "dataset"),
    [
        ("load.csv", "date,load\n2024-01-01,1\n2024-01-02,2\n", "own_series"),
        ("long.csv", "item_id,timestamp,target\nA,2024-01-01,1\nA,2024-01-02,2\n", "own_series"),
        ("moves.csv", "id,t,x,Label\nq1,0,1,cat\nq1,1,2,cat\n", "own_sequences"),
        ("semi.tsv", 'id;"class"\n1;a\n', "own_sequences"),
        ("table.txt", "a\tb\n1\t2\n3\t4\n", "own_series"),
        ("novel.txt", "It was late, and cold.\nNobody came.\n", "own_text"),
        ("one.txt", "a, b", "own_text"),
        ("notes.md", "# Title\ntext\n", "own_text"),
        ("empty.csv", "", "own_series"),
        ("cases.ts", "@problemName x\n", "own_sequences"),
    ],
)
def test_by_suffix_and_content(tmp_path, name, text, dataset):
    path = tmp_path / name
    path.write_text(text)
    assert kind_of(path).dataset == dataset
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert name.endswith(".ts") or kind_of(packed).dataset == dataset


def test_arrays_parquet_and_folders(tmp_path):
    np.save(tmp_path / "film.npy", np.zeros(3))
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    pq.write_table(pa.table({"date": [1], "load": [2.0]}), tmp_path / "wide.parquet")
    pq.write_table(pa.table({"x": [[1.0, 2.0]], "y": [0]}), tmp_path / "nested.parquet")
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "labels.csv").write_text("file,label\n")
    (tmp_path / "parts").mkdir()
    found = {path.name: kind_of(path).dataset for path in tmp_path.iterdir()}
    assert found == {
        "film.npy": "own_frames", "x.npz": "own_sequences", "wide.parquet": "own_series",
        "nested.parquet": "own_sequences", "wavs": "own_sequences", "parts": "own_series",
    }  # fmt: skip


def test_what_cannot_be_opened_is_one_sentence(tmp_path):
    for name in ("broken.parquet", "broken.csv.gz"):
        (tmp_path / name).write_bytes(b"\x1f\x8bno such thing")
        with pytest.raises(BadInput, match=rf"{name} .*read \(.*\)\.$"):
            kind_of(tmp_path / name)
