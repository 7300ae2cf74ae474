"""The gate: an artefact is run on real pictures beside the network, and passes if nothing differs by more than a bound.

Two parts. Detections: the same pictures in five sizes and shapes, in batches of one and of four. AP: both on all
pictures of the split, where its classes are the model's.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dsla.data.dataset import DetectionData
from dsla.data.resize import Resize
from dsla.data.single_class import as_single_class
from dsla.engine.backend import Backend
from dsla.engine.evaluate import evaluate
from dsla.engine.predictor import Predictor
from dsla.export.parity import Differences
from dsla.export.pictures import BATCHES, SHAPES, several_sizes, spread
from dsla.models import Decoding
from dsla.runtime.artefact import Precision


@dataclass(frozen=True)
class Bounds:
    """What may differ at most; pixels are those of the network's input."""

    judged: Literal["max", "median"]
    """Which of the differences: rounded weights move a score across a neighbour's now and then, and then suppression
    keeps another box of the same thing; what they do to all boxes shows in the middle."""
    scores: float
    boxes: float
    unmatched: float
    """Share of the detections that only one side has. Where an overlap is a hair from the limit of suppression, one box
    more or less is no mistake."""
    ap: float


BOUNDS: dict[Precision, Bounds] = {
    "fp32": Bounds("max", scores=1e-3, boxes=0.1, unmatched=0.001, ap=0.0005),
    "fp16": Bounds("median", scores=2e-3, boxes=0.1, unmatched=0.01, ap=0.002),
    "int8": Bounds("median", scores=0.05, boxes=2.0, unmatched=0.2, ap=0.01),
}
_SLACK = 0.02  # of scores next to a threshold, where rounded weights move all


@dataclass(frozen=True)
class Verdict:
    """What was compared, what came out, and what is above its bound."""

    pictures: str
    """Where the pictures came from."""
    bounds: Bounds
    differences: list[dict[str, Any]]
    """For each shape; `size` is the first picture's true size."""
    total: dict[str, Any]
    ap: dict[str, float | None]
    """Of the network and of the artefact; empty where there is no truth for these classes."""
    problems: list[str]

    @property
    def passed(self) -> bool:
        """Whether nothing is above its bound."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and texts."""
        return asdict(self) | {"passed": self.passed}

    def lines(self) -> list[str]:
        """For people."""
        total = self.total
        told = [
            f"compared with PyTorch on {self.pictures}: {total['pictures']} times a picture, {len(SHAPES)} sizes and "
            f"shapes, batches of {' and '.join(map(str, BATCHES))}",
            f"  detections  {total['matched']} matched, {total['unmatched']} on one side only",
        ]
        if total["matched"]:
            told += [
                f"  {key:<6}      differ by {total[f'{key}_max']:.2g} {unit}at most, "
                f"{total[f'{key}_median']:.2g} in the middle"
                for key, unit in _UNITS.items()
            ]
        if self.ap:
            told.append(f"  AP          {_ap(self.ap['network'])} in PyTorch, {_ap(self.ap['artefact'])} exported")
        else:
            told.append("  AP          not measured: these pictures are of other classes; --data names the model's own")
        return told + [f"  above the bound: {problem}" for problem in self.problems]


def judge(
    predictor: Predictor,
    artefact: Backend,
    data: DetectionData,
    name: str,
    *,
    precision: Precision,
    pictures: int,
    progress: Callable[[int, int], object] | None = None,
) -> Verdict:
    """Compare an artefact with the network that it was made from.

    Args:
        predictor: the network.
        artefact: what was made of it.
        data: pictures, with truth or without.
        name: what to call them.
        precision: says which bounds hold.
        pictures: how many go through the comparison of detections; AP takes all.
        progress: called with the number of pictures done and of all.
    """
    bounds = BOUNDS[precision]
    decoding, resize = predictor.config.inference, _resize(predictor)
    data = as_single_class(data) if predictor.config.data.single_class else data
    samples = [data.sample(index) for index in spread(len(data), pictures)]
    labelled = data.class_names == predictor.class_names
    steps = len(samples) * len(SHAPES) * len(BATCHES) + (2 * len(data) if labelled else 0)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, steps)

    total = Differences()
    rows: list[dict[str, Any]] = []
    for batches in several_sizes(samples, resize.long):
        one = Differences()
        for batch in batches:
            pair = [each.detect(batch.images, batch.sizes, decoding) for each in (predictor.backend, artefact)]
            for network, exported in zip(*pair, strict=True):
                for gathered in (one, total):
                    gathered.add(network, exported, decoding, bounds.scores if bounds.judged == "max" else _SLACK)
            advance(len(batch))
        rows.append({"size": batches[0].sizes[0].tolist(), "padded": list(batches[0].images.shape[2:])} | one.to_json())
    ap: dict[str, float | None] = {}
    if labelled:
        for which, backend in (("network", predictor.backend), ("artefact", artefact)):
            ap[which] = _ap_of(backend, data, resize, decoding, advance)
    found = total.to_json()
    return Verdict(name, bounds, rows, found, ap, _problems(found, ap, bounds))


def _ap_of(
    backend: Backend, data: DetectionData, resize: Resize, decoding: Decoding, advance: Callable[[int], None]
) -> float | None:
    before = 0

    def step(done: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    return evaluate(backend, data, batch=4, resize=resize, decoding=decoding, progress=step)[0].AP


def _problems(total: dict[str, Any], ap: dict[str, float | None], bounds: Bounds) -> list[str]:
    compared = total["matched"] + total["unmatched"]
    if not compared:
        return ["nothing was found in these pictures, so nothing was compared; give pictures of the model's own kind"]
    problems: list[str] = []
    which = {"max": "at most", "median": "in the middle"}[bounds.judged]
    for key, bound in (("boxes", bounds.boxes), ("scores", bounds.scores)):
        value = total[f"{key}_{bounds.judged}"] or 0
        if value > bound:
            problems.append(f"{key} differ by {value:.3g} {_UNITS[key]}{which}, the bound is {bound:g}")
    share = total["unmatched"] / compared
    if share > bounds.unmatched and total["unmatched"] > 1:
        problems.append(f"{share:.2%} of the detections are on one side only, the bound is {bounds.unmatched:.2%}")
    values = [ap.get("network"), ap.get("artefact")]
    if values[0] is not None and values[1] is not None and abs(values[0] - values[1]) > bounds.ap:
        problems.append(f"AP differs by {abs(values[0] - values[1]):.4f}, the bound is {bounds.ap:g}")
    return problems


_UNITS = {"boxes": "px ", "scores": ""}


def _resize(predictor: Predictor) -> Resize:
    return Resize(predictor.config.data.imgsz, predictor.config.data.shorter)


def _ap(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"
