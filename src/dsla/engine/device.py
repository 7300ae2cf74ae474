"""Where to compute."""

import torch

from dsla.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """The device a name stands for; "auto" is the accelerator of this machine, or the CPU.

    Raises:
        ConfigError: for a name that torch does not know or a device that is not here.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator() or torch.device("cpu")  # pyright: ignore[reportReturnType]
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name}: cannot be used here ({reason}); cpu always can") from error
    return device
