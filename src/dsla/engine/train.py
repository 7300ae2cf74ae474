"""Train a detector on a data set and leave a run folder behind.

RUN/config.yaml        every setting
RUN/metrics.csv        a row an epoch: losses, AP, learning rate, seconds
RUN/tensorboard/       the same a step
RUN/best.safetensors   the model with the highest AP on the validation pictures
RUN/last.ckpt          the point a resumed run goes on from
RUN/results.json       AP of the best model with protocol, versions, seed and settings
RUN/detections.json    its detections on the validation pictures, as COCO results
RUN/labels/            with train.keep_labels, labels, scores and IoU of some pictures after each epoch
"""

import json
import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.console import Console

from dsla.config import Config
from dsla.data import DataSplits, DetectionData, Resize, StreamLoader, train_loader, val_loader
from dsla.data.loader import BatchLoader
from dsla.data.single_class import splits_as_single_class
from dsla.engine.averaging import AveragedWeights
from dsla.engine.best import KeepBest
from dsla.engine.caching import with_cache
from dsla.engine.checkpoints import LastPoint, SafeCheckpoints
from dsla.engine.device import pick_device
from dsla.engine.evaluate import Evaluation, counted_detections, evaluate
from dsla.engine.files import write_atomically
from dsla.engine.label_history import KeepLabels
from dsla.engine.metrics import EpochTable, seconds_trained
from dsla.engine.modelfile import Description, preprocessing_of, read_model, save_model
from dsla.engine.module import DetectionModule
from dsla.engine.predict import load
from dsla.engine.processes import fit_or_say_why
from dsla.engine.progress import EpochLines, StepBar, hush_lightning
from dsla.engine.start import start_from
from dsla.engine.tiled import settle_tiles
from dsla.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes:
        folder: where everything lies.
        model: the file to predict with.
        evaluation: of that file on the validation pictures; None where there are none.
        results: what `results.json` holds.
    """

    folder: Path
    model: Path
    evaluation: Evaluation | None
    results: dict[str, Any]


def train(
    config: Config,
    splits: DataSplits,
    out: Path,
    *,
    resume: bool = False,
    console: Console | None = None,
) -> Run:
    """Train, evaluate after each epoch, and write the run folder.

    Args:
        config: every setting.
        splits: pictures to learn from and to validate on.
        out: folder of the run.
        resume: go on from `last.ckpt` in that folder.
        console: where progress is told; None is quiet.

    Raises:
        ConfigError: if the folder holds another run, or there is none to resume.
        DataError: if the two splits do not have the same classes.
        TrainingError: if a loss is not finite.
        KeyboardInterrupt: if stopped by hand; the last whole epoch is on the disk.
    """
    console = console or Console(quiet=True)
    hush_lightning()
    _check_folder(out, resume)
    if config.data.single_class:
        splits = splits_as_single_class(splits)
    config, splits = settle_tiles(config, splits)
    splits = with_cache(config, splits)
    if splits.val is not None and splits.val.class_names != splits.train.class_names:
        raise DataError(
            f"{splits.path}: training and validation pictures have different classes: "
            f"{splits.train.class_names} and {splits.val.class_names}; give both files the same categories"
        )
    device = pick_device(config.train.device)
    torch.manual_seed(config.train.seed)
    detector = config.build_detector(len(splits.train.class_names))
    if config.train.start is not None and not resume:
        known = start_from(detector, read_model(config.train.start), splits.train.class_names)
        told = ", ".join(known) if known else "none of them"
        console.print(f"starts from {config.train.start}, which knows of the classes: {told}", soft_wrap=True)
    # Without validation pictures nothing is detected, and a stream need not be read through for its ids.
    ids = _category_ids(splits.val) if splits.val is not None else range(len(splits.train.class_names))
    module = DetectionModule(config, detector, ids, out)
    describe: Description = {
        "config": config.model_dump(mode="json"),
        "class_names": splits.train.class_names,
        "preprocessing": preprocessing_of(config, detector.mean.tolist(), detector.std.tolist()),
    }
    keeper = _keeper(config, splits.val, out, describe) if splits.val is not None else None
    callbacks: list[Callback] = [keeper] if keeper else []
    if config.train.keep_labels:
        callbacks.append(KeepLabels(splits, out))
    trainer = _trainer(config, device, out, console, callbacks)
    loaders = _loaders(trainer, config, splits)
    fit_or_say_why(trainer, out, lambda: _fit(trainer, module, loaders, out / "last.ckpt" if resume else None))
    if not trainer.is_global_zero:
        raise SystemExit(0)
    model = out / "best.safetensors"
    if keeper is None:
        save_model(model, detector.state_dict(), **describe, extra={"epoch": config.train.epochs})
    return _finish(config, splits, out, model, keeper)


def _keeper(config: Config, val: DetectionData, out: Path, describe: Description) -> KeepBest:
    truth = val.to_coco()
    return KeepBest(truth, out, describe, counted_detections(truth, config.inference, config.data.tiling))


def _check_folder(out: Path, resume: bool) -> None:
    last = out / "last.ckpt"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file and cannot be the folder of a run; choose another --out")
    if resume and not last.is_file():
        raise ConfigError(f"{out}: nothing to resume, it has no last.ckpt; leave --resume out to start anew")
    if not resume and (last.is_file() or (out / "results.json").is_file()):
        raise ConfigError(f"{out}: holds a run already; resume it with --resume {out}, or choose another --out")


def _category_ids(data: DetectionData) -> list[int]:
    ids = {category["name"]: int(category["id"]) for category in data.to_coco()["categories"]}
    return [ids[name] for name in data.class_names]


def _trainer(config: Config, device: torch.device, out: Path, console: Console, first: Sequence[Callback]) -> Trainer:
    settings = config.train
    callbacks = [*first]
    validates = any(isinstance(each, KeepBest) for each in first)
    if settings.ema is not None:
        callbacks.append(AveragedWeights(settings.ema))
    callbacks += [EpochTable(out / "metrics.csv"), EpochLines(console), LastPoint(out)]
    if settings.patience is not None and validates:
        callbacks.append(EarlyStopping("val/AP", mode="max", patience=settings.patience))
    interactive = console.is_terminal and not console.quiet
    if interactive:
        callbacks.append(StepBar(console))
    several = settings.devices * settings.nodes > 1
    one_of_many = ":" in str(device) and not several
    try:
        return Trainer(
            accelerator=device.type,
            devices=[device.index] if one_of_many else settings.devices,
            num_nodes=settings.nodes,
            strategy="ddp" if several else "auto",
            precision=settings.precision,
            max_epochs=settings.epochs,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip,
            check_val_every_n_epoch=settings.evaluate_every,
            num_sanity_val_steps=0,
            limit_val_batches=1.0 if validates else 0,
            # Flushed often: after a Ctrl-C in the wrong moment its thread is waited for until the next flush.
            logger=TensorBoardLogger(out, name="", version="tensorboard", flush_secs=5),
            log_every_n_steps=10,
            callbacks=callbacks,
            plugins=[SafeCheckpoints()],
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=True,
            default_root_dir=out,
        )
    except (MisconfigurationException, ValueError) as error:  # more devices than are here, a precision they lack
        raise ConfigError(f"train: {error}; see train.device, train.devices and train.precision") from error


def _loaders(
    trainer: Trainer, config: Config, splits: DataSplits
) -> tuple[BatchLoader | StreamLoader, BatchLoader | None]:
    data = config.data
    resize = Resize(data.imgsz, data.shorter)
    shard = {"rank": trainer.global_rank, "world": trainer.world_size}
    loader = train_loader(
        splits.train,
        batch=data.batch,
        workers=data.workers,
        augment=data.augment,
        resize=resize,
        shorter_choices=data.shorter_choices,
        seed=config.train.seed,
        epochs=config.train.epochs,
        group_by_ratio=data.group_by_ratio,
        buffer=data.shuffle_buffer,
        **shard,
    )
    val = (
        val_loader(splits.val, batch=data.batch, workers=data.workers, resize=resize, tiling=data.tiling, **shard)
        if splits.val is not None
        else None
    )
    return loader, val


def _fit(
    trainer: Trainer,
    module: DetectionModule,
    loaders: tuple[BatchLoader | StreamLoader, BatchLoader | None],
    checkpoint: Path | None,
) -> None:
    loader, val = loaders
    with warnings.catch_warnings():
        # Lightning's advice on what is a setting of the run here (loader processes, frozen layers), and a
        # deprecation between it and torch: nothing that a user could act on.
        for advice in (
            ".*does not have many workers.*",
            ".*smaller than the logging interval.*",
            ".*in eval mode at the start of training.*",
            ".*LeafSpec.*",
            ".*no `val_dataloader`.*",
            ".*tensorboardX.*",
            ".*sync_dist=True.*",
        ):
            warnings.filterwarnings("ignore", message=advice)
        trainer.fit(module, loader, val, ckpt_path=checkpoint, weights_only=True)
        if val is not None and trainer.current_epoch % module.config.train.evaluate_every:
            trainer.validate(module, val, verbose=False)


def _finish(config: Config, splits: DataSplits, out: Path, model: Path, keeper: KeepBest | None) -> Run:
    predictor = load(model)
    results: dict[str, Any] = {}
    best: Evaluation | None = None
    if splits.val is not None and keeper is not None:
        best, rows = evaluate(
            predictor.detector,
            splits.val,
            batch=config.data.batch,
            workers=config.data.workers,
            resize=Resize(config.data.imgsz, config.data.shorter),
            decoding=config.inference,
            tiling=config.data.tiling,
        )
        write_atomically(out / "detections.json", lambda file: file.write(json.dumps(rows).encode()))
        results = best.to_json()
        results["last_epoch"] = keeper.last
        results["best_epoch"] = keeper.best_epoch + 1
    results |= {
        "seed": config.train.seed,
        "epochs": config.train.epochs,
        "train_seconds": round(seconds_trained(out / "metrics.csv"), 1),
        "data": str(splits.path or splits.kind),
        "versions": versions(),
        "config": config.model_dump(mode="json"),
    }
    text = json.dumps(results, indent=1)
    write_atomically(out / "results.json", lambda file: file.write(text.encode()))
    return Run(out, model, best, results)


def versions(
    packages: Sequence[str] = ("dsla", "torch", "torchvision", "timm", "lightning", "hotcoco"),
) -> dict[str, str]:
    """Versions of Python and of the packages that shape a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
