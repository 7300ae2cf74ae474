"""What a run will need, from a few of its steps: memory and time, before days are spent on it.

The steps are the run's own: its loader, precision, clipping and averaged weights, on one device with its share of the
batch. Nothing is written.

    time     seconds a step * steps, and seconds a validation picture * pictures * evaluations; the first step, which
             starts workers and fills caches, is not counted. Exchange between processes is not in it.
    memory   on a GPU, the most that was allocated; on a CPU, the process at its greatest, libraries included. Where a
             step does not fit on the GPU, pictures a step are halved until it does, and the need of the whole share is
             a straight line through two measured sizes.
"""

import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from dsla.config import Config
from dsla.data import DataSplits, Resize, train_loader, val_loader
from dsla.engine.averaging import AveragedWeights
from dsla.engine.backend import NetworkBackend
from dsla.engine.device import pick_device
from dsla.engine.module import DetectionModule
from dsla.engine.progress import hush_lightning
from dsla.engine.results import detect_rows
from dsla.engine.tiled import settle_tiles
from dsla.errors import ConfigError
from dsla.models import Detector

STEPS = 5  # timed ones; one more goes before them


@dataclass(frozen=True)
class Estimate:
    """What a run needs.

    Attributes:
        device: where it was measured.
        share: pictures a step on one device.
        steps_per_epoch: of the loader; the optimiser makes one of every `accumulate`.
        steps: in all epochs.
        parameters, trained: numbers of the network.
        memory: bytes on one device; None where the system does not tell.
        measured_with: pictures a step that memory and time were measured with; less than `share` where it did not fit.
        step_seconds: of one step of `share` pictures, loading included.
        picture_seconds: of one validation picture; None without validation.
        evaluations: how often the validation pictures are gone through.
        validation_pictures: a device's share of them.
    """

    device: str
    share: int
    steps_per_epoch: int
    steps: int
    parameters: int
    trained: int
    memory: int | None
    measured_with: int
    step_seconds: float
    picture_seconds: float | None
    evaluations: int
    validation_pictures: int

    @property
    def seconds(self) -> float:
        """The whole run."""
        looking = (self.picture_seconds or 0.0) * self.validation_pictures * self.evaluations
        return self.steps * self.step_seconds + looking

    def table(self) -> Table:
        """Figures for the terminal, with how they were made beneath."""
        fits = self.measured_with == self.share
        how = (
            f"measured on {STEPS} steps of {self.share} pictures"
            if fits
            else (f"{self.share} pictures a step do not fit; extrapolated from steps of {self.measured_with}")
        )
        table = Table(box=SIMPLE_HEAD, show_header=False, caption=f"{how}, on {self.device}", caption_justify="left")
        table.add_row("steps", f"{self.steps_per_epoch} an epoch, {self.steps} in all")
        table.add_row("pictures", f"{self.share} a step on each device")
        table.add_row("parameters", f"{self.parameters:,}, of which {self.trained:,} learn")
        memory = "unknown" if self.memory is None else f"{self.memory / 2**30:.2f} GiB on each device"
        table.add_row("memory", memory)
        looking = f", {self.picture_seconds:.3g} s a validation picture" if self.picture_seconds is not None else ""
        table.add_row("time", f"{self.step_seconds:.3g} s a step{looking}; {_duration(self.seconds)} in all")
        return table


def estimate(config: Config, splits: DataSplits) -> Estimate:
    """Make a few steps of a run, and tell what the whole will need.

    Args:
        config: the run's settings; with several devices, one of them is measured with its share of the batch.
        splits: the run's pictures.

    Raises:
        ConfigError: settings that the run would not start with either, or not even one picture fits.
    """
    config, splits = settle_tiles(config, splits)
    device = pick_device(config.train.device)
    world = config.train.devices * config.train.nodes
    share = len(range(0, config.data.batch, world))
    loader = _loader(config, splits, config.data.batch, world)
    torch.manual_seed(config.train.seed)
    detector = config.build_detector(len(splits.train.class_names))
    seconds, memory, used = _measured(config, splits, detector, device, share)
    every = config.train.evaluate_every
    epochs = config.train.epochs
    return Estimate(
        device=_name(device),
        share=share,
        steps_per_epoch=len(loader),
        steps=len(loader) * epochs,
        parameters=sum(parameter.numel() for parameter in detector.parameters()),
        trained=sum(parameter.numel() for parameter in detector.parameters() if parameter.requires_grad),
        memory=memory,
        measured_with=used,
        step_seconds=seconds,
        picture_seconds=_look(config, splits, detector, device) if splits.val is not None else None,
        evaluations=-(-epochs // every),
        validation_pictures=-(-len(splits.val) // world) if splits.val is not None else 0,
    )


def _measured(
    config: Config, splits: DataSplits, detector: Detector, device: torch.device, share: int
) -> tuple[float, int | None, int]:
    """Seconds and bytes of a step of `share` pictures, and how many pictures fitted."""
    seconds, memory, size = _fitting(config, splits, detector, device, share)
    if size == share or memory is None:
        return seconds, memory, size
    less = max(size // 2, 1)
    less_seconds, less_memory = (0.0, 0) if less == size else _steps(config, splits, detector, device, less)
    slope = (share - size) / (size - less or 1)
    return seconds + slope * (seconds - less_seconds), round(memory + slope * (memory - (less_memory or 0))), size


def _fitting(
    config: Config, splits: DataSplits, detector: Detector, device: torch.device, size: int
) -> tuple[float, int | None, int]:
    """The same for the greatest size that fits: `size`, or half of it, or half of that."""
    try:
        return *_steps(config, splits, detector, device, size), size
    except torch.OutOfMemoryError:
        if size == 1:
            raise ConfigError(
                f"data.imgsz={config.data.imgsz}: not even one picture a step fits on {device}; "
                "choose smaller pictures, a smaller model or --set train.precision=16-mixed"
            ) from None
    torch.cuda.empty_cache()
    return _fitting(config, splits, detector, device, size // 2)


def _steps(
    config: Config, splits: DataSplits, detector: Detector, device: torch.device, size: int
) -> tuple[float, int | None]:
    """Seconds and bytes of a step of `size` pictures."""
    hush_lightning()
    detector.zero_grad(set_to_none=True)
    clock = _Clock()
    callbacks: list[Callback] = [clock]
    if config.train.ema is not None:
        callbacks.append(AveragedWeights(config.train.ema))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    one = config.model_copy(update={"train": config.train.model_copy(update={"accumulate": 1})})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself says what there is to say
        module = DetectionModule(one, detector, range(detector.num_classes), Path(folder))
        trainer = Trainer(
            accelerator=device.type,
            devices=[device.index] if ":" in str(device) else 1,
            precision=config.train.precision,
            gradient_clip_val=config.train.clip,
            max_steps=STEPS + 1,
            max_epochs=-1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks,
        )
        trainer.fit(module, _loader(config, splits, size, 1))
    return clock.seconds_a_step, _peak(device)


def _loader(config: Config, splits: DataSplits, batch: int, world: int) -> Any:
    data = config.data
    return train_loader(
        splits.train,
        batch=batch,
        workers=data.workers,
        augment=data.augment,
        resize=Resize(data.imgsz, data.shorter),
        seed=config.train.seed,
        epochs=config.train.epochs,
        world=world,
        shorter_choices=data.shorter_choices,
        group_by_ratio=data.group_by_ratio,
        buffer=data.shuffle_buffer,
    )


def _look(config: Config, splits: DataSplits, detector: Detector, device: torch.device) -> float:
    """Seconds of a validation picture, from the first batches."""
    assert splits.val is not None
    resize = Resize(config.data.imgsz, config.data.shorter)
    find = NetworkBackend(detector.to(device).eval(), device).detect
    done, began = 0, time.monotonic()
    with torch.no_grad():
        ids = range(detector.num_classes)
        size = config.data.batch
        for batch in val_loader(splits.val, batch=size, workers=0, resize=resize, tiling=config.data.tiling):
            detect_rows(find, batch, config.inference, ids, size)
            done += len(batch)
            if done >= 2 * config.data.batch:
                break
    return (time.monotonic() - began) / done


class _Clock(Callback):
    """Time from the end of the first step to the end of the last."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        self._ends.append(time.monotonic())

    @property
    def seconds_a_step(self) -> float:
        return (self._ends[-1] - self._ends[0]) / max(len(self._ends) - 1, 1)


def _peak(device: torch.device) -> int | None:
    """The most that was in use, in bytes; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # bytes there, kibibytes on Linux


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"about {hours} h {minutes:02d} min"
    return f"about {minutes} min" if minutes else f"about {seconds:.0f} s"
