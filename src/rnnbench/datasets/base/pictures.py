"""What all batches of a task are cut from, once on each device: images, a film, a series."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor


class Pictures:
    """What all clips of a task are drawn from: digit images, or a whole film. Read when first needed.

    read: () -> tensor on the CPU. It is copied once to each device that a batch is drawn on.
    """

    def __init__(self, read: Callable[[], Tensor]) -> None:
        self._read = read
        self._on: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device | str = "cpu") -> Tensor:
        """The pictures on a device."""
        device = torch.device(device)
        if device not in self._on:
            cpu = torch.device("cpu")
            if cpu not in self._on:
                self._on[cpu] = self._read()
            self._on[device] = self._on[cpu].to(device)
        return self._on[device]

    def stamp(self, version: int, clips: int) -> Tensor:
        """A split's y: clips x 1, int64, the same number for every clip, from the pictures and the drawing's version.

        The frames of y are drawn by `Task.batch`; this number only brings the pictures into `data_hash`, which sees
        nothing but the splits.
        """
        pictures = self.on().contiguous()
        digest = hashlib.sha256(f"{version} {pictures.dtype} {tuple(pictures.shape)}".encode())
        digest.update(pictures.numpy().tobytes())
        number = int.from_bytes(digest.digest()[:8], "big") >> 1
        return torch.tensor([[number]]).expand(clips, 1)
