"""What one client, and all of them together, may ask of the server."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches

from dsla.errors import ConfigError

MEGABYTE = 2**20
# Pillow refuses to open more, as a decompression bomb: twice its MAX_IMAGE_PIXELS.
MOST_PIXELS = 178_956_970


@dataclass(frozen=True)
class Limits:
    """Bounds of a request and of the whole server; every one of them is reported by `GET /v1/model`."""

    body_bytes: int = 32 * MEGABYTE
    """Of one request's body."""
    pixels: int = 50_000_000
    """Of one picture, by its header, before anything is decoded."""
    pictures: int = 16
    """In one request."""
    queue: int = 64
    """Pictures accepted and not yet answered, over all requests; what comes on top is told to come back (503)."""
    batch: int = 8
    """Pictures through the network at a time."""
    gather_seconds: float = 0.005
    """How long a picture waits for company that is being decoded already."""
    head_seconds: float = 10.0
    """For the request line and headers to arrive."""
    body_seconds: float = 30.0
    """For the body to arrive."""
    seconds: float = 30.0
    """From the whole body to the answer."""
    connections: int = 256
    """Open at a time."""

    def __post_init__(self) -> None:
        for name in ("body_bytes", "pixels", "pictures", "queue", "batch", "connections"):
            if getattr(self, name) < 1:
                raise ConfigError(f"limits: {name} is {getattr(self, name)}; it must be at least 1")
        for name in ("head_seconds", "body_seconds", "seconds"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"limits: {name} is {getattr(self, name)}; it must be more than 0")
        if self.pixels > MOST_PIXELS:
            raise ConfigError(f"limits: {self.pixels} pixels a picture; more than {MOST_PIXELS} are never decoded")
        if self.pictures > self.queue:
            raise ConfigError(
                f"limits: {self.pictures} pictures a request do not fit a queue of {self.queue}; make the queue longer"
            )

    @property
    def held_bytes(self) -> int:
        """Bodies that are held in memory at a time, all requests together."""
        return max(4 * self.body_bytes, 128 * MEGABYTE)

    @property
    def held_pixels(self) -> int:
        """Decoded pixels that are held in memory at a time, all requests together."""
        return 2 * self.pixels


# What people write, and the field and factor that it stands for; the other names are those of the fields.
_UNITS = {
    "megabytes": ("body_bytes", MEGABYTE),
    "megapixels": ("pixels", 1_000_000),
    "gather_ms": ("gather_seconds", 0.001),
}


def limit_names() -> tuple[str, ...]:
    """Every name that `parse_limits` knows."""
    scaled = {field for field, _ in _UNITS.values()}
    return (*_UNITS, *(field.name for field in fields(Limits) if field.name not in scaled))


def parse_limits(words: Sequence[str]) -> Limits:
    """Limits from words such as `megabytes=64` or `queue=128`; what is not named keeps its default.

    Raises:
        ConfigError: for an unknown name, a value that is no number, or limits that contradict each other.
    """
    chosen: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in limit_names():
            near = get_close_matches(name, limit_names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(limit_names())}"
            raise ConfigError(f"--limit {word}: {name!r} is unknown; {hint}")
        field, factor = _UNITS.get(name, (name, 1))
        whole = isinstance(getattr(Limits, field), int)
        try:
            value = float(text) * factor
        except ValueError:
            raise ConfigError(f"--limit {word}: wanted {name}=NUMBER, got {text!r}") from None
        if whole and value != round(value):
            raise ConfigError(f"--limit {word}: {name} is a whole number")
        chosen[field] = round(value) if whole else value
    return Limits(**chosen)  # pyright: ignore[reportArgumentType]  (whole numbers where they are wanted, checked above)
