"""The Mogrifier LSTM: what it is at zero and without rounds, its low rank, and what it refuses."""

import pytest
import torch

from registry import far, randomise
from rnnbench.nn import LSTM, Layer, Mogrifier, count_params

X, H = 5, 4


def random(seed, *sizes):
    return torch.randn(*sizes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def pair(**options):
    """A Mogrifier and the LSTM of the same W and U."""
    cell = randomise(Mogrifier(X, H, **options).double(), "mogrifier")
    plain = LSTM(X, H).double()
    plain.load_state_dict({key: value for key, value in cell.state_dict().items() if key[0] in "WU"})
    return cell, plain


@pytest.mark.parametrize("options", [{}, {"rounds": 0}, {"rounds": 1}, {"rank": 2}])
def test_at_zero_it_is_the_lstm_to_the_bit(options):
    cell, plain = pair(**options)
    for name, parameter in cell.named_parameters():
        if name[0] in "QR":
            torch.nn.init.zeros_(parameter)
    x, now, then = random(0, 3, X), cell.State(*random(1, 2, 3, H)), plain.State(*random(1, 2, 3, H))
    for _ in range(3):
        output, now = cell.step(cell.given(x), now)
        wanted, then = plain.step(plain.given(x), then)
        assert torch.equal(output, wanted)
        assert torch.equal(now.c, then.c)
    sequence = random(2, 3, 7, X)
    assert far(Layer(cell, backend="eager")(sequence)[0], Layer(plain, backend="eager")(sequence)[0]) < 1e-14


def test_elsewhere_it_is_not():
    cell, plain = pair()
    x, h = random(0, 3, X), random(1, 2, 3, H)
    assert far(cell.step(x, cell.State(*h))[0], plain.step(plain.given(x), plain.State(*h))[0]) > 1e-3


def test_low_rank_is_the_product_of_two():
    low, full = randomise(Mogrifier(X, H, rank=2).double(), "low"), Mogrifier(X, H).double()
    state = low.state_dict()
    for name in ("Q_1", "R_2", "Q_3", "R_4", "Q_5"):
        state[f"{name}.bias"] = state.pop(f"{name}.1.bias")
        state[f"{name}.weight"] = state.pop(f"{name}.1.weight") @ state.pop(f"{name}.0.weight")
    full.load_state_dict(state)
    x, h = random(0, 3, X), random(1, 2, 3, H)
    assert far(low.step(x, low.State(*h))[0], full.step(x, full.State(*h))[0]) < 1e-14


def test_parameters():
    for biases in (0, 1, 2):
        plain, some = count_params(LSTM(X, H, biases=biases)), biases > 0
        assert count_params(Mogrifier(X, H, biases=biases)) == plain + 5 * X * H + some * (3 * X + 2 * H)
        low = count_params(Mogrifier(X, H, biases=biases, rank=2, rounds=4))
        assert low == plain + 4 * 2 * (X + H) + some * (2 * X + 2 * H)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rounds": -1}, "rounds must be a whole number, 0 or more, not -1"),
        ({"rounds": 1.5}, "rounds must be a whole number, 0 or more, not 1.5"),
        ({"rank": 0}, "rank must be a whole number of at least 1, or null for full matrices, not 0"),
    ],
)
def test_what_it_refuses(options, said):
    with pytest.raises(ValueError, match=said):
        Mogrifier(**{"input_size": X, "hidden_size": H} | options)


def test_a_layer_without_input_has_nothing_to_gate():
    cell = Mogrifier(0, H)
    assert cell.rounds == 0
    assert count_params(cell) == count_params(LSTM(0, H))
