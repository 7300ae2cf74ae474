"""Evaluation after each validation, and the best model so far."""

from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from dsla.engine.evaluate import evaluate_detections
from dsla.engine.modelfile import BEST, Description, save_model
from dsla.engine.module import DetectionModule


class KeepBest(Callback):
    """Evaluate after each validation with COCO's protocol, and keep the model with the highest AP.

    It must stand before `AveragedWeights` among the callbacks: validation then still holds the averaged weights.

    Args:
        truth: ground truth of the validation split in COCO form.
        out: the run's folder.
        describe: settings, class names and preprocessing that go into the model file.
        max_detections: best detections of a picture that count.
    """

    def __init__(self, truth: dict[str, Any], out: Path, describe: Description, max_detections: int = 100) -> None:
        self.truth, self.out, self.describe, self.max_detections = truth, out, describe, max_detections
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
        evaluation = evaluate_detections(self.truth, rows, max_detections=self.max_detections)
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
                save_model(self.out / BEST, state, **self.describe, extra=extra)

    def state_dict(self) -> dict[str, Any]:
        return {"best_ap": self.best_ap, "best_epoch": self.best_epoch, "last": self.last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_ap, self.best_epoch = state_dict["best_ap"], state_dict["best_epoch"]
        self.last = state_dict["last"]


def _gather(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of all processes, in the order of their pictures; a picture that several have seen counts once."""
    if dist.is_available() and dist.is_initialized():
        parts: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(parts, rows)
        first = {row["image_id"]: number for number, part in reversed([*enumerate(parts)]) for row in part}
        rows = [row for number, part in enumerate(parts) for row in part if first[row["image_id"]] == number]
    return sorted(rows, key=lambda row: row["image_id"])
