"""Find things in a picture that reaches the network as tiles, and make one list of what the tiles say.

What is found is mapped back to the picture, and then

1. a box that its tile's edge cuts is dropped where a tile of the same row, or of the same column, shows it clear of
   such edges: what the first saw is a part, and the other, which sees all that it saw and more, is the one to tell;
2. of what is found in the whole picture, only boxes that no tile shows whole are kept;
3. a box that is cut in every tile that shows it yields to one of these that has its class and covers most of it, unless
   that one is much less sure; where there is none it stays, since a part is better than nothing;
4. non-maximum suppression within each class goes over what is left, as it has gone over each tile.

Where the picture ends, nothing is cut. A box counts as cut if it comes as near to an inner edge as boxes are imprecise.

Letters: N detections.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import batched_nms

from dsla.config import Config
from dsla.data import DataSplits
from dsla.data.resize import Window
from dsla.data.tiled_picture import TiledPicture
from dsla.data.tiles import splits_as_tiles, wants_whole
from dsla.data.tiling import Tiling
from dsla.models import Decoding, Detected

IMPRECISION = 0.05  # of a box's side
PIXELS = 2.0  # of the network's input, for boxes so small that the share says nothing
COVERED = 0.7  # share of a part's area from which a box is taken to be its whole
SURENESS = 0.5  # of the part's score that the whole must have at least
NMS_IOU = 0.6  # between tiles, for detectors that go without within one


def settle_tiles(config: Config, splits: DataSplits) -> tuple[Config, DataSplits]:
    """Cut the training pictures as the settings want them, and decide what they leave open.

    Returns settings in which `data.tile_whole` says whether whole pictures are looked at too, and the splits; both as
    they came where there are no tiles.

    Raises:
        ConfigError: pictures that cannot be cut.
    """
    tiling = config.data.tiling
    if tiling is None:
        return config, splits
    if config.data.tile_whole is None:
        data = config.data.model_copy(update={"tile_whole": wants_whole(splits.train, tiling)})
        config = config.model_copy(update={"data": data})
        tiling = data.tiling
        assert tiling is not None
    return config, splits_as_tiles(splits, tiling)


Find: TypeAlias = Callable[[Tensor, Tensor, Decoding], Sequence[Detected]]
"""What finds things in a batch: of padded pictures (B, 3, H, W) uint8 and their true sizes (B, 2)."""


def detect_tiled(find: Find, picture: TiledPicture, decoding: Decoding, batch: int) -> Detected:
    """Find things in a picture by its tiles.

    Args:
        find: what finds things in a batch of tiles.
        picture: larger than a tile.
        decoding: thresholds and limits of each tile; the picture as a whole has no limit of its own.
        batch: tiles at a time.

    Returns detections in the picture's own pixels, on the CPU, best first.
    """
    size = picture.sample.size
    parts: list[Detected] = []
    places: list[Window] = []
    for tiles, windows in picture.batches(batch):
        for index, found in enumerate(find(tiles.images, tiles.sizes, decoding)):
            boxes = tiles.boxes_to_picture(index, found.boxes.float().cpu())
            shift = boxes.new_tensor([windows[index].left, windows[index].top] * 2)
            parts.append(Detected(boxes + shift, found.scores.float().cpu(), found.labels.cpu()))
            places.append(windows[index])
    side = picture.tiling.side
    pixel = side / max(picture.resize.target((side, side)))
    iou = NMS_IOU if decoding.nms_iou is None else decoding.nms_iou
    return merge_tiles(parts, places, picture.tiling, size, pixel=pixel, iou=iou)


def merge_tiles(
    parts: Sequence[Detected],
    windows: Sequence[Window],
    tiling: Tiling,
    size: tuple[int, int],
    *,
    pixel: float = 1.0,
    iou: float = NMS_IOU,
) -> Detected:
    """One list of detections from those of the tiles of a picture, by the rules above.

    Args:
        parts: detections of each view, in the picture's own pixels.
        windows: place of each view; one of the picture's own size is the whole picture.
        tiling: that the windows come from.
        size: (h, w) of the picture.
        pixel: the picture's pixels in one of the network's.
        iou: of two boxes of a class that overlap more, the one with the lower score goes.
    """
    boxes = torch.cat([part.boxes for part in parts])
    scores = torch.cat([part.scores for part in parts])
    labels = torch.cat([part.labels for part in parts])
    view = torch.repeat_interleave(torch.tensor([len(part.boxes) for part in parts]))
    margin = ((boxes[:, 2:] - boxes[:, :2]) * IMPRECISION).clamp(min=PIXELS * pixel)
    whole = torch.tensor([(window.height, window.width) == size for window in windows])[view]
    cut = _cut_by_edge(boxes, torch.tensor(windows)[view], size, margin)
    seen_better = (cut & tiling.shown_along(boxes, size, margin)).any(dim=1)
    keep = torch.where(whole, ~tiling.shown_whole(boxes, size), ~seen_better)
    cut = cut.any(dim=1)
    boxes, scores, labels, cut, whole = boxes[keep], scores[keep], labels[keep], cut[keep], whole[keep]
    keep = ~_parts_of_wholes(boxes, scores, labels, cut, whole)
    boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
    order = scores.argsort(descending=True, stable=True)
    boxes, scores, labels = boxes[order], scores[order], labels[order]
    # In order of scores, so their indices are too; torchvision breaks ties in an order of its own.
    kept = batched_nms(boxes, scores, labels, iou).sort().values
    return Detected(boxes=boxes[kept], scores=scores[kept], labels=labels[kept])


def _cut_by_edge(
    boxes: Float[Tensor, "N 4"], windows: Int[Tensor, "N 4"], size: tuple[int, int], margin: Float[Tensor, "N 2"]
) -> Bool[Tensor, "N 2"]:
    """Whether a box comes, along x and along y, to an edge of its window beyond which the picture goes on."""
    begin = windows[:, [1, 0]]
    end = begin + windows[:, [3, 2]]
    inner_begin, inner_end = begin > 0, end < end.new_tensor([size[1], size[0]])
    return (inner_begin & (boxes[:, :2] < begin + margin)) | (inner_end & (boxes[:, 2:] > end - margin))


def _parts_of_wholes(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    labels: Int[Tensor, " N"],
    cut: Bool[Tensor, " N"],
    whole: Bool[Tensor, " N"],
) -> Bool[Tensor, " N"]:
    """Which cut boxes lie mostly in a box of their class, found in the whole picture, that is not much less sure."""
    part = torch.zeros_like(cut)
    for label in labels[cut].unique().tolist():
        pieces = torch.nonzero(cut & (labels == label)).flatten()
        others = torch.nonzero(whole & (labels == label)).flatten()
        begin = torch.maximum(boxes[pieces, None, :2], boxes[others, :2])
        end = torch.minimum(boxes[pieces, None, 2:], boxes[others, 2:])
        shared = (end - begin).clamp(min=0).prod(dim=2)  # (pieces, others)
        area = (boxes[pieces, 2:] - boxes[pieces, :2]).prod(dim=1)
        wholes = (shared >= COVERED * area[:, None]) & (scores[others] >= SURENESS * scores[pieces, None])
        part[pieces] = wholes.any(dim=1)
    return part
