"""Frames of video files, cameras and streams, upright, in RGB; and a video written from such frames; all by PyAV."""

import re
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from dsla.errors import ConfigError, DataError

if TYPE_CHECKING:
    import av.container

SUFFIXES = frozenset((".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"))
_STREAM = re.compile(r"(rtsp|rtsps|rtmp|rtmps|http|https|udp|tcp|srt)://", re.IGNORECASE)
_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "video={}")}
_OPEN_SECONDS, _READ_SECONDS = 10.0, 30.0
_TICKS = 90_000
"""Of the written video's clock, a second; any frame rate is close to a whole number of them."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video."""

    index: int
    seconds: float
    """Since the first frame."""
    pixels: UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, eq=False)
class Video:
    """An open video; its frames can be read once."""

    name: str
    rate: float
    """Frames a second, on average or as announced."""
    count: int | None
    """Frames in all, as far as the file says so."""
    live: bool
    frames: Iterator[Frame]


def is_video(source: str) -> bool:
    """Whether a source is a video file, a camera's number or a stream's address."""
    if _STREAM.match(source) or (source.isdigit() and not Path(source).exists()):
        return True
    return Path(source).suffix.lower() in SUFFIXES


def video_name(source: str) -> str:
    """What files made of a source are called."""
    if source.isdigit():
        return f"camera-{source}"
    if _STREAM.match(source):
        # Neither user, password nor parameters: names of files are seen by others.
        address = re.sub(r"^\w+://([^/@]*@)?", "", source).split("?")[0]
        return re.sub(r"[^A-Za-z0-9.-]+", "-", address).strip("-.") or "stream"
    return Path(source).stem


def free_video_names(sources: Sequence[str]) -> list[str]:
    """A name for each source's files; of the same ones the later get a number."""
    names: list[str] = []
    for source in sources:
        name, number = video_name(source), 1
        while name.casefold() in {taken.casefold() for taken in names}:
            number += 1
            name = f"{video_name(source)}-{number}"
        names.append(name)
    return names


@contextmanager
def open_video(source: str) -> Generator[Video]:
    """Open a file, a camera by its number, or a stream by its address (rtsp, http, ...).

    Raises:
        ConfigError: if PyAV is not installed, or cannot read cameras here.
        DataError: if there is no such file, camera or stream, or no video in it.
    """
    av = _pyav()
    name, place, options = source, source, _options(source)
    if _STREAM.match(source):
        name = re.sub(r"//[^/@]*@", "//", source)
    elif source.isdigit():
        name, place = f"camera {source}", _camera(av, source, options)
    elif not Path(source).is_file():
        raise DataError(f"{source}: no such video")
    try:
        container = av.open(place, **options)
    except (av.error.FFmpegError, OSError) as error:
        raise DataError(f"{name}: cannot be opened as a video ({_reason(error)})") from error
    with container:
        if not container.streams.video:
            raise DataError(f"{name}: there is no video in it")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        live = bool(_STREAM.match(source)) or source.isdigit()
        rate = float(stream.average_rate or stream.base_rate or 25)
        yield Video(name, rate, None if live else stream.frames or None, live, _frames(av, container, name, rate))


@contextmanager
def write_video(path: Path, rate: float) -> Generator[Any]:
    """A function that takes frames `(pixels, seconds)` for an mp4: H.264 where this PyAV has an encoder, else MPEG-4.

    The file appears under its name when it is complete. Sides are padded to even numbers, as the codecs want them.
    """
    av = _pyav()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    try:
        with av.open(str(part), "w") as container:
            stream: Any = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1001))
            stream.codec_context.time_base = Fraction(1, _TICKS)
            last = -1

            def write(pixels: UInt8[np.ndarray, "H W 3"], seconds: float) -> None:
                nonlocal last
                frame = av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
                if last < 0:
                    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                    stream.options = {"crf": "20", "preset": "veryfast"} if codec == "libx264" else {"q": "3"}
                elif (frame.width, frame.height) != (stream.width, stream.height):  # a stream that changed its size
                    frame = frame.reformat(width=stream.width, height=stream.height)
                last = max(last + 1, round(seconds * _TICKS))
                frame.pts, frame.time_base = last, Fraction(1, _TICKS)
                container.mux(stream.encode(frame))

            yield write
            if last >= 0:
                container.mux(stream.encode(None))
        if last >= 0:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _frames(av: Any, container: "av.container.InputContainer", name: str, rate: float) -> Iterator[Frame]:
    began = None
    decoded = container.decode(video=0)
    index = 0
    while True:
        try:
            frame = next(decoded)
        except StopIteration:
            break
        except av.error.EOFError:
            break
        except (av.error.FFmpegError, OSError) as error:
            raise DataError(f"{name}: damaged or broken off after {index} frames ({_reason(error)})") from error
        time: float | None = getattr(frame, "time", None)  # the stubs promise a number, a frame without pts has none
        seconds = index / rate if time is None else time
        began = seconds if began is None else began
        pixels = frame.to_ndarray(format="rgb24")
        turns = round(getattr(frame, "rotation", 0) / 90) % 4  # telephones store how they were held
        yield Frame(index, seconds - began, np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels)
        index += 1
    if index == 0:
        raise DataError(f"{name}: no frame of it can be decoded")


def _options(source: str) -> dict[str, Any]:
    if not _STREAM.match(source):
        return {}
    options = {"rtsp_transport": "tcp"} if source.lower().startswith("rtsp") else {}
    return {"timeout": (_OPEN_SECONDS, _READ_SECONDS), "options": options}


def _camera(av: Any, number: str, options: dict[str, Any]) -> str:
    """Where the system keeps a camera; its format goes into the options."""
    kind, pattern = _CAMERAS.get(sys.platform, ("v4l2", "/dev/video{}"))
    place = pattern.format(number)
    if kind == "v4l2":
        kind = "video4linux2" if "video4linux2" in av.formats_available else kind
        if not Path(place).exists():
            there = ", ".join(sorted(path.name[5:] for path in Path("/dev").glob("video*"))) or "none"
            raise DataError(f"camera {number}: there is no {place}; numbers of cameras here: {there}")
    if kind not in av.formats_available:
        raise ConfigError(f"camera {number}: this PyAV cannot read cameras ({kind}); give a file or a stream's address")
    options["format"] = kind
    return place


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise ConfigError("videos need the package av: pip install 'dsla[video]'") from error
    av.logging.set_level(av.logging.PANIC)  # what matters comes as an exception
    return av


def _even(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(pixels)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0][:120] or type(error).__name__
