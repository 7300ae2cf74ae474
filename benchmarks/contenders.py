"""Training steps to compare: ours, torchvision's FCOS made of our parts, and as people get it.

Every step starts from the same uint8 pictures and boxes in memory and ends after the optimiser's step: pictures
to normalised floats, forward, assignment, losses, backward, clipping by norm, AdamW. Loading, the averaged
weights and the trainer's own work are in none of them.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, fcos_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSHead, FCOSRegressionHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from dsla.assign import Assigner, Assignment, Predictions
from dsla.data import Batch
from dsla.geometry import GroundTruth, Points
from dsla.methods import with_assigner
from dsla.models import Detector, HeadOutput
from dsla.models.frozen_norm import unfold_frozen_norms
from dsla.recipes import recipe

LR = 1e-4  # of the recipe's warm-up: the networks are new and must stay finite, the rate costs nothing


@dataclass(frozen=True)
class Setting:
    """What all contenders share."""

    imgsz: int
    classes: int
    device: torch.device

    def now(self) -> float:
        """Milliseconds on a clock, once everything asked of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() * 1000


class Contender(Protocol):
    """Something that trains."""

    def step(self, batch: Batch) -> None:
        """One training step."""
        ...


class _Learner:
    def __init__(self, network: nn.Module, groups: Iterable[Any], weight_decay: float, clip: float | None) -> None:
        self.network = network.train()
        self.optimiser = torch.optim.AdamW(groups, lr=LR, weight_decay=weight_decay)
        self.clip = clip

    def learn(self, backward: Callable[[], object]) -> None:
        self.optimiser.zero_grad()
        backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_([p for g in self.optimiser.param_groups for p in g["params"]], self.clip)
        self.optimiser.step()


class Ours(_Learner):
    """The default recipe, with one assigner or another."""

    def __init__(self, setting: Setting, assigner: str) -> None:
        self.setting = setting
        config = with_assigner(recipe(), assigner)
        self.detector = config.build_detector(setting.classes).to(setting.device)
        self.criterion = config.build_criterion()
        optim = config.optim
        groups = self.detector.parameter_groups(LR, optim.backbone_factor, optim.weight_decay, optim.bias_factor)
        super().__init__(self.detector, groups, optim.weight_decay, config.train.clip)

    def forward(self, batch: Batch) -> HeadOutput:
        return self.detector(self.detector.preprocess(batch.images, batch.sizes))

    def step(self, batch: Batch) -> None:
        total = self.criterion(self.forward(batch), batch.truth).total
        self.learn(total.backward)

    def parts(self, batch: Batch) -> dict[str, float]:
        """The same step cut at the head's outputs; milliseconds of the criterion's parts and of all of it."""
        now, marks = self.setting.now, [self.setting.now()]
        watch = _Watched(self.criterion.assigner, now)
        output = self.forward(batch)
        joints = [x for x in (output.logits, output.ltrb, output.quality) if x is not None]
        leaves = [x.detach().requires_grad_() for x in joints]
        cut = replace(output, logits=leaves[0], ltrb=leaves[1], quality=leaves[2] if len(leaves) > 2 else None)
        marks.append(now())
        losses = replace(self.criterion, assigner=watch)(cut, batch.truth)
        marks.append(now())
        losses.total.backward()
        marks.append(now())
        self.learn(lambda: torch.autograd.backward(joints, [leaf.grad for leaf in leaves]))
        marks.append(now())
        begin, forward, criterion, backward, end = marks
        return {
            "assignment_ms": watch.ms,
            "loss_forward_ms": criterion - forward - watch.ms,
            "loss_backward_ms": backward - criterion,
            "whole_ms": end - begin,
        }


class _Watched:
    """An assigner with a clock."""

    def __init__(self, assigner: Assigner, now: Callable[[], float]) -> None:
        self.assigner, self.now, self.ms = assigner, now, 0.0

    @property
    def needs_predictions(self) -> bool:
        return self.assigner.needs_predictions

    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        begin = self.now()
        assignment = self.assigner(points, truth, pred)
        self.ms = self.now() - begin
        return assignment


class Torchvision(_Learner):
    """A detector with torchvision's interface: lists of pictures in [0, 1] and of boxes, losses by name."""

    def __init__(self, setting: Setting, network: nn.Module) -> None:
        config = recipe()
        network = network.to(setting.device)
        trainable = [p for p in network.parameters() if p.requires_grad]
        super().__init__(network, trainable, config.optim.weight_decay, config.train.clip)

    def step(self, batch: Batch) -> None:
        truth = batch.truth
        images = [image[:, :h, :w] / 255 for image, (h, w) in zip(batch.images, batch.sizes.tolist(), strict=True)]
        targets = []
        for index in range(len(images)):
            mine = (truth.image == index) & ~truth.ignore
            targets.append({"boxes": truth.boxes[mine], "labels": truth.labels[mine]})
        losses: dict[str, Tensor] = self.network(images, targets)
        self.learn(torch.stack(list(losses.values())).sum().backward)


class _Pyramid(nn.Module):
    """Our backbone and neck as torchvision wants a backbone."""

    def __init__(self, detector: Detector, width: int) -> None:
        super().__init__()
        self.backbone, self.neck, self.out_channels = detector.backbone, detector.neck, width

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict((str(n), x) for n, x in enumerate(self.neck(self.backbone(images))))


def twin(setting: Setting, memory_format: torch.memory_format) -> Torchvision:
    """torchvision's FCOS with our backbone, neck, and a head of our width, convolutions and groups.

    What its transform does besides resizing (normalising, padding to one size) stays, as we do that too;
    resizing is switched off, since our pictures are resized when they are loaded.
    """
    config = recipe()
    model = config.model
    detector = config.build_detector(setting.classes)
    unfold_frozen_norms(detector.backbone)  # folding them into convolutions is ours, not timm's or torchvision's
    head = FCOSHead(model.width, 1, setting.classes, model.convs)
    norm = partial(nn.GroupNorm, model.groups)
    head.classification_head = FCOSClassificationHead(model.width, 1, setting.classes, model.convs, norm_layer=norm)
    head.regression_head = FCOSRegressionHead(model.width, 1, model.convs, norm_layer=norm)
    network = FCOS(
        _Pyramid(detector, model.width),
        num_classes=setting.classes,
        head=head,
        min_size=setting.imgsz,
        max_size=setting.imgsz,
        image_mean=list(detector.backbone.mean),
        image_std=list(detector.backbone.std),
        _skip_resize=True,
    )
    return Torchvision(setting, network.to(memory_format=memory_format))


def resnet50(setting: Setting, **options: Any) -> Torchvision:
    """`fcos_resnet50_fpn` without weights: every stage and every batch norm learns."""
    return Torchvision(
        setting,
        fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=setting.classes, **options),
    )


def resnet50_finetuned(setting: Setting) -> Torchvision:
    """The same network as its default weights would make it: three stages learn, batch norms are frozen."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        trainable_layers=3,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    for name, buffer in backbone.named_buffers():
        if name.endswith("bn3.weight"):
            buffer.fill_(0.2)  # without weights nothing else keeps the activations of 16 blocks in range
    return Torchvision(setting, FCOS(backbone, setting.classes, min_size=setting.imgsz, max_size=setting.imgsz))


@dataclass(frozen=True)
class Entry:
    """A contender by name.

    Attributes:
        label: what it is, for the table.
        build: makes it.
        heavy: takes seconds a step, so few steps must do.
        most_pictures: of a batch; None for all.
    """

    label: str
    build: Callable[[Setting], Contender]
    heavy: bool = False
    most_pictures: int | None = None


OURS, TWINS, RESNETS = (
    ("ours", "ours-fcos"),
    ("twin", "twin-channels-last"),
    ("resnet50", "resnet50-finetuned"),
)

ENTRIES: dict[str, Entry] = {
    "ours": Entry("dsla, default recipe", partial(Ours, assigner="dsla")),
    "ours-fcos": Entry("dsla, default recipe, --assigner fcos", partial(Ours, assigner="fcos")),
    "twin": Entry("torchvision FCOS, same backbone, neck, head", partial(twin, memory_format=torch.contiguous_format)),
    "twin-channels-last": Entry(
        "the same, put to channels_last by hand", partial(twin, memory_format=torch.channels_last)
    ),
    "resnet50": Entry(
        "fcos_resnet50_fpn, no weights, at our size",
        lambda setting: resnet50(setting, min_size=setting.imgsz, max_size=setting.imgsz),
        heavy=True,
    ),
    "resnet50-finetuned": Entry(
        "the same as its default weights train it: 3 stages, frozen norms", resnet50_finetuned, heavy=True
    ),
    "resnet50-800": Entry("fcos_resnet50_fpn, no weights, its own size (800)", resnet50, heavy=True, most_pictures=2),
}
