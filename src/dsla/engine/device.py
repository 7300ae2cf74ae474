"""Where to compute."""

import torch

from dsla.errors import ConfigError

KNOWN = ("cpu", "cuda", "mps")


def pick_device(name: str) -> torch.device:
    """The device a name stands for; "auto" is the accelerator that can be used on this machine, or the CPU.

    Raises:
        ConfigError: for a name that torch does not know or a device that is not here.
    """
    if name == "auto":
        here = ("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)
        return torch.device(next(kind for kind, usable in here if usable))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in KNOWN:
        raise ConfigError(f"device {name}: unknown; give auto, {', '.join(KNOWN)}, or one of several as cuda:1")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name}: cannot be used here ({reason}); cpu always can") from error
    return device
