"""What is to be analysed, as it is named on the command line: models, results of other tools, whole comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dsla.config import DataSettings, parse_config
from dsla.engine.modelfile import BEST, read_model
from dsla.errors import ConfigError, DataError
from dsla.lab.plan import PLAN, read_plan
from dsla.lab.record import unfinished_runs

_RESULTS = ".json"


@dataclass(frozen=True)
class Source:
    """One file of answers, or one model that gives them.

    Attributes:
        label: what it is called; sources of one label are repetitions of one thing.
        seed: which repetition.
        path: a model file, the folder of a run, or a COCO-result json.
    """

    label: str
    seed: int
    path: Path

    @property
    def is_results(self) -> bool:
        """Whether it holds answers, and not a model."""
        return self.path.suffix.lower() == _RESULTS

    def __str__(self) -> str:
        return self.label if self.seed == 0 else f"{self.label} seed {self.seed}"


def find_sources(words: Sequence[str]) -> tuple[list[Source], list[str]]:
    """Read what was named.

    Args:
        words: a model, a folder of a run, a COCO-result json, or a folder of `dsla compare`, which stands for all its
            finished runs. `NAME=PATH` calls it NAME; paths of one name are seeds of one thing.

    Returns the sources in the order named, those of a comparison in the order of its plan, and remarks on what is left
    out.

    Raises:
        DataError: there is no such file.
        ConfigError: a comparison cannot be read.
    """
    sources: list[Source] = []
    remarks: list[str] = []
    taken: dict[str, Path | None] = {}
    for word in words:
        name, path = _split(word)
        if (path / PLAN).is_file():
            finished, left = _of_comparison(path)
            sources += finished
            if left:
                remarks.append(f"{path}: left out, because not finished: {', '.join(left)}")
            continue
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; give a model, a run, a COCO-result json or a comparison")
        label = name or _free(_name_of(path), taken)
        taken.setdefault(label, path)
        sources.append(Source(label, sum(source.label == label for source in sources), path))
    return sources, remarks


def trained_with(sources: Sequence[Source]) -> DataSettings | None:
    """The data settings of the first model among them, by which the pictures of all are opened; None without one."""
    model = next((source for source in sources if not source.is_results), None)
    if model is None:
        return None
    file = read_model(model.path)
    return parse_config(file.config, str(file.path)).data


def _split(word: str) -> tuple[str | None, Path]:
    """Name and path of `NAME=PATH`; a path that is there is no such pair."""
    name, equals, rest = word.partition("=")
    if equals and name and rest and not Path(word).exists():
        return name, Path(rest)
    return None, Path(word)


def _of_comparison(folder: Path) -> tuple[list[Source], list[str]]:
    plan = read_plan(folder)
    runs = [plan.run(label, seed) for label in plan.configs for seed in plan.seeds]
    done = [Source(run.label, run.seed, run.folder) for run in runs if run.done.is_file()]
    if not done:
        raise ConfigError(f"{folder}: no run of this comparison is finished; call `dsla compare` to make them")
    return done, unfinished_runs(folder)


def _name_of(path: Path) -> str:
    """A run is called by its folder, another file by its own name."""
    resolved = path.resolve()
    return resolved.parent.name if resolved.name == BEST else resolved.name if resolved.is_dir() else resolved.stem


def _free(name: str, taken: dict[str, Path | None]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
