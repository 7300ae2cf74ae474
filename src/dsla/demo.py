"""`dsla demo`: generated scenes, a short training, unseen scenes, pictures of what was found and of the labels."""

from pathlib import Path

from rich.console import Console

from dsla.assign import DSLA
from dsla.config import Config, override
from dsla.data import Resize
from dsla.data.dataset import DataSplits
from dsla.data.scenes import Scenes
from dsla.engine.predict import load
from dsla.engine.train import train
from dsla.errors import ConfigError
from dsla.recipes import recipe
from dsla.report import detection_sheet, draw_static_labels, save_figure, write_run_plots

TRAIN, VAL, SHOWN, THRESHOLD = 400, 100, 12, 0.45
# Streams of scenes that the training never sees; `open_data("scenes")` uses others.
VAL_SEED, SHOW_SEED, LABEL_SCENE = 2_000_003, 3_000_017, 4


def demo_config(epochs: int, seed: int) -> Config:
    """The default recipe, at the length of the demo."""
    changes = {"data": {"path": "scenes"}, "train": {"epochs": epochs, "seed": seed, "evaluate_every": 2}}
    return override(recipe(), changes, "demo")


def run_demo(out: Path, *, epochs: int, seed: int, console: Console) -> None:
    """Train on generated scenes, evaluate on unseen ones, draw, and say where everything lies.

    Args:
        out: folder to make; it must not hold a run already.
        epochs: passes over the training scenes.
        seed: of scenes, weights and order.
        console: where progress is told.

    Raises:
        ConfigError: if the folder holds something already.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty; remove it or choose another folder with --out")
    splits = DataSplits(Scenes(TRAIN, seed=seed), Scenes(VAL, seed=seed + VAL_SEED), "scenes", None)
    config = demo_config(epochs, seed)
    console.print(
        f"Drawing {TRAIN} scenes to learn from and {VAL} others to be examined on; training "
        f"{config.model.backbone} with DSLA for {epochs} epochs, a few minutes on two cores.",
        highlight=False,
    )
    run = train(config, splits, out, console=console)
    write_run_plots(run.folder, splits.val)
    assert run.evaluation is not None
    console.print(run.evaluation.table())

    predictor = load(run.model)
    unseen = Scenes(SHOWN, seed=seed + SHOW_SEED)
    images = [unseen.sample(index).image for index in range(SHOWN)]
    title = "Scenes the detector has never seen, and what it finds in them"
    sheet = out / "detections.png"
    detection_sheet(images, predictor.predict(images, THRESHOLD), title=title).save(sheet)
    labels = out / "labels.png"
    scene = Resize(config.data.imgsz)(unseen.sample(LABEL_SCENE))
    # The plain rule, without centre sampling: it shows how a label fades in space and from level to level.
    assert isinstance(config.assigner, DSLA)
    plain = DSLA(reach=config.assigner.reach)
    save_figure(draw_static_labels(scene, unseen.class_names, assigner=plain), labels)

    console.print(f"\ndetections on unseen scenes  {sheet}", highlight=False)
    console.print(f"DSLA's labels, level by level  {labels}", highlight=False)
    console.print(f"curves, confusion, gallery     {out / 'plots'}", highlight=False)
    console.print(f"the model                      {run.model}", highlight=False)
    console.print("\nNow with your own pictures:", highlight=False)
    console.print("  dsla train FOLDER              a COCO folder: train.json, val.json, images/", highlight=False)
    console.print(f"  dsla predict {run.model} PICTURE...", highlight=False)
