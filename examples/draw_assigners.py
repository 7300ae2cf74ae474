"""Draw what several assigners make of one picture, with a trained model's predictions.

python examples/draw_assigners.py runs/NAME scenes --picture 4 --out assigners.png
"""

import argparse
from pathlib import Path

import torch

from dsla import GroundTruth, load, open_data, recipe, with_assigner
from dsla.assign import Predictions
from dsla.data import Resize
from dsla.data.sample import Batch
from dsla.methods import assigner_names
from dsla.report import plot_assigners, save_figure


def main() -> None:
    """Read the command line, run the model on the picture, assign, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model file, or the folder of a run")
    parser.add_argument("data", help="a folder of labelled pictures, or scenes")
    parser.add_argument("--picture", type=int, default=0, help="number of the validation picture")
    parser.add_argument("--assigners", default=",".join(assigner_names()), help="names, with commas between")
    parser.add_argument("--out", type=Path, default=Path("assigners.png"))
    chosen = parser.parse_args()

    predictor = load(chosen.model)
    config, detector = predictor.config, predictor.detector.eval()
    sample = Resize(config.data.imgsz, config.data.shorter)(open_data(chosen.data).part("val").sample(chosen.picture))
    batch = Batch.collate([sample])
    with torch.no_grad():
        output = detector(detector.preprocess(batch.images, batch.sizes))
    truth: GroundTruth = batch.truth
    said = Predictions(output.logits, output.ltrb)
    base = recipe(config.recipe)
    assignments = {
        name: with_assigner(base, name).assigner(output.points, truth, said) for name in chosen.assigners.split(",")
    }
    title = "The same picture, the same network: what each assigner would have it learn"
    save_figure(plot_assigners(sample.image, output.points, truth, assignments, title=title), chosen.out)
    print(chosen.out)


if __name__ == "__main__":
    main()
