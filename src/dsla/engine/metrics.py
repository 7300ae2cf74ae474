"""`metrics.csv`: a row an epoch. A resumed run keeps the rows before the point it goes on from."""

import csv
import time
from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from dsla.engine.files import write_atomically


def epoch_metrics(trainer: Trainer) -> dict[str, float]:
    """Means over the epoch by name; those of validation only where this epoch had one (Lightning keeps the old)."""
    validated = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
    return {
        name.removesuffix("_epoch"): float(value)
        for name, value in sorted(trainer.callback_metrics.items())
        if name.endswith("_epoch") or name == "train/positives_per_box" or (validated and name.startswith("val/"))
    }


class EpochTable(Callback):
    """Write epoch, step, learning rate, losses, AP and seconds after each epoch.

    Args:
        path: the csv file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[dict[str, str]] = []
        self._began = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._rows = []
        if trainer.current_epoch and self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= trainer.current_epoch]
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        now = time.monotonic()
        row = {
            "epoch": str(trainer.current_epoch + 1),
            "step": str(trainer.global_step),
            "lr": f"{trainer.optimizers[0].param_groups[0]['lr']:.6g}",
            "seconds": f"{now - self._began:.2f}",
        }
        self._began = now
        row |= {name: f"{value:.6g}" for name, value in epoch_metrics(trainer).items()}
        self._rows.append(row)
        columns = list(dict.fromkeys(key for each in self._rows for key in each))
        lines = [",".join(columns), *(",".join(each.get(key, "") for key in columns) for each in self._rows)]
        write_atomically(self.path, lambda file: file.write(("\n".join(lines) + "\n").encode()))


def seconds_trained(path: Path) -> float:
    """Time of all epochs in a `metrics.csv`, of those before an interruption too."""
    with path.open(newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))
