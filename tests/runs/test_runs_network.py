"""What makes a network: the display name and the rows of tables tell apart by one list of options."""

import pytest
from runs_tools import quick

from rnnbench.runs import axes
from rnnbench.runs.plan import prepare
from rnnbench.store.rows import row

FRAMES = ("cell=convlstm", "dataset=moving_digits")


@pytest.mark.parametrize(
    "options",
    [["forecast.patch=4"], ["forecast.sizes=[8,4]"], ["forecast=openstl"], ["forecast=shi2015"],
     ["forecast=rollout"], ["forecast=rollout", "forecast.bias=false"]],
    ids=" ".join,
)  # fmt: skip
def test_another_network_on_frames_is_another_row(options):
    plain, other = (prepare(["tracker=none", *FRAMES, *more]).axes for more in ([], options))
    assert row({"axes": plain})["axes"] != row({"axes": other})["axes"]
    assert row({"axes": plain})["training"] == "adam, constant"


def test_of_several_layers_what_the_output_reads_is_another_row():
    every, top = (prepare(["tracker=none", *FRAMES, "depth=2", *more]).axes for more in ([], ["forecast.reads=top"]))
    assert row({"axes": every})["axes"] != row({"axes": top})["axes"]


def test_how_a_rollout_is_fed_in_training_is_no_other_network():
    plain, own = (prepare(["tracker=none", *FRAMES, "forecast=rollout", *more]).axes
                  for more in ([], ["forecast.sampling.mode=own"]))  # fmt: skip
    assert row({"axes": plain})["axes"] == row({"axes": own})["axes"]
    assert row({"axes": own})["training"] == "adam, constant, forecast.sampling.mode=own"
    assert plain["label"] == own["label"] == "ConvLSTM"
    assert "forecast.sampling.mode=own" in axes.title(own, "moving_digits", 0)


def test_one_kind_of_forecast_is_one_network_however_it_is_asked_for():
    one, other = (prepare(["tracker=none", *FRAMES, word]) for word in ("forecast=rollout", "forecast.kind=rollout"))
    assert (one.id, one.axes) == (other.id, other.axes)


@pytest.mark.parametrize("key", ["cell.bias", "depth.norm", "encoder", "head", "forecast.patch", "forecast.decouple"])
def test_what_the_name_shows_is_what_the_row_is_by(key):
    shown = axes.label(quick(*FRAMES).config, {key: 1})
    assert f"{key.removeprefix('depth.')}=1" in shown
    assert row({"axes": {"options": {key: 1}}})["axes"] != row({"axes": {"options": {}}})["axes"]
