"""Small pictures that move in straight lines and bounce off the walls, drawn in whole numbers.

Positions and speeds are integers in units of 1/65536 pixel and pixels are bytes, so a clip has the same bits on every
processor and GPU and for every batch size. B clips, T frames, D pictures in a frame; y (down) stands before x.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Batch, Split
from rnnbench.datasets.film.task import FrameTask

UNIT = 1 << 16  # of a pixel
RENDER_VERSION = 1  # a change of anything drawn from the same parameters is a new version
COLUMNS = 5  # of a picture's parameters: its number, start y x, speed y x


def draw_clips(
    seed: int, clips: int, pictures: int, numbers: range | NDArray[np.int64], speed: tuple[float, float], room: int
) -> Tensor:
    """Parameters of clips, B D 5, int32; clip i depends on seed and i alone. See COLUMNS.

    numbers: which pictures may appear, drawn with replacement; start: uniform over the room (pixels that a picture's
    corner can move in each direction); speed: pixels a frame, uniform in [low, high), in a uniform direction.
    """
    rng = np.random.default_rng(seed)
    u = rng.random((clips, pictures, COLUMNS))  # row by row: more clips leave the first ones as they are
    which = np.asarray(numbers)[(u[..., 0] * len(numbers)).astype(np.int64)]
    start = np.floor(u[..., 1:3] * (room * UNIT + 1))
    magnitude = (speed[0] + (speed[1] - speed[0]) * u[..., 3]) * UNIT
    angle = 2 * np.pi * u[..., 4]
    velocity = np.rint(np.stack([magnitude * np.sin(angle), magnitude * np.cos(angle)], -1))
    return torch.from_numpy(np.concatenate([which[..., None], start, velocity], -1).astype(np.int32))


def reflected(start: Tensor, velocity: Tensor, steps: int, room: int) -> Tensor:
    """Elastic bounces: the path is folded back at the walls. The first frame shows the start. B D 2 -> B T D 2, pixels.

    (Shi et al. 2015 in the authors' later code, sxjscience/HKO-7, movingmnist_iterator.py.)
    """
    t = torch.arange(steps, device=start.device)[:, None, None]
    wall = room * UNIT
    way = (start.long()[:, None] + velocity.long()[:, None] * t).remainder(2 * wall)
    return (wall - (way - wall).abs()) // UNIT


def stopped(start: Tensor, velocity: Tensor, steps: int, room: int) -> Tensor:
    """Bounces that lose the rest of their step: at a wall the picture stops, then turns. B D 2 -> B T D 2, pixels.

    The first frame is already one step from the start (OpenSTL, dataloader_moving_mnist.py).
    """
    wall = room * UNIT
    position, velocity = start.long(), velocity.long()
    path = []
    for _ in range(steps):
        position = position + velocity
        velocity = torch.where((position <= 0) | (position >= wall), -velocity, velocity)
        position = position.clamp(0, wall)
        path.append(position)
    return torch.stack(path, 1) // UNIT


def render(pictures: Tensor, which: Tensor, corners: Tensor, size: int) -> Tensor:
    """Frames with the brightest picture on top. Returns B T 1 size size, uint8.

    pictures: K h w, uint8; which: B D; corners: B T D 2, the upper left corner, such that pictures stay inside.
    """
    B, T, D, _ = corners.shape
    h, w = pictures.shape[1:]
    device = pictures.device
    canvas = torch.zeros(B * T * size * size, dtype=torch.uint8, device=device)
    inside = torch.arange(h, device=device)[:, None] * size + torch.arange(w, device=device)
    first = (torch.arange(B * T, device=device) * size * size).view(B, T)
    origin = first[..., None] + corners[..., 0] * size + corners[..., 1]
    for d in range(D):  # the places of one picture are all different, so writing has one outcome
        places = (origin[..., d, None, None] + inside).flatten()
        picture = pictures[which[:, d].long()][:, None].expand(B, T, h, w).reshape(-1)
        canvas[places] = picture if d == 0 else torch.maximum(canvas[places], picture)
    return canvas.view(B, T, 1, size, size)


class SpriteTask(FrameTask):
    """Clips drawn from parameters when a batch is asked for, on the device of the split.

    A split's x: N D 5 (see draw_clips), int32; its y: N 1, the stamp of the pictures (see Pictures.stamp).
    """

    pictures: Pictures  # K h w, uint8
    bounce: Callable[[Tensor, Tensor, int, int], Tensor]

    def clips(self, parameters: Tensor) -> Tensor:
        """Whole clips, B T 1 H W, uint8. parameters: B D 5."""
        spec, pictures = self.spec, self.pictures.on(parameters.device)
        assert spec.frame_shape is not None
        size = spec.frame_shape[-1]
        start, velocity = parameters[..., 1:3], parameters[..., 3:5]
        corners = self.bounce(start, velocity, self.steps, size - pictures.shape[-1])
        return render(pictures, parameters[..., 0], corners, size)

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x: B T_in 1 H W, y: B T_out 1 H W, float32 in [0, 1]."""
        return self.cut(self.clips(split.x[index]).float().div_(255))
