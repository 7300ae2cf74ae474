"""What the released DSLA head does, written anew over dense points x boxes tensors, to make more files.

The rules are those of the released code, quirks included: points at index * stride, relaxed ranges cut to
whole pixels, one classification target a class, and boxes decoded in stride units around pixel points with
`norm_on_bbox`. Nothing here comes from the package.
"""

import json

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import distance_box_iou_loss, generalized_box_iou_loss

DEFAULT_RANGES = ((0, 64), (64, 128), (128, 256), (256, 512), (512, 1e8))


def make_file(path, config, strides, image_hw, pictures, classes=3, seed=0):
    """Write a file for drawn predictions; `pictures` are lists of (x1, y1, x2, y2, label)."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(-(-image_hw[0] // s), -(-image_hw[1] // s)) for s in strides]
    logits = [torch.randn(len(pictures), classes, h, w, generator=generator) - 1 for h, w in sizes]
    distances = [torch.rand(len(pictures), 4, h, w, generator=generator) * 60 + 2 for h, w in sizes]
    if config.get("norm_on_bbox"):
        distances = [d / s for d, s in zip(distances, strides, strict=True)]
    logits, distances = [x.requires_grad_() for x in logits], [x.requires_grad_() for x in distances]
    arrays = run(config, strides, sizes, pictures, logits, distances, classes)
    arrays |= {"config": json.dumps(config), "strides": np.array(strides), "num_classes": np.array(classes)}
    arrays["image_hw"] = np.array(image_hw)
    for level in range(len(strides)):
        arrays[f"cls_logits_{level}"] = logits[level].detach().numpy()
        arrays[f"distances_{level}"] = distances[level].detach().numpy()
    for b, boxes in enumerate(pictures):
        table = np.array(boxes, dtype=np.float32).reshape(-1, 5)
        arrays[f"gt_boxes_{b}"], arrays[f"gt_labels_{b}"] = table[:, :4], table[:, 4].astype(np.int64)
    np.savez(path, **arrays)
    return path


def run(config, strides, sizes, pictures, logits, distances, classes):
    ranges = config.get("regress_ranges", DEFAULT_RANGES)
    grid, stride, inner, outer = [], [], [], []
    f = config.get("interval_relaxation_factor", 0.2)
    for (h, w), s, (low, high) in zip(sizes, strides, ranges, strict=True):
        y, x = torch.meshgrid(torch.arange(h) * s, torch.arange(w) * s, indexing="ij")
        grid.append(torch.stack([x.flatten(), y.flatten()], 1).float())
        stride.append(torch.full((h * w,), float(s)))
        inner.append(torch.tensor([low, high]).float().expand(h * w, 2))
        outer.append(torch.tensor([int(low * (1 - f)), int(high * (1 + f))]).float().expand(h * w, 2))
    xy, stride, inner, outer = (torch.cat(parts) for parts in (grid, stride, inner, outer))
    targets = [targets_of(config, classes, xy, stride, inner, outer, boxes) for boxes in pictures]
    static, label = torch.stack([t[0] for t in targets]).max(-1)  # (B, P)
    ltrb, tied = (torch.stack([t[k] for t in targets]) for k in (1, 2))
    unit = stride[:, None] if config.get("norm_on_bbox") else torch.ones(1, 1)
    ltrb = ltrb / unit

    flat_logits, flat_pred = flat(logits), flat(distances)
    positive = static > 0
    points = xy.expand(len(pictures), -1, 2)[positive]
    pred, true = corners(points, flat_pred[positive]), corners(points, ltrb[positive])
    iou = torch.zeros_like(static)
    iou[positive] = overlap(pred.detach(), true)
    dynamic = static * iou if config.get("enable_iou_score_coupling", True) else static
    dynamic = iou if config.get("enable_iou_score_only", False) else dynamic
    box = config.get("loss_bbox", {"type": "IoULoss"})
    per_box = box_loss(box["type"], pred, true) * static[positive]
    loss_bbox = box.get("loss_weight", 1.0) * per_box.sum() / static.sum().clamp(min=1)
    cls = config.get("loss_cls", {})
    one_hot = torch.nn.functional.one_hot(label, classes) * dynamic[..., None]
    per_logit = binary_cross_entropy_with_logits(flat_logits, one_hot, reduction="none")
    per_logit = per_logit * (one_hot - flat_logits.sigmoid()).abs() ** cls.get("beta", 2.0)
    loss_cls = cls.get("loss_weight", 1.0) * per_logit.sum() / dynamic.sum().clamp(min=1)
    arrays = {
        "score": static.numpy(),
        "label": torch.where(positive, label, -1).numpy().astype(np.int16),
        "ltrb": (ltrb * positive[..., None]).numpy(),
        "tied": tied.numpy(),
        "loss_cls": np.array(loss_cls.item()),
        "loss_bbox": np.array(loss_bbox.item()),
    }
    for name, loss, inputs in (("grad_cls", loss_cls, logits), ("grad_dist", loss_bbox, distances)):
        for level, gradient in enumerate(torch.autograd.grad(loss, inputs, retain_graph=True)):
            arrays[f"{name}_{level}"] = gradient.numpy()
    return arrays


def targets_of(config, classes, xy, stride, inner, outer, boxes):
    """Target of each class (P, C), sides of the chosen box (P, 4), whether boxes tie (P,)."""
    P = len(xy)
    of_class, ltrb, tied = torch.zeros(P, classes), torch.zeros(P, 4), torch.zeros(P, dtype=torch.bool)
    if not boxes:
        return of_class, ltrb, tied
    table = torch.tensor(boxes, dtype=torch.float32)
    box, labels = table[:, :4], table[:, 4].long()
    x, y = xy[:, :1], xy[:, 1:]
    sides = torch.stack([x - box[:, 0], y - box[:, 1], box[:, 2] - x, box[:, 3] - y], -1)  # (P, G, 4)
    centre = (box[:, :2] + box[:, 2:]) / 2
    off = (xy[:, None] - centre).abs()
    inside = sides.amin(-1) > 0
    if config.get("center_sampling"):
        inside &= (off < stride[:, None, None] * config.get("center_sample_radius", 1.5)).all(-1)
    near, far = torch.minimum(sides[..., :2], sides[..., 2:]), torch.maximum(sides[..., :2], sides[..., 2:])
    score = (near.clamp(min=0) / far.clamp(min=0.01)).prod(-1).sqrt() * inside
    if config.get("enable_centerness_core_zone", True):
        score = torch.where(inside & (off <= stride[:, None, None] / 2).all(-1), 1.0, score)
    score = score * interval(config, sides.amax(-1), inner[:, None], outer[:, None])
    best = score.amax(1)
    tied = ((score == best[:, None]) & (best[:, None] > 0)).sum(1) > 1
    # Equal scores: the class keeps the first box's, the sides are the last one's.
    for g in range(len(boxes)):
        of_class[:, labels[g]] = torch.maximum(of_class[:, labels[g]], score[:, g])
    chosen = len(boxes) - 1 - score.flip(1).argmax(1)
    return of_class, sides[torch.arange(P), chosen], tied


def interval(config, m, inner, outer):
    held = (m >= inner[..., 0]) & (m <= inner[..., 1])
    if not config.get("enable_interval_relaxation", True):
        return held.float()
    below = (outer[..., 0] <= m) & (m < inner[..., 0])
    above = (inner[..., 1] < m) & (m <= outer[..., 1])
    rising = (m - outer[..., 0]) / (inner[..., 0] - outer[..., 0]).clamp(min=0.01)
    falling = (outer[..., 1] - m) / (outer[..., 1] - inner[..., 1]).clamp(min=0.01)
    return held + rising * below + falling * above


def flat(maps):
    return torch.cat([x.permute(0, 2, 3, 1).flatten(1, 2) for x in maps], 1)


def corners(points, ltrb):
    return torch.cat([points - ltrb[:, :2], points + ltrb[:, 2:]], 1)


def overlap(a, b):
    sides = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    both = sides.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both
    return both / union.clamp(min=1e-6)


def box_loss(kind, pred, true):
    if kind == "IoULoss":
        return -overlap(pred, true).clamp(min=1e-6).log()
    if kind == "GIoULoss":
        return generalized_box_iou_loss(pred, true)
    if kind == "DIoULoss":
        return distance_box_iou_loss(pred, true)
    iou = overlap(pred, true)
    angle = [torch.atan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])) for b in (pred, true)]
    v = 4 / torch.pi**2 * (angle[0] - angle[1]) ** 2
    alpha = ((iou > 0.5) * v / (1 - iou + v)).detach()
    return distance_box_iou_loss(pred, true) + alpha * v
