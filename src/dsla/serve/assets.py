"""The page's files, read once from the package: a request names one of a fixed set, never a path."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, eq=False)
class Asset:
    """A file of the page."""

    content: bytes
    media_type: str
    etag: str


def load_assets() -> Mapping[str, Asset]:
    """All files of the page by name."""
    assets: dict[str, Asset] = {}
    for entry in files("dsla.serve").joinpath("page").iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in _TYPES:
            content = entry.read_bytes()
            assets[entry.name] = Asset(content, _TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return assets
