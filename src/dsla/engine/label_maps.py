"""What an assigner makes of one picture, point by point: its labels, whose they are, and what a network says there.

The label viewer draws these maps, the page shows them, and a training run may keep them. They are the assigner's own
answer to the boxes of one picture at the network's size; nothing is worked out a second way.

Letters: P points over all levels, G boxes of the picture, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import box_iou

from dsla.assign import ATSS, DSLA, AnyAssigner, Predictions
from dsla.assign.selection import box_areas, one_box_a_point
from dsla.data.dataset import Record
from dsla.data.resize import Resize, cut_boxes
from dsla.data.sample import DIVISOR, Batch, Sample
from dsla.errors import ConfigError
from dsla.geometry import GroundTruth, Points, boxes_from_ltrb, ltrb_from_boxes
from dsla.models import Detector, HeadOutput


@dataclass(frozen=True, eq=False)
class Framed:
    """A picture's boxes at the network's size, with the lattice over it.

    Attributes:
        points: the pyramid's, over the padded picture.
        truth: the boxes that are seen at this size, in pixels of the network's input.
        number: (G,) index of each box among those of the picture's record.
        size: (h, w) of the resized picture, before padding.
        scale: (sy, sx) from the picture's own pixels to the network's.
    """

    points: Points
    truth: GroundTruth
    number: Int[Tensor, " G"]
    size: tuple[int, int]
    scale: tuple[float, float]


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """What an assigner asks of each point.

    Attributes:
        label: (P,) classification target in [0, 1] at the class of the point's box; 0 where it has none.
        owner: (P,) index of the box that the point learns; -1 where there is none.
        ignored: (P,) True where an ignore region takes the point out of the class loss.
    """

    label: Float[Tensor, " P"]
    owner: Int[Tensor, " P"]
    ignored: Bool[Tensor, " P"]

    def points_a_box(self, boxes: int) -> Int[Tensor, " G"]:
        """Number of points that each box owns."""
        return torch.bincount(self.owner[self.owner >= 0], minlength=boxes)


@dataclass(frozen=True, eq=False)
class NetworkMaps:
    """What a network says at each point of one picture.

    Attributes:
        points: where it says it.
        logits: (P, C) class logits.
        ltrb: (P, 4) predicted sides, in pixels of the network's input.
        score: (P,) the greatest score of the point, as detections have it.
        best: (P,) class of that score.
        iou: (P,) IoU of the predicted box with the true box that it overlaps most, whoever owns the point.
    """

    points: Points
    logits: Float[Tensor, "P C"]
    ltrb: Float[Tensor, "P 4"]
    score: Float[Tensor, " P"]
    best: Int[Tensor, " P"]
    iou: Float[Tensor, " P"]

    def at(self, points: Points, progress: float = 1.0) -> Predictions:
        """The same for an assigner whose points lie elsewhere in their cells: the predicted boxes stay where they are.

        Args:
            points: the assigner's.
            progress: share of the training that is done.

        Raises:
            ConfigError: the lattices do not have the same levels.
        """
        if (points.sizes, points.strides) != (self.points.sizes, self.points.strides):
            raise ConfigError(
                f"the labels stand on strides {_row(points.strides)}, the model says something at "
                f"{_row(self.points.strides)}; choose levels and size of the model"
            )
        ltrb = self.ltrb
        if points.offset != self.points.offset:
            ltrb = ltrb_from_boxes(points.xy, boxes_from_ltrb(self.points.xy, ltrb))
        return Predictions(self.logits[None], ltrb[None], progress)


def frame(record: Record, resize: Resize, strides: Sequence[int], offset: float = 0.5) -> Framed:
    """Bring a picture's boxes to the network's size, as its loader does, and lay the lattice; nothing is decoded.

    Args:
        record: the picture's boxes and size.
        resize: to the network's size.
        strides: of the pyramid.
        offset: place of a point in its cell.
    """
    size = resize.target(record.size)
    scale = (size[0] / record.size[0], size[1] / record.size[1])
    factors = record.boxes.new_tensor([scale[1], scale[0]] * 2)
    boxes, ignore, seen = cut_boxes(record.boxes * factors, record.ignore, size)
    padded = [-(-side // DIVISOR) * DIVISOR for side in size]
    points = Points.lattice([(-(-padded[0] // s), -(-padded[1] // s)) for s in strides], strides, offset)
    truth = GroundTruth.collate([(boxes[seen], record.labels[seen], ignore[seen])])
    return Framed(points, truth, torch.nonzero(seen).flatten(), size, scale)


def label_maps(
    assigner: AnyAssigner, framed: Framed, network: NetworkMaps | None = None, progress: float = 1.0
) -> LabelMaps:
    """The assigner's answer to one picture.

    Args:
        assigner: the rule.
        framed: the picture's boxes and lattice.
        network: what a network says at the points.
        progress: share of the training that is done, for rules that change while the network learns.

    Raises:
        ConfigError: the assigner needs a network's predictions and there is none, or it is of other levels.
    """
    if assigner.needs_predictions and network is None:
        raise ConfigError(_needs_model(assigner))
    pred = network.at(framed.points, progress) if network is not None else None
    try:
        given = assigner(framed.points, framed.truth, pred)
    except ValueError as error:  # as many ranges as levels, for one
        raise ConfigError(f"assigner {assigner.name}: {error}") from None
    P = len(framed.points)
    # A point that learns several classes is its highest label's box's.
    first = one_box_a_point(given.point, given.score, box_areas(framed.truth)[given.gt], given.gt)
    label = torch.zeros(P).index_put((given.point[first],), given.score[first].float())
    owner = torch.full((P,), -1).index_put((given.point[first],), given.gt[first])
    return LabelMaps(label, owner, given.ignored[0])


def without_network(assigner: AnyAssigner) -> AnyAssigner:
    """The same rule as far as it goes without predictions: DSLA's static label, ATSS's hard one.

    Raises:
        ConfigError: it chooses points by what a network predicts.
    """
    if not assigner.needs_predictions:
        return assigner
    if isinstance(assigner, DSLA):
        return replace(assigner, coupling=False, iou_only=False)
    if isinstance(assigner, ATSS):
        return replace(assigner, label="one")
    raise ConfigError(_needs_model(assigner))


@torch.no_grad()
def network_maps(detector: Detector, sample: Sample, score: str = "class") -> tuple[NetworkMaps, HeadOutput]:
    """What a detector says of a picture that is resized already; also its whole output. Both are on the CPU.

    Args:
        detector: ready to predict.
        sample: the picture at the network's size.
        score: how detections are scored, as `Decoding` has it.
    """
    batch = Batch.collate([sample])
    there = batch.to(detector.mean.device)
    said = detector(detector.preprocess(there.images, there.sizes))
    points = Points.lattice(said.points.sizes, said.points.strides, said.points.offset)
    quality = said.quality.float().cpu() if said.quality is not None else None
    output = HeadOutput(said.logits.float().cpu(), said.ltrb.float().cpu(), points, quality)
    return maps_of(output, 0, batch.truth, score), output


def maps_of(output: HeadOutput, image: int, truth: GroundTruth, score: str = "class") -> NetworkMaps:
    """The maps of one picture of a batch.

    Args:
        output: of the detector.
        image: which picture.
        truth: boxes of the batch.
        score: how detections are scored, as `Decoding` has it.
    """
    logits, ltrb = output.logits[image].float(), output.ltrb[image].float()
    probability, best = logits.sigmoid().max(dim=1)
    if score != "class" and output.quality is not None:
        probability = probability * output.quality[image].float().sigmoid()
        probability = probability.sqrt() if score == "sqrt" else probability
    real = truth.boxes[(truth.image == image) & ~truth.ignore].float()
    overlap = box_iou(boxes_from_ltrb(output.points.xy, ltrb), real)
    iou = overlap.amax(dim=1) if len(real) else torch.zeros_like(probability)
    return NetworkMaps(output.points, logits, ltrb, probability, best, iou.clamp(0, 1))


def _needs_model(assigner: AnyAssigner) -> str:
    return f"assigner {assigner.name}: its labels depend on what a network predicts; give a model"


def _row(strides: Sequence[int]) -> str:
    return ", ".join(map(str, strides))
