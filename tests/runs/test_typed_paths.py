"""Paths as people type them: any name of a file is one value, and the command of the run is the run again."""

from __future__ import annotations

import os
import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.errors import BadInput, MissingData
from rnnbench.runs import typed_paths
from rnnbench.runs.build import make_task
from rnnbench.runs.compose import compose, expand, last_value
from rnnbench.runs.plan import prepare
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.retry import again

FILM = ["dataset=own_frames", "cell=convrnn", "dataset.input_steps=2", "dataset.output_steps=2", "hidden_size=2",
        "budget=smoke", "tracker=none", "device=cpu"]  # fmt: skip
NASTY = (
    "load (1).npy", "a=b.npy", "größe.npy", "a,b.npy", "it's.npy", 'say "hi".npy', "c$HOME.npy", "x#y.npy", "{a}.npy",
    "*.npy", "back\\slash.npy", "a${seed}.npy", "\\${seed}.npy", "e\\\\${oc.env:HOME}.npy", " lead.npy", "'q'.npy",
    "[1].npy", "[1].x,[2].npy", "~x.npy", "line\nbreak.npy", "a: b.npy", "+p.npy", "a&b;c|d.npy", "日本.npy", "!x.npy",
    "007.npy", "1e5.npy", "null.npy", "-x.npy", "choice(1,2).npy", "tab\t.npy",
)  # fmt: skip
NO_SUFFIX = ("[1]", "{a}", "choice(1,2)", "2024", "1e5", "on", "true", "trail\\", '"', "'", "a b", "${x}", "glob(*)")


def film(path: str) -> str:
    np.save("made", np.arange(40 * 64, dtype=np.uint8).reshape(40, 8, 8))
    os.rename("made.npy", path)
    return path


@pytest.mark.parametrize("name", [*NASTY, *NO_SUFFIX])
def test_a_name_is_its_own_value(name):
    open(name, "w").close()
    typed = ["dataset=own_frames", f"dataset.path={name}"]
    (of_a_sweep,) = expand(typed)
    for words in (typed, of_a_sweep):
        config, _ = compose(words)
        assert config["dataset"]["path"] == name
    assert make_task(config).path == name, "instantiating resolves once more"
    assert last_value(typed, "dataset.path") in (name, typed_paths.escaped(name))


def test_the_command_is_the_run_again():
    ids = set()
    for name in ("load (1).npy", "a,b=c.npy", "it's.npy", "a${oc.env:HOME}.npy"):
        film(name)
        (swept,) = plan([*FILM, f"dataset.path={name}"]).jobs
        for job in (swept, prepare([*FILM, f"dataset.path={os.path.abspath(name)}"])):
            words = shlex.split(job.command)
            assert words[:2] == ["rnnbench", "run"]
            ids |= {job.id, prepare(words[2:]).id, again(job.id, job.command).id}
    assert len(ids) == 1, "the bytes are the same"


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12))
def test_any_name_that_is_not_there_is_one_value(name):
    text = typed_paths.as_hydra_reads(f"dataset.path=data/{name}")
    config, _ = compose(["dataset=own_frames", text])
    home = os.path.expanduser(f"data/{name}")
    quoted = typed_paths.as_hydra_reads(text)
    assert config["dataset"]["path"] == home
    assert quoted == text, "what was quoted is left as it is"


def test_a_list_of_files_that_are_there_is_a_sweep():
    for name in ("a.npy", "b (1).npy"):
        film(name)
    jobs = plan([*FILM, "dataset.path=a.npy,b (1).npy"]).jobs
    assert len(jobs) == 1, "equal bytes are one run"
    assert [words[-1] for words in expand(["dataset.path=a.npy,b (1).npy"])] == [
        "dataset.path=a.npy", 'dataset.path="b (1).npy"',
    ]  # fmt: skip
    film("a.npy,b (1).npy")
    assert [words[-1] for words in expand(["dataset.path=a.npy,b (1).npy"])] == ['dataset.path="a.npy,b (1).npy"']
    os.remove("a.npy,b (1).npy")
    with pytest.raises(MissingData, match=r"^c.npy does not exist; did you mean a.npy\?$"):
        plan([*FILM, "dataset.path=a.npy,c.npy"])
    with pytest.raises(MissingData, match=r"^c.npy,d.npy is missing: set dataset.path"):
        plan([*FILM, "dataset.path=c.npy,d.npy"])


def test_hydras_grammar_goes_on_to_hold():
    film("a b.npy")
    assert [words[-1] for words in expand(["dataset.path='a b.npy',\"c\""])] == [
        "dataset.path='a b.npy'", 'dataset.path="c"',
    ]  # fmt: skip
    assert len(list(expand(["dataset.path=choice('a b.npy',c)"]))) == 2
    assert compose(["dataset=own_frames", "dataset.path=null"])[0]["dataset"]["path"] is None
    assert compose(["dataset=own_frames", "dataset.path='${dataset.meta.name}.npy'"])[0]["dataset"]["path"] == (
        "own_frames.npy"
    )
    with pytest.raises(BadInput, match="picks choices of a group"):
        list(expand(["dataset.path=glob(*.npy)"]))
    with pytest.raises(BadInput, match="cannot read"):
        compose(["dataset.input_steps=load (1)"])


def test_the_home_folder_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "my home"))
    config, _ = compose(["dataset=own_frames", "dataset.path=~/x.npy"])
    assert config["dataset"]["path"] == str(tmp_path / "my home" / "x.npy")


def test_a_name_that_no_json_holds_is_refused():
    with pytest.raises(BadInput, match="not UTF-8: rename it"):
        compose(["dataset=own_frames", "dataset.path=a\udce9.npy"])


def test_a_mistyped_name_is_answered_with_the_nearest():
    film("loads.npy")
    with pytest.raises(MissingData, match=r"^load.npy does not exist; did you mean loads.npy\?$"):
        prepare([*FILM, "dataset.path=load.npy"])
    os.mkdir("deep")
    film("deep/loads.npy")
    with pytest.raises(MissingData, match=r"^deep/load.npy does not exist; did you mean deep/loads.npy\?$"):
        prepare([*FILM, "dataset.path=deep/load.npy"])


def test_options_that_are_no_files_are_hydras():
    assert typed_paths.as_hydra_reads("dataset.layout=a (1)") == "dataset.layout=a (1)"
    assert typed_paths.as_hydra_reads("cell.path=a (1)") == "cell.path=a (1)"
    assert typed_paths.as_hydra_reads("seed=range(3)") == "seed=range(3)"


def test_a_text_that_hydra_refuses_is_answered_as_it_is_to_be_typed():
    refused = "dataset.target=Umsatz (€)"
    with pytest.raises(BadInput) as caught:
        compose(["dataset=own_series", refused])
    _, _, advice = str(caught.value).rpartition("as one text: ")
    (typed,) = shlex.split(advice.removesuffix(")."))
    assert compose(["dataset=own_series", typed])[0]["dataset"]["target"] == "Umsatz (€)"
    with pytest.raises(BadInput, match=r"a text in a list as in 'key=\[\"a \(b\)\",c\]'"):
        compose(["dataset=own_series", "dataset.future=[Kunden (neu)]"])
    listed, _ = compose(["dataset=own_series", 'dataset.future=["a (b)",c]'])
    assert listed["dataset"]["future"] == ["a (b)", "c"]


def test_a_users_own_dataset_names_its_files(user_dir):
    user_dir("dataset/reader.yaml", "meta: {name: reader, files: [clips]}\nclips: null\n")
    typed_paths.forget()
    assert typed_paths.as_hydra_reads("dataset.clips=a (1)") == 'dataset.clips="a (1)"'
