"""The cache of a run beside what else its settings do to the pictures."""

import torch
from commands import TINY

from dsla.config import override, parse_assignments
from dsla.data import open_data
from dsla.data.cache import CachedData
from dsla.data.tiles import TiledData
from dsla.engine.caching import with_cache
from dsla.engine.tiled import settle_tiles
from dsla.recipes import recipe


def test_pictures_are_kept_and_not_their_tiles(scenes):
    words = [*TINY, "data.tile=48", "data.cache=memory"]
    config, splits = settle_tiles(override(recipe(), parse_assignments(words), "test"), open_data(scenes))
    kept = with_cache(config, splits).train
    assert isinstance(kept, TiledData) and isinstance(kept.data, CachedData)
    assert len(kept.data) == 12 < len(kept)
    for index in range(len(kept)):
        assert torch.equal(kept.sample(index).image, splits.train.sample(index).image)
        assert torch.equal(kept.sample(index).boxes, splits.train.sample(index).boxes)
