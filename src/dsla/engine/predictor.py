"""Find things in pictures with a trained model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import UInt8
from torch import Tensor

from dsla.config import Config, parse_config
from dsla.data.dataset import DetectionData
from dsla.data.image import Picture, decode_image
from dsla.data.resize import Resize
from dsla.data.sample import DIVISOR, Batch, Sample
from dsla.data.single_class import as_single_class
from dsla.engine.backend import Backend, NetworkBackend, SessionBackend
from dsla.engine.detections import Detections, class_indices
from dsla.engine.device import pick_device
from dsla.engine.evaluate import Evaluation, evaluate
from dsla.engine.exported import open_exported
from dsla.engine.modelfile import BEST, ModelFile, read_model
from dsla.errors import ConfigError, DataError, ModelError
from dsla.models import Detector
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

    @overload
    def predict(
        self,
        images: Picture,
        score_threshold: float = ...,
        *,
        classes: Sequence[str | int] | None = ...,
        batch: int = ...,
    ) -> Detections: ...

    @overload
    def predict(
        self,
        images: Sequence[Picture],
        score_threshold: float = ...,
        *,
        classes: Sequence[str | int] | None = ...,
        batch: int = ...,
    ) -> list[Detections]: ...

    def predict(
        self,
        images: Picture | Sequence[Picture],
        score_threshold: float = SCORE_THRESHOLD,
        *,
        classes: Sequence[str | int] | None = None,
        batch: int = 8,
    ) -> Detections | list[Detections]:
        """Find things in one picture, or in each of a list.

        Args:
            images: path, encoded bytes, Pillow image, array (H, W, 3), tensor (3, H, W), or a list of such.
            score_threshold: what scores less is left out.
            classes: names or indices of the classes wanted; None for all.
            batch: pictures at a time. It changes speed and memory, never the result beyond rounding.

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
            decoded = [decode_image(picture) for picture in chunk]
            found += self.predict_decoded(decoded, names, score_threshold)
        if wanted is not None:
            found = [detections.filter(classes=wanted) for detections in found]
        return found if several else found[0]

    def predict_decoded(
        self,
        images: Sequence[UInt8[Tensor, "3 _ _"]],
        names: Sequence[str | None],
        score_threshold: float = SCORE_THRESHOLD,
    ) -> list[Detections]:
        """Find things in RGB pictures, all at once; `names` goes into the results.

        Pictures of one padded size go through the network together. Others do not, since padding would reach
        the group normalisation of the head, and what is found in a picture would depend on its company.
        """
        resize = Resize(self.config.data.imgsz, self.config.data.shorter)
        decoding = replace(self.config.inference, score_threshold=score_threshold)
        samples = [resize(as_sample(image, index)) for index, image in enumerate(images)]
        found: dict[int, Detections] = {}
        padded = [tuple(-(-side // DIVISOR) for side in sample.size) for sample in samples]
        for size in dict.fromkeys(padded):
            alike = [sample for sample, its in zip(samples, padded, strict=True) if its == size]
            pictures = Batch.collate(alike)
            for place, detected in enumerate(self.backend.detect(pictures.images, pictures.sizes, decoding)):
                index = pictures.image_ids[place]
                found[index] = Detections(
                    boxes=pictures.boxes_to_picture(place, detected.boxes).numpy(),
                    scores=detected.scores.numpy(),
                    labels=detected.labels.numpy(),
                    class_names=self.class_names,
                    size=pictures.original_sizes[place],
                    name=names[index],
                )
        return [found[index] for index in range(len(images))]

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
        if self.config.data.single_class:
            data = as_single_class(data)
        if data.class_names != self.class_names:
            raise DataError(_other_classes(data.class_names, self.class_names, self.file.path))
        return evaluate(
            self.backend,
            data,
            batch=batch,
            workers=workers,
            resize=Resize(self.config.data.imgsz, self.config.data.shorter),
            decoding=self.config.inference,
            progress=progress,
        )


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


def as_sample(image: UInt8[Tensor, "3 H W"], index: int) -> Sample:
    """A picture as a sample without boxes, of which `index` is the id."""
    return Sample(
        image=image,
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.int64),
        ignore=torch.zeros(0, dtype=torch.bool),
        image_id=index,
        name="",
        original_size=(image.shape[1], image.shape[2]),
    )


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
