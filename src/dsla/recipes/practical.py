"""Recipes for one's own pictures: a few hundred to some ten thousand, one GPU or none.

All share the assigner and losses that were found on small data sets (docs/decisions.md): ranges of 4 strides, centre
sampling, coverage, varifocal loss, GIoU. AdamW, a cosine and averaged weights; batch norms stay as they came, but for
`nano`. Only that one and `lite0` have been measured; the others carry the settings of `lite0` over to larger backbones,
with the learning rates that detectors on such backbones are published with.
"""

from dsla.assign import DSLA
from dsla.config import Config, DataSettings, LossSettings, ModelSettings, OptimSettings, TrainSettings
from dsla.data.augment import Augment
from dsla.losses import Varifocal

# Scale jitter of large-scale training (Ghiasi et al., CVPR 2021, have 0.1 to 2) cut to what keeps small objects
# visible, and YOLOX's mosaic (Ge et al., 2021, arXiv 2107.08430), off at the end as there.
_STRONG = Augment(scale=(0.5, 1.6), mosaic=0.5, mosaic_off_epochs=5)


def _assigner() -> DSLA:
    return DSLA(center_radius=1.5, reach=4.0, cover=True)


def _loss() -> LossSettings:
    return LossSettings(classification=Varifocal())


def lite0() -> Config:
    """EfficientNet-Lite0 at 320 px: trains on two CPU cores from the bundled weights."""
    return Config(recipe="lite0", assigner=_assigner(), loss=_loss())


def nano() -> Config:
    """MobileNetV4-Conv-Small at half width, 320 px: the fastest on a CPU, also from random weights.

    All of the backbone learns, batch norms and all, so that nothing in it need be known before. Cells of 8, 16 and 32
    pixels, one convolution of 48 channels a tower.
    """
    return Config(
        assigner=_assigner(),
        loss=_loss(),
        model=ModelSettings(
            backbone="mobilenetv4_conv_small_050.e3000_r224_in1k",
            weights="timm",
            levels=(3, 4, 5),
            width=48,
            convs=1,
            groups=8,
            frozen_stages=0,
            freeze_norm=False,
        ),
        optim=OptimSettings(backbone_factor=1.0),
        train=TrainSettings(epochs=60, ema=0.995),
    )


def r18() -> Config:
    """ResNet-18 at 512 px: a small detector for a small GPU.

    The pyramid is twice as wide as `lite0`'s. The backbone learns at 2.5e-4, a quarter of the head's rate.
    """
    return Config(
        assigner=_assigner(),
        loss=_loss(),
        data=DataSettings(imgsz=512, batch=16, workers=4, augment=_STRONG),
        model=ModelSettings(backbone="resnet18.tv_in1k", weights="timm", width=128, convs=3, frozen_stages=1),
        optim=OptimSettings(lr=1e-3, backbone_factor=0.25, warmup=300),
        train=TrainSettings(epochs=24, ema=0.998),
    )


def r50() -> Config:
    """ResNet-50 at 640 px: the usual size of backbone and picture, on one GPU.

    The head is the paper's, four convolutions of 256 channels. The backbone learns at 1e-4, the rate of AdamW in
    published detectors at a batch of 16 (Swin, ConvNeXt), the fresh head at five times that.
    """
    return Config(
        assigner=_assigner(),
        loss=_loss(),
        data=DataSettings(imgsz=640, batch=16, workers=4, augment=_STRONG),
        model=ModelSettings(
            backbone="resnet50.tv_in1k", weights="timm", width=256, convs=4, groups=32, frozen_stages=1
        ),
        optim=OptimSettings(lr=5e-4, backbone_factor=0.2, warmup=500),
        train=TrainSettings(epochs=24, ema=0.998),
    )


def convnext_t() -> Config:
    """ConvNeXt-Tiny at 640 px: a modern backbone, pre-trained on ImageNet-22k.

    As `r50`, with all of the backbone learning at 1e-4, stochastic depth, and a layer norm on each of its features
    (Liu et al., "A ConvNet for the 2020s", CVPR 2022, appendix A.3, of whose rates for detection 0.4 is meant for
    36 epochs of COCO; 0.2 suits shorter runs).
    """
    return Config(
        assigner=_assigner(),
        loss=_loss(),
        data=DataSettings(imgsz=640, batch=16, workers=4, augment=_STRONG),
        model=ModelSettings(
            backbone="convnext_tiny.fb_in22k_ft_in1k",
            weights="timm",
            width=256,
            convs=4,
            groups=32,
            frozen_stages=0,
            drop_path=0.2,
            feature_norm=True,
        ),
        optim=OptimSettings(lr=5e-4, backbone_factor=0.2, warmup=500),
        train=TrainSettings(epochs=24, ema=0.998),
    )
