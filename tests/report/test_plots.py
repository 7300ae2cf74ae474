import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import rcParams
from PIL import Image

from dsla.data.dataset import Record
from dsla.data.sample import Sample
from dsla.engine.evaluate import evaluate_detections
from dsla.errors import DataError
from dsla.report import plot_confusion, plot_curves, plot_precision_recall, read_metrics, write_run_plots

METRICS = """epoch,step,lr,seconds,train/loss,train/loss_box,train/loss_class,val/AP,val/AP50,val/AP75
1,10,0.001,5,2.0,1.2,0.8,,,
2,20,0.001,5,1.5,0.9,0.6,0.2,0.4,0.15
3,30,0.001,5,nan,,0.5,0.18,0.38,oops
"""


class Pictures:
    """Two pictures of different shapes, three boxes and a crowd."""

    notes = ()

    def __init__(self, names: tuple[str, ...] = ("cat", "dog")) -> None:
        self.class_names = names

    def __len__(self) -> int:
        return 2

    def sample(self, index: int) -> Sample:
        size = ((60, 90), (90, 60))[index]
        return Sample(
            image=torch.full((3, *size), 90 + 60 * index, dtype=torch.uint8),
            boxes=torch.tensor([[5.0, 5, 40, 40], [30, 20, 55, 55]]),
            labels=torch.tensor([0, 1]),
            ignore=torch.tensor([False, index == 1]),
            image_id=10 + index,
            name=f"folder/{index}.png",
            original_size=size,
        )

    def record(self, index: int) -> Record:
        raise AssertionError("a sheet of decoded pictures asks for no record")

    def to_coco(self):
        annotations = []
        for index in range(2):
            sample = self.sample(index)
            for box, label, ignore in zip(
                sample.boxes.tolist(), sample.labels.tolist(), sample.ignore.tolist(), strict=True
            ):
                x1, y1, x2, y2 = box
                annotations.append(
                    {
                        "id": len(annotations) + 1, "image_id": sample.image_id, "category_id": label + 1,
                        "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": int(ignore),
                    }
                )  # fmt: skip
        images = [{"id": 10 + i, "height": 60 + 30 * i, "width": 90 - 30 * i, "file_name": f"{i}.png"} for i in (0, 1)]
        categories = [{"id": i, "name": name} for i, name in enumerate(self.class_names, 1)]
        return {"images": images, "annotations": annotations, "categories": categories}


def detections():
    found = [
        (10, 1, [5, 5, 34, 36], 0.9),
        (10, 1, [30, 20, 25, 35], 0.6),
        (11, 1, [6, 5, 35, 35], 0.8),
        (11, 2, [0, 0, 9, 9], 0.1),
    ]
    return [{"image_id": i, "category_id": c, "bbox": b, "score": s} for i, c, b, s in found]


@pytest.fixture
def run(tmp_path) -> Path:
    results = detections()
    (tmp_path / "metrics.csv").write_text(METRICS)
    (tmp_path / "results.json").write_text(json.dumps(evaluate_detections(Pictures().to_coco(), results).to_json()))
    (tmp_path / "detections.json").write_text(json.dumps(results))
    return tmp_path


def test_a_run_folder_gets_all_its_plots(run):
    written = write_run_plots(run, Pictures())
    assert [path.name for path in written] == [
        "curves.png",
        "precision_recall.png",
        "confusion.png",
        "validation.jpg",
    ]
    for path in written:
        with Image.open(path) as image:
            assert min(image.size) > 300
            assert len(np.unique(np.asarray(image.convert("L")))) > 20  # something is drawn


def test_what_is_missing_is_left_out(run, tmp_path):
    (run / "results.json").unlink()
    assert [path.name for path in write_run_plots(run)] == ["curves.png"]
    (run / "metrics.csv").unlink()
    with pytest.raises(DataError, match=r"neither metrics\.csv nor results\.json"):
        write_run_plots(run)


def test_a_run_without_validation_pictures_has_no_result_plots(run):
    (run / "results.json").write_text(json.dumps({"seed": 0}))
    assert [path.name for path in write_run_plots(run, Pictures())] == ["curves.png", "validation.jpg"]


def test_damaged_json_is_named(run):
    (run / "results.json").write_text("{")
    with pytest.raises(DataError, match=r"results\.json: not json"):
        write_run_plots(run)


def test_drawing_leaves_matplotlib_as_it_was(run):
    before = dict(rcParams)
    write_run_plots(run)
    assert dict(rcParams) == before


def test_sparse_and_unreadable_cells_are_left_out(run):
    metrics = read_metrics(run / "metrics.csv")
    assert metrics["val/AP"] == ([2, 3], [0.2, 0.18])
    assert metrics["val/AP75"] == ([2], [0.15])
    assert metrics["train/loss"] == ([1, 2], [2.0, 1.5])


def test_rows_of_a_csv_without_epochs_are_counted(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("train/loss\n3\n2\n")
    assert read_metrics(path)["train/loss"] == ([0, 1], [3.0, 2.0])


def test_curves_show_losses_and_ap_and_the_best(run):
    losses, ap = plot_curves(read_metrics(run / "metrics.csv")).axes
    assert [text.get_text().split()[0] for text in losses.get_legend().get_texts()] == ["sum", "box", "class"]
    assert ap.get_legend().get_texts()[0].get_text() == "AP  best 20.0"


@pytest.mark.parametrize("columns", [["train/loss"], ["val/AP"], []])
def test_curves_of_part_of_it(columns):
    metrics = {name: ([1.0], [0.5]) for name in columns}
    assert len(plot_curves(metrics).axes) == 1


@pytest.mark.parametrize("classes", [1, 3, 30])
def test_few_and_many_classes(classes, tmp_path):
    names = [f"class number {k} of them" for k in range(classes)]
    curves = {
        "recall": [0, 0.5, 1],
        "mean": {"0.50": [1, 0.5, 0]},
        "per_class": {name: [1, 0.5, 0] for name in names},
    }
    per_class = {name: {"AP50": k / classes, "boxes": k} for k, name in enumerate(names)}
    plot_precision_recall(curves, per_class).savefig(tmp_path / "pr.png")
    matrix = np.diag(np.arange(classes + 1))
    confusion = {"class_names": names, "matrix": matrix.tolist(), "iou": 0.5, "score": 0.3}
    figure = plot_confusion(confusion)
    figure.savefig(tmp_path / "confusion.png")
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(shown) == min(classes, 25) + 1
    assert shown[-1] == "nothing there"
