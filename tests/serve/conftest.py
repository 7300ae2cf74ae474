"""A server with a model whose answers are known, shared by the tests that only ask it things."""

import re
from pathlib import Path

import pytest
import torch
from commands import TINY
from serving import KnownFinder, running, served

from dsla.config import override, parse_assignments
from dsla.engine.modelfile import save_model
from dsla.recipes import recipe
from dsla.serve.access import Access, hosts_for
from dsla.serve.limits import Limits
from dsla.serve.service import Service

LIMITS = Limits(
    body_bytes=200_000, pixels=100_000, pictures=3, queue=6, batch=4, head_seconds=0.5, body_seconds=0.5,
    seconds=5.0, connections=40,
)  # fmt: skip


@pytest.fixture(scope="session")
def finder() -> KnownFinder:
    return KnownFinder()


@pytest.fixture(scope="session")
def port(finder):
    with running(Service(served(finder), LIMITS, Access(hosts_for("127.0.0.1", [])))) as its:
        yield its


@pytest.fixture(scope="session")
def documented() -> list[str]:
    """The curl commands of the document."""
    text = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("curl ")]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """An untrained network of two classes."""
    settings = override(recipe(), parse_assignments(TINY), "test")
    torch.manual_seed(0)
    state = settings.build_detector(2).state_dict()
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    described = settings.model_dump(mode="json")
    save_model(path, state, config=described, class_names=("cat", "dog"), preprocessing={"imgsz": 64})
    return path
