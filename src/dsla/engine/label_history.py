"""How labels change while a network learns: kept after each epoch for some pictures, and read again.

`RUN/labels/epoch-003.safetensors` holds, for each picture i and each of the P points of the pyramid, `i/label`,
`i/owner` (index of the box in the picture's record, -1 for none), `i/score` and `i/iou` as `dsla.engine.label_maps` has
them; its metadata say which pictures they are and on which lattice the points lie. Ten bytes a point: 21 kB a
picture of 320 px.
"""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from lightning import Callback, LightningModule, Trainer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dsla.config import Config
from dsla.data import DataSplits
from dsla.data.resize import Resize
from dsla.engine.files import write_atomically
from dsla.engine.label_maps import frame, label_maps, network_maps
from dsla.engine.module import DetectionModule
from dsla.errors import DataError
from dsla.geometry import Points
from dsla.models import Detector

FORMAT = "dsla-labels"
FOLDER = "labels"


@dataclass(frozen=True, eq=False)
class KeptPicture:
    """One picture after one epoch.

    Attributes:
        split: "val" or "train", and
        index: place in it.
        name: of the picture, to see that the data are the same.
        long, short: the size that it was brought to, as `Resize` has it.
        points: where labels stand.
        label, owner, score, iou: (P,) each.
    """

    split: Literal["train", "val"]
    index: int
    name: str
    long: int
    short: int | None
    points: Points
    label: Float[Tensor, " P"]
    owner: Int[Tensor, " P"]
    score: Float[Tensor, " P"]
    iou: Float[Tensor, " P"]


class KeepLabels(Callback):
    """Keep labels, scores and IoU of some pictures, as they are and evenly from the split, after each epoch.

    The labels are those that the next step would learn if it saw these pictures: by the weights that learn, not by the
    averaged ones, and at the training's progress. Nothing is drawn at random, so a run learns the same with it.

    Args:
        splits: validation pictures are taken, or those to train on where there are none.
        out: the run's folder.
    """

    def __init__(self, splits: DataSplits, out: Path) -> None:
        self.data = splits.val if splits.val is not None else splits.train
        self.split = "val" if splits.val is not None else "train"
        self.out = out

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file of this epoch."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, DetectionModule)
        config = pl_module.config
        count = min(config.train.keep_labels, len(self.data))
        tensors: dict[str, Tensor] = {}
        told: list[dict[str, Any]] = []
        with _resting(pl_module.detector):
            for place in range(count):
                index = place * len(self.data) // count
                kept, about = self._picture(pl_module.detector, config, index, pl_module.progress)
                tensors |= {f"{place}/{name}": value.contiguous() for name, value in kept.items()}
                told.append(about)
        epoch = trainer.current_epoch + 1
        metadata = {"format": FORMAT, "epoch": str(epoch), "pictures": json.dumps(told, ensure_ascii=False)}
        content = save(tensors, metadata)
        write_atomically(self.out / FOLDER / f"epoch-{epoch:03d}.safetensors", lambda file: file.write(content))

    def _picture(
        self, detector: Detector, config: Config, index: int, progress: float
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        resize = Resize(config.data.imgsz, config.data.shorter)
        record = self.data.record(index)
        framed = frame(record, resize, config.model.strides, config.model.offset)
        network, _ = network_maps(detector, resize(self.data.sample(index)), config.inference.score)
        maps = label_maps(config.assigner, framed, network, progress)
        owner = torch.where(maps.owner >= 0, _numbers(framed.number, maps.owner), -1)
        kept = {"label": maps.label.half(), "owner": owner.int()}
        kept |= {"score": network.score.half(), "iou": network.iou.half()}
        about = {
            "split": self.split, "index": index, "name": record.name, "long": resize.long, "short": resize.short,
            "strides": framed.points.strides, "sizes": framed.points.sizes, "offset": framed.points.offset,
        }  # fmt: skip
        return kept, about


def _numbers(number: Int[Tensor, " G"], owner: Int[Tensor, " P"]) -> Int[Tensor, " P"]:
    return number[owner.clamp(min=0)] if len(number) else owner


@contextmanager
def _resting(detector: Detector) -> Generator[None]:
    """The detector ready to predict, and afterwards as it was."""
    was = detector.training
    detector.eval()
    try:
        yield
    finally:
        detector.train(was)


def read_label_history(run: Path) -> dict[int, list[KeptPicture]]:
    """What a run kept, by epoch, in the order of the epochs.

    Raises:
        DataError: it kept nothing, or a file cannot be read.
    """
    files = {int(found[1]): path for path in (run / FOLDER).glob("*") if (found := _EPOCH.fullmatch(path.name))}
    if not files:
        raise DataError(
            f"{run}: it kept no labels; train with --set train.keep_labels=4 to keep those of four pictures"
        )
    return {epoch: _read(files[epoch]) for epoch in sorted(files)}


_EPOCH = re.compile(r"epoch-(\d+)\.safetensors")


def _read(path: Path) -> list[KeptPicture]:
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]  # untyped
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise DataError(
                    f"{path}: a safetensors file, but not one of kept labels; leave only those in the folder"
                )
            return [_kept(file, place, about) for place, about in enumerate(json.loads(metadata["pictures"]))]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it, the other epochs stay") from None


def _kept(file: Any, place: int, about: dict[str, Any]) -> KeptPicture:
    values = {name: file.get_tensor(f"{place}/{name}") for name in ("label", "owner", "score", "iou")}
    sizes = [(int(h), int(w)) for h, w in about["sizes"]]
    return KeptPicture(
        split=about["split"],
        index=about["index"],
        name=about["name"],
        long=about["long"],
        short=about["short"],
        points=Points.lattice(sizes, about["strides"], about["offset"]),
        owner=values["owner"].long(),
        **{name: values[name].float() for name in ("label", "score", "iou")},
    )
