"""Everything that is decided about a server before it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dsla.serve.access import Access
from dsla.serve.limits import Limits
from dsla.serve.metrics import Metrics
from dsla.serve.model import ServedModel


@dataclass(frozen=True, eq=False)
class Service:
    """What is served, to whom, and within which limits."""

    model: ServedModel
    limits: Limits = field(default_factory=Limits)
    access: Access = field(default_factory=Access)
    threshold: float = 0.3
    """What scores less is left out where a request names no threshold of its own."""
    metrics: Metrics = field(default_factory=Metrics)
    stopping: Callable[[], bool] = lambda: False
    """Whether the end has begun."""
