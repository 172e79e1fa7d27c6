"""Moving digits: scikit-learn's digits bouncing in a small frame; needs no download."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rnnbench.datasets.base.checks import counts, one_of, sizes_and_seed, whole
from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Data, Split
from rnnbench.datasets.base.splits import stratified
from rnnbench.datasets.digits import SIZES, read_digits
from rnnbench.datasets.film.metrics import picture_metrics
from rnnbench.datasets.film.sprites import RENDER_VERSION, SpriteTask, draw_clips, reflected
from rnnbench.datasets.film.task import FRAME_LOSSES, frame_spec
from rnnbench.errors import BadInput
from rnnbench.seeds import derive


class MovingDigits(SpriteTask):
    """Digits (8x8, enlarged to half the frame) move in straight lines, bounce elastically, and the brighter pixel wins.

    x: B input_steps 1 size size, y: B output_steps 1 size size, float32 in [0, 1]; drawn on the device when a batch is
    asked for. Start, direction and speed are uniform; speed: pixels a frame, [low, high). Each split has its own
    images (1,077/360/360 of the 1,797, every digit in proportion) and its own stream of data_seed; clip i of a split
    does not depend on how many there are. loss: `mse_frames` (frames; main metric `mse_sum`) or `bce_sequence` (logits;
    main metric `bce_sequence`). Floors `black`, `last`, `mean`, `mean_input`. Raises BadInput on wrong options.
    """

    def __init__(
        self,
        size: int = 32,
        digits: int = 2,
        input_steps: int = 10,
        output_steps: int = 10,
        speed: tuple[float, float] = (1.0, 2.0),
        loss: str = "mse_frames",
        data_seed: int = 0,
        train: int = 100_000,
        val: int = 200,
        test: int = 400,
    ) -> None:
        whole("size", size, 16, "pixels of a side")
        counts(digits=digits, input_steps=input_steps, output_steps=output_steps)
        sizes_and_seed(train, val, test, data_seed)
        one_of("loss", loss, FRAME_LOSSES)
        self.speed, self.digits, self.data_seed = speed_range(speed), digits, data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        self.bounce = reflected
        self.pictures = Pictures(lambda: torch.from_numpy(enlarged_digits(size // 2)))
        low, high = self.speed
        self.spec = frame_spec(
            "moving_digits",
            f"{digits} digits in {size}x{size}, {input_steps}->{output_steps}, {low:g}..{high:g} px/frame, "
            f"elastic, drawing {RENDER_VERSION}, {loss}, {train}/{val}/{test}, seed {data_seed}",
            (1, size, size),
            (input_steps, output_steps),
            loss=loss,
            metrics=picture_metrics(size, size, loss),
        )

    def read(self) -> Data:
        """Draw the parameters of every clip."""
        assert self.spec.frame_shape is not None
        size = self.spec.frame_shape[-1]
        images = digit_splits(self.data_seed)

        def split(name: str) -> Split:
            seed = derive(self.data_seed, "moving_digits", name)
            x = draw_clips(seed, self.sizes[name], self.digits, images[name], self.speed, size - size // 2)
            return Split(x, self.pictures.stamp(RENDER_VERSION, len(x)))

        return Data(**{name: split(name) for name in self.sizes})


def speed_range(speed: object) -> tuple[float, float]:
    """The option `speed` as (low, high), pixels a frame. Raises BadInput unless 0 <= low <= high <= 100."""
    try:
        low, high = (float(v) for v in speed)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        low, high = -1.0, -1.0
    if not 0 <= low <= high <= 100:
        raise BadInput(f"dataset.speed must be [low, high] with 0 <= low <= high <= 100 pixels a frame; got {speed!r}.")
    return low, high


def digit_splits(data_seed: int) -> dict[str, NDArray[np.int64]]:
    """Which of the 1,797 images each split may show, disjoint."""
    _, labels = read_digits()
    parts = stratified(labels, SIZES, derive(data_seed, "moving_digits", "split"))
    return dict(zip(("train", "val", "test"), parts, strict=True))


def enlarged_digits(side: int) -> NDArray[np.uint8]:
    """The 1,797 digits as side x side bytes: 0..16 times 255/16, bilinear between pixel centres, edges continued."""
    images = read_digits()[0].reshape(-1, 8, 8)
    at = np.clip((np.arange(side) + 0.5) * 8 / side - 0.5, 0, 7)
    low = np.minimum(at.astype(np.int64), 6)
    share = at - low
    rows = images[:, low] * (1 - share)[:, None] + images[:, low + 1] * share[:, None]
    both = rows[:, :, low] * (1 - share) + rows[:, :, low + 1] * share
    pixels: NDArray[np.uint8] = np.rint(both * (255 / 16)).astype(np.uint8)
    return pixels
