"""Moving pictures: paths against a literal walk, drawing against literal loops, independence of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnbench.datasets.film.sprites import UNIT, draw_clips, reflected, render, stopped

ROOM, STEPS = 36, 50


def clips(n: int = 200, speed: tuple[float, float] = (0.0, 7.0)) -> torch.Tensor:
    return draw_clips(3, n, 2, range(10), speed, ROOM)


def test_elastic_bounces_literally() -> None:
    x = clips(60)
    path = reflected(x[..., 1:3], x[..., 3:5], STEPS, ROOM)
    assert path.shape == (60, STEPS, 2, 2)
    for b in range(60):
        for d in range(2):
            for axis in range(2):
                p, v = int(x[b, d, 1 + axis]), int(x[b, d, 3 + axis])
                for t in range(STEPS):
                    assert int(path[b, t, d, axis]) == p // UNIT
                    p += v
                    while not 0 <= p <= ROOM * UNIT:
                        p, v = (-p if p < 0 else 2 * ROOM * UNIT - p), -v


def test_stopping_at_walls_literally() -> None:
    x = clips(60)
    path = stopped(x[..., 1:3], x[..., 3:5], STEPS, ROOM)
    for b in range(60):
        for d in range(2):
            for axis in range(2):
                p, v = int(x[b, d, 1 + axis]), int(x[b, d, 3 + axis])
                for t in range(STEPS):
                    p += v
                    if p <= 0:
                        p, v = 0, -v
                    if p >= ROOM * UNIT:
                        p, v = ROOM * UNIT, -v
                    assert int(path[b, t, d, axis]) == p // UNIT


@pytest.mark.parametrize("bounce", [reflected, stopped])
def test_pictures_stay_inside(bounce) -> None:
    x = clips(2000, (0.0, 40.0))
    path = bounce(x[..., 1:3], x[..., 3:5], STEPS, ROOM)
    assert int(path.min()) == 0
    assert int(path.max()) in (ROOM - 1, ROOM)  # a path that turns rarely stands on the wall


def test_speeds_are_as_asked() -> None:
    x = clips(5000, (3.0, 5.0))
    speed = x[..., 3:5].double().div(UNIT).square().sum(-1).sqrt()
    assert float(speed.min()) >= 3 - 1e-4
    assert float(speed.max()) < 5 + 1e-4
    assert float(speed.mean()) == pytest.approx(4, abs=0.02)
    direction = torch.atan2(x[..., 3].double(), x[..., 4].double())
    assert direction.histc(8, -np.pi, np.pi).div(10_000).sub(1 / 8).abs().max() < 0.02
    start = x[..., 1:3].double() / UNIT
    assert float(start.mean()) == pytest.approx(ROOM / 2, abs=0.3)
    path = reflected(x[..., 1:3], x[..., 3:5], STEPS, ROOM).double()
    free = ((path > 5) & (path < ROOM - 5)).all(-1)
    moved = (path[:, 5:] - path[:, :-5]).square().sum(-1).sqrt() / 5
    straight = torch.stack([free[:, i : STEPS - 5 + i] for i in range(6)]).all(0)
    shown = speed[:, None].expand_as(moved)
    assert straight.sum() > 1000
    assert (moved - shown)[straight].abs().max() < 0.3  # five frames, each end rounded down to a pixel


def test_a_clip_depends_on_its_number_alone() -> None:
    few, many = clips(10), clips(1000)
    assert torch.equal(few, many[:10])
    assert few.dtype == torch.int32
    assert not torch.equal(draw_clips(4, 10, 2, range(10), (0.0, 7.0), ROOM), few)


def test_drawing_literally() -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (4, 5, 6), generator=generator, dtype=torch.uint8)
    which = torch.tensor([[0, 3], [2, 1]])
    corners = torch.randint(0, 11, (2, 3, 2, 2), generator=generator)
    corners[0, 0] = 0  # both in one place
    frames = render(pictures, which, corners, 16)
    assert frames.shape == (2, 3, 1, 16, 16)
    for b in range(2):
        for t in range(3):
            canvas = np.zeros((16, 16), np.uint8)
            for d in range(2):
                y, x = corners[b, t, d].tolist()
                part = canvas[y : y + 5, x : x + 6]
                np.maximum(part, pictures[which[b, d]].numpy(), out=part)
            assert np.array_equal(frames[b, t, 0].numpy(), canvas)
