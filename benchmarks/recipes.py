"""Build every recipe, count it, and take it through a training step and an evaluation on a few real pictures.

    python benchmarks/recipes.py --json docs/results/recipes.json
    python benchmarks/recipes.py --data coco256 --imgsz 128 --only r101-dcn-2x,swin-s-3x

Parameters and multiply-adds are those at the recipe's own size, for COCO's 80 classes. The step is made with random
weights on small pictures: whether a recipe goes through is the question, not what it finds.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from dsla.config import Config, override
from dsla.data import DataSplits, Resize, open_data, train_loader
from dsla.engine.evaluate import evaluate
from dsla.engine.module import learning_rate_factor
from dsla.engine.outline import outline_of
from dsla.engine.train import versions
from dsla.lab.subset import spread
from dsla.recipes import recipe, recipe_names, recipe_summary

LEAST = 32  # pixels of a side, the smallest that settings allow
LONG = 100_000  # steps of the training whose first step is taken


def count(name: str) -> dict[str, Any]:
    """What a recipe amounts to, without building more than its shapes."""
    config = recipe(name)
    outline = outline_of(config)
    return {
        "recipe": name,
        "summary": recipe_summary(name),
        "backbone": config.model.backbone,
        "weights": config.model.weights,
        "style": config.model.style,
        "colour": config.model.colour,
        "dcn": config.model.dcn and [config.model.dcn, config.model.dcn_stages],
        "epochs": config.train.epochs,
        "batch": config.data.batch,
        "size": outline.size,
        "parameters": outline.complexity.parameters,
        "trainable": outline.complexity.trainable,
        "multiply_adds": outline.complexity.multiply_adds,
    }


def take_step(name: str, splits: DataSplits, imgsz: int, pictures: int) -> dict[str, Any]:
    """One step of training and one evaluation; the recipe's sizes are scaled to a longest side of `imgsz`."""
    config = _small(recipe(name), imgsz, pictures)
    train, val = (spread(splits.part(part), pictures) for part in ("train", "val"))
    resize = Resize(config.data.imgsz, config.data.shorter)
    torch.manual_seed(0)
    detector = config.build_detector(len(train.class_names), weights="none").train()
    optim = config.optim
    optimiser = _optimiser(detector, config)
    loader = train_loader(
        train,
        batch=pictures,
        workers=0,
        augment=config.data.augment,
        resize=resize,
        shorter_choices=config.data.shorter_choices,
        seed=0,
        epochs=config.train.epochs,
    )
    batch = next(iter(loader))
    began = time.perf_counter()
    losses = config.build_criterion()(detector(detector.preprocess(batch.images, batch.sizes)), batch.truth, 0.0)
    losses.total.backward()
    if config.train.clip is not None:
        torch.nn.utils.clip_grad_norm_(detector.parameters(), config.train.clip)
    for group in optimiser.param_groups:
        group["lr"] *= learning_rate_factor(0, LONG, LONG // config.train.epochs, optim)
    optimiser.step()
    trained = time.perf_counter()
    evaluation, rows = evaluate(detector.eval(), val, batch=pictures, resize=resize, decoding=config.inference)
    return {
        "imgsz": imgsz,
        "pictures": pictures,
        "losses": {term: float(value.detach()) for term, value in losses.terms.items()},
        "positives": len(losses.assignment.gt),
        "without_gradient": [n for n, p in detector.named_parameters() if p.requires_grad and p.grad is None],
        "train_ms": round(1000 * (trained - began)),
        "evaluate_ms": round(1000 * (time.perf_counter() - trained)),
        "evaluated": evaluation.protocol["counts"]["pictures"],
        "detections": len(rows),
    }


def _small(config: Config, imgsz: int, pictures: int) -> Config:
    data = config.data
    factor = imgsz / data.imgsz
    shorter = data.shorter and max(LEAST, round(data.shorter * factor))
    choices = tuple(max(LEAST, round(side * factor)) for side in data.shorter_choices)
    changes = {"imgsz": imgsz, "shorter": shorter, "shorter_choices": choices, "batch": pictures}
    return override(config, {"data": changes}, "benchmarks/recipes.py")


def _optimiser(detector: Any, config: Config) -> torch.optim.Optimizer:
    optim = config.optim
    groups = detector.parameter_groups(optim.lr, optim.backbone_factor, optim.weight_decay, optim.bias_factor)
    if optim.name == "sgd":
        return torch.optim.SGD(groups, momentum=optim.momentum)
    return torch.optim.AdamW(groups)


def main() -> None:
    """Count, try, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a COCO folder, or scenes; without it recipes are only counted")
    parser.add_argument("--imgsz", type=int, default=128, help="longest side of the step's pictures")
    parser.add_argument("--pictures", type=int, default=2, help="pictures of the step and of the evaluation")
    parser.add_argument("--only", default=",".join(recipe_names()), help="recipes, by name, with commas")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in recipe_names()]:
        parser.error(f"--only: no recipe {', '.join(unknown)}; there are {', '.join(recipe_names())}")
    splits = open_data(options.data) if options.data else None
    rows: list[dict[str, Any]] = []
    for name in names:
        row = count(name)
        row["step"] = take_step(name, splits, options.imgsz, options.pictures) if splits else None
        rows.append(row)
    _print(rows)
    if options.json:
        data = Path(options.data).name if options.data else None
        report = {"benchmark": "recipes", "data": data, "versions": versions(), "recipes": rows}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Recipes")
    table.add_column("recipe", no_wrap=True)
    for column in ("px", "parameters", "learn", "multiply-adds, G", "loss", "step, ms", "evaluation, ms"):
        table.add_column(column, justify="right")
    for row in rows:
        step = row["step"]
        told = (f"{sum(step['losses'].values()):.3f}", str(step["train_ms"]), str(step["evaluate_ms"])) if step else ()
        table.add_row(
            row["recipe"],
            "x".join(map(str, row["size"])),
            f"{row['parameters']:,}",
            f"{row['trainable']:,}",
            f"{row['multiply_adds'] / 1e9:.1f}",
            *told,
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
