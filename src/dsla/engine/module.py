"""The training module: one step of the loss, one step of validation, optimiser and schedule. Lightning runs it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from safetensors.torch import save_file
from torch import Tensor

from dsla.config import Config, OptimSettings
from dsla.criterion import Losses, NonFiniteLossError
from dsla.data import Batch
from dsla.data.tiled_picture import TiledPicture
from dsla.engine.backend import NetworkBackend
from dsla.engine.files import write_atomically
from dsla.engine.results import detect_rows
from dsla.errors import ConfigError, TrainingError
from dsla.models import Detector


class DetectionModule(LightningModule):
    """A detector with its criterion and optimiser.

    Args:
        config: the run's settings.
        detector: the network to train.
        category_ids: the data set's category id of each class, for COCO results.
        out: the run's folder; a batch whose loss is not finite is saved there.
    """

    def __init__(self, config: Config, detector: Detector, category_ids: Sequence[int], out: Path) -> None:
        super().__init__()
        self.config = config
        self.detector = detector
        self.category_ids = tuple(category_ids)
        self.out = out
        self.criterion = config.build_criterion()

    def on_train_start(self) -> None:
        """Write `config.yaml`; a setting that is wrong was found by now, and left no folder or an older file alone."""
        if self.trainer.is_global_zero:
            write_atomically(self.out / "config.yaml", lambda file: file.write(self.config.to_yaml().encode()))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Sum of the loss terms of a batch.

        Raises:
            TrainingError: if a term is not finite; the batch is saved and its pictures are named.
        """
        # What is random in a step (stochastic depth) depends on its number alone, so a resumed run repeats it.
        every = self.config.train.accumulate
        moment = (self.config.train.seed * 1_000_003 + self.global_step) * every + batch_idx % every
        torch.manual_seed(moment * 1_009 + self.global_rank)
        batch = self._padded_like_the_others(batch)
        output = self.detector(self.detector.preprocess(batch.images, batch.sizes))
        with torch.autocast(batch.images.device.type, enabled=False):
            try:
                losses = self.criterion(output, batch.truth, self.progress)
            except NonFiniteLossError as error:
                raise self._explain(error, batch) from None
        self._log_step(losses, batch)
        return losses.total

    def _padded_like_the_others(self, batch: Batch) -> Batch:
        """Pad to the greatest picture of all processes, as one process would with the whole batch.

        Padding reaches the head's group normalisation, so a step would otherwise depend on who got which picture.
        """
        if self.trainer.world_size == 1:
            return batch
        size = batch.sizes.new_tensor(batch.images.shape[2:])
        dist.all_reduce(size, op=dist.ReduceOp.MAX)
        return batch.padded(*size.tolist())

    def _log_step(self, losses: Losses, batch: Batch) -> None:
        """Log loss terms, their sum, and positives a box, of the whole batch in every process."""
        counts = losses.total.new_tensor([len(losses.assignment.gt), int((~batch.truth.ignore).sum())])
        values = torch.cat([torch.stack([*losses.terms.values(), losses.total]).detach(), counts])
        world = self.trainer.world_size
        if world > 1:
            dist.all_reduce(values)
        *terms, total, positives, boxes = values.unbind()
        size = len(batch.names)
        for name, value in zip(losses.terms, terms, strict=True):
            self.log(f"train/{name}", value / world, prog_bar=True, on_step=True, on_epoch=True, batch_size=size)
        self.log("train/loss", total / world, on_step=True, on_epoch=True, batch_size=size)
        rate = positives / boxes.clamp(min=1)
        self.log("train/positives_per_box", rate, on_step=False, on_epoch=True, batch_size=size)

    def validation_step(self, batch: Batch | TiledPicture, batch_idx: int) -> dict[str, Any]:
        """COCO results of a batch, as `rows`."""
        config = self.config
        find = NetworkBackend(self.detector, self.device).detect
        rows = detect_rows(find, batch, config.inference, self.category_ids, config.data.batch)
        return {"rows": rows}

    @property
    def progress(self) -> float:
        """Share of the optimiser's steps that are done."""
        return min(self.global_step / max(int(self.trainer.estimated_stepping_batches), 1), 1.0)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with a network of other sizes, with a word on which settings must stay.

        Raises:
            ConfigError: tensors of the checkpoint are missing here, are new, or have another shape.
        """
        there = {name: value.shape for name, value in checkpoint["state_dict"].items()}
        here = {name: value.shape for name, value in self.state_dict().items()}
        strange = sorted(name for name, _ in there.items() ^ here.items())
        if strange:
            raise ConfigError(
                f"{self.out}: the run's weights do not fit the network of these settings and data, first at "
                f"{strange[0].removeprefix('detector.')}; resume with the run's own classes and model settings, "
                "or start anew with another --out"
            )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW or SGD, with warm-up and cosine or steps."""
        optim = self.config.optim
        lr = self.config.learning_rate
        groups = self.detector.parameter_groups(lr, optim.backbone_factor, optim.weight_decay, optim.bias_factor)
        optimizer: torch.optim.Optimizer
        if optim.name == "sgd":
            optimizer = torch.optim.SGD(groups, lr=lr, momentum=optim.momentum)
        else:
            optimizer = torch.optim.AdamW(groups, lr=lr)
        total = int(self.trainer.estimated_stepping_batches)
        per_epoch = max(total // self.config.train.epochs, 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, total, per_epoch, optim)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _explain(self, error: NonFiniteLossError, batch: Batch) -> TrainingError:
        names = [batch.names[i] for i in error.images] or list(batch.names)
        path = self.out / f"nonfinite-step{self.global_step}-rank{self.global_rank}.safetensors"
        tensors = {
            "images": batch.images,
            "sizes": batch.sizes,
            "boxes": batch.truth.boxes,
            "labels": batch.truth.labels,
            "image": batch.truth.image,
            "ignore": batch.truth.ignore,
        }
        detector = {f"detector.{name}": value for name, value in self.detector.state_dict().items()}
        every = {name: value.detach().cpu().contiguous().clone() for name, value in (tensors | detector).items()}
        self.out.mkdir(parents=True, exist_ok=True)
        save_file(every, path, metadata={"names": json.dumps(batch.names), "term": error.term})
        return TrainingError(
            f"step {self.global_step}: {error.term} is not finite on pyramid level(s) {error.levels} for "
            f"{', '.join(names)}. The batch and the weights are saved in {path}. "
            "Try a lower learning rate (--lr), gradient clipping (--set train.clip=10), or look at those labels."
        )


def learning_rate_factor(step: int, total: int, per_epoch: int, optim: OptimSettings) -> float:
    """Factor of the learning rate at an optimiser step: warm-up, then cosine to `final`, or steps.

    A linear warm-up rises from `warmup_start` to 1; a constant one stays at `warmup_start`, and is followed by 1.
    """
    warmup = min(optim.warmup, max(total // 4, 1)) if optim.warmup else 0
    rise = 1.0
    if step < warmup:
        share = step / warmup if optim.warmup_kind == "linear" else 0.0
        rise = optim.warmup_start + (1 - optim.warmup_start) * share
    if optim.schedule == "step":
        return rise * optim.gamma ** sum(step // per_epoch >= epoch for epoch in optim.milestones)
    progress = min(max(step - warmup, 0) / max(total - warmup, 1), 1.0)
    return rise * (optim.final + (1 - optim.final) * (1 + math.cos(math.pi * progress)) / 2)
