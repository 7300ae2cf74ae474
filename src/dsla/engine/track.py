"""Follow things from frame to frame: ByteTrack's two rounds of matching over a Kalman filter.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022 (arXiv 2110.06864):
tracks are matched with the boxes of high scores first, and what is left of them with the boxes of low scores, which are
often the same things half hidden. Motion is DeepSORT's (Wojke et al., arXiv 1703.07402): centre and sides at constant
speed, with errors in proportion to the height. Two deviations: a track keeps its class, and only boxes of it are
matched; and the aspect ratio is replaced by the width, as in BoT-SORT (arXiv 2206.14651).

Letters: T tracks, N detections.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment

from dsla.engine.detections import Detections

_POSITION, _SPEED = 1 / 20, 1 / 160
UNTRACKED = -1


@dataclass(frozen=True)
class TrackRule:
    """When a box belongs to a track, and how long a track lives."""

    high: float = 0.5
    """Boxes of this score are matched first."""
    start: float = 0.55
    """A box of this score that fits no track starts one."""
    first_iou: float = 0.2
    """The least overlap of the first round."""
    second_iou: float = 0.5
    """Of the second round, where scores are low and so is the trust."""
    keep_seconds: float = 1.0
    """How long a track waits for a thing that is not seen."""


@dataclass(eq=False)
class _Track:
    id: int
    label: int
    mean: Float[np.ndarray, "8"]
    """cx, cy, w, h and their speeds a frame."""
    cov: Float[np.ndarray, "8 8"]
    unseen: int = 0
    confirmed: bool = False


@dataclass(eq=False)
class Tracker:
    """Gives the boxes of consecutive frames their tracks' numbers, which count from 1."""

    rate: float
    """Frames a second."""
    rule: TrackRule = field(default_factory=TrackRule)
    _tracks: list[_Track] = field(default_factory=list[_Track], init=False)
    _frames: int = field(default=0, init=False)
    _last: int = field(default=0, init=False)

    def update(self, found: Detections) -> Int64[np.ndarray, " N"]:
        """The track of each box of the next frame, `UNTRACKED` where there is none.

        A new track is numbered when it is seen a second time, so that a flash gets no number; in the first frame, at
        once.
        """
        for track in self._tracks:
            _predict(track)
        boxes = found.boxes.astype(np.float64)
        ids = np.full(len(found), UNTRACKED, dtype=np.int64)
        high = np.flatnonzero(found.scores >= self.rule.high)
        low = np.flatnonzero(found.scores < self.rule.high)
        known, fresh = [t for t in self._tracks if t.confirmed], [t for t in self._tracks if not t.confirmed]
        known, high = self._match(known, high, boxes, found.labels, ids, self.rule.first_iou)
        seen_last = [track for track in known if track.unseen == 0]
        self._match(seen_last, low, boxes, found.labels, ids, self.rule.second_iou)
        _, high = self._match(fresh, high, boxes, found.labels, ids, self.rule.first_iou)
        self._end_and_start(found, boxes, high, ids)
        self._frames += 1
        return ids

    def _match(
        self,
        tracks: list[_Track],
        rows: Int64[np.ndarray, " _"],
        boxes: Float[np.ndarray, "N 4"],
        labels: Int64[np.ndarray, " N"],
        ids: Int64[np.ndarray, " N"],
        least: float,
    ) -> tuple[list[_Track], Int64[np.ndarray, " _"]]:
        """Join tracks and boxes of one class by greatest total overlap; what is left of both comes back."""
        if not tracks or not len(rows):
            return tracks, rows
        overlap = _ious(np.stack([_corners(track.mean[:4]) for track in tracks]), boxes[rows])
        overlap[np.array([track.label for track in tracks])[:, None] != labels[rows][None, :]] = -1
        first, second = linear_sum_assignment(-overlap)
        taken_tracks: set[int] = set()
        taken_rows: list[int] = []
        for t, r in zip(first.tolist(), second.tolist(), strict=True):
            if overlap[t, r] < least:
                continue
            track = tracks[t]
            _correct(track, _centre(boxes[rows[r]]))
            if not track.confirmed:
                self._last += 1
                track.id, track.confirmed = self._last, True
            track.unseen = -1  # counted up to 0 at the end of the frame
            ids[rows[r]] = track.id
            taken_tracks.add(t)
            taken_rows.append(r)
        left = [track for t, track in enumerate(tracks) if t not in taken_tracks]
        return left, np.delete(rows, taken_rows)

    def _end_and_start(
        self,
        found: Detections,
        boxes: Float[np.ndarray, "N 4"],
        rows: Int64[np.ndarray, " _"],
        ids: Int64[np.ndarray, " N"],
    ) -> None:
        patience = max(1, round(self.rule.keep_seconds * self.rate))
        for track in self._tracks:
            track.unseen += 1
        self._tracks = [t for t in self._tracks if t.unseen <= (patience if t.confirmed else 0)]
        for row in rows.tolist():
            if found.scores[row] < self.rule.start:
                continue
            track = _begin(_centre(boxes[row]), int(found.labels[row]))
            if self._frames == 0:
                self._last += 1
                track.id, track.confirmed = self._last, True
                ids[row] = track.id
            self._tracks.append(track)


def _begin(measured: Float[np.ndarray, "4"], label: int) -> _Track:
    height = max(measured[3], 1.0)
    errors = np.array([2 * _POSITION * height] * 4 + [10 * _SPEED * height] * 4)
    return _Track(UNTRACKED, label, np.concatenate([measured, np.zeros(4)]), np.diag(errors**2))


def _predict(track: _Track) -> None:
    height = max(track.mean[3], 1.0)
    move = np.eye(8)
    move[:4, 4:] = np.eye(4)
    noise = np.array([_POSITION * height] * 4 + [_SPEED * height] * 4)
    if track.unseen:  # nothing is known of the size of what is hidden
        track.mean[6:] = 0
    track.mean = move @ track.mean
    track.mean[2:4] = np.maximum(track.mean[2:4], 1e-3)
    track.cov = move @ track.cov @ move.T + np.diag(noise**2)


def _correct(track: _Track, measured: Float[np.ndarray, "4"]) -> None:
    height = max(track.mean[3], 1.0)
    seen = track.cov[:4, :4] + np.diag(np.full(4, (_POSITION * height) ** 2))
    gain = np.linalg.solve(seen, track.cov[:4, :]).T  # (8, 4)
    track.mean = track.mean + gain @ (measured - track.mean[:4])
    track.cov = track.cov - gain @ seen @ gain.T


def _centre(box: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


def _corners(mean: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
    return np.concatenate([mean[:2] - mean[2:] / 2, mean[:2] + mean[2:] / 2])


def _ious(first: Float[np.ndarray, "T 4"], second: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "T N"]:
    corner = np.minimum(first[:, None, 2:], second[None, :, 2:]) - np.maximum(first[:, None, :2], second[None, :, :2])
    shared = corner.clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1e-9)
