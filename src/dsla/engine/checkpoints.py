"""The point that an interrupted run goes on from: written whole or not at all, read without unpickling."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from dsla.engine.files import write_atomically
from dsla.errors import ModelError


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
            reason = str(error).strip().split("\n")[0].split(". ")[0]
            raise ModelError(
                f"{path}: not a point that a run can go on from ({reason}); start anew with another --out"
            ) from error
