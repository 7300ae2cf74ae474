"""What finds things in a batch: our network in torch, or an exported one in another run-time.

A backend takes padded uint8 pictures and gives detections in pixels of the network's input. What comes before (reading,
resizing, padding, tiles) and after (back to the picture's own pixels) is the same for all, in `dsla.engine.predictor`.

Letters: B images, H and W pixels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from dsla.errors import ConfigError
from dsla.models import Decoding, Detected, Detector, detect
from dsla.runtime.decode import Choice, Found, choose, found_in_graph
from dsla.runtime.session import Session

# Activations of more fit into no memory that an allocator keeps at hand (32 MB at most in glibc): each layer then takes
# new pages, and a picture of a large batch takes longer than one alone (`benchmarks/latency.py` tells of both).
CPU_PIXELS = 2**19


@runtime_checkable
class Backend(Protocol):
    """Something that finds things in a batch."""

    @property
    def num_classes(self) -> int:
        """Classes, background not counted."""
        ...

    @property
    def own_threads(self) -> bool:
        """Whether it computes on threads of its own, which torch's would be in the way of."""
        ...

    def detect(
        self, images: UInt8[Tensor, "B 3 H W"], sizes: Int64[Tensor, "B 2"], decoding: Decoding
    ) -> Sequence[Detected]:
        """The detections of each picture.

        Args:
            images: RGB pictures on the CPU, padded on the right and below to multiples of 32.
            sizes: true (h, w) of each.
            decoding: thresholds and limits.

        Returns detections on the CPU, in float32, in pixels of `images`.
        """
        ...


@dataclass(frozen=True, eq=False)
class NetworkBackend:
    """A detector in torch; it comes back in the mode (training or not) that it came in."""

    detector: Detector
    device: torch.device

    @property
    def num_classes(self) -> int:
        """Of the detector."""
        return self.detector.num_classes

    @property
    def own_threads(self) -> bool:
        """They are torch's."""
        return False

    @torch.no_grad()
    def detect(
        self, images: UInt8[Tensor, "B 3 H W"], sizes: Int64[Tensor, "B 2"], decoding: Decoding
    ) -> list[Detected]:
        """See `Backend`."""
        training = self.detector.training
        if training:
            self.detector.eval()
        try:
            return [_on_cpu(found) for part in self._parts(images, sizes) for found in self._detect(*part, decoding)]
        finally:
            if training:
                self.detector.train()

    def _parts(
        self, images: UInt8[Tensor, "B 3 H W"], sizes: Int64[Tensor, "B 2"]
    ) -> Iterable[tuple[UInt8[Tensor, "b 3 H W"], Int64[Tensor, "b 2"]]]:
        """As many pictures at once as are good for the device."""
        count = len(images)
        if self.device.type == "cpu":
            count = max(1, CPU_PIXELS // (images.shape[2] * images.shape[3]))
        return zip(images.split(count), sizes.split(count), strict=True)

    def _detect(
        self, images: UInt8[Tensor, "b 3 H W"], sizes: Int64[Tensor, "b 2"], decoding: Decoding
    ) -> Sequence[Detected]:
        sizes = sizes.to(self.device)
        return detect(self.detector(self.detector.preprocess(images.to(self.device), sizes)), sizes, decoding)


@dataclass(frozen=True, eq=False)
class SessionBackend:
    """An exported model in its run-time."""

    session: Session

    @property
    def num_classes(self) -> int:
        """As the artefact says."""
        return len(self.session.artefact.class_names)

    @property
    def own_threads(self) -> bool:
        """As the run-time has it."""
        return self.session.own_threads

    def detect(
        self, images: UInt8[Tensor, "B 3 H W"], sizes: Int64[Tensor, "B 2"], decoding: Decoding
    ) -> list[Detected]:
        """See `Backend`.

        Raises `ConfigError` where thresholds are inside the graph and other ones are asked for that it cannot give.
        """
        artefact = self.session.artefact
        choice = Choice(
            decoding.score_threshold, decoding.nms_iou, decoding.topk, decoding.max_detections, decoding.score
        )
        inside = Choice.of(artefact.config["inference"], decoding.score_threshold)
        if artefact.decode == "graph" and (choice != inside or choice.score_threshold < artefact.score_threshold):
            raise ConfigError(
                f"{artefact.path}: its thresholds are inside the graph, score {artefact.score_threshold:g} and others; "
                f"it cannot give {choice}. Ask for a higher score, or export with --decode outside"
            )
        outputs = self.session.run(images.numpy(), sizes.numpy())
        if artefact.decode == "graph":
            found = found_in_graph(outputs, choice.score_threshold)
        else:
            height, width = images.shape[2:]
            found = choose(outputs, (height, width), artefact.strides, choice)
        return [_as_tensors(one) for one in found]


def _on_cpu(found: Detected) -> Detected:
    return Detected(
        boxes=found.boxes.float().cpu(), scores=found.scores.float().cpu(), labels=found.labels.to("cpu", torch.int64)
    )


def _as_tensors(found: Found) -> Detected:
    return Detected(*(torch.from_numpy(part) for part in found))
