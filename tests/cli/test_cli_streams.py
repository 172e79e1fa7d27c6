"""Terminals that know few characters, and streams that are no terminals."""

from __future__ import annotations

import io
import sys

import pytest

from rnnbench.cli import main, streams

COMMANDS = ["--help", "leaderboard quickstart", "list axes", "list cells", "show b51af3", "diff b51af3 a7dce5",
            "plan experiment=quickstart", "leaderboard ±"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"), [("1 ± 2 → 3", "1 +/- 2 -> 3"), ("½", "\\xbd"), ("\udcff", "\\udcff"), ("🙂", "\\U0001f642")]
)
def test_what_an_encoding_lacks_is_spelled(text, said, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    streams.never_fail()
    print(text, flush=True)
    assert raw.getvalue().decode("ascii") == said + "\n"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("command", "encoding"),
    [*((command, "ascii") for command in COMMANDS), ("leaderboard quickstart", "latin-1"), ("show b51af3", "cp1252")],
)
def test_no_command_fails_for_a_sign(command, encoding, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
    for name, buffer in raw.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding=encoding))
    try:
        code = main(command.split())
    except SystemExit as end:  # argparse: --help
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    assert code == (2 if command == "leaderboard ±" else 0)
    assert (raw["stdout"].getvalue() + raw["stderr"].getvalue()).decode(encoding)
