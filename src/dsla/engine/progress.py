"""How a person follows a training: a line an epoch, and within it a bar where somebody is watching."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console

from dsla.engine.metrics import epoch_metrics


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
        metrics = epoch_metrics(trainer)
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        spent = time.monotonic() - self._began
        left = spent / max(done - self._first_epoch, 1) * (total - done)
        terms = "  ".join(
            f"{name.removeprefix('train/loss_')} {value:.3f}"
            for name, value in metrics.items()
            if name.startswith("train/loss_")
        )
        scores = "  ".join(
            f"{name.removeprefix('val/')} {100 * metrics[name]:.1f}"
            for name in ("val/AP", "val/AP50")
            if name in metrics
        )
        self.console.print(
            f"epoch {done:>3}/{total}  {terms}  [bold]{scores}[/bold]  {_clock(spent)} spent, {_clock(left)} left",
            highlight=False,
            soft_wrap=True,
        )


class StepBar(RichProgressBar):
    """Lightning's bar with our short names: epochs from 1, loss terms of the step, the last AP."""

    def __init__(self) -> None:
        super().__init__(leave=False)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        every = super().get_metrics(trainer, pl_module)
        terms = {
            name.removeprefix("train/loss_").removesuffix("_step"): value
            for name, value in every.items()
            if name.startswith("train/loss_") and name.endswith("_step")
        }
        return terms | {name.removeprefix("val/"): value for name, value in every.items() if name == "val/AP"}

    def _get_train_description(self, current_epoch: int) -> str:
        return f"epoch {current_epoch + 1:>3}/{self.trainer.max_epochs}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
