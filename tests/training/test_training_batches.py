"""The order of the batches: a pure function of seed and update."""

import hashlib
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_tools import ADDING, DATA, ORDER, TASKS

from rnnbench.datasets import Split
from rnnbench.training.batches import Batches, Round

SCRIPT = """
import hashlib, sys, torch
from rnnbench.datasets import Adding
from rnnbench.training.batches import Batches
task = Adding(T=6, train=40, val=16, test=16)
batches = Batches(task, task.load().train, 7, 2**62 + 5)
print(hashlib.sha256(torch.stack([batches.index(u) for u in range(20)]).numpy().tobytes()).hexdigest())
"""


def numbered(n):
    """A split whose sequences are numbers, so that a batch shows which it holds."""
    return Split(torch.arange(n).float().reshape(n, 1, 1).expand(n, 1, 2), torch.arange(n).float().reshape(n, 1))


def make(n, batch_size, seed=0):
    return Batches(ADDING, numbered(n), batch_size, seed)


@given(n=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 3))
def test_each_epoch_is_a_permutation_cut_into_whole_batches(n, size, seed, epoch):
    batches = make(n, size, seed)
    size = min(size, n)
    assert batches.batch_size == size
    assert batches.per_epoch == n // size
    first = epoch * batches.per_epoch
    seen = torch.cat([batches.index(u) for u in range(first, first + batches.per_epoch)])
    assert len(seen) == (n // size) * size
    assert len(set(seen.tolist())) == len(seen)
    assert set(seen.tolist()) <= set(range(n))


@given(updates=st.lists(st.integers(0, 60), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_an_update_sees_the_same_sequences_whatever_was_asked_before(updates, seed):
    in_order = make(20, 6, seed)
    straight = [in_order.index(u) for u in range(61)]
    jumping = make(20, 6, seed)
    assert all(torch.equal(jumping.index(u), straight[u]) for u in updates)


def test_epochs_and_seeds_differ():
    batches = make(64, 64)
    assert not torch.equal(batches.index(0), batches.index(1))
    assert not torch.equal(batches.index(0), make(64, 64, seed=1).index(0))


def test_the_order_does_not_touch_the_streams_of_torch():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    make(20, 5).index(9)
    assert torch.equal(torch.rand(3), expected)


def test_a_batch_size_above_the_split_takes_all_of_it_every_update():
    batches = make(5, 32)
    assert batches.batch_size == 5
    for update in range(3):
        assert sorted(batches.batch(update).y.flatten().tolist()) == [0, 1, 2, 3, 4]


def test_a_batch_is_what_the_task_cuts_from_the_split():
    data = DATA["order"].train
    batches = Batches(ORDER, data, 6, 1)
    batch = batches.batch(2)
    index = batches.index(2)
    assert torch.equal(batch.lengths, data.lengths[index])
    assert batch.x.shape == (6, int(data.lengths[index].max()), 8)
    assert torch.equal(batch.y, data.y[index])


@pytest.mark.parametrize("task", TASKS)
def test_two_entries_with_one_seed_see_the_same_batches_in_the_same_order(task):
    a, b = (Batches(TASKS[task], TASKS[task].load().train, 8, 11) for _ in range(2))
    for update in range(7):
        assert torch.equal(a.batch(update).x, b.batch(update).x)


def test_a_round_ends_at_the_next_validation():
    rounds = Round(make(20, 5), updates=11, every=4)
    seen = []
    for done in (0, 4, 8, 6, 11):
        rounds.done = done
        seen.append(list(rounds))
    assert seen == [[range(4)], [range(4, 8)], [range(8, 11)], [range(6, 8)], []]


@pytest.mark.integration
def test_every_process_draws_the_same_order():
    batches = Batches(ADDING, DATA["adding"].train, 7, 2**62 + 5)
    here = hashlib.sha256(torch.stack([batches.index(u) for u in range(20)]).numpy().tobytes()).hexdigest()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    assert done.stdout.strip() == here
