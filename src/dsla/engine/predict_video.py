"""From a video to what is in its frames: a line of JSON a frame, and the video with boxes drawn."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from PIL import Image

from dsla.engine.detections import Detections, class_indices
from dsla.engine.draw import draw_detections
from dsla.engine.predictor import SCORE_THRESHOLD, Predictor
from dsla.engine.track import UNTRACKED, Tracker, TrackRule
from dsla.engine.video import Frame, open_video, video_name, write_video
from dsla.errors import ConfigError

# Boxes of low scores help to follow what is half hidden; they are shown only where a track holds them.
_TRACK_FROM = 0.1


@dataclass(frozen=True)
class VideoWritten:
    """What `predict_video` did."""

    files: tuple[Path, ...]
    frames: int
    detections: int
    tracks: int
    interrupted: bool
    """Whether the user ended it; what came before is written."""


def predict_video(
    predictor: Predictor,
    source: str,
    out: str | Path,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    classes: Sequence[str | int] | None = None,
    track: bool = False,
    draw: bool = True,
    batch: int = 8,
    most_frames: int | None = None,
    name: str | None = None,
    progress: Callable[[int, int | None], object] | None = None,
) -> VideoWritten:
    """Find things in every frame of a video file, a camera or a stream.

    Args:
        predictor: the model, made by `dsla.load`.
        source: a file, the number of a camera, or the address of a stream.
        out: folder for NAME.jsonl and NAME.mp4.
        score_threshold: what scores less is left out; with `track` it is kept where a track holds it.
        classes: names or indices of the classes wanted; None for all.
        track: number things and follow them from frame to frame.
        draw: whether to write the video with boxes.
        batch: frames through the network at a time; cameras and streams are looked at frame by frame.
        most_frames: stop after so many.
        name: NAME of the files; by default the source's.
        progress: called with the frames done and in all, None where nobody knows.

    A line of the jsonl is `{"frame", "seconds", "width", "height", "detections": [{"label", "class_name", "score",
    "box", "track"}]}`; `track` is there with `track` only, and null for a box that belongs to none. KeyboardInterrupt
    ends a video in good order. Raises `DataError` and `ConfigError` as `open_video`, for unknown classes, and where the
    source would be overwritten.
    """
    out = Path(out)
    wanted = None if classes is None else class_indices(classes, predictor.class_names)
    name = name or video_name(source)
    lines_file, video_file = out / f"{name}.jsonl", out / f"{name}.mp4"
    if draw and video_file.exists() and Path(source).exists() and video_file.samefile(source):
        raise ConfigError(f"{source}: the video with boxes would replace it; choose another folder for the results")
    frames = boxes = 0
    tracks: set[int] = set()
    interrupted = False
    with ExitStack() as stack:
        video = stack.enter_context(open_video(source))
        out.mkdir(parents=True, exist_ok=True)
        lines = stack.enter_context(lines_file.open("w", encoding="utf-8"))
        write = stack.enter_context(write_video(video_file, video.rate)) if draw else None
        tracker = Tracker(video.rate, _rule(score_threshold)) if track else None
        lowest = min(_TRACK_FROM, score_threshold) if track else score_threshold
        total = most_frames if video.count is None else min(video.count, most_frames or video.count)
        try:
            for frame, found in _found(predictor, video.frames, lowest, 1 if video.live else batch, most_frames):
                kept = found if wanted is None else found.filter(classes=wanted)
                ids = None if tracker is None else tracker.update(kept)
                kept, ids = _shown(kept, ids, score_threshold)
                lines.write(json.dumps(_line(frame, kept, ids), ensure_ascii=False) + "\n")
                if write is not None:
                    write(_drawing(frame, kept, ids), frame.seconds)
                frames += 1
                boxes += len(kept)
                tracks |= set() if ids is None else set(ids.tolist()) - {UNTRACKED}
                if progress is not None:
                    progress(frames, total)
        except KeyboardInterrupt:
            interrupted = True
    files = (lines_file, video_file) if draw and frames else (lines_file,)
    return VideoWritten(files, frames, boxes, len(tracks), interrupted)


def _rule(threshold: float) -> TrackRule:
    return TrackRule(high=max(threshold, 0.05), start=min(threshold + 0.05, 0.95))


def _found(
    predictor: Predictor, frames: Iterable[Frame], threshold: float, batch: int, most: int | None
) -> Iterator[tuple[Frame, Detections]]:
    frames = iter(frames if most is None else islice(frames, most))
    while chunk := list(islice(frames, batch)):
        found: Any = predictor.predict([frame.pixels for frame in chunk], threshold, batch=batch)
        yield from zip(chunk, found, strict=True)


def _shown(
    found: Detections, ids: Int64[np.ndarray, " N"] | None, threshold: float
) -> tuple[Detections, Int64[np.ndarray, " _"] | None]:
    """Boxes at or above the threshold, or held by a track."""
    if ids is None:
        return found, None
    keep = (found.scores >= threshold) | (ids != UNTRACKED)
    return found.select(keep), ids[keep]


def _line(frame: Frame, found: Detections, ids: Int64[np.ndarray, " N"] | None) -> dict[str, Any]:
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    entries: list[dict[str, Any]] = [
        {
            "label": label,
            "class_name": found.class_names[label],
            "score": round(score, 4),
            "box": [round(side, 2) for side in box],
        }
        for label, score, box in rows
    ]
    if ids is not None:
        for entry, track in zip(entries, ids.tolist(), strict=True):
            entry["track"] = None if track == UNTRACKED else track
    height, width = found.size
    seconds = round(frame.seconds, 4)
    return {"frame": frame.index, "seconds": seconds, "width": width, "height": height, "detections": entries}


def _drawing(frame: Frame, found: Detections, ids: Int64[np.ndarray, " N"] | None) -> np.ndarray:
    names = [found.class_names[label] for label in found.labels.tolist()]
    scores = found.scores.tolist()
    if ids is None:
        texts = [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]
    else:
        numbers = ["" if track == UNTRACKED else f" {track}" for track in ids.tolist()]
        texts = [name + number for name, number in zip(names, numbers, strict=True)]
    picture = draw_detections(
        Image.fromarray(frame.pixels), found.boxes, found.labels, found.scores, found.class_names,
        texts=texts, enlarge_to=1,
    )  # fmt: skip
    return np.asarray(picture)
