"""nn.model: encoders, heads, lengths, and a state carried from batch to batch."""

import pytest
import torch
from torch import nn

from registry import far, randomise
from rnnbench.nn import GRU, LSTM, TCN, SequenceModel, Transformer, build_stack, make_encoder
from rnnbench.nn.model import CausalCNN

HEADS = ("last", "every", "mean")
ENCODERS = ("none", "linear", "cnn", "embedding")


def model(head="last", encoder="none", **options):
    module, size = make_encoder(encoder, 9 if encoder == "embedding" else 2, 3)
    stack = build_stack(LSTM, size, 4, **options)
    return randomise(SequenceModel(module, stack, head=head, output_size=5).double())


def sequences(encoder="none", batch=3, steps=6):
    random = torch.Generator().manual_seed(0)
    if encoder == "embedding":
        return torch.randint(9, (batch, steps), generator=random)
    return torch.randn(batch, steps, 2, generator=random, dtype=torch.float64)


# encoders


@pytest.mark.parametrize(("kind", "size"), [("none", 2), ("linear", 3), ("cnn", 3)])
def test_encoders(kind, size):
    encoder, got = make_encoder(kind, 2, 3)
    assert got == size
    assert encoder(torch.zeros(4, 6, 2)).shape == (4, 6, size)


def test_embedding_takes_tokens():
    encoder, size = make_encoder("embedding", 9, 3)
    assert isinstance(encoder, nn.Embedding)
    assert encoder(torch.tensor([[0, 8]])).shape == (1, 2, size) == (1, 2, 3)


def test_none_is_the_input_itself():
    x = sequences()
    assert make_encoder("none", 2, 99)[0](x) is x


def test_unknown_encoder():
    with pytest.raises(ValueError, match="unknown encoder 'mlp'; known: none, linear, embedding, cnn"):
        make_encoder("mlp", 2, 3)


def test_cnn_is_causal():
    """A change at step t shows from t on, for as long as two kernels of three reach, and never before."""
    encoder = randomise(CausalCNN(2, 3).double())
    with torch.no_grad():
        for p in encoder.parameters():
            p.abs_()  # keeps the units on, so that each change passes the relu
    x = sequences(steps=12).abs()
    for t in (0, 4, 11):
        other = x.clone()
        other[:, t] += 1
        moved = (encoder(x) - encoder(other)).abs().amax((0, 2)) > 1e-9
        assert moved.tolist() == [t <= step <= t + 4 for step in range(12)]


def test_cnn_is_two_convolutions_and_relus():
    encoder = randomise(CausalCNN(2, 3).double())
    x = sequences()
    first, second = encoder.convs

    def by_hand(conv, x):  # y_t = relu(sum_k w_k x_{t-2+k} + b), zero before the start
        steps = []
        for t in range(x.shape[1]):
            taps = (x[:, t - 2 + k] @ conv.weight[:, :, k].T for k in range(3) if t - 2 + k >= 0)
            steps.append((sum(taps) + conv.bias).clamp(min=0))
        return torch.stack(steps, 1)

    assert far(encoder(x), by_hand(second, by_hand(first, x))) < 1e-12
    assert encoder(x).any()


# heads


def test_heads():
    x = sequences()
    for head in HEADS:
        net = model(head)
        hidden, state = net.stack(x)
        wanted = {"last": net.stack.final(state), "every": hidden, "mean": hidden.mean(1)}[head]
        assert torch.equal(net(x), net.output(wanted))
        assert net(x).shape == ((3, 6, 5) if head == "every" else (3, 5))


def test_unknown_head():
    with pytest.raises(ValueError, match="unknown head 'first'; known: last, every, mean"):
        model("first")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_lengths(head, encoder, direction):
    """Each sequence is predicted as if it were alone and unpadded; what stands in the padding does not matter."""
    net = model(head, encoder, layers=2, direction=direction, residual=True, norm="layer")
    x, lengths = sequences(encoder), torch.tensor([2, 6, 1])
    got = net(x, lengths)
    noisy = x.clone()
    noisy[torch.arange(6) >= lengths[:, None]] = 8
    assert torch.equal(net(noisy, lengths)[:, 0], got[:, 0])
    for b, length in enumerate(lengths):
        alone = net(x[b : b + 1, :length])
        mine = got[b : b + 1, :length] if head == "every" else got[b : b + 1]
        assert far(mine, alone) < 1e-12


@pytest.mark.parametrize("head", HEADS)
def test_full_lengths_are_no_lengths(head):
    net, x = model(head), sequences()
    assert far(net(x, torch.tensor([6, 6, 6])), net(x)) < 1e-12


def test_step_carries_the_state():
    net, x = model("every", layers=2), sequences()
    first, state = net.step(x[:, :4], None)
    second, _ = net.step(x[:, 4:], state)
    assert far(torch.cat([first, second], 1), net(x)) < 1e-12
    assert far(second, net(x[:, 4:])) > 1e-3


@pytest.mark.parametrize("encoder", ["none", "linear", "embedding"])
@pytest.mark.parametrize("head", ["every", "last"])
def test_steps_in_pieces_of_any_length_are_the_whole(head, encoder):
    net, x = model(head, encoder, layers=2, residual=True, norm="layer"), sequences(encoder)
    predictions, state = [], None
    for piece in x.split([1, 3, 2], 1):
        prediction, state = net.step(piece, state)
        predictions.append(prediction)
    whole = torch.cat(predictions, 1) if head == "every" else predictions[-1]
    assert far(whole, net(x)) < 1e-12


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"encoder": "cnn"}, "the encoder CausalCNN may see more than one step"),
        ({"head": "mean"}, "head=mean is over the whole sequence"),
        ({"direction": "backward"}, "a backward layer begins at the sequence's end"),
        ({"direction": "bidirectional", "layers": 2}, "a bidirectional layer sees the sequence from both ends"),
    ],
)
def test_a_step_that_would_not_be_the_whole_is_refused(options, sentence):
    """Whether a state is given or not: the first piece would be wrong, too."""
    net = model(**{"head": "every"} | options)
    for state in (None, net.stack(torch.zeros(3, 1, net.stack.input_size, dtype=torch.float64))[1]):
        with pytest.raises(ValueError, match=f"{sentence}, so it cannot go on from a state: give the whole sequence"):
            net.step(sequences(), state)


@pytest.mark.parametrize("rival", [TCN, Transformer])
def test_a_network_without_recurrence_does_not_step(rival):
    net = SequenceModel(nn.Identity(), rival(2, 4), head="every", output_size=1)
    with pytest.raises(ValueError, match=f"{rival.__name__} carries no state, so it cannot go on"):
        net.step(torch.zeros(1, 3, 2), None)


class Smooth(nn.Module):
    """An encoder of the user's own: the mean of two steps, and every second one only where it halves."""

    def __init__(self, halves=False, size=2):
        super().__init__()
        self.halves, self.size = halves, size

    def forward(self, x):
        x = (x + x.roll(1, 1))[..., : self.size] / 2
        return x[:, ::2] if self.halves else x


def test_an_encoder_of_the_users_own():
    def own(encoder):
        return SequenceModel(encoder, build_stack(LSTM, 2, 4), head="last", output_size=1)

    x = sequences().float()
    assert own(Smooth())(x, [6, 2, 1]).shape == (3, 1)
    assert own(Smooth(halves=True))(x).shape == (3, 1)
    with pytest.raises(ValueError, match=r"lengths need an encoder that keeps \(3, 6\), got \(3, 3\)"):
        own(Smooth(halves=True))(x, [6, 2, 1])
    with pytest.raises(ValueError, match=r"expected the encoder's output of shape \(B, T, 2\), got \(3, 6, 1\)"):
        own(Smooth(size=1))(x)
    with pytest.raises(ValueError, match="the encoder Smooth may see more than one step"):
        own(Smooth()).step(x, None)
    for wrong in ([[1.0]], x[0, 0], x[:, :0]):
        with pytest.raises(ValueError, match=r"expected x .*\(B, T"):
            own(Smooth())(wrong)


def test_tokens():
    net, x = model(encoder="embedding"), sequences("embedding")
    for kind in (torch.int32, torch.int16, torch.uint8):
        assert torch.equal(net(x.to(kind)), net(x))
    wrong = {
        r"integer type, got torch.float32": x.float(),
        r"integer type, got torch.bool": x.bool(),
        r"shape \(B, T\), got \(3, 6, 1\)": x[..., None],
        r"shape \(B, T\), got \(3, 0\)": x[:, :0],
        r"device cpu, got meta": x.to("meta"),
        r"from 0 to 8, got 1 to 9": x + 1,
        r"from 0 to 8, got -1 to 7": x - 1,
    }
    assert (x.min(), x.max()) == (0, 8)
    for sentence, tokens in wrong.items():
        with pytest.raises(ValueError, match=f"expected tokens x .*{sentence}"):
            net(tokens)


def test_the_prediction_reaches_every_parameter():
    for head in HEADS:
        for encoder in ENCODERS:
            net = model(head, encoder, layers=2, direction="bidirectional", norm="layer")
            net(sequences(encoder)).square().sum().backward()
            dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
            assert dead == [], (head, encoder)


def test_float32_mean_stays_float32():
    net = SequenceModel(nn.Identity(), build_stack(GRU, 2, 4), head="mean", output_size=1)
    assert net(torch.zeros(2, 3, 2), torch.tensor([1, 3])).dtype == torch.float32
