"""A tiny untrained model in a file, for tests that need some network and not a good one."""

from pathlib import Path

import pytest
import torch

from dsla.config import override
from dsla.engine.modelfile import save_model
from dsla.recipes import recipe

CLASS_NAMES = ("cat", "dog", "bird")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    changes = {
        "data": {"imgsz": 64},
        "model": {
            "backbone": "test_efficientnet", "width": 16, "convs": 1, "groups": 4, "levels": [3, 4, 5],
            "frozen_stages": 0,
        },
    }  # fmt: skip
    config = override(recipe(), changes, "test")
    torch.manual_seed(0)
    detector = config.build_detector(len(CLASS_NAMES), weights="none")
    save_model(
        path,
        detector.state_dict(),
        config=config.model_dump(mode="json"),
        class_names=CLASS_NAMES,
        preprocessing={"imgsz": 64},
    )
    return path
