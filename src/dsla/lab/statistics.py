"""What differences between assigners are worth: spread over seeds, intervals over pictures and seeds.

Every assigner is trained with the same seeds and judged on the same pictures, so differences to the first are taken
seed by seed. They vary for two reasons that cross each other, pictures and seeds, and both are drawn anew, each
independently: the pigeonhole bootstrap (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007),
which errs on the wide side. AP is no mean over pictures and is accumulated anew for each draw (`resampled_ap`).

Drawing S seeds of S shows a spread that is too small by sqrt((S - 1) / S), and with three seeds a normal quantile is
far too small as well. So deviations due to seeds are multiplied by sqrt(S / (S - 1)), and all deviations by t / z, the
97.5 % quantiles of Student's and the normal distribution, with degrees of freedom after Welch and Satterthwaite: two
where all variation comes from three seeds, many where it comes from pictures.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import norm, t

from dsla.lab.record import RunRecord
from dsla.lab.resampled_ap import match, resampled_ap

LEVEL = 0.95
COMPARED = ("AP", "AP50", "AP75")


@dataclass(frozen=True)
class Spread:
    """A figure over seeds.

    Attributes:
        mean: over the seeds that have a value; None where none has.
        sd: sample standard deviation; None with fewer than two values.
        values: by seed, in the order of the seeds.
    """

    mean: float | None
    sd: float | None
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Interval:
    """The paired difference of a figure, assigner minus first, as fractions.

    Attributes:
        difference: mean over seeds, all pictures.
        low: lower end of the 95 % interval.
        high: upper end.
        positive: share of resamples in which the difference is above 0.
        by_seed: the difference of each seed.
    """

    difference: float
    low: float
    high: float
    positive: float
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """An assigner against the first of the comparison.

    Attributes:
        assigner: its label.
        seeds: that both have.
        figures: intervals of AP, AP50 and AP75; empty where there is no seed or no box in common.
    """

    assigner: str
    seeds: tuple[int, ...]
    figures: dict[str, Interval]


def spread(values: Sequence[float | None]) -> Spread:
    """Mean and sample standard deviation of what is known."""
    known = [value for value in values if value is not None]
    return Spread(
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
        values=tuple(values),
    )


def differences_to_first(
    records: Sequence[RunRecord], truth: Mapping[str, Any], *, resamples: int = 1000, seed: int = 0
) -> list[Difference]:
    """Paired differences of every assigner to the first one, with intervals over pictures and seeds.

    Args:
        records: finished runs; the first one's assigner is the reference.
        truth: COCO ground truth of the validation pictures.
        resamples: number of draws.
        seed: of the draws; the same one gives the same intervals.

    Raises:
        DataError: detections of a run are missing or damaged.
    """
    pictures = len(truth["images"])
    weights = np.ones((pictures, resamples + 1), dtype=np.int64)  # the first column is the pictures as they are
    weights[:, 1:] = draws(pictures, resamples, (seed, 0))
    found = {
        (record.assigner, record.seed): _figures(
            resampled_ap(match(truth, record.detections, _counted(record)), weights)
        )
        for record in records
    }
    first = records[0].assigner
    rows: list[Difference] = []
    for assigner in dict.fromkeys(record.assigner for record in records if record.assigner != first):
        seeds = tuple(number for label, number in found if label == assigner and (first, number) in found)
        figures: dict[str, Interval] = {}
        for name in COMPARED if seeds else ():
            paired = np.stack([found[assigner, number][name] - found[first, number][name] for number in seeds])
            if np.isfinite(paired[:, 0]).all():
                counts = draws(len(seeds), resamples, (seed, len(seeds)))
                figures[name] = interval(paired[:, 0], paired[:, 1:], counts, pictures)
        rows.append(Difference(assigner, seeds, figures))
    return rows


def _counted(record: RunRecord) -> int:
    """Best detections of a picture that counted in a run's figures."""
    return record.results.get("protocol", {}).get("max_detections", [100])[-1]


def draws(number: int, resamples: int, seed: Sequence[int]) -> Int64[np.ndarray, "{number} {resamples}"]:
    """How often each of so many things is drawn, in each resample, with replacement."""
    rng = np.random.default_rng(seed)
    return np.ascontiguousarray(rng.multinomial(number, [1 / number] * number, size=resamples).T)


def interval(
    observed: Float64[np.ndarray, " S"],
    resampled: Float64[np.ndarray, "S W"],
    counts: Int64[np.ndarray, "S W"],
    pictures: int,
) -> Interval:
    """Percentile interval of a mean paired difference over pictures and seeds.

    Args:
        observed: the difference of each seed on all pictures.
        resampled: the difference of each seed on each draw of pictures; draws without boxes are nan, and left out.
        counts: how often each seed is drawn with it.
        pictures: their number.

    Deviations of the draws from their mean are laid around the observed difference, widened as the module says. With
    one seed only the pictures vary.
    """
    usable = np.isfinite(resampled).all(axis=0)
    resampled, counts = resampled[:, usable], counts[:, usable]
    number = len(observed)
    over_pictures = resampled.mean(axis=0)
    spread_pictures, spread_seeds = float(np.var(over_pictures)), 0.0
    deviations = over_pictures - over_pictures.mean()
    if number > 1:
        spread_seeds = float(np.var(observed, ddof=1)) / number
        over_both = (resampled * counts).sum(axis=0) / number
        deviations = deviations + np.sqrt(number / (number - 1)) * (over_both - over_pictures)
    widened = deviations * _widening(spread_pictures, pictures - 1, spread_seeds, number - 1)
    drawn = observed.mean() + widened
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(
        difference=float(observed.mean()),
        low=float(low),
        high=float(high),
        positive=float((drawn > 0).mean()),
        by_seed=tuple(observed.tolist()),
    )


def _widening(one: float, its: int, other: float, others: int) -> float:
    """t / z for a sum of two estimated variances with their degrees of freedom, after Welch and Satterthwaite."""
    parts = sum(variance**2 / freedom for variance, freedom in ((one, its), (other, others)) if freedom > 0)
    if not parts:
        return 1.0
    upper = (1 + LEVEL) / 2
    return float(t.ppf(upper, (one + other) ** 2 / parts) / norm.ppf(upper))


def _figures(ap: Float64[np.ndarray, "T W"]) -> dict[str, Float64[np.ndarray, " W"]]:
    return {"AP": ap.mean(axis=0), "AP50": ap[0], "AP75": ap[5]}
