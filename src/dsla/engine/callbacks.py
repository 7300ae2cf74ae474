"""What happens around training: averaged weights, evaluation, the best model, the point to resume from, the log."""

import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.console import Console
from torch import Tensor

from dsla.engine.evaluate import evaluate_detections
from dsla.engine.files import write_atomically
from dsla.engine.modelfile import Description, save_model
from dsla.engine.module import DetectionModule
from dsla.errors import ModelError


class AveragedWeights(WeightAveraging):
    """Exponential moving average of the weights; evaluation and the kept model use it.

    The decay rises with the steps, 1 - 1 / (1 + n / 10) at most `decay`, so that a short run does not drag its
    beginning along.

    Args:
        decay: share of the average that is kept a step, once the run is long.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
            keep = min(decay, 1 - 1 / (1 + int(count) / 10))
            torch._foreach_lerp_(averaged, current, 1 - keep)  # pyright: ignore[reportPrivateUsage]

        super().__init__(use_buffers=False, multi_avg_fn=average)


class KeepBest(Callback):
    """Evaluate after each validation with COCO's protocol, and keep the model with the highest AP.

    It must stand before `AveragedWeights` among the callbacks: validation then still holds the averaged weights.

    Args:
        truth: ground truth of the validation split in COCO form.
        out: the run's folder.
        describe: settings, class names and preprocessing that go into the model file.
    """

    def __init__(self, truth: dict[str, Any], out: Path, describe: Description) -> None:
        self.truth, self.out, self.describe = truth, out, describe
        self.best_ap = -1.0
        self.best_epoch = -1
        self.last: dict[str, float | None] = {}
        self._rows: list[dict[str, Any]] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._rows = []

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any, **kwargs: Any
    ) -> None:
        self._rows.extend(outputs["rows"])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        rows = _gather(self._rows)
        evaluation = evaluate_detections(self.truth, rows)
        self.last = {name: getattr(evaluation, name) for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")}
        for name in ("AP", "AP50", "AP75"):
            pl_module.log(f"val/{name}", float(getattr(evaluation, name) or 0.0), prog_bar=name == "AP")
        ap = evaluation.AP or 0.0
        if ap > self.best_ap:
            self.best_ap, self.best_epoch = ap, trainer.current_epoch
            if trainer.is_global_zero:
                assert isinstance(pl_module, DetectionModule)
                extra = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, "AP": ap}
                state = {name: value.detach() for name, value in pl_module.detector.state_dict().items()}
                save_model(self.out / "best.safetensors", state, **self.describe, extra=extra)

    def state_dict(self) -> dict[str, Any]:
        return {"best_ap": self.best_ap, "best_epoch": self.best_epoch, "last": self.last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_ap, self.best_epoch = state_dict["best_ap"], state_dict["best_epoch"]
        self.last = state_dict["last"]


class LastPoint(Checkpoint):
    """Write `last.ckpt` after every epoch, whole or not at all.

    Args:
        out: the run's folder.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / "last.ckpt"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.path)


class SafeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are replaced atomically and read without unpickling."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        write_atomically(Path(path), lambda file: torch.save(checkpoint, file))

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        try:
            return torch.load(path, map_location=map_location, weights_only=True)
        except Exception as error:  # a damaged file fails in many ways
            reason = str(error).strip().split("\n")[0]
            raise ModelError(
                f"{path}: not a point that a run can go on from ({reason}); start anew with another --out"
            ) from error


class EpochLines(Callback):
    """One line an epoch: loss terms, AP, time a step, time left. Readable in a terminal and in a log file.

    Args:
        console: where the lines go.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = 0.0
        self._first_epoch = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.monotonic()
        self._first_epoch = trainer.current_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        spent = time.monotonic() - self._began
        left = spent / max(done - self._first_epoch, 1) * (total - done)
        terms = "  ".join(
            f"{name.removeprefix('train/loss_').removesuffix('_epoch')} {float(metrics[name]):.3f}"
            for name in sorted(metrics)
            if name.startswith("train/loss_") and name.endswith("_epoch") and name != "train/loss_epoch"
        )
        scores = "  ".join(
            f"{name.removeprefix('val/')} {100 * float(metrics[name]):.1f}"
            for name in ("val/AP", "val/AP50")
            if name in metrics
        )
        self.console.print(
            f"epoch {done:>3}/{total}  {terms}  [bold]{scores}[/bold]  {_clock(spent)} spent, {_clock(left)} left",
            highlight=False,
            soft_wrap=True,
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _gather(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of all processes, in the order of their pictures."""
    if dist.is_available() and dist.is_initialized():
        parts: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(parts, rows)
        rows = [row for part in parts for row in part]
    return sorted(rows, key=lambda row: row["image_id"])
