"""All that the page may ask: what there is, a picture's labels, a model's word on it."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dsla.assign import AnyAssigner
from dsla.config import Config
from dsla.data import DataSplits
from dsla.data.resize import Resize
from dsla.engine.draw import PALETTE, class_color
from dsla.engine.label_maps import frame, label_maps, without_network
from dsla.engine.predictor import Predictor
from dsla.errors import ConfigError, DataError
from dsla.explore.controls import assigner_choices, changed, controls_of
from dsla.explore.models import Models, told
from dsla.explore.pictures import Pictures

SMALLEST, LARGEST = 64, 1536  # pixels of a picture's longer side
_NO_IOU = "Coupling multiplies labels by the IoU that a model reaches; choose a model, or turn it off"
_BOX_COLORS = 3 * len(PALETTE)


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    split: Literal["train", "val"]
    index: Annotated[int, Field(ge=0)]
    imgsz: Annotated[int, Field(ge=SMALLEST, le=LARGEST)]


class LabelQuestion(_Question):
    """Which labels an assigner gives to a picture's points.

    Attributes:
        assigner: its name among the choices.
        settings: values of its controls that differ from the start.
        model: number of the model whose predictions the labels may depend on; None for none.
        offset: place of a point in its cell.
    """

    assigner: str
    settings: dict[str, bool | int | float | str | None] = {}
    model: int | None = None
    offset: Annotated[float, Field(ge=0, le=1)] = 0.5


class WordQuestion(_Question):
    """What a model says of a picture."""

    model: int


class SurveyQuestion(BaseModel):
    """How wrong a model is on each picture of a split."""

    model_config = ConfigDict(extra="forbid")

    split: Literal["train", "val"]
    model: int
    threshold: Annotated[float, Field(ge=0, le=1)]


class Session:
    """A data set and models, open for questions.

    Args:
        name: of the data set, for the page.
        splits: the data set.
        config: settings that labels start from where there is no model.
        predictors: models by the name that the page shows.

    Raises:
        DataError: a model has other classes than the data.
    """

    def __init__(self, name: str, splits: DataSplits, config: Config, predictors: Mapping[str, Predictor]) -> None:
        for model, predictor in predictors.items():
            if predictor.class_names != splits.train.class_names:
                raise DataError(
                    f"{model}: the model knows {', '.join(predictor.class_names)} and the data "
                    f"{', '.join(splits.train.class_names)}; open it with the classes that it was trained on"
                )
        self.name = name
        self.pictures = Pictures(splits)
        self.models = Models(dict(predictors), self.pictures)
        self.configs = (config, *(predictor.config for predictor in predictors.values()))
        # Without a model, what can go without one does.
        self._choices = [_alone(assigner_choices(config)), *map(assigner_choices, self.configs[1:])]
        self._token = secrets.token_hex(4)  # the browser keeps pictures, and must not keep those of another session

    def about(self) -> dict[str, Any]:
        """What there is: splits, classes, models, and the assigners as they start with each."""
        return {
            "name": self.name,
            "token": self._token,
            "splits": {name: len(part) for name, part in self.pictures.parts.items()},
            "classes": list(self.pictures.class_names),
            "class_colors": [_hex(class_color(label)) for label in range(len(self.pictures.class_names))],
            "box_colors": [_hex(class_color(number)) for number in range(_BOX_COLORS)],
            "models": list(self.models.names),
            "imgsz": [SMALLEST, LARGEST],
            "starts": [self._start(number) for number in range(len(self.configs))],
        }

    def labels(self, question: LabelQuestion) -> dict[str, Any]:
        """Points that learn something: index, number of their box in the record, label in thousandths.

        Raises:
            ConfigError: the assigner or a setting is unknown, or it needs a model and there is none.
        """
        config = self._config(question.model)
        assigner = changed(self._assigner(question.assigner, question.model), question.settings)
        if question.model is None and assigner.name == "dsla" and assigner.needs_predictions:
            raise ConfigError(_NO_IOU)
        record = self.pictures.record(question.split, question.index)
        own = question.imgsz == config.data.imgsz
        resize = Resize(question.imgsz, config.data.shorter if own else None)
        framed = frame(record, resize, config.model.strides, question.offset)
        network = None
        if assigner.needs_predictions and question.model is not None:
            network = self.models.said(question.model, question.split, question.index, question.imgsz).maps
        maps = label_maps(assigner, framed, network)
        point = (maps.owner >= 0).nonzero().flatten()
        seen = set(framed.number.tolist())
        return {
            "strides": list(framed.points.strides),
            "sizes": [list(size) for size in framed.points.sizes],
            "offset": framed.points.offset,
            "scale": list(framed.scale),
            "size": list(framed.size),
            "point": point.tolist(),
            "owner": framed.number[maps.owner[point]].tolist(),
            "label": (maps.label[point] * 1000).round().int().tolist(),
            "ignored": maps.ignored.nonzero().flatten().tolist(),
            "lost": [number for number in range(len(record.boxes)) if number not in seen],
            "needs_model": assigner.needs_predictions,
        }

    def word(self, question: WordQuestion) -> dict[str, Any]:
        """What a model says of a picture, see `dsla.explore.models.told`."""
        said = self.models.said(question.model, question.split, question.index, question.imgsz)
        predictor = self.models.predictor(question.model)
        record = self.pictures.record(question.split, question.index)
        data = predictor.config.data
        resize = Resize(question.imgsz, data.shorter if question.imgsz == data.imgsz else None)
        return told(said, frame(record, resize, predictor.config.model.strides).number.numpy())

    def survey(self, question: SurveyQuestion) -> dict[str, Any]:
        """Missed and invented boxes and error of each picture, as far as they are known."""
        return self.models.survey(question.model, question.split, question.threshold)

    def close(self) -> None:
        """End the work in the background."""
        self.models.close()

    def _config(self, model: int | None) -> Config:
        if model is not None:
            self.models.predictor(model)
        return self.configs[0 if model is None else model + 1]

    def _assigner(self, name: str, model: int | None) -> AnyAssigner:
        self._config(model)
        choices = self._choices[0 if model is None else model + 1]
        if name not in choices:
            raise ConfigError(f"assigner {name}: unknown; there are {', '.join(choices)}")
        return choices[name]

    def _start(self, number: int) -> dict[str, Any]:
        """Picture size, offset and assigners of the recipe (0) or of a model (from 1)."""
        config = self.configs[number]
        choices = self._choices[number]
        mine = config.assigner if number else _alone({"": config.assigner})[""]
        own = next(name for name, assigner in choices.items() if assigner == mine)
        return {
            "imgsz": config.data.imgsz,
            "offset": config.model.offset,
            "strides": list(config.model.strides),
            "threshold": 0.3,
            "nms": config.inference.nms_iou,
            "assigner": own,
            "assigners": {name: _described(assigner) for name, assigner in choices.items()},
        }


def _described(assigner: AnyAssigner) -> dict[str, Any]:
    """Controls of an assigner with their values."""
    controls = controls_of(assigner)
    return {
        "controls": [asdict(control) for control in controls],
        "values": {control.field: getattr(assigner, control.field) for control in controls},
        "needs_model": assigner.needs_predictions,
    }


def _alone(choices: Mapping[str, AnyAssigner]) -> dict[str, AnyAssigner]:
    """Assigners as far as they go without a model; those that cannot stay, and ask for one."""
    alone: dict[str, AnyAssigner] = {}
    for name, assigner in choices.items():
        try:
            static = without_network(assigner)
        except ConfigError:
            static = assigner
        if static not in alone.values():
            alone[name] = static
    return alone


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
