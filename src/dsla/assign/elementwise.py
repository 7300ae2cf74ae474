"""Functions of numbers whose last bit does not depend on where in a tensor the number stands.

On a CPU torch computes `sigmoid` and `pow` of whole vectors and of a tensor's odd end with different code, and the
last bit differs. Assignment that looks at pairs in portions must not: portions move the ends. `exp`, `log` and
division are the same everywhere.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def sigmoid(x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """1 / (1 + exp(-x))."""
    return x.neg().exp_().add_(1).reciprocal_()


def power(x: Float[Tensor, "*S"], exponent: float) -> Float[Tensor, "*S"]:
    """x^exponent for x >= 0."""
    if exponent == 0:
        return torch.ones_like(x)
    return x if exponent == 1 else x.log().mul_(exponent).exp_()  # log 0 is -inf, whose exp is 0


def ten_to(x: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """10^x."""
    return x.mul(math.log(10)).exp_()
