"""What may be concluded from a comparison, and what may not, in plain sentences."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Verdict = Literal["higher", "lower", "open"]
FEW_SEEDS, FEW_PICTURES = 3, 30
_ONE_IN = 20  # one interval in so many is wrong


def verdict(difference: Mapping[str, Any]) -> Verdict | None:
    """Whether AP is higher or lower than the first one's beyond the interval; None where nothing was compared.

    Args:
        difference: an entry of `differences` of a summary.
    """
    ap = difference["figures"].get("AP")
    if ap is None:
        return None
    return "higher" if ap["low"] > 0 else "lower" if ap["high"] < 0 else "open"


def conclusions(summary: Mapping[str, Any]) -> list[str]:
    """Sentences for people who do not want to read intervals, that people who do can agree with."""
    differences = [row for row in summary["differences"] if verdict(row) is not None]
    absent = [f"Not finished and left out: {_list(summary['missing'])}."] if summary["missing"] else []
    if not differences:
        return [f"Nothing is compared: {summary['reference']} has no finished run to be compared with.", *absent]
    several = [row for row in differences if len(row["seeds"]) > 1]
    alone = [row["assigner"] for row in differences if len(row["seeds"]) == 1]
    found: list[str] = []
    if several:
        found += [_found(summary, several), *_few_seeds(several)]
    if alone:
        found.append(_one_seed(alone))
    found.append(_scope(summary, bool(several)))
    if several:
        found.append(_by_chance(len(several)))
    if summary["versions_differ"]:
        found.append("Not all runs were made with the same versions of the software, which may shift figures a little.")
    return found + absent


def _one_seed(assigners: Sequence[str]) -> str:
    return (
        f"Of {_list(assigners)} there is one seed to compare by, and one seed is never a comparison: trained again "
        "with another, the order may be the reverse. Nothing may be called better or worse from it; use three or more."
    )


def _found(summary: Mapping[str, Any], differences: Sequence[Mapping[str, Any]]) -> str:
    """Who is better, who worse, who neither, with the differences in points of AP."""
    first, data, schedule = summary["reference"], summary["data"], summary["schedule"]
    groups: dict[str, list[str]] = {"higher": [], "lower": [], "open": []}
    for row in differences:
        groups[verdict(row) or "open"].append(_named(row))
    parts: list[str] = []
    for kind in ("higher", "lower"):
        if groups[kind]:
            verb = "reaches" if len(groups[kind]) == 1 else "reach"
            parts.append(f"{_list(groups[kind])} {verb} a {kind} AP than {first}, by more than the interval allows")
    if groups["open"]:
        parts.append(f"{_list(groups['open'])} cannot be told apart from {first}")
    text = (
        f"On {data['pictures']} pictures of {data['name']}, after {schedule['epochs']} epochs and over "
        f"{len(summary['seeds'])} seeds (differences in points of AP): {'; '.join(parts)}."
    )
    if groups["open"]:
        text += " That does not make them equal: a difference anywhere within its interval is possible."
    return text


def _named(row: Mapping[str, Any]) -> str:
    points = 100 * row["figures"]["AP"]["difference"]
    return f"{row['assigner']} ({signed(points)})"


def signed(points: float) -> str:
    """A difference in points with its sign and one digit after the point."""
    return f"{points:+.1f}".replace("-", "−")


def _few_seeds(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    if min(len(row["seeds"]) for row in differences) >= FEW_SEEDS:
        return []
    return ["Two seeds hardly tell how much trainings differ; intervals are wide for that reason. Use three or more."]


def _scope(summary: Mapping[str, Any], several: bool) -> str:
    pictures, imgsz = summary["data"]["pictures"], summary["schedule"]["imgsz"]
    varied = "other seeds and other pictures" if several else "other pictures, not other seeds,"
    tuned = (
        "the balance of class and box loss tuned for each with the same budget"
        if summary["tuning"]
        else "the settings of the recipe, which were not tuned for each of them"
    )
    text = (
        f"The intervals cover {varied} of the same kind. They say nothing of other data, of picture sizes other than "
        f"{imgsz} px, of other networks, or of shorter or longer trainings, where the order may change. Every assigner "
        f"was trained with {tuned}."
    )
    if pictures < FEW_PICTURES:
        text += f" With {pictures} pictures the intervals themselves are rough."
    return text


def _by_chance(number: int) -> str:
    if number == 1:
        return "An interval of 95 % is wrong in about one case of twenty."
    if number >= _ONE_IN:
        return f"Of {number} intervals about {number / _ONE_IN:.0f} leave out the true difference by chance (5 % each)."
    return (
        f"{number} differences are looked at together: were all of these assigners exactly as good as the first, still "
        f"in up to {100 * number // _ONE_IN} of 100 such comparisons some interval would leave out zero by chance."
    )


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
