"""How a person follows a training: a line an epoch, and within it a bar where somebody is watching."""

import logging
import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from dsla.engine.metrics import epoch_metrics


def hush_lightning() -> None:
    """Keep Lightning from announcing every device that is not here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


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


class StepBar(Callback):
    """A bar an epoch: steps, time left, loss terms of the step, the last AP.

    Lightning's own bar draws on a console of its own, which tears the lines that are printed while it is there.

    Args:
        console: the terminal that the lines go to as well.
    """

    def __init__(self, console: Console) -> None:
        columns = (
            "{task.description}",
            BarColumn(20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            "{task.fields[now]}",
        )
        self.progress = Progress(*columns, console=console, transient=True)
        self.task = self.progress.add_task("", total=None, now="")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.start()
        self._begin(f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}", trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        values = trainer.progress_bar_metrics
        terms = [
            f"{name.removeprefix('train/loss_').removesuffix('_step')} {float(value):.3f}"
            for name, value in values.items()
            if name.endswith("_step")
        ]
        ap = [f"AP {100 * float(values['val/AP']):.1f}"] if "val/AP" in values else []
        self.progress.update(self.task, completed=batch_idx + 1, now="  ".join(terms + ap))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin("evaluating", sum(trainer.num_val_batches))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.progress.update(self.task, completed=batch_idx + 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.progress.stop()

    def _begin(self, what: str, total: int | float) -> None:
        self.progress.reset(self.task, total=int(total), description=what, now="")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
