"""Find things in pictures with a trained model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import UInt8
from torch import Tensor

from dsla.config import Config, override, parse_config
from dsla.data.dataset import DetectionData
from dsla.data.image import Picture, decode_image
from dsla.data.resize import Resize
from dsla.data.sample import DIVISOR, Batch, Sample
from dsla.data.single_class import as_single_class
from dsla.data.tiled_picture import TiledPicture
from dsla.engine.backend import Backend, NetworkBackend, SessionBackend
from dsla.engine.detections import Detections, class_indices
from dsla.engine.device import pick_device
from dsla.engine.evaluate import Evaluation, evaluate
from dsla.engine.exported import open_exported
from dsla.engine.modelfile import BEST, ModelFile, read_model
from dsla.engine.threads import one_thread
from dsla.engine.tiled import detect_tiled
from dsla.errors import ConfigError, DataError, ModelError
from dsla.models import Detected, Detector
from dsla.runtime.artefact import Artefact
from dsla.version import __version__

SCORE_THRESHOLD = 0.3


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained detector, ready for pictures; made by `load`."""

    backend: Backend
    """What finds things in a batch: our network, or an exported one in its run-time."""
    class_names: tuple[str, ...]
    config: Config
    """The settings that it was trained with; its size of pictures and way of decoding hold here too."""
    device: torch.device
    file: ModelFile | Artefact
    """What the file says of itself."""

    @property
    def detector(self) -> Detector:
        """The network itself. Raises `ModelError` for an exported model, which has none that torch could train."""
        if not isinstance(self.backend, NetworkBackend):
            raise ModelError(
                f"{self.file.path}: an exported model finds things and can do nothing else; name the model file "
                f"({BEST}) that it was made from"
            )
        return self.backend.detector

    @property
    def limit(self) -> int | None:
        """The most pixels of a picture, as in training; None for Pillow's limit."""
        return self.config.data.max_pixels

    @overload
    def predict(
        self,
        images: Picture,
        score_threshold: float = ...,
        *,
        classes: Sequence[str | int] | None = ...,
        batch: int = ...,
        max_pixels: int | None = ...,
    ) -> Detections: ...

    @overload
    def predict(
        self,
        images: Sequence[Picture],
        score_threshold: float = ...,
        *,
        classes: Sequence[str | int] | None = ...,
        batch: int = ...,
        max_pixels: int | None = ...,
    ) -> list[Detections]: ...

    def predict(
        self,
        images: Picture | Sequence[Picture],
        score_threshold: float = SCORE_THRESHOLD,
        *,
        classes: Sequence[str | int] | None = None,
        batch: int = 8,
        max_pixels: int | None = None,
    ) -> Detections | list[Detections]:
        """Find things in one picture, or in each of a list.

        Args:
            images: path, encoded bytes, Pillow image, array (H, W, 3), tensor (3, H, W), or a list of such.
            score_threshold: what scores less is left out.
            classes: names or indices of the classes wanted; None for all.
            batch: pictures at a time. It changes speed and memory, never the result beyond rounding.
            max_pixels: larger pictures are refused before they are decoded; None for `limit`.

        Returns one `Detections` for one picture, a list in the same order for a list. Raises `DataError`
        where a picture cannot be read, and `ConfigError` for an unknown class, naming the nearest known one.
        """
        several = isinstance(images, list | tuple)
        pictures: Sequence[Any] = images if several else [images]  # pyright: ignore[reportAssignmentType]
        wanted = None if classes is None else class_indices(classes, self.class_names)
        found: list[Detections] = []
        for start in range(0, len(pictures), batch):
            chunk = pictures[start : start + batch]
            names = [str(picture) if _is_path(picture) else None for picture in chunk]
            decoded = [decode_image(picture, max_pixels=max_pixels or self.limit) for picture in chunk]
            found += self.predict_decoded(decoded, names, score_threshold, batch=batch)
        if wanted is not None:
            found = [detections.filter(classes=wanted) for detections in found]
        return found if several else found[0]

    def predict_decoded(
        self,
        images: Sequence[UInt8[Tensor, "3 _ _"]],
        names: Sequence[str | None],
        score_threshold: float = SCORE_THRESHOLD,
        *,
        batch: int = 8,
    ) -> list[Detections]:
        """Find things in RGB pictures, all at once; `names` goes into the results, `batch` is tiles at a time.

        Pictures of one padded size go through the network together. Others do not, since padding would reach
        the group normalisation of the head, and what is found in a picture would depend on its company. A picture
        that is cut into tiles goes alone.
        """
        with one_thread(self.backend.own_threads):
            found = self._find(
                [Sample.unlabelled(image, index) for index, image in enumerate(images)], score_threshold, batch
            )
        return [self._detections(found[index], image, names[index]) for index, image in enumerate(images)]

    def _find(self, samples: Sequence[Sample], score_threshold: float, batch: int) -> dict[int, Detected]:
        """What is found in each picture, by its `image_id`, in its own pixels."""
        resize = Resize(self.config.data.imgsz, self.config.data.shorter)
        tiling = self.config.data.tiling
        decoding = replace(self.config.inference, score_threshold=score_threshold)
        find = self.backend.detect
        found: dict[int, Detected] = {}
        plain: list[Sample] = []
        for sample in samples:
            if tiling is not None and tiling.cuts(sample.size):
                picture = TiledPicture(sample, tiling, resize)
                found[sample.image_id] = detect_tiled(find, picture, decoding, batch)
            else:
                plain.append(resize(sample))
        padded = [tuple(-(-side // DIVISOR) for side in sample.size) for sample in plain]
        for size in dict.fromkeys(padded):
            alike = [sample for sample, its in zip(plain, padded, strict=True) if its == size]
            pictures = Batch.collate(alike)
            for place, detected in enumerate(find(pictures.images, pictures.sizes, decoding)):
                boxes = pictures.boxes_to_picture(place, detected.boxes.float().cpu())
                found[pictures.image_ids[place]] = replace(detected, boxes=boxes)
        return found

    def _detections(self, found: Detected, image: UInt8[Tensor, "3 _ _"], name: str | None) -> Detections:
        return Detections(
            boxes=found.boxes.numpy(),
            scores=found.scores.float().cpu().numpy(),
            labels=found.labels.cpu().numpy(),
            class_names=self.class_names,
            size=(image.shape[1], image.shape[2]),
            name=name,
        )

    def tiled(self, side: int | None, overlap: float | None = None) -> "Predictor":
        """The same model with other tiles, whatever it was trained with.

        Args:
            side: of a tile, in the pictures' own pixels; larger pictures are cut. None looks at them as they are.
            overlap: share of a tile that its neighbour shows too; None leaves it as it is.

        A model that was not trained on tiles looks at the whole picture too, for what no tile shows whole.

        Raises `ConfigError` for a tile that cannot be.
        """
        changes: dict[str, Any] = {"tile": side} | ({} if overlap is None else {"tile_overlap": overlap})
        return replace(self, config=override(self.config, {"data": changes}, "tiles"))

    def evaluate(
        self,
        data: DetectionData,
        *,
        batch: int = 8,
        workers: int = 0,
        progress: Callable[[int], object] | None = None,
    ) -> tuple[Evaluation, list[dict[str, Any]]]:
        """COCO's figures on a data set, and the detections as COCO-result entries.

        A model that was trained with `data.single_class` is measured so too.

        Raises `DataError` where the data's classes are not the model's, in the same order.
        """
        with one_thread(self.backend.own_threads):
            return evaluate(
                self.backend,
                self.data_for(data),
                batch=batch,
                workers=workers,
                resize=Resize(self.config.data.imgsz, self.config.data.shorter),
                decoding=self.config.inference,
                progress=progress,
                tiling=self.config.data.tiling,
            )

    def data_for(self, data: DetectionData) -> DetectionData:
        """The pictures as this model is judged on them: all classes as one if it was trained so.

        Raises `DataError` where their classes are not the model's, in the same order.
        """
        if self.config.data.single_class and data.class_names != self.class_names:
            data = as_single_class(data)
        if data.class_names != self.class_names:
            raise DataError(_other_classes(data.class_names, self.class_names, self.file.path))
        return data


def load(path: Any, device: str | torch.device = "cpu", *, trust: bool = False) -> Predictor:
    """Load a model for prediction.

    Args:
        path: a model file, the folder of a run, or what `dsla export` wrote: .onnx, .pt2, or a folder of OpenVINO's.
        device: cpu, cuda, cuda:1, mps or auto.
        trust: open a .pt2 file, which torch reads in ways that can run code of whoever made it; no other format can.

    Raises `ModelError` where the file cannot be used, with the cure, and `ConfigError` for an unknown device.
    """
    exported = open_exported(Path(path), str(device), trust=trust)
    if exported is not None:
        session, place = exported
        file = session.artefact
        return Predictor(SessionBackend(session), file.class_names, _settings(file), place, file)
    file = read_model(path)
    config = _settings(file)
    detector = config.build_detector(len(file.class_names), weights="none")
    try:
        detector.load_state_dict(file.state)
    except RuntimeError as error:
        raise ModelError(f"{file.path}: its weights do not fit its own settings: {error}") from error
    place = pick_device(str(device))
    detector.to(place).eval()
    return Predictor(NetworkBackend(detector, place), file.class_names, config, place, file)


def _settings(file: ModelFile | Artefact) -> Config:
    try:
        return parse_config(file.config, str(file.path))
    except ConfigError as error:
        made_by = file.versions.get("dsla", "unknown")
        raise ModelError(f"{error}\nThe model was made by dsla {made_by}; this is {__version__}") from error


def _is_path(picture: Any) -> bool:
    return isinstance(picture, str) or hasattr(picture, "__fspath__")


def _other_classes(data: Sequence[str], model: Sequence[str], path: Path) -> str:
    extra = [name for name in data if name not in model]
    missing = [name for name in model if name not in data]
    parts = [
        f"only in the data: {', '.join(extra[:10])}" if extra else "",
        f"only in the model: {', '.join(missing[:10])}" if missing else "",
        "" if extra or missing else "the same names in another order",
    ]
    return (
        f"{path}: the model has {len(model)} classes and the data {len(data)}; {'; '.join(filter(None, parts))}. "
        "Evaluate on data with the classes that the model was trained on"
    )
