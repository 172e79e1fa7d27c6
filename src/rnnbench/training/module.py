"""The one LightningModule: an update, its checks, and what happens at every validation.

Manual optimisation, and a whole round of updates as what Lightning takes for one batch: its bookkeeping around a batch
is a good part of a small network's update (`make bench` prints it). What the run needs is kept here, and can be saved
and restored at any update.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from rnnbench.datasets.base.spec import Batch, Data
from rnnbench.datasets.base.task import Task
from rnnbench.seeds import derive
from rnnbench.training.batches import Batches, Round, Streams
from rnnbench.training.evaluate import advance, autocast, carried, carries, evaluate, predict
from rnnbench.training.gradients import clip_to, total_norm
from rnnbench.training.outcomes import Diverged, Interrupted, TimedOut


@dataclass(frozen=True)
class FitOptions:
    """What of the config the training loop itself reads. updates, val_every in optimizer steps; timeout in seconds."""

    updates: int
    batch_size: int
    val_every: int
    patience: int | None = None
    clip: float | None = 1.0
    precision: str = "32"
    order_seed: int = 0
    noise_seed: int = 0
    input_noise: float | None = None  # standard deviation
    input_noise_seed: int = 0
    timeout: float | None = None
    checkpoint_seconds: float = 30.0


class Hooks(Protocol):
    """What the run does while it trains; called from the training loop."""

    def validated(self, row: dict[str, float]) -> None: ...
    def progress(self, update: int, row: dict[str, float]) -> None: ...
    def save(self, state: dict[str, Any]) -> None: ...
    def stop_asked(self) -> str | None: ...


@dataclass
class Progress:
    """All of a run's state beside weights and optimizer; plain values and tensors, saved with every checkpoint."""

    update: int = 0
    train_seconds: float = 0.0
    best_step: int = 0
    best_value: float | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    bad_rounds: int = 0
    rows: int = 0  # of history written so far
    loss_sum: float = 0.0
    norm_max: float = 0.0
    norms: list[float] = field(default_factory=list)  # the gradient's norm at every update, before clipping
    since: int = 0  # updates in loss_sum


class FitModule(pl.LightningModule):
    """Trains a network on a task. See `training.fit.fit` for the call."""

    automatic_optimization = False

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        data: Data,
        options: FitOptions,
        make_optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
        make_schedule: Callable[[torch.optim.Optimizer], Any] | None,
        hooks: Hooks,
    ) -> None:
        super().__init__()
        self.model, self.task, self.data, self.options, self.hooks = model, task, data, options, hooks
        self.params = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(self.params)
        self.schedule = make_schedule(self.optimizer) if make_schedule else None
        self.state = Progress()
        self.live = [torch.zeros_like(p, dtype=torch.bool) for p in self.params]
        self.carries = carries(model, task.spec)
        self.carried: Any = None  # the state that the next update goes on from, in plain tuples; None: zeros
        make = Streams if task.spec.carry else Batches
        batches = make(task, data.train, options.batch_size, options.order_seed, in_context=not self.carries)
        self.round = Round(batches, options.updates, options.val_every)
        self.started = time.monotonic()
        self._saved = self.started
        self._clock = self.started
        self._latest: dict[str, float] = {}

    def configure_optimizers(self) -> None:
        """None: the optimizer is ours, so that Lightning wraps no call of it."""

    def training_step(self, updates: range, batch_idx: int) -> None:
        """One round, update by update."""
        batches = self.round.batches
        for update in updates:
            if batches.begins(update):
                self.carried = None
            self._update(batches.batch(update))
            self.hooks.progress(self.state.update, self._latest)
            if not self._round_is_over():  # else its validation comes first: a resumed run starts with the next round
                self._stop_where_asked()

    def _update(self, batch: Batch) -> None:
        model, state = self.model, self.state
        for p in self.params:
            p.grad = None
        if self.options.input_noise:
            batch = batch._replace(x=self._noisy(batch.x))
        with autocast(self.options.precision, batch.x.device):
            prediction = self._predict(batch)
        loss = self.task.loss(prediction, batch)
        if (auxiliary := getattr(model, "auxiliary", None)) is not None:
            loss = loss + auxiliary  # a term of the network's own, as PredRNN-V2's decoupling
        loss.backward()
        grads = [p.grad for p in self.params if p.grad is not None]
        total = total_norm(grads)
        norm, value = total.item(), loss.item()
        if not (abs(norm) < float("inf") and abs(value) < float("inf")):  # false for NaN too
            raise Diverged(state.update + 1, self._non_finite(value), state.norms)
        state.norms.append(norm)
        if self.options.clip is not None:  # after the check: clipping to a norm that is NaN makes every gradient NaN
            clip_to(self.options.clip, grads, total, norm)
        last_of_round = (state.update + 1) % self.options.val_every == 0
        if last_of_round or state.update == 0:
            self._note_live()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        state.update += 1
        state.since += 1
        state.loss_sum += value
        state.norm_max = max(state.norm_max, norm)
        self.round.done = state.update

    def _predict(self, batch: Batch) -> Tensor:
        """The network's output; of a task whose streams go on, from the state after the update before, which is kept
        without its graph."""
        if not self.carries:
            return predict(self.model, batch, self.task.spec)
        prediction, state = advance(self.model, batch, self.carried)
        self.carried = carried(state, like=self.params[0])
        return prediction

    def _noisy(self, x: Tensor) -> Tensor:
        """x with Gaussian noise, a pure function of seed and update, so that a resumed run draws the same."""
        generator = torch.Generator().manual_seed(derive(self.options.input_noise_seed, self.state.update))
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        return x + (self.options.input_noise or 0.0) * noise

    def _round_is_over(self) -> bool:
        update = self.state.update
        return update % self.options.val_every == 0 or update >= self.options.updates

    def _stop_where_asked(self) -> None:
        asked = self.hooks.stop_asked()
        timeout = self.options.timeout
        late = timeout is not None and time.monotonic() - self.started > timeout
        if asked or late:
            self._count_seconds()
            self.hooks.save(self.state_of_run())
            if asked:
                raise Interrupted(f"{asked} at update {self.state.update}")
            raise TimedOut(f"the time limit is over at update {self.state.update}")

    def on_train_epoch_start(self) -> None:
        self._clock = time.monotonic()

    def on_train_epoch_end(self) -> None:
        """A round is over: validate, remember the best, write history, save now and then, stop when it is time."""
        self._count_seconds()
        state, spec = self.state, self.task.spec
        metrics = evaluate(self.model, self.task, self.data.val, precision=self.options.precision)
        if not abs(metrics["loss"]) < float("inf"):
            raise Diverged(state.update, "the validation loss", state.norms)
        row = {
            "step": state.update,
            "train/loss": state.loss_sum / max(state.since, 1),
            "train/grad_norm_max": state.norm_max,
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            **{f"val/{k}": v for k, v in metrics.items()},
        }
        state.loss_sum, state.norm_max, state.since = 0.0, 0.0, 0
        value = metrics[spec.metric]
        if state.best_value is None or (value > state.best_value if spec.goal == "max" else value < state.best_value):
            state.best_value, state.best_step, state.best_metrics, state.bad_rounds = value, state.update, metrics, 0
            state.best_weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        else:
            state.bad_rounds += 1
        state.rows += 1
        self._latest = row
        self.hooks.validated(row)
        if time.monotonic() - self._saved >= self.options.checkpoint_seconds:
            self.hooks.save(self.state_of_run())
            self._saved = time.monotonic()
        patience = self.options.patience
        self._clock = time.monotonic()
        if state.update >= self.options.updates or (patience is not None and state.bad_rounds >= patience):
            self.trainer.should_stop = True
        else:
            self._stop_where_asked()

    def transfer_batch_to_device(self, batch: range, device: torch.device, dataloader_idx: int) -> range:
        """Nothing to move: the splits are on the device already, and batches are cut from them there."""
        return batch

    def state_of_run(self) -> dict[str, Any]:
        """Everything that an unbroken run would have at this update: plain values and tensors only."""
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule is not None else None,
            "progress": dict(vars(self.state)),
            "live": self.live,
            "rng": torch.get_rng_state(),
        }
        if self.carries:
            state["carried"] = self.carried
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state_of_run`, to the bit."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.state = Progress(**state["progress"])
        self.live = [m.to(p.device) for m, p in zip(state["live"], self.params, strict=True)]
        if state.get("carried") is not None:
            self.carried = carried(state["carried"], like=self.params[0])
        self.round.done = self.state.update
        torch.set_rng_state(state["rng"].cpu())
        if "cuda_rng" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.state.train_seconds += now - self._clock
        self._clock = now

    def _note_live(self) -> None:
        for mask, p in zip(self.live, self.params, strict=True):
            if p.grad is not None:
                mask |= p.grad != 0

    def _non_finite(self, loss: float) -> str:
        """What broke first: the loss, or the gradient of a parameter by its name."""
        if not abs(loss) < float("inf"):
            return "the loss"
        for name, p in self.model.named_parameters():
            if p.grad is not None and not torch.isfinite(p.grad).all():
                return f"the gradient of {name}"
        return "the gradient's norm"
