"""nn.sampling: the published schedules at named updates, the masks, and the counter that survives a checkpoint."""

import io
import math

import pytest
import torch

from rnnbench.nn import Sampling

CPU = torch.device("cpu")


def masks(sampling, update, *, batch=400, given=10, total=20):
    sampling.seen.fill_(update)
    torch.manual_seed(0)
    return sampling(batch, given, total, CPU)


# probabilities


@pytest.mark.parametrize(
    ("update", "after"), [(0, 1.0), (1, 1 - 2e-5), (12_500, 0.75), (49_999, 2e-5), (50_000, 0.0), (10**6, 0.0)]
)
def test_scheduled_sampling_falls_linearly(update, after):
    """Bengio et al. 2015, as OpenSTL has it: 2e-5 an update, from 1 to 0 at 50,000; given frames are always true."""
    assert Sampling("scheduled").probabilities(update) == (1.0, pytest.approx(after, abs=1e-12))


@pytest.mark.parametrize(
    ("update", "before", "after"),
    [
        (0, 0.5, 0.5),
        (24_999, 0.5, 0.5),
        (25_000, 0.5, 0.5),
        (30_000, 1 - 0.5 / math.e, 0.4),
        (37_500, 1 - 0.5 * math.exp(-2.5), 0.25),
        (49_999, 1 - 0.5 * math.exp(-24_999 / 5000), 1e-5 * 2),
        (50_000, 1.0, 0.0),
        (10**6, 1.0, 0.0),
    ],
)
def test_reverse_scheduled_sampling(update, before, after):
    """PredRNN-V2's two curves: .5 to 25,000; then 1 - .5 exp(-(n - 25,000) / 5000) and .5 down to 0 at 50,000."""
    assert Sampling("reverse").probabilities(update) == (
        pytest.approx(before, abs=1e-12),
        pytest.approx(after, abs=1e-12),
    )


def test_reverse_with_the_authors_alpha_and_a_shorter_schedule():
    assert Sampling("reverse", alpha=2500).probabilities(27_500) == (
        pytest.approx(1 - 0.5 / math.e),
        pytest.approx(0.45),
    )
    short = Sampling("reverse", stop=1000, alpha=100)
    assert short.probabilities(499) == (0.5, 0.5)
    assert short.probabilities(600) == (pytest.approx(1 - 0.5 / math.e), pytest.approx(0.4))
    assert short.probabilities(1000) == (1.0, 0.0)
    assert Sampling("scheduled", stop=1000).probabilities(250) == (1.0, pytest.approx(0.75))


@pytest.mark.parametrize("update", [0, 25_000, 10**6])
def test_teacher_and_own_never_change(update):
    assert Sampling("teacher").probabilities(update) == (1.0, 1.0)
    assert Sampling("own").probabilities(update) == (1.0, 0.0)


def test_only_reverse_replaces_given_frames():
    assert [mode for mode in ("own", "teacher", "scheduled", "reverse") if Sampling(mode).early] == ["reverse"]


def test_unknown_mode():
    with pytest.raises(ValueError, match="unknown sampling 'greedy'; known: own, teacher, scheduled, reverse"):
        Sampling("greedy")


@pytest.mark.parametrize("mode", ["scheduled", "reverse"])
def test_a_schedule_of_no_updates_is_over_before_it_begins(mode):
    sampling = Sampling(mode, stop=0)
    assert [sampling.probabilities(update) for update in (0, 1)] == [(1.0, 0.0)] * 2
    assert torch.equal(masks(sampling, 0), masks(Sampling("own"), 0))


@pytest.mark.parametrize("options", [{"stop": -1}, {"stop": "soon"}, {"alpha": 0.0}, {"alpha": -1.0}])
def test_what_is_no_schedule(options):
    with pytest.raises(ValueError, match=r"^sampling needs stop >= 0 updates and alpha > 0, not stop=.+ and alpha="):
        Sampling("reverse", **options)


# masks


def test_masks_of_own_and_teacher():
    assert torch.equal(masks(Sampling("own"), 0), (torch.arange(20) < 10)[:, None].expand(20, 400))
    assert masks(Sampling("teacher"), 0).all()


@pytest.mark.parametrize(
    ("mode", "update", "before", "after"),
    [
        ("scheduled", 12_500, 1.0, 0.75),
        ("scheduled", 60_000, 1.0, 0.0),
        ("reverse", 0, 0.5, 0.5),
        ("reverse", 37_500, 1 - 0.5 * math.exp(-2.5), 0.25),
        ("reverse", 50_000, 1.0, 0.0),
    ],
)
def test_masks_are_drawn_for_each_sequence_and_step(mode, update, before, after):
    """Four standard deviations around the probability, per step and per sequence; the first frame is always true."""
    drawn = masks(Sampling(mode), update)
    assert drawn.shape == (20, 400)
    assert drawn.dtype == torch.bool
    assert drawn[0].all()
    for part, chance in ((drawn[1:10], before), (drawn[10:], after)):
        spread = (chance * (1 - chance)) ** 0.5
        assert part.double().mean().item() == pytest.approx(chance, abs=4 * spread / part.numel() ** 0.5 + 1e-9)
        for step in part:
            assert step.double().mean().item() == pytest.approx(chance, abs=4 * spread / 400**0.5 + 1e-9)
        if 0 < chance < 1:
            assert len({tuple(step.tolist()) for step in part}) == len(part), "a mask of its own for every step"
            assert 0 < part.double().mean(0).std() < 2 * spread / len(part) ** 0.5, "and for every sequence"


def test_masks_are_made_on_the_device():
    """Where the frames are, and not on the CPU first: torch's meta device, which holds no numbers, stands for any."""
    assert Sampling("reverse")(3, 2, 4, torch.device("meta")).device.type == "meta"


# the counter


def test_every_training_batch_counts_and_moves_the_schedule():
    sampling = Sampling("scheduled", stop=4)
    shares = [sampling(4000, 1, 2, CPU)[1].double().mean().item() for _ in range(6)]
    assert shares == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0], abs=0.03)
    assert int(sampling.seen) == 6


def test_the_counter_is_in_the_checkpoint():
    sampling = Sampling("reverse")
    for _ in range(3):
        sampling(1, 1, 2, CPU)
    assert list(sampling.state_dict()) == ["seen"]
    file = io.BytesIO()
    torch.save(sampling.state_dict(), file)
    file.seek(0)
    fresh = Sampling("reverse")
    fresh.load_state_dict(torch.load(file, weights_only=True))
    fresh(1, 1, 2, CPU)
    assert int(fresh.seen) == 4
    assert fresh.to(torch.float32).seen.dtype == torch.int64
    assert not list(fresh.parameters())
