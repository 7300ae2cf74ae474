"""Backbones by their timm name: features at chosen strides, frozen stages and frozen batch norms.

Level n is the feature map of stride 2**n, C3 the one of stride 8. Letters: B images, H and W pixels.

Stages are counted by stride, which makes the count the same for every family: the stem and the first n stages
are everything up to the feature of stride 2**(n + 1), so that `frozen_stages=1` ends with C2 (a ResNet's
`layer1`, an EfficientNet's `blocks.1`) and `frozen_stages=2` with C3.
"""

import difflib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from dsla.errors import ConfigError, ModelError
from dsla.models import weights as stored
from dsla.models.caffe import CAFFE_STD, stride_in_first
from dsla.models.deform import Version, deform_convolutions
from dsla.models.frozen_norm import fold_frozen_norms

Weights: TypeAlias = Literal["bundled", "timm", "none"] | Path
Style: TypeAlias = Literal["pytorch", "caffe"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A timm network that gives one feature map a level.

    Frozen parts stay in evaluation mode whatever `train()` says. No parameter up to the end of the last
    frozen stage takes a gradient, so autograd records nothing there: no activations are kept and no backward
    pass enters it.

    Attributes:
        levels: the levels given, ascending; strides and channels go with them.
        mean, std: what the weights expect of a picture in [0, 1], in the order red, green, blue.
        frozen: names of the frozen modules of `net`.
        norms: a layer norm over the channels of each feature, where there is one.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        levels: tuple[int, ...],
        channels: tuple[int, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        frozen: Sequence[str] = (),
        freeze_norm: bool = True,
        freeze_affine: bool = True,
        feature_norm: bool = False,
    ) -> None:
        super().__init__()
        self.net = net
        self.levels = levels
        self.strides = tuple(2**n for n in levels)
        self.channels = channels
        self.mean, self.std = mean, std
        self.frozen = frozenset(frozen)
        self.freeze_norm = freeze_norm
        for name, module in net.named_modules():
            if name in self.frozen or (freeze_affine and self._is_still(name, module)):
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(False)
        self.train(self.training)
        if freeze_norm:
            fold_frozen_norms(net)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in channels) if feature_norm else None

    def _is_still(self, name: str, module: nn.Module) -> bool:
        return name in self.frozen or (self.freeze_norm and isinstance(module, _BatchNorm))

    def train(self, mode: bool = True) -> "Backbone":
        """Set the training mode, except for what is frozen."""
        super().train(mode)
        for name, module in self.net.named_modules():
            if self._is_still(name, module):
                module.training = False
        return self

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Give the feature maps of `levels`, finest first; H and W must be multiples of the last stride."""
        features = self.net(images)
        if str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC"):
            features = [f.permute(0, 3, 1, 2) for f in features]
        if self.norms is not None:
            pairs = zip(self.norms, features, strict=True)
            features = [norm(f.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for norm, f in pairs]
        return list(features)


def build_backbone(
    name: str,
    weights: Weights,
    levels: tuple[int, ...],
    *,
    frozen_stages: int = 0,
    freeze_norm: bool = True,
    freeze_affine: bool = True,
    style: Style = "pytorch",
    dcn: Version | None = None,
    dcn_stages: int = 0,
    drop_path: float = 0.0,
    feature_norm: bool = False,
) -> Backbone:
    """Build the timm network `name` up to the last of `levels`, with its weights.

    Args:
        name: any name of `timm.list_models()`, with or without the tag of its weights.
        weights: "bundled" (only `tf_efficientnet_lite0`), "timm" (downloaded), "none" (random), or a file.
        levels: levels wanted, ascending, 2 for the stride 4 to 5 for the stride 32.
        frozen_stages: 0 trains everything; n freezes the stem and the first n stages, see above.
        freeze_norm: batch norms keep their stored statistics.
        freeze_affine: frozen batch norms keep scale and shift too, as torchvision's FrozenBatchNorm2d does.
        style: where a residual network has its strides, see `dsla.models.caffe`.
        dcn, dcn_stages: version of the deformable convolutions, and how many of the last stages have them.
        drop_path: rate of stochastic depth in the last block, rising evenly from 0 in the first.
        feature_norm: a layer norm on each feature, as detectors on Swin and ConvNeXt have it.

    Raises:
        ModelError: if there is no such network, it has no features at a stride, it lacks what an option asks for, or
            its weights cannot be had.
        ConfigError: if `frozen_stages` or `dcn_stages` is no number of stages.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
        hint = f"the nearest names are {', '.join(near)}" if near else "timm.list_models() lists the names"
        raise ModelError(f"backbone {name}: timm has no network of this name; {hint}")
    if (dcn is None) != (dcn_stages == 0):
        raise ConfigError(f"dcn is {dcn} and dcn_stages is {dcn_stages}; give a version and a number, or null and 0")
    if not 0 <= dcn_stages < max(levels) - 1:
        raise ConfigError(f"dcn_stages is {dcn_stages}; it must leave the first of {max(levels) - 1} stages plain")
    probe = _create(name)
    info = [dict(probe.feature_info[i]) for i in range(len(probe.feature_info))]
    indices = _feature_indices(name, [int(f["reduction"]) for f in info], levels)

    def create(**options: Any) -> nn.Module:
        if drop_path:
            options["drop_path_rate"] = drop_path
        return _trim(_create(name, out_indices=indices, **options), str(info[indices[-1]]["module"]))

    net = _with_weights(name, weights, create)
    if style == "caffe":
        stride_in_first(name, net)
    if dcn is not None:
        plain = _first_stages(name, net, info, max(levels) - 1 - dcn_stages)
        deform_convolutions(name, net, dcn, but=frozenset(plain))
    _check_any_size(name, net, 2 ** max(levels))
    config = getattr(net, "pretrained_cfg", None) or {}
    mean, std = config.get("mean") or IMAGENET_MEAN, config.get("std") or IMAGENET_STD
    if weights == "bundled":
        mean, std = stored.BUNDLED_MEAN, stored.BUNDLED_STD
    if style == "caffe":
        mean, std = IMAGENET_MEAN, CAFFE_STD
    return Backbone(
        net,
        levels=levels,
        channels=tuple(int(info[i]["num_chs"]) for i in indices),
        mean=tuple(mean),
        std=tuple(std),
        frozen=_first_stages(name, net, info, frozen_stages),
        freeze_norm=freeze_norm,
        freeze_affine=freeze_affine,
        feature_norm=feature_norm,
    )


def _create(name: str, **options: Any) -> Any:
    """Create a timm feature network that takes pictures of any size, with timm's refusals as ModelError."""
    try:
        if _fixed_size(timm.get_pretrained_cfg(name)):
            with suppress(TypeError):  # not every network of fixed size knows this option of window transformers
                return timm.create_model(name, features_only=True, strict_img_size=False, **options)
        return timm.create_model(name, features_only=True, **options)
    except (RuntimeError, AttributeError, AssertionError, TypeError) as error:
        if options.get("pretrained"):
            raise
        raise ModelError(f"backbone {name}: timm cannot make a feature network of it ({error})") from error


def _fixed_size(config: Any) -> tuple[int, int] | None:
    """Give the (h, w) of the only pictures that a network takes by timm's word."""
    return tuple(config.input_size[1:]) if config is not None and config.fixed_input_size else None


def _feature_indices(name: str, reductions: list[int], levels: tuple[int, ...]) -> tuple[int, ...]:
    """Give the index of the deepest feature of each level's stride."""
    if len(set(reductions)) == 1:
        raise ModelError(
            f"backbone {name}: all its features have stride {reductions[0]}, a plain transformer without "
            "a pyramid; choose a hierarchical network, such as resnet50 or convnext_tiny"
        )
    missing = [2**n for n in levels if 2**n not in reductions]
    if missing:
        raise ModelError(
            f"backbone {name}: no features of stride {', '.join(map(str, missing))}, only of "
            f"{', '.join(map(str, sorted(set(reductions))))}; choose other levels or another backbone"
        )
    return tuple(max(i for i, r in enumerate(reductions) if r == 2**n) for n in levels)


def _trim(net: nn.Module, end: str) -> nn.Module:
    """Drop what comes after module `end`; timm keeps and runs all blocks of EfficientNets and MobileNets."""
    parent, _, index = end.partition(".")
    container = getattr(net, parent, None)
    if isinstance(container, nn.Sequential) and index.isdigit():
        del container[int(index) + 1 :]
    return net


def _first_stages(name: str, net: nn.Module, info: list[dict[str, Any]], stages: int) -> list[str]:
    """Give the names of the modules of the stem and the first stages.

    timm's `feature_info` names the module that ends each feature, and timm's own feature networks rest on
    modules being registered in the order of their use; what comes up to the end of that module is the stem
    and the stages.
    """
    if not 0 <= stages <= 4:
        raise ConfigError(f"frozen_stages is {stages}; it must be 0 (nothing frozen) to 4 (all stages)")
    if stages == 0:
        return []
    ends = [f["module"] for f in info if f["reduction"] == 2 ** (stages + 1)]
    modules = dict(net.named_modules())
    # FeatureListNet flattens `stages.0` to `stages_0`, FeatureGetterNet keeps the whole network as `model`.
    spellings = [s for e in ends for s in (e, e.replace(".", "_", 1), f"model.{e}") if s in modules]
    if not spellings:
        raise ModelError(
            f"backbone {name}: the end of stage {stages} (stride {2 ** (stages + 1)}) is no module of it; "
            "set frozen_stages and dcn_stages to 0 or choose another backbone"
        )
    end, names = spellings[-1], list(modules)
    last = max(i for i, n in enumerate(names) if n == end or n.startswith(end + "."))
    return names[: last + 1]


def _check_any_size(name: str, net: nn.Module, divisor: int) -> None:
    """Refuse networks that take pictures of one size only."""
    size = _fixed_size(timm.get_pretrained_cfg(name))
    if size is None:
        return
    training = net.training
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, 3, 3 * divisor, 2 * divisor))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ModelError(
            f"backbone {name}: takes pictures of {size[0]} x {size[1]} pixels only; "
            "choose one without a fixed input size"
        ) from error
    net.train(training)


def _with_weights(name: str, weights: Weights, create: Callable[..., nn.Module]) -> nn.Module:
    if weights == "timm":
        return stored.download(name, create)
    net = create()
    if weights == "bundled":
        stored.load_bundled(name, net)
    elif isinstance(weights, Path):
        stored.load_file(name, net, weights)
    return net
