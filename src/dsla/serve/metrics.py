"""Figures for Prometheus; names and labels are part of the interface."""

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)  # fmt: skip

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PICTURES = (1, 2, 4, 8, 16, 32)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """All figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # they double the series and nobody reads them
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, processor time, open files
        self.requests = Counter(
            "dsla_requests_total", "Requests answered.", ("path", "method", "status"), registry=registry
        )
        self.problems = Counter("dsla_problems_total", "Requests refused or failed.", ("code",), registry=registry)
        self.seconds = Histogram(
            "dsla_request_seconds",
            "From the request's head to its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.accepted = Counter("dsla_accepted_total", "Requests for detection with a whole body.", registry=registry)
        self.completed = Counter(
            "dsla_completed_total", "Accepted requests that ended, with a result or without.", registry=registry
        )
        self.pictures = Counter("dsla_pictures_total", "Pictures looked at.", registry=registry)
        self.boxes = Counter("dsla_boxes_total", "Boxes given back.", registry=registry)
        self.batch_pictures = Histogram(
            "dsla_batch_pictures",
            "Pictures that went through the network together.",
            buckets=_PICTURES,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "dsla_batch_seconds", "Time of the network for a batch.", buckets=_SECONDS, registry=registry
        )
        self.waiting = Gauge("dsla_waiting_pictures", "Accepted pictures without an answer.", registry=registry)
        self.queue = Gauge("dsla_queue_pictures", "The most that may wait.", registry=registry)
        Gauge("dsla_start_time_seconds", "When the server started.", registry=registry).set(time.time())

    def observe_batch(self, pictures: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_pictures.observe(pictures)
        self.batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self.registry)

    def value(self, name: str) -> float:
        """One figure without labels."""
        return self.registry.get_sample_value(name) or 0.0
