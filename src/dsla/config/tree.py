"""One validated tree of settings. What is not in it cannot be changed; what is in it is saved with every run."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from dsla.assign import AnyAssigner
from dsla.criterion import BoxWeighting, Criterion, QualityTarget
from dsla.data.augment import Augment
from dsla.data.cache import CacheKind
from dsla.data.tables import Kind
from dsla.data.tiling import SMALLEST, Tiling
from dsla.losses import AnyBoxLoss, AnyClassLoss, GIoULoss, QualityFocal
from dsla.models import Decoding, Detector


class Settings(BaseModel):
    """A branch of the tree: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(Settings):
    """Pictures and how they are fed."""

    path: str | None = Field(default=None, description="folder of labelled pictures, or scenes")
    kind: Kind | None = Field(default=None, description="coco, yolo or voc, where the format cannot be found out")
    val_share: float = Field(
        default=0.2, ge=0, lt=1, description="of pictures cut to validate on, where there are none"
    )
    val_seed: int = Field(default=0, ge=0, description="decides which")
    max_pixels: int | None = Field(
        default=None, ge=1, description="larger pictures are refused; null: Pillow's limit, 179 million pixels"
    )
    imgsz: int = Field(default=320, ge=32, description="longest side of a picture as the network sees it, in pixels")
    shorter: int | None = Field(default=None, ge=32, description="shortest side, where it binds before the longest")
    shorter_choices: tuple[Annotated[int, Field(ge=32)], ...] = Field(
        default=(), description="shortest sides that training draws from, in place of shorter"
    )
    batch: int = Field(default=8, ge=1, description="pictures a step, over all processes")
    workers: int = Field(default=2, ge=0, description="processes that load pictures; 0 loads in the main one")
    group_by_ratio: bool = Field(default=False, description="batches of wide or of high pictures: less padding")
    single_class: bool = Field(default=False, description="all classes as one, named object")
    tile: int | None = Field(
        default=None,
        ge=SMALLEST,
        description="side of the tiles that larger pictures are cut into, in their pixels",
    )
    tile_overlap: float = Field(default=0.2, ge=0, le=0.75, description="share of a tile that its neighbour shows too")
    tile_whole: bool | None = Field(
        default=None, description="whole pictures too, for what no tile shows whole; null: where boxes are that large"
    )
    shuffle_buffer: int = Field(default=1000, ge=1, description="of shards: samples each worker holds to shuffle")
    cache: CacheKind = Field(default="none", description="keep decoded pictures: none, memory or disk")
    cache_folder: str | None = Field(
        default=None, description="for cache=disk; null: dsla/pictures in the user's cache"
    )
    augment: Augment = Field(default_factory=Augment)

    @property
    def tiling(self) -> Tiling | None:
        """How pictures are cut; whole ones are looked at too unless it is said or was found that none needs it."""
        if self.tile is None:
            return None
        return Tiling(self.tile, self.tile_overlap, self.tile_whole is not False)


class ModelSettings(Settings):
    """The detector's parts."""

    backbone: str = Field(default="tf_efficientnet_lite0", description="any timm model with feature maps")
    weights: str = Field(default="bundled", description="bundled, timm, none, or a file of backbone weights")
    levels: tuple[int, ...] = Field(default=(3, 4, 5, 6, 7), description="pyramid levels; level l has stride 2^l")
    width: int = Field(default=64, ge=8, description="channels of pyramid and head")
    convs: int = Field(default=2, ge=0, description="3x3 convolutions in each head tower")
    groups: int = Field(default=16, ge=1, description="groups of the head's group normalisation")
    box: Literal["exp", "relu", "softplus", "exp-stride"] = Field(default="exp-stride", description="form of the sides")
    quality_branch: bool = Field(default=False, description="FCOS's centerness branch")
    offset: float = Field(default=0.5, ge=0, le=1, description="place of a point in its cell; 0 in the released DSLA")
    frozen_stages: int = Field(default=2, ge=0, description="backbone stages, after the stem, that do not learn")
    freeze_norm: bool = Field(default=True, description="keep the backbone's batch norms as they came")
    extra_from: Literal["c5", "p5"] = Field(default="p5", description="where P6 starts from")
    prior: float = Field(default=0.01, gt=0, lt=1, description="class probability at the start")
    initial_side: float | None = Field(default=None, ge=0, description="sides at the start, strides; pixels for exp")
    freeze_affine: bool = Field(default=True, description="frozen batch norms keep scale and shift too")
    style: Literal["pytorch", "caffe"] = Field(default="pytorch", description="where a ResNet has its strides")
    colour: Literal["rgb", "bgr"] = Field(default="rgb", description="order of the channels the weights expect")
    mean: tuple[float, float, float] | None = Field(
        default=None, description="subtracted, of pixels in [0, 1]; null: the weights'"
    )
    std: tuple[float, float, float] | None = Field(
        default=None, description="divided by after that; null: the weights'"
    )
    dcn: Literal["v1", "v2"] | None = Field(default=None, description="deformable convolutions in the backbone")
    dcn_stages: int = Field(default=0, ge=0, le=3, description="its last stages that have them")
    head_dcn: bool = Field(default=False, description="deformable last convolutions (v2) in the head's towers")
    drop_path: float = Field(default=0.0, ge=0, lt=1, description="stochastic depth of the backbone")
    feature_norm: bool = Field(default=False, description="layer norms on the backbone's features")

    @property
    def strides(self) -> tuple[int, ...]:
        """Of the levels, in pixels."""
        return tuple(2**level for level in self.levels)


class LossSettings(Settings):
    """Losses and their weights."""

    classification: AnyClassLoss = Field(default_factory=QualityFocal, discriminator="name")
    box: AnyBoxLoss = Field(default_factory=GIoULoss, discriminator="name")
    class_weight: float = Field(default=1.0, ge=0)
    box_weight: float = Field(default=2.0, ge=0)
    quality_weight: float = Field(default=1.0, ge=0)
    box_weighting: BoxWeighting = Field(default="assigner", description="weight of a positive in the box loss")
    quality_target: QualityTarget = Field(default="centerness", description="what a quality branch learns")


class OptimSettings(Settings):
    """Optimiser and schedule."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(default=2e-3, gt=0, description="learning rate of the head at the height of the schedule")
    lr_batch: int | None = Field(
        default=None, ge=1, description="pictures a step that lr is meant for; other sizes scale it linearly"
    )
    backbone_factor: float = Field(default=0.5, ge=0, description="the backbone's share of it")
    weight_decay: float = Field(default=0.05, ge=0, description="none on norms and biases")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="SGD only")
    bias_factor: float = Field(default=1.0, gt=0, description="learning rate of biases, as a factor")
    warmup: int = Field(default=100, ge=0, description="steps of warm-up")
    warmup_kind: Literal["linear", "constant"] = Field(default="linear", description="rise to the rate, or stay below")
    warmup_start: float = Field(default=0.05, ge=0, le=1, description="factor of the learning rate in the first step")
    schedule: Literal["cosine", "step"] = "cosine"
    final: float = Field(default=0.01, ge=0, le=1, description="factor at the end of the cosine")
    milestones: tuple[int, ...] = Field(
        default=(), description="epochs after which a step schedule multiplies by gamma"
    )
    gamma: float = Field(default=0.1, gt=0, le=1)


class TrainSettings(Settings):
    """The run."""

    epochs: int = Field(default=15, ge=1)
    start: str | None = Field(default=None, description="model file to start from, in place of model.weights")
    seed: int = Field(default=0, ge=0)
    device: str = Field(default="auto", description="auto, cpu, cuda, mps")
    devices: int = Field(default=1, ge=1, description="processes on this machine, one a device")
    nodes: int = Field(default=1, ge=1, description="machines")
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accumulate: int = Field(default=1, ge=1, description="batches a step of the optimiser")
    clip: float | None = Field(default=10.0, gt=0, description="greatest norm of the gradient; null for none")
    ema: float | None = Field(default=0.99, gt=0, lt=1, description="decay of the averaged weights; null for none")
    evaluate_every: int = Field(default=1, ge=1, description="epochs between evaluations; the last is always evaluated")
    keep_labels: int = Field(default=0, ge=0, description="pictures whose labels are kept after each epoch")
    patience: int | None = Field(default=None, ge=1, description="evaluations without a better AP before stopping")
    report: bool = Field(default=True, description="write report.html at the end")


class Config(Settings):
    """Everything that shapes a run."""

    recipe: str = Field(default="lite0", description="name of the recipe this tree started from")
    data: DataSettings = Field(default_factory=DataSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    assigner: AnyAssigner = Field(discriminator="name")
    loss: LossSettings = Field(default_factory=LossSettings)
    optim: OptimSettings = Field(default_factory=OptimSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    inference: Decoding = Field(default_factory=Decoding)

    @property
    def learning_rate(self) -> float:
        """The head's rate at the height of the schedule.

        With `optim.lr_batch` it follows the pictures of an optimiser's step linearly (Goyal et al., "Accurate, Large
        Minibatch SGD", 2017, arXiv 1706.02677).
        """
        if self.optim.lr_batch is None:
            return self.optim.lr
        return self.optim.lr * self.data.batch * self.train.accumulate / self.optim.lr_batch

    def build_detector(self, num_classes: int, weights: str | None = None) -> Detector:
        """Make the network.

        Args:
            num_classes: of its outputs.
            weights: in place of the configured source; "none" where a model file follows, as it does in a training that
                starts from one.
        """
        settings = self.model.model_dump()
        source = settings.pop("weights")
        source = weights or ("none" if self.train.start else source)
        named = source in ("bundled", "timm", "none")
        return Detector(num_classes=num_classes, weights=source if named else Path(source), **settings)

    def build_criterion(self) -> Criterion:
        """Make assigner and losses."""
        return Criterion(
            assigner=self.assigner,
            class_loss=self.loss.classification,
            box_loss=self.loss.box,
            class_weight=self.loss.class_weight,
            box_weight=self.loss.box_weight,
            quality_weight=self.loss.quality_weight,
            box_weighting=self.loss.box_weighting,
            quality_target=self.loss.quality_target,
        )

    def to_yaml(self) -> str:
        """The whole tree as YAML, in the order of its definition."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
