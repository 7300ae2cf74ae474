"""The gate: an artefact is run on real pictures beside the network, and passes if nothing differs by more than a bound.

Two parts. Detections: the same pictures in five sizes and shapes, in batches of one and of four. AP: both on all
pictures of the split, where its classes are the model's.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
    """What may differ at most; None where it is not judged, since rounding the weights moves every number."""

    score: float | None
    box: float | None
    """Pixels of the network's input."""
    unmatched: float | None
    """Share of the detections: two boxes whose overlap is a hair from the limit of suppression may change places."""
    ap: float


BOUNDS: dict[Precision, Bounds] = {
    "fp32": Bounds(score=1e-3, box=0.1, unmatched=0.001, ap=0.0005),
    "fp16": Bounds(score=0.02, box=2.0, unmatched=0.01, ap=0.002),
    "int8": Bounds(score=None, box=None, unmatched=None, ap=0.01),
}
_SLACK = 0.02  # where scores are not judged


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
                f"  boxes       differ by {total['box_max_px']:.2g} px at most, {total['box_median_px']:.2g} in the middle",
                f"  scores      differ by {total['score_max']:.2g} at most, {total['score_median']:.2g} in the middle",
            ]
        if self.ap:
            told.append(f"  AP          {_ap(self.ap['network'])} in PyTorch, {_ap(self.ap['artefact'])} exported")
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
                    gathered.add(network, exported, decoding, bounds.score or _SLACK)
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
    for key, bound, what in (("score_max", bounds.score, "score"), ("box_max_px", bounds.box, "side of a box in pixels")):
        if bound is not None and (total[key] or 0) > bound:
            problems.append(f"a {what} differs by {total[key]:.3g}, the bound is {bound:g}")
    share = total["unmatched"] / compared
    if bounds.unmatched is not None and share > bounds.unmatched and total["unmatched"] > 1:
        problems.append(f"{share:.2%} of the detections are on one side only, the bound is {bounds.unmatched:.2%}")
    values = [ap.get("network"), ap.get("artefact")]
    if values[0] is not None and values[1] is not None and abs(values[0] - values[1]) > bounds.ap:
        problems.append(f"AP differs by {abs(values[0] - values[1]):.4f}, the bound is {bounds.ap:g}")
    return problems


def _resize(predictor: Predictor) -> Resize:
    return Resize(predictor.config.data.imgsz, predictor.config.data.shorter)


def _ap(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


__all__: Sequence[str] = ["BOUNDS", "Bounds", "Verdict", "judge"]
