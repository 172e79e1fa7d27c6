"""Tables of sequences: columns by their usual names, nested rows, and what a strange one is refused with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnbench.datasets.own import sequence_tables, table
from rnnbench.errors import BadInput

ROWS = pd.DataFrame(
    {
        "id": ["x", "x", "y", "y", "y"],
        "t": [0, 1, 2, 0, 1],
        "a": [1.5, 2.5, 3.5, 4.5, 5.5],
        "b": [1, 2, 3, 4, 5],
        "label": ["up", "up", "down", "down", "down"],
    }
)
NESTED = pd.DataFrame({"a": [[1.0, 2.0, 3.0], [4.0]], "b": [[5, 6, 7], [8]], "label": [1, 2], "note": ["n", "m"]})


def read(path: Path, **options: object):
    chosen = {"id": None, "time": None, "label": None, "group": None, "columns": None} | options
    return sequence_tables.read(path, table.Options(), **chosen)


def save(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_rows_are_gathered_by_id_in_the_order_of_time(tmp_path: Path, name: str) -> None:
    found = read(save(ROWS, tmp_path / name))
    assert [x.tolist() for x in found.x] == [[[1.5, 1], [2.5, 2]], [[4.5, 4], [5.5, 5], [3.5, 3]]]
    assert found.labels == ["up", "down"]
    assert found.names == ["sequence 'x'", "sequence 'y'"]
    assert found.channels == ["a", "b"]
    assert "steps in the order of 't'" in found.said


def test_columns_are_found_in_any_case_and_by_other_names(tmp_path: Path) -> None:
    frame = ROWS.rename(columns={"id": "Sequence", "t": "TIME", "label": "Class"}).assign(
        GROUP=["1", "1", "2", "2", "2"]
    )
    found = read(save(frame, tmp_path / "rows.csv"))
    assert found.groups == ["1", "2"]
    assert found.labels == ["up", "down"]
    assert found.x[1][0].tolist() == [4.5, 4]


def test_without_a_time_the_order_is_the_files(tmp_path: Path) -> None:
    found = read(save(ROWS.drop(columns="t"), tmp_path / "rows.csv"))
    assert found.x[1].tolist() == [[3.5, 3], [4.5, 4], [5.5, 5]]
    assert "steps in the file's order" in found.said


def test_times_of_day_order_steps_too(tmp_path: Path) -> None:
    times = pd.to_datetime("2024-01-01") + pd.to_timedelta(ROWS["t"], unit="s")
    found = read(save(ROWS.assign(t=times.astype(str)), tmp_path / "rows.csv"))
    assert found.x[1].tolist() == [[4.5, 4], [5.5, 5], [3.5, 3]]


def test_semicolons_umlauts_and_decimal_commas(tmp_path: Path) -> None:
    text = "id;größe;label\nä;1,5;süß\nä;2,5;süß\nö;3,5;1\n"
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    found = read(tmp_path / "rows.csv")
    assert [x.tolist() for x in found.x] == [[[1.5], [2.5]], [[3.5]]]
    assert found.labels == ["süß", "1"]
    assert found.names == ["sequence 'ä'", "sequence 'ö'"]
    assert found.channels == ["größe"]


def test_text_columns_are_left_out_and_told(tmp_path: Path) -> None:
    found = read(save(ROWS.assign(weather=["sun", "rain", "fog", "sun", "sun"]), tmp_path / "rows.csv"))
    assert found.channels == ["a", "b"]
    assert "left out, as no numbers: weather" in found.said


def test_labels_that_are_numbers_keep_their_digits(tmp_path: Path) -> None:
    found = read(save(ROWS.assign(label=[0.1, 0.1, 2, 2, 2]), tmp_path / "rows.csv"))
    assert [float(label) for label in found.labels] == [0.1, 2]


def test_a_nested_table_has_a_row_a_sequence(tmp_path: Path) -> None:
    found = read(save(NESTED, tmp_path / "rows.parquet"))
    assert [x.tolist() for x in found.x] == [[[1, 5], [2, 6], [3, 7]], [[4, 8]]]
    assert found.labels == ["1", "2"]
    assert found.names == ["row 0", "row 1"]
    assert "left out: note" in found.said
    one = read(tmp_path / "rows.parquet", columns=["b"], id="note")
    assert [x.tolist() for x in one.x] == [[[5], [6], [7]], [[8]]]
    assert one.names == ["sequence 'n'", "sequence 'm'"]


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        (NESTED.assign(b=[[5, 6], [8]]), {}, r"row 0 has 3 steps in 'a' and 2 in 'b': the lists of a row"),
        (NESTED.assign(b=[[5, 6, np.nan], [8]]), {}, r"row 0 holds NaN at step 2, channel 'b'"),
        (NESTED.assign(a=[[], [4.0]], b=[[], [8]]), {}, r"row 0 has no step: leave it out"),
        (NESTED.assign(a=[[1.0, 2.0, 3.0], None], b=[[5, 6, 7], None]), {}, r"row 1 has no step: leave it out"),
        (NESTED.assign(label=[1, None]), {}, r"row 1 has no label"),
        (NESTED, {"time": "note"}, r"dataset\.time cannot act on rows\.parquet, which has a row a sequence"),
        (NESTED, {"label": "a"}, r"'a' holds lists, and labels, ids and groups are one value each"),
        (NESTED, {"columns": ["note"]}, r"dataset\.columns names 'note', which holds no lists of numbers"),
        (NESTED, {"label": "lable"}, r"has no column 'lable'; did you mean label"),
        (ROWS.assign(t=[0, 1, None, 0, 1]), {}, r"'t' is missing at row 2"),
        (ROWS.assign(id=["x", "x", None, "y", "y"]), {}, r"'id' is missing at row 2"),
    ],
)  # fmt: skip
def test_a_parquet_file_that_cannot_be_meant_is_refused(tmp_path: Path, frame, options, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read(save(frame, tmp_path / "rows.parquet"), **options)


def test_a_damaged_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    path = save(NESTED, tmp_path / "rows.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"rows\.parquet is no Parquet file that can be read") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_groups_and_labels_are_one_a_sequence(tmp_path: Path) -> None:
    path = save(ROWS.assign(group=["1", "2", "3", "3", "3"]), tmp_path / "rows.csv")
    with pytest.raises(BadInput, match=r"sequence 'x' has two groups, 1 and 2\."):
        read(path)
    three = save(ROWS.assign(label=["a", "a", "a", "b", "c"]), tmp_path / "other.csv")
    with pytest.raises(BadInput, match=r"sequence 'y' has 3 labels, a, b and c\."):
        read(three)


def test_ids_that_repeat_among_nested_rows_are_said(tmp_path: Path) -> None:
    path = save(NESTED.assign(id=["p1", "p1"]), tmp_path / "rows.parquet")
    told = "'id' repeats, 'p1' 2 times: each row is a sequence of its own"
    found = read(path)
    assert (found.names, found.groups) == (["sequence 'p1'", "sequence 'p1'"], None)
    assert f"{told} (dataset.group=id keeps rows of one id in one split)" in found.said
    together = read(path, group="id")
    assert together.groups == ["p1", "p1"]
    assert told in together.said
    different = read(save(NESTED.assign(id=["p1", "p2"]), tmp_path / "other.parquet"))
    assert not any("repeats" in each for each in different.said)
    missing = read(save(NESTED.assign(id=[None, None]), tmp_path / "none.parquet"), id="id")
    assert not any("repeats" in each for each in missing.said)


def test_a_folder_of_lists_is_its_parts_one_below_the_other(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for n in (0, 1):
        save(NESTED.iloc[n : n + 1], tmp_path / "parts" / f"{n}.parquet")
    whole = read(save(NESTED, tmp_path / "rows.parquet").rename(tmp_path / "ROWS.PARQUET"))
    found = read(tmp_path / "parts")
    assert [x.tolist() for x in found.x] == [x.tolist() for x in whole.x] == [[[1, 5], [2, 6], [3, 7]], [[4, 8]]]
    assert found.labels == whole.labels == ["1", "2"]
