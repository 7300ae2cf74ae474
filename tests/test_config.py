"""The configuration tree: round trips, and errors that name the setting and the nearest known one."""

import pytest
import yaml

from dsla.config import override, parse_assignments, parse_config, read_overrides
from dsla.errors import ConfigError
from dsla.methods import METHODS, assigner_names, with_assigner
from dsla.recipes import recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("assigner", assigner_names())
def test_yaml_round_trip(name, assigner):
    config = with_assigner(recipe(name), assigner)
    assert config.assigner.name == METHODS[assigner].assigner.name
    assert parse_config(yaml.safe_load(config.to_yaml()), "yaml") == config


def test_with_assigner_changes_what_belongs_to_it_and_nothing_else():
    dsla, fcos = recipe(), with_assigner(recipe(), "fcos")
    assert fcos.model.quality_branch and fcos.inference.score == "sqrt"
    assert fcos.loss.classification.name == "focal"
    assert fcos.optim == dsla.optim and fcos.train == dsla.train and fcos.data == dsla.data
    assert fcos.loss.box == dsla.loss.box
    assert fcos.model.model_dump() | {"quality_branch": False} == dsla.model.model_dump()


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("optim.lrr=1", "optim.lr"),
        ("model.bacbone=x", "model.backbone"),
        ("assigner.relaxatoin=false", "assigner.relaxation"),
        ("data.augment.flipp=0.1", "data.augment.flip"),
        ("trane.epochs=3", "train"),
        ("train.lr=3", "optim.lr"),
        ("inference.nms_io=0.5", "inference.nms_iou"),
    ],
)
def test_unknown_setting_names_the_nearest(word, nearest):
    with pytest.raises(ConfigError) as caught:
        override(recipe(), parse_assignments([word]), "--set")
    message = str(caught.value)
    assert word.split(".")[0] in message
    assert "no such setting" in message
    assert message.rstrip().endswith(nearest)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("optim.lr=fast", "optim.lr: "),
        ("train.epochs=0", "train.epochs: "),
        ("optim.name=adamm", "optim.name: "),
        ("assigner.name=atsss", "assigner.name: atsss is unknown; known are dsla, fcos"),
        ("model.box=sqrt", "model.box: "),
    ],
)
def test_wrong_value_names_the_setting(word, reason):
    with pytest.raises(ConfigError) as caught:
        override(recipe(), parse_assignments([word]), "--set")
    assert reason in str(caught.value)


def test_another_name_starts_from_its_own_defaults():
    config = override(recipe(), {"loss": {"classification": {"name": "focal"}}}, "x")
    assert config.loss.classification.name == "focal"
    config = override(recipe(), {"assigner": {"name": "fcos", "center_radius": 2.0}}, "x")
    assert config.assigner.name == "fcos" and config.assigner.center_radius == 2.0


def test_numbers_as_people_write_them():
    assert parse_assignments(["optim.lr=1e-3", "train.clip=null", "data.augment.scale=[0.5, 2]"]) == {
        "optim": {"lr": 1e-3},
        "train": {"clip": None},
        "data": {"augment": {"scale": [0.5, 2]}},
    }


def test_word_without_a_value():
    with pytest.raises(ConfigError, match="expected path=value"):
        parse_assignments(["optim.lr"])


def test_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("train: {epochs: 3}\n")
    assert override(recipe(), read_overrides(path), str(path)).train.epochs == 3
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected `setting: value` lines"):
        read_overrides(path)
    path.write_text("a: [\n")
    with pytest.raises(ConfigError, match="not YAML"):
        read_overrides(path)
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_overrides(tmp_path / "nowhere.yaml")


def test_unknown_recipe_and_assigner():
    with pytest.raises(ConfigError, match="the nearest is lite0"):
        recipe("lite1")
    with pytest.raises(ConfigError, match="the nearest is fcos"):
        with_assigner(recipe(), "fcoss")
