"""Videos in and out, judged by PyAV itself: every frame once, upright, at its time; and errors that say what to do."""

import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from commands import dsla

from dsla.engine.predict import load
from dsla.engine.video import free_video_names, is_video, open_video, video_name, write_video
from dsla.errors import ConfigError, DataError

av = pytest.importorskip("av")


def moving(count=12, size=(48, 64)) -> list[np.ndarray]:
    """A bright square that moves to the right over a dark ground."""
    frames = []
    for time in range(count):
        pixels = np.full((*size, 3), 40, np.uint8)
        pixels[16:32, 2 + 3 * time : 18 + 3 * time] = (220, 180, 60)
        frames.append(pixels)
    return frames


def written(path, frames, rate=10, codec="libx264", rotation=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def read(path) -> tuple[list[np.ndarray], list[float], str]:
    with av.open(str(path)) as container:
        frames = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)]
        codec = container.streams.video[0].codec_context.name
    return [pixels for pixels, _ in frames], [time for _, time in frames], codec


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("avi", "mpeg4"), ("mkv", "libx264")])
def test_every_frame_comes_once_at_its_time(tmp_path, suffix, codec):
    file = written(tmp_path / f"a.{suffix}", moving(), codec=codec)
    with open_video(str(file)) as video:
        frames = list(video.frames)
        assert not video.live and video.rate == pytest.approx(10)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.seconds for frame in frames] == pytest.approx([t / 10 for t in range(12)], abs=0.002)
    for frame, pixels in zip(frames, moving(), strict=True):
        assert np.abs(frame.pixels.astype(int) - pixels).mean() < 8


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_what_is_written_is_what_was_given(tmp_path, size):
    times = [
        0.0,
        0.04,
        0.08,
        0.5,
        0.54,
        0.58,
        1.0,
        1.04,
        1.08,
        1.5,
        1.54,
        1.58,
    ]  # a camera's frames come when they come
    with write_video(tmp_path / "out.mp4", 25.0) as write:
        for pixels, seconds in zip(moving(size=size), times, strict=True):
            write(pixels, seconds)
        assert not (tmp_path / "out.mp4").exists()
    frames, seen, codec = read(tmp_path / "out.mp4")
    assert codec == "h264" and seen == pytest.approx(times, abs=0.001)
    for have, want in zip(frames, moving(size=size), strict=True):
        assert np.abs(have[: size[0], : size[1]].astype(int) - want).mean() < 8
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_failure_leaves_no_half_of_a_video(tmp_path):
    with pytest.raises(ZeroDivisionError), write_video(tmp_path / "out.mp4", 25.0) as write:
        write(moving()[0], 0.0)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_line_a_frame_and_the_video_with_boxes(capsys, tmp_path, tiny_model):
    file = written(tmp_path / "clip.mp4", moving())
    ran = dsla(
        capsys, "predict", tiny_model, file, "--out", tmp_path / "out", "--threshold", "0.009", "--device", "cpu"
    )
    assert ran.status == 0, ran.err
    assert "boxes in 12 frames\n" in ran.out and str(tmp_path / "out" / "clip.mp4") in ran.out
    lines = [json.loads(line) for line in (tmp_path / "out/clip.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(12)) and lines[3]["seconds"] == pytest.approx(0.3, abs=0.01)
    with open_video(str(file)) as video:
        expected = load(tiny_model).predict([frame.pixels for frame in video.frames], 0.009)
    for line, want in zip(lines, expected, strict=True):
        assert (line["width"], line["height"]) == (64, 48)
        assert np.allclose([one["box"] for one in line["detections"]], want.boxes, atol=0.01)
    assert len(read(tmp_path / "out/clip.mp4")[0]) == 12


def test_the_command_follows_filters_and_stops(capsys, tmp_path, tiny_model):
    file = written(tmp_path / "clip.mp4", moving())
    words = ("--threshold", "0.01", "--track", "--frames", "5", "--classes", "cat", "--format", "coco")
    ran = dsla(capsys, "predict", tiny_model, file, "--out", tmp_path / "out", "--device", "cpu", *words)
    assert ran.status == 0 and "in 5 frames, " in ran.out and "things followed" in ran.out
    lines = [json.loads(line) for line in (tmp_path / "out/clip.jsonl").read_text().splitlines()]
    entries = [one for line in lines for one in line["detections"]]
    assert (
        len(lines) == 5 and {one["class_name"] for one in entries} <= {"cat"} and all("track" in one for one in entries)
    )
    assert not (tmp_path / "out/clip.mp4").exists()


def test_what_cannot_be_read_says_why(tmp_path, monkeypatch):
    (tmp_path / "no.mp4").write_bytes(b"no video" * 100)
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    for source, reason in (
        (str(tmp_path / "missing.mp4"), "no such video"),
        (str(tmp_path / "no.mp4"), "cannot be opened as a video"),
        (str(tmp_path / "sound.mkv"), "there is no video in it"),
        ("97", "there is no /dev/video97"),
        ("rtsp://user:secret@127.0.0.1:9/stream", r"rtsp://127.0.0.1:9/stream: cannot be opened"),
    ):
        with pytest.raises((DataError, ConfigError), match=reason), open_video(source):
            pass
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"pip install 'dsla\[video\]'"), open_video(str(tmp_path / "no.mp4")):
        pass


def test_a_video_cut_short_gives_what_is_there_or_says_where_it_ends(tmp_path):
    whole = written(tmp_path / "whole.mkv", moving(40)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    count = 0
    with open_video(str(tmp_path / "cut.mkv")) as video:
        try:
            for _ in video.frames:
                count += 1
        except DataError as error:
            assert "after" in str(error)
    assert 0 < count < 40


def test_sources_are_told_apart_and_named_without_secrets(tmp_path):
    assert is_video("a.MP4") and is_video("0") and is_video("rtsp://host/x") and is_video("https://host/x.jpg")
    assert not is_video("a.jpg") and not is_video("pictures") and not is_video("a*.png")
    assert video_name("rtsp://user:secret@host:554/live/1?token=abc") == "host-554-live-1"
    assert free_video_names(["a/clip.mp4", "b/clip.mov", "c/Clip.avi"]) == ["clip", "clip-2", "Clip-3"]
    assert video_name("2") == "camera-2" and video_name("/x/clip.final.mp4") == "clip.final"


def test_a_source_is_never_overwritten(capsys, tmp_path, tiny_model):
    file = written(tmp_path / "clip.mp4", moving())
    before = file.read_bytes()
    ran = dsla(capsys, "predict", tiny_model, file, "--out", tmp_path, "--device", "cpu")
    assert ran.status == 2 and "would replace it" in ran.err
    assert file.read_bytes() == before and not (tmp_path / "clip.jsonl").exists()
