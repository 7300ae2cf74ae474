"""The detectors of the DSLA paper on COCO as their training ran, and FCOS, their baseline.

Settings are those in the logs of the released repository (github.com/YonghaoHe/DSLA, configs/dsla), whose published
configurations differ from them: switches off, a schedule of 12 epochs under the name 2x. There is no log for X-101;
its configuration has all switches on and is followed. FCOS's are mmdetection's configs/fcos.

DSLA is in official mode, `DSLA.official()` with points on cell corners (`model.offset=0`), since that is what made the
published figures; the repaired rule is `--set assigner.released=false --set model.offset=0.5`.

What differs from the originals in every recipe:

- Weights of ResNets are torchvision's first ones by way of timm, in the pytorch style, for R-50 and FCOS too, which
  were trained from Caffe's; see `r50_1x` for those.
- Norms and level scales are not decayed; mmdetection decays the scales of group norms and of batch norms that learn.
- The head's convolutions always have a bias. The R-50 ones of the paper and plain FCOS have none.
- Offset convolutions in the head have the bias rate of all others; mmdetection leaves them at the plain rate.
- Pictures are made smaller with antialiasing.
- 16 pictures a step over all processes; with fewer, lower the learning rate in proportion.
"""

from typing import Any

from dsla.assign import DSLA, FCOS
from dsla.config import Config, DataSettings, LossSettings, ModelSettings, OptimSettings, TrainSettings
from dsla.data.augment import Augment
from dsla.losses import Focal, GIoULoss, IoULoss, QualityFocal
from dsla.models import Decoding

_FLIP = Augment(flip=0.5, scale=(1.0, 1.0), brightness=0.0, contrast=0.0, saturation=0.0)
_TWO_SIZES = (640, 800)


def r50_1x() -> Config:
    """DSLA with ResNet-50, 12 epochs of COCO (published AP 38.1).

    AP50 56.8, AP75 41.3, APs 21.2, APm 42.2, APl 50.6.

    The log starts from Caffe's ResNet-50. With a file of such weights, as mmdetection and detectron2 offer it:

        dsla train coco --recipe r50-1x --weights resnet50_caffe.pth --set model.style=caffe --set model.colour=bgr

    which subtracts the mean (103.53, 116.28, 123.675) of detectron2's file. The log's own file is an older one, with
    the mean (102.9801, 115.9465, 122.7717): add `--set "model.mean=[0.403844,0.454692,0.481458]"`. It also holds biases
    of convolutions, which mmdetection ignores and `--weights` refuses: take the keys `*conv?.bias` and
    `*downsample.0.bias` out of it first.
    """
    return Config(
        assigner=DSLA.official(),
        loss=LossSettings(classification=QualityFocal(), box=IoULoss(), class_weight=2.0, box_weight=1.0),
        data=_data(),
        model=_model("resnet50.tv_in1k", box="exp", offset=0.0),
        optim=_sgd(0.01, (8, 11), warmup=500, warmup_kind="constant", warmup_start=1 / 3),
        train=TrainSettings(epochs=12, clip=35.0, ema=None),
        inference=Decoding(),
    )


def r101_dcn_2x() -> Config:
    """DSLA with deformable ResNet-101, 24 epochs of COCO at two sizes (published AP 46.6).

    Deformable convolutions are v1 in the backbone and v2 in the head, as mmdetection's DCN and `dcn_on_last_conv`
    are. Its batch norms keep their statistics and learn scale and shift.
    """
    return _large(
        model=_model("resnet101.tv_in1k", freeze_affine=False, dcn="v1", dcn_stages=3, **_STRIDE_UNITS),
        optim=_sgd(0.02, (16, 22), warmup=1000, warmup_start=0.001),
        epochs=24,
    )


def x101_64x4d_dcn_2x() -> Config:
    """DSLA with deformable ResNeXt-101 64x4d, 24 epochs of COCO at two sizes.

    As R-101, with deformable convolutions in the last two stages. The original starts from mmdetection's weights of
    this network; timm has torchvision's, of a longer training. The names fit both: `--weights FILE`.
    """
    return _large(
        model=_model("resnext101_64x4d.tv_in1k", freeze_affine=False, dcn="v1", dcn_stages=2, **_STRIDE_UNITS),
        optim=_sgd(0.02, (16, 22), warmup=1000, warmup_start=0.001),
        epochs=24,
    )


def swin_s_3x() -> Config:
    """DSLA with Swin-S, 36 epochs of COCO at two sizes (published AP 49.2).

    Biases are not decayed here, which they are in the log.
    """
    return _large(
        model=_model(
            "swin_small_patch4_window7_224.ms_in1k",
            frozen_stages=0,
            drop_path=0.2,
            feature_norm=True,
            **_STRIDE_UNITS,
        ),
        optim=OptimSettings(
            name="adamw",
            lr=1e-4,
            backbone_factor=1.0,
            weight_decay=0.05,
            warmup=1000,
            warmup_start=0.001,
            schedule="step",
            milestones=(27, 33),
        ),
        epochs=36,
    )


def fcos_r50_1x() -> Config:
    """FCOS with ResNet-50 without its tricks, 12 epochs of COCO (mmdetection's AP 36.6).

    Centerness is on the box tower here, on the class tower there. The score is sqrt(class * centerness), which orders
    detections as their product does.
    """
    return Config(
        assigner=FCOS(),
        loss=LossSettings(classification=Focal(), box=IoULoss(), box_weight=1.0),
        data=_data(),
        model=_model("resnet50.tv_in1k", box="exp", quality_branch=True),
        optim=_sgd(0.01, (8, 11), warmup=500, warmup_kind="constant", warmup_start=1 / 3),
        train=TrainSettings(epochs=12, clip=35.0, ema=None),
        inference=Decoding(score="sqrt", nms_iou=0.5),
    )


def fcos_r50_tricks_1x() -> Config:
    """FCOS with ResNet-50 and its tricks, 12 epochs of COCO (mmdetection's AP 38.7).

    Centre sampling, boxes in stride units, centerness on the box tower, GIoU; a linear warm-up, no clipping.
    """
    return Config(
        assigner=FCOS(center_radius=1.5),
        loss=LossSettings(classification=Focal(), box=GIoULoss(), box_weight=1.0),
        data=_data(),
        model=_model("resnet50.tv_in1k", quality_branch=True, box="relu", initial_side=0.0),
        optim=_sgd(0.01, (8, 11), warmup=500, warmup_start=1 / 3),
        train=TrainSettings(epochs=12, clip=None, ema=None),
        inference=Decoding(score="sqrt"),
    )


# mmdetection's norm_on_bbox starts from zeros; points on cell corners; the deformable convolution of the head.
_STRIDE_UNITS: dict[str, Any] = {"box": "relu", "initial_side": 0.0, "offset": 0.0, "head_dcn": True}


def _large(model: ModelSettings, optim: OptimSettings, epochs: int) -> Config:
    """What the three detectors that were made for high figures share."""
    return Config(
        assigner=DSLA.official(center_radius=1.5),
        loss=LossSettings(classification=QualityFocal(), box=GIoULoss(), class_weight=1.0, box_weight=1.0),
        data=_data(shorter_choices=_TWO_SIZES),
        model=model,
        optim=optim,
        train=TrainSettings(epochs=epochs, clip=None, ema=None),
        inference=Decoding(),
    )


def _data(**more: Any) -> DataSettings:
    return DataSettings(imgsz=1333, shorter=800, batch=16, workers=4, augment=_FLIP, **more)


def _model(backbone: str, **more: Any) -> ModelSettings:
    shape: dict[str, Any] = {"width": 256, "convs": 4, "groups": 32, "frozen_stages": 1, "extra_from": "p5"}
    return ModelSettings(backbone=backbone, weights="timm", **(shape | more))


def _sgd(lr: float, milestones: tuple[int, ...], **warmup: Any) -> OptimSettings:
    return OptimSettings(
        name="sgd",
        lr=lr,
        backbone_factor=1.0,
        weight_decay=1e-4,
        momentum=0.9,
        bias_factor=2.0,
        schedule="step",
        milestones=milestones,
        **warmup,
    )
