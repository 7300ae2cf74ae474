"""Regions to ignore, from the file to the figures: nothing in them is learned, nothing found in them is a mistake."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dsla.analysis import score_iou_spearman
from dsla.data import Augment, Resize, open_data, write_shards
from dsla.data.mosaic import mosaic
from dsla.data.resize import Window, resample
from dsla.data.sample import Batch, Sample
from dsla.data.tiles import TiledData
from dsla.data.tiling import Tiling
from dsla.engine.evaluate import evaluate_detections
from dsla.geometry import GroundTruth, Points
from dsla.methods import METHODS, with_assigner
from dsla.models import HeadOutput
from dsla.recipes import recipe

SIDE, STRIDES, CLASSES = 256, (8, 16, 32, 64), 3
REGION = [64.0, 64.0, 192.0, 256.0]
# Beside the region, across its edge, and wholly inside it.
OBJECTS = [[8.0, 10.0, 50.0, 60.0], [170.0, 20.0, 230.0, 100.0], [96.0, 200.0, 120.0, 226.0], [200.0, 8.0, 206.0, 13.0]]


def truth_of(*regions: list[float], labels: tuple[int, ...] = ()) -> GroundTruth:
    """Two pictures; the objects and the regions are in the first, one object in the other."""
    boxes = torch.tensor([*OBJECTS, *regions])
    named = torch.tensor([0, 1, 2, 1, *(labels or (0,) * len(regions))])
    ignore = torch.arange(len(boxes)) >= len(OBJECTS)
    other = (torch.tensor([[30.0, 30.0, 90.0, 120.0]]), torch.tensor([2]), torch.tensor([False]))
    return GroundTruth.collate([(boxes, named, ignore), other])


class Patches(torch.nn.Module):
    """A network that sees, from each point, the pixels of its own cell and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.levels = torch.nn.ModuleList(torch.nn.Conv2d(3, CLASSES + 5, stride, stride) for stride in STRIDES)

    def forward(self, images: torch.Tensor) -> HeadOutput:
        maps = [level(images) for level in self.levels]
        points = Points.lattice(tuple((m.shape[2], m.shape[3]) for m in maps), STRIDES)
        flat = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)
        stride = points.stride[:, None]
        ltrb = (flat[..., CLASSES : CLASSES + 4].sigmoid() * 4 + 0.1) * stride
        return HeadOutput(4 * flat[..., :CLASSES] - 2, ltrb, points, flat[..., -1])


def learn(config, network: Patches, images: torch.Tensor, truth: GroundTruth) -> list[torch.Tensor]:
    """Loss terms and the gradient of every weight."""
    network.zero_grad()
    output = network(images)
    if not config.model.quality_branch:
        output = replace(output, quality=None)
    losses = config.build_criterion()(output, truth)
    losses.total.backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]
    return [*(term.detach() for term in losses.terms.values()), *grads]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("cover", [False, True], ids=["", "cover"])
@pytest.mark.parametrize("name", METHODS)
def test_the_loss_does_not_depend_on_what_lies_in_a_region(name, cover):
    """Neither on its pixels, nor on what is labelled in it: the same terms and the same gradient, to the last bit."""
    config = with_assigner(recipe(), name)
    config = config.model_copy(update={"assigner": replace(config.assigner, cover=cover)})
    network = Patches()
    rng = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, SIDE, SIDE, generator=rng)
    before = learn(config, network, images, truth_of(REGION))

    changed = images.clone()
    for top in range(64, 256, 64):
        for left in (64, 128):  # cells of the coarsest level, so that no point outside sees the change
            touched = any(x1 < left + 64 and x2 > left and y1 < top + 64 and y2 > top for x1, y1, x2, y2 in OBJECTS)
            if not touched:
                changed[0, :, top : top + 64, left : left + 64] = torch.rand(3, 64, 64, generator=rng)
    assert not torch.equal(changed, images)
    assert same(before, learn(config, network, changed, truth_of(REGION)))
    # Without the region the same change matters.
    assert not same(learn(config, network, images, truth_of()), learn(config, network, changed, truth_of()))

    for regions, labels in (
        ([REGION], (2,)),
        ([REGION, [70.0, 70.0, 100.0, 130.0]], (0, 1)),
        ([[64.0, 64.0, 192.0, 200.0], [64.0, 120.0, 192.0, 256.0], REGION], (0, 1, 2)),
    ):
        assert same(before, learn(config, network, images, truth_of(*regions, labels=labels)))


@pytest.mark.parametrize("name", METHODS)
def test_ignored_points_get_no_gradient_whatever_they_say(name):
    config = with_assigner(recipe(), name)
    output = Patches()(torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2)))
    quality = output.quality.detach() if config.model.quality_branch and output.quality is not None else None
    truth, criterion = truth_of(REGION), config.build_criterion()

    def terms(logits, ltrb):
        logits, ltrb = logits.detach().requires_grad_(), ltrb.detach().requires_grad_()
        losses = criterion(HeadOutput(logits, ltrb, output.points, quality), truth)
        losses.total.backward()
        return losses, logits.grad, ltrb.grad

    losses, logits_grad, ltrb_grad = terms(output.logits, output.ltrb)
    ignored = losses.assignment.ignored
    inside = torch.stack([output.points.xy, -output.points.xy], dim=1).flatten(1)
    in_object = torch.zeros_like(ignored)
    for box in OBJECTS:
        corners = torch.tensor([box[0], box[1], -box[2], -box[3]])
        in_object[0] |= (inside > corners).all(dim=1)
    free = ignored & ~in_object
    assert free.sum() > 200 and not ignored[1].any()
    assert not truth.ignore[losses.assignment.gt].any()
    assert not logits_grad[ignored].any() and not ltrb_grad[ignored].any()
    wild = torch.where(free[..., None], 50 * torch.randn_like(output.logits), output.logits)
    far = torch.where(free[..., None], 1000 * torch.rand_like(output.ltrb), output.ltrb)
    again, other_logits_grad, other_ltrb_grad = terms(wild, far)
    assert all(torch.equal(value, again.terms[name]) for name, value in losses.terms.items())
    assert torch.equal(logits_grad, other_logits_grad) and torch.equal(ltrb_grad, other_ltrb_grad)


def painted() -> Sample:
    """A picture that is white where it is to be ignored and black elsewhere."""
    regions = [[30.0, 20.0, 90.0, 70.0], [120.0, 100.0, 200.0, 160.0]]
    image = torch.zeros(3, 180, 240, dtype=torch.uint8)
    for x1, y1, x2, y2 in regions:
        image[:, int(y1) : int(y2), int(x1) : int(x2)] = 255
    return Sample(
        image=image,
        boxes=torch.tensor([*regions, [100.0, 20.0, 140.0, 60.0], [5.0, 90.0, 60.0, 170.0]]),
        labels=torch.zeros(4, dtype=torch.int64),
        ignore=torch.tensor([True, True, False, False]),
        image_id=1,
        name="painted.png",
        original_size=(180, 240),
    )


def painted_tiles() -> list[Sample]:
    sample = painted()

    class One:
        class_names, notes = ("a",), ()

        def __len__(self):
            return 1

        def sample(self, index):
            return sample

        def record(self, index):
            from dsla.data import Record

            return Record(sample.boxes, sample.labels, sample.ignore, sample.size, 1, "painted.png")

        def to_coco(self):
            return {"categories": [{"id": 1, "name": "a"}]}

    tiles = TiledData(One(), Tiling(100, 0.3, whole=False))
    return [tiles.sample(index) for index in range(len(tiles))]


STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
VIEWS = {
    "flip": lambda s, rng: Augment(flip=1.0, flip_vertical=1.0, scale=(1.0, 1.0), **STILL)(s, Resize(240), rng),
    "scale": lambda s, rng: Augment(scale=(0.5, 2.0), **STILL)(s, Resize(200), rng),
    "crop": lambda s, rng: Augment(iou_crop=1.0, **STILL)(s, Resize(200), rng),
    "mosaic": lambda s, rng: mosaic([s] * 4, Augment(**STILL), Resize(240), rng),
    "window": lambda s, rng: resample(s, Window(40, 50, 90, 120), (180, 240)),
    "tile": lambda s, rng: rng.choice(np.array(painted_tiles(), dtype=object)),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_regions_move_with_the_picture(kind):
    """What is white stays ignored, wherever a view puts it."""
    for seed in range(12):
        view = VIEWS[kind](painted(), np.random.default_rng(seed))
        white = view.image[0] > 200
        covered = torch.zeros_like(white)
        certain = torch.zeros_like(white)
        for x1, y1, x2, y2 in view.boxes[view.ignore].round().int().tolist():
            covered[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2] = True
        for x1, y1, x2, y2 in view.boxes[view.ignore & (view.labels == 0)].round().int().tolist():
            certain[y1 + 2 : max(y2 - 2, 0), x1 + 2 : max(x2 - 2, 0)] = True
        assert not (white & ~covered).any()
        # An object that a view cuts down to a rest becomes a region too, and those lie on black.
        assert (certain & ~white).float().mean() < 0.1


@pytest.fixture
def marked(tmp_path: Path):
    """The same picture and boxes in a COCO json; the second box is marked as the caller says."""

    def write(name: str, **mark: object) -> Path:
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        Image.fromarray(np.full((120, 160, 3), 90, dtype=np.uint8)).save(folder / "images" / "1.png")
        boxes = [([10, 10, 30, 40], {}), ([60, 20, 80, 90], mark), ([12, 70, 30, 30], {})]
        content = {
            "images": [{"id": 1, "file_name": "1.png", "width": 160, "height": 120}],
            "annotations": [
                {"id": n, "image_id": 1, "category_id": 4, "bbox": box, "area": box[2] * box[3], **more}
                for n, (box, more) in enumerate(boxes, start=1)
            ],
            "categories": [{"id": 4, "name": "cell"}],
        }
        (folder / "train.json").write_text(json.dumps(content))
        (folder / "val.json").write_text(json.dumps(content))
        return folder

    return write


def write_voc(folder: Path) -> Path:
    """The same with Pascal VOC's `difficult`, which counts pixels from 1."""
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    Image.fromarray(np.full((120, 160, 3), 90, dtype=np.uint8)).save(folder / "JPEGImages" / "1.png")
    boxes = [(11, 11, 40, 50, 0), (61, 21, 140, 110, 1), (13, 71, 42, 100, 0)]
    objects = "".join(
        f"<object><name>cell</name><difficult>{hard}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for x1, y1, x2, y2, hard in boxes
    )
    size = "<size><width>160</width><height>120</height><depth>3</depth></size>"
    text = f"<annotation><filename>1.png</filename>{size}{objects}</annotation>"
    (folder / "Annotations" / "1.xml").write_text(text)
    return folder


def test_a_crowd_an_ignore_flag_and_a_difficult_object_are_one_thing(marked, tmp_path):
    pytest.importorskip("webdataset")
    folders = {
        "crowd": marked("crowd", iscrowd=1),
        "ignore": marked("ignore", ignore=True),
        "number": marked("number", ignore=1),
        "voc": write_voc(tmp_path / "voc"),
    }
    write_shards(open_data(folders["ignore"]), tmp_path / "shards")
    parts = {name: open_data(folder).train for name, folder in (folders | {"shards": tmp_path / "shards"}).items()}
    config = recipe()
    criterion, seen = config.build_criterion(), {}
    for name, part in parts.items():
        record = part.record(0)
        assert record.boxes.tolist() == [[10, 10, 40, 50], [60, 20, 140, 110], [12, 70, 42, 100]], name
        assert record.ignore.tolist() == [False, True, False], name
        annotations = part.to_coco()["annotations"]
        assert [bool(each["iscrowd"]) for each in annotations] == [False, True, False], name
        batch = Batch.collate([Resize(160)(part.sample(0))])
        network = Patches()
        output = replace(network(batch.images.float()[..., :128, :128] / 255), quality=None)
        seen[name] = float(criterion(output, batch.truth).total.detach())
    assert len(set(seen.values())) == 1


def results(*boxes: tuple[list[float], float]) -> list[dict]:
    return [{"image_id": 1, "category_id": 4, "bbox": box, "score": score} for box, score in boxes]


def test_what_is_found_in_a_region_is_no_mistake_in_any_figure(marked):
    found = results(
        ([10, 10, 30, 40], 0.5),
        ([12, 70, 28, 30], 0.4),
        ([62, 25, 20, 20], 0.9),  # small, inside the region
        ([60, 20, 80, 90], 0.95),  # the region itself
        ([64, 30, 40, 40], 0.99),
    )
    for mark in ({"iscrowd": 1}, {"ignore": True}):
        folder = marked("/".join(mark), **mark)
        truth = open_data(folder).train.to_coco()
        evaluation = evaluate_detections(truth, found)
        assert evaluation.AP50 == 1.0
        assert evaluation.confusion["matrix"] == [[2, 0], [0, 0]]
        without = evaluate_detections(truth, found[:2])
        assert (evaluation.AP, evaluation.APs, evaluation.APm) == (without.AP, without.APs, without.APm)
        assert score_iou_spearman(truth, found) == score_iou_spearman(truth, found[:2])
        judge = judged(truth, found)
        assert pytest.approx(judge, abs=1e-12) == [evaluation.AP, evaluation.AP50, evaluation.AR100]
        # Half outside is no longer inside: COCO measures the share of the detection, not of the region.
        outside = evaluate_detections(truth, [*found, *results(([20, 20, 70, 60], 0.999))])
        assert outside.AP50 < 1 and outside.confusion["matrix"] == [[2, 0], [1, 0]]


def judged(truth: dict, found: list[dict]) -> list[float]:
    """AP, AP50 and AR100 by pycocotools."""
    coco = COCO()
    coco.dataset = truth | {"info": {}}
    coco.createIndex()
    scorer = COCOeval(coco, coco.loadRes(found), "bbox")
    scorer.evaluate()
    scorer.accumulate()
    scorer.summarize()
    return [scorer.stats[0], scorer.stats[1], scorer.stats[8]]
