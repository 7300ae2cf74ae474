"""What every test relies on: annotations checked at run time, one thread, and the optional real data."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook("dsla", "beartype.beartype")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def shared_data() -> Path:
    """Folder with real data sets `bccd` and `coco256`, named by DSLA_TEST_DATA or found beside the checkout."""
    folder = Path(os.environ.get("DSLA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "bccd").is_dir():
        pytest.skip("real data sets are not here; name their folder in DSLA_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO folder of 12 training and 4 validation pictures of 64 px; not to be written to."""
    from dsla.data.scenes import write_scenes

    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes(folder, count=12, seed=0, size=64, val_count=4)
    return folder
