"""nn.cells: published counts, how the cells relate to each other, and bad input. Their equations: tests/properties."""

import pytest
import torch

from registry import CELLS, build, far, random_input, random_state, randomise, weigh
from rnnbench.nn import GRU, LSTM, MGU, RNN, Cell, GRUCho, GRUUpdate, Layer, OdysseyLSTM, Peephole, count_params
from rnnbench.nn.cells.odyssey import EDITS


def eager(cell, key=""):
    return randomise(Layer(cell, backend="eager").double(), key)


# counts


def test_keras_counts():
    assert count_params(RNN(32, 16, biases=1)) == 784
    assert count_params(LSTM(32, 32, biases=1)) == 8320


@pytest.mark.parametrize("biases", [0, 1, 2])
@pytest.mark.parametrize("gru", [GRU, GRUCho])
def test_a_gru_has_three_quarters_of_an_lstm(gru, biases):
    assert 4 * count_params(gru(5, 7, biases=biases)) == 3 * count_params(LSTM(5, 7, biases=biases))


@pytest.mark.parametrize("biases", [0, 1, 2])
def test_full_gate_recurrence_adds_nine_square_maps(biases):
    full, plain = (count_params(OdysseyLSTM(5, 7, edit=edit, biases=biases)) for edit in ("fgr", "none"))
    assert full - plain == 9 * 7 * 7


def test_peepholes_add_one_vector_a_gate():
    assert count_params(LSTM(5, 7, peephole=Peephole())) - count_params(LSTM(5, 7)) == 3 * 7


def test_an_edit_that_removes_a_gate_removes_its_weights():
    vanilla = count_params(OdysseyLSTM(5, 7, peephole=Peephole()))
    gate = 7 * (5 + 7 + 2) + 7
    for edit in EDITS:
        removed = gate if edit in ("nig", "nfg", "nog", "cifg") else -9 * 7 * 7 if edit == "fgr" else 0
        assert count_params(OdysseyLSTM(5, 7, edit=edit, peephole=Peephole())) == vanilla - removed


# relations


@pytest.mark.parametrize("peephole", [Peephole(), Peephole(shape="none"), Peephole(output_sees="previous")], ids=repr)
def test_the_unedited_odyssey_is_the_lstm(peephole):
    """To the bit, gradients too."""
    pair = eager(LSTM(3, 4, peephole=peephole)), eager(OdysseyLSTM(3, 4, peephole=peephole))
    assert list(pair[0].state_dict()) == list(pair[1].state_dict())
    outputs = []
    for layer in pair:
        output, state = layer(random_input(layer.cell), random_state(layer.cell))
        weigh(output, state).backward()
        outputs.append((output, *state))
    assert all(torch.equal(a, b) for a, b in zip(*outputs, strict=True))
    for a, b in zip(*(layer.parameters() for layer in pair), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_full_gate_recurrence_begins_as_vanilla():
    """R sees the gates of the step before, which are zero at first: only from the second step on does it matter."""
    vanilla, full = eager(OdysseyLSTM(3, 4)), eager(OdysseyLSTM(3, 4, edit="fgr"))
    full.load_state_dict(vanilla.state_dict(), strict=False)
    x = random_input(vanilla.cell)
    a, b = vanilla(x)[0], full(x)[0]
    assert torch.equal(a[:, 0], b[:, 0])
    assert far(a[:, 1], b[:, 1]) > 1e-3


@pytest.mark.parametrize(
    ("edit", "gate"), [("nig", "i"), ("nfg", "f"), ("nog", "o")], ids=["no input", "no forget", "no output gate"]
)
def test_a_removed_gate_is_an_open_one(edit, gate):
    """An edit equals vanilla with that gate's bias so large that the gate is one."""
    cut, vanilla = eager(OdysseyLSTM(3, 4, edit=edit)), eager(OdysseyLSTM(3, 4))
    kept = [n for n, letter in enumerate("ifgo") if letter != gate]
    with torch.no_grad():
        for name, p in vanilla.named_parameters():
            blocks = dict(cut.named_parameters())[name].split(4)
            for n, block in zip(kept, blocks, strict=True):
                p[4 * n : 4 * n + 4] = block
        row = 4 * "ifgo".index(gate)
        vanilla.cell.W.bias[row : row + 4] = 1e3
    x = random_input(cut.cell)
    assert far(cut(x)[0], vanilla(x)[0]) < 1e-12


def test_coupled_gates_sum_to_one():
    """With the forget gate's weights the negated input gate's, f = 1 - i in vanilla too: s(-a) = 1 - s(a)."""
    cut, vanilla = eager(OdysseyLSTM(3, 4, edit="cifg")), eager(OdysseyLSTM(3, 4))
    with torch.no_grad():
        for name, p in vanilla.named_parameters():
            i, g, o = dict(cut.named_parameters())[name].split(4)
            p.copy_(torch.cat([i, -i, g, o]))
    x = random_input(cut.cell)
    assert far(cut(x)[0], vanilla(x)[0]) < 1e-12


def test_the_gru_dialects_differ_where_the_reset_gate_acts():
    """The same numbers give other outputs; with a reset gate held at one they agree."""
    torchs, cho = eager(GRU(3, 4, biases=1)), eager(GRUCho(3, 4, biases=1))
    with torch.no_grad():
        cho.cell.W.load_state_dict(torchs.cell.W.state_dict())
        cho.cell.U.weight.copy_(torchs.cell.U.weight[:8])
        cho.cell.U_n.weight.copy_(torchs.cell.U.weight[8:])
    x = random_input(cho.cell)
    assert far(torchs(x)[0], cho(x)[0]) > 1e-3
    with torch.no_grad():
        for layer in (torchs, cho):
            layer.cell.W.bias[:4] = 1e3
    assert far(torchs(x)[0], cho(x)[0]) < 1e-12


def test_relu_and_tanh_differ():
    tanh, relu = eager(RNN(3, 4)), eager(RNN(3, 4, nonlinearity="relu"))
    x = random_input(tanh.cell)
    assert relu(x)[0].min() == 0
    assert tanh(x)[0].min() < 0


def test_irnn_keeps_its_state_at_first():
    """U = I and b = 0: without input a positive state stays as it is."""
    layer = Layer(build("irnn"), backend="eager").double()
    begin = random_state(layer.cell)
    output, _ = layer(torch.zeros(3, 5, 3, dtype=torch.float64), begin)
    assert torch.equal(output, begin.h[:, None].expand(-1, 5, -1))


# input


@pytest.mark.parametrize("make", [RNN, LSTM, GRU, GRUCho, GRUUpdate, MGU, OdysseyLSTM])
def test_bad_sizes_and_biases(make):
    with pytest.raises(ValueError, match=r"biases must be 0 \(none\), 1 \(in W\) or 2 \(in W and U\), not 3"):
        make(3, 4, biases=3)
    for sizes in ((0, 4), (3, 0)):
        with pytest.raises(ValueError, match=f"must be at least 1, not {sizes[0]} and {sizes[1]}"):
            make(*sizes)


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown nonlinearity 'elu'; known: tanh, relu"):
        RNN(3, 4, nonlinearity="elu")
    with pytest.raises(ValueError, match="unknown edit 'np'; known: none, nig, nfg, nog, niaf, noaf, cifg, fgr"):
        OdysseyLSTM(3, 4, edit="np")


@pytest.mark.parametrize("name", CELLS)
def test_state_begins_with_h_and_names_its_fields(name):
    cell = build(name)
    assert isinstance(cell, Cell)
    zero = cell.zero_state(2, (5, 6), torch.zeros(1, dtype=torch.float64))
    assert zero._fields[0] == "h"
    assert all(s.shape == (2, 4, 5, 6) and s.dtype == torch.float64 and not s.any() for s in zero)


@pytest.mark.parametrize(
    ("name", "fields"), [("rnn", "h"), ("gru", "h"), ("mgu", "h"), ("lstm", "hc"), ("nig", "hc"), ("fgr", "hcifo")]
)
def test_states(name, fields):
    assert "".join(build(name).State._fields) == fields
