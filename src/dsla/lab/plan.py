"""What is compared: settings by name, seeds and data, kept in `compare.yaml` of the comparison's folder.

A second call on the same folder may add assigners and seeds; all else must be as it was, or the rows of the table
would differ in more than the assigner.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dsla.config import Config, override, parse_config
from dsla.data import DataSplits, DetectionData, hold_out, open_data
from dsla.data.single_class import splits_as_single_class
from dsla.engine.files import write_atomically
from dsla.errors import ConfigError, DataError

PLAN = "compare.yaml"
_PER_RUN = (("train", "seed"), ("data", "path"))  # the same network in the same words on other machines and seeds


@dataclass(frozen=True)
class Tuning:
    """The budget for the balance of class and box loss, the same for each assigner."""

    trials: int
    epochs: int


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One training.

    Attributes:
        label: name of the assigner or variant.
        seed: of weights, order and augmentation.
        config: every setting.
        folder: where it is left.
        trial: number of the trial where it belongs to the tuning; None for a run of the comparison.
    """

    label: str
    seed: int
    config: Config
    folder: Path
    trial: int | None = None

    @property
    def done(self) -> Path:
        """The file that is written last."""
        return self.folder / ("measures.json" if self.trial is None else "results.json")

    @property
    def failed(self) -> Path:
        """The file that says why a run came to nothing."""
        return self.folder / "failed.txt"

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do."""
        return self.done.is_file() or self.failed.is_file()

    def __str__(self) -> str:
        return f"{self.label} seed {self.seed}" if self.trial is None else f"{self.label} trial {self.trial + 1}"


@dataclass(frozen=True, eq=False)
class Plan:
    """A comparison.

    Attributes:
        out: its folder.
        data: path of the pictures, or scenes.
        fingerprint: of all boxes, labels and sizes.
        configs: settings by label, in the order of the table; the seed in them means nothing.
        seeds: of which every label gets a run each.
        tuning: the budget; None for no tuning.
        calls: commands that made the plan and added to it.
    """

    out: Path
    data: str
    fingerprint: str
    configs: dict[str, Config]
    seeds: tuple[int, ...]
    tuning: Tuning | None = None
    calls: tuple[str, ...] = ()

    def run(self, label: str, seed: int, weights: Mapping[str, float] | None = None) -> PlannedRun:
        """One run; `weights` are the tuned ones of its losses."""
        changes: dict[str, Any] = {"train": {"seed": seed}, "data": {"path": self.data}, "loss": dict(weights or {})}
        config = override(self.configs[label], changes, f"{label} seed {seed}")
        return PlannedRun(label, seed, config, self.out / "runs" / f"{label}-{seed}")

    def to_yaml(self) -> str:
        """What `compare.yaml` holds."""
        tree = {
            "calls": list(self.calls),
            "data": {"path": self.data, "fingerprint": self.fingerprint},
            "seeds": list(self.seeds),
            "tuning": None if self.tuning is None else vars(self.tuning),
            "assigners": {label: _dump(config) for label, config in self.configs.items()},
        }
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def plan_comparison(
    out: Path,
    data: str,
    configs: Mapping[str, Config],
    seeds: Sequence[int],
    *,
    splits: DataSplits,
    tuning: Tuning | None = None,
    call: str | None = None,
) -> Plan:
    """Make a plan, or add to the one that the folder has, and keep it there.

    Args:
        out: folder of the comparison.
        data: what `splits` was opened from.
        configs: settings by label, in the order of the table. Those of a label that the folder has already must
            be the same; a label that is not given stays.
        seeds: of which every label gets a run each.
        splits: the pictures.
        tuning: budget for the balance of class and box loss.
        call: the command that asks for it.

    Raises:
        ConfigError: the folder holds another comparison, or pictures or schedule of two labels are not the same;
            the first difference is named.
        DataError: there are no validation pictures to compare on.
    """
    if splits.val is None:
        raise DataError(f"{data}: a comparison needs validation pictures, and here are none; give val.json as well")
    if not configs or not seeds:
        raise ConfigError("compare: name at least one assigner and one seed")
    calls = (call,) if call else ()
    plan = Plan(out, data, fingerprint(splits), dict(configs), tuple(dict.fromkeys(seeds)), tuning, calls)
    if (out / PLAN).is_file():
        before = read_plan(out)
        _check_same(before, plan)
        plan = _joined(before, plan)
    _check_fair(plan.configs)
    write_atomically(out / PLAN, lambda file: file.write(plan.to_yaml().encode()))
    return plan


def read_plan(out: Path) -> Plan:
    """The plan that a folder keeps.

    Raises:
        ConfigError: it keeps none, or one that cannot be read.
    """
    path = out / PLAN
    if not path.is_file():
        raise ConfigError(f"{out}: no comparison is planned here, it has no {PLAN}; make one with `dsla compare DATA`")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        configs = {label: parse_config(settings, f"{path}: {label}") for label, settings in tree["assigners"].items()}
        tuning = None if tree["tuning"] is None else Tuning(**tree["tuning"])
        data = tree["data"]
        seeds, calls = tuple(tree["seeds"]), tuple(tree.get("calls", ()))
        return Plan(out, data["path"], data["fingerprint"], configs, seeds, tuning, calls)
    except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not the plan of a comparison ({error}); choose another --out") from None


def open_splits(plan: Plan, data: str | None = None) -> DataSplits:
    """The pictures of a plan.

    Args:
        data: where they lie here, if not where the plan says.

    Raises:
        DataError: they are not those that the plan was made for.
    """
    splits = open_planned(data or plan.data, plan.configs)
    if fingerprint(splits) != plan.fingerprint:
        raise DataError(
            f"{data or plan.data}: pictures or boxes are not those that {plan.out / PLAN} was made for; restore them, "
            "or begin another comparison with --out"
        )
    return splits


def open_planned(data: str, configs: Mapping[str, Config]) -> DataSplits:
    """Open the pictures as the settings want them."""
    first = next(iter(configs.values())).data  # the same for all
    splits = open_data(data, kind=first.kind, max_pixels=first.max_pixels)
    splits = hold_out(splits, first.val_share, first.val_seed)
    single = any(config.data.single_class for config in configs.values())
    return splits_as_single_class(splits) if single else splits


def fingerprint(splits: DataSplits) -> str:
    """Hash of class names, file names, sizes, boxes, labels and ignore regions of both parts; not of the pixels."""
    digest = hashlib.sha256()
    for part in (splits.train, splits.val):
        if part is not None:
            _digest(digest, part)
        digest.update(b"part")
    return digest.hexdigest()[:16]


def _digest(digest: Any, data: DetectionData) -> None:
    digest.update(repr(data.class_names).encode())
    for index in range(len(data)):
        record = data.record(index)
        digest.update(repr((record.image_id, Path(record.name).name, record.size, len(record.boxes))).encode())
        for tensor in (record.boxes, record.labels, record.ignore):
            digest.update(tensor.numpy().tobytes())


def _dump(config: Config) -> dict[str, Any]:
    tree = config.model_dump(mode="json")
    for part, name in _PER_RUN:
        del tree[part][name]
    return tree


def _joined(before: Plan, now: Plan) -> Plan:
    """The plan that was there, with what is new behind it."""
    added = {label: config for label, config in now.configs.items() if label not in before.configs}
    seeds = tuple(dict.fromkeys([*before.seeds, *now.seeds]))
    calls = before.calls + (now.calls if added or seeds != before.seeds else ())
    return replace(before, configs=before.configs | added, seeds=seeds, calls=calls)


def _check_same(before: Plan, now: Plan) -> None:
    """Raise where the two plans differ in what they share."""
    say = f"{before.out}: holds another comparison; "
    cure = "; repeat the call that made it, or choose another --out"
    if before.fingerprint != now.fingerprint:
        raise ConfigError(f"{say}its pictures or boxes were others ({before.data} then, {now.data} now){cure}")
    if before.tuning != now.tuning:
        raise ConfigError(f"{say}its --tune was {_tuning(before)}, now it is {_tuning(now)}{cure}")
    for label in before.configs.keys() & now.configs.keys():
        path, was, wanted = _first_difference(_dump(before.configs[label]), _dump(now.configs[label]))
        if path:
            raise ConfigError(f"{say}{path} of {label} was {was}, now it is {wanted}{cure}")


def _check_fair(configs: Mapping[str, Config]) -> None:
    """Raise where two labels would not see the same pictures in the same order for as long."""
    (first, config), *others = configs.items()
    if config.train.devices * config.train.nodes > 1:
        raise ConfigError("compare: each run is one process; set train.devices and train.nodes to 1 and use --jobs")
    for label, other in others:
        parts = ({part: _dump(each)[part] for part in ("data", "train")} for each in (config, other))
        path, one, two = _first_difference(*parts)
        if path:
            raise ConfigError(
                f"compare: {path} is {one} for {first} and {two} for {label}; it must be the same for all"
            )


def _first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """Path of the first setting that differs, and its two values; an empty path where none does."""
    there, here = _flat(one), _flat(other)
    for path in [*there, *here]:
        if there.get(path) != here.get(path):
            return path, there.get(path, "not set"), here.get(path, "not set")
    return "", None, None


def _tuning(plan: Plan) -> str:
    return "off" if plan.tuning is None else f"{plan.tuning.trials} trials of {plan.tuning.epochs} epochs"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            flat[f"{prefix}{key}"] = value
    return flat
