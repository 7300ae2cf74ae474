"""What a client gets for good pictures: boxes as the model finds them, or the picture with them drawn."""

import io
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from serving import ask, form, picture, post, running

from dsla.engine.predict import load
from dsla.serve.model import open_served
from dsla.serve.service import Service

FOUND = [
    {"label": 0, "class_name": "bright", "score": 0.9, "box": [10, 20, 40, 50]},
    {"label": 1, "class_name": "dark", "score": 0.4, "box": [0, 0, 80, 60]},
]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_raw_picture_of_each_kind(port, kind):
    quality = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    reply = post(port, picture(kind, **quality), kind=f"image/{kind.lower()}")
    assert reply.status == 200 and reply.headers["content-type"] == "application/json"
    (found,) = reply.tree["pictures"]
    assert (found["width"], found["height"]) == (80, 60)
    assert found["detections"][0]["box"] == pytest.approx([10, 20, 40, 50], abs=1)
    if kind != "JPEG":
        assert found["detections"] == FOUND


def test_several_pictures_come_back_in_their_order(port):
    body, kind = form(("a.png", picture()), ("b.png", picture(size=(50, 90))), ("c.jpg", picture("JPEG")))
    tree = post(port, body, kind=kind).tree
    shown = [(found["name"], found["width"]) for found in tree["pictures"]]
    assert shown == [("a.png", 80), ("b.png", 50), ("c.jpg", 80)]
    assert tree["pictures"][0]["detections"] == FOUND
    assert tree["model"] == "known" and tree["threshold"] == 0.3 and tree["milliseconds"] >= 0


def test_the_threshold_and_classes_are_the_requests_own(port):
    assert len(post(port, picture(), "?threshold=0.5").tree["pictures"][0]["detections"]) == 1
    assert post(port, picture(), "?class=dark").tree["pictures"][0]["detections"] == FOUND[1:]
    assert post(port, picture(), "?class=dark&class=bright").tree["pictures"][0]["detections"] == FOUND


def test_boxes_are_where_one_sees_them_whatever_the_exif_orientation(port):
    upright = Image.open(io.BytesIO(picture()))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: a viewer turns it clockwise
    stored = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stored, "PNG", exif=exif)
    (found,) = post(port, stored.getvalue()).tree["pictures"]
    assert (found["width"], found["height"]) == (80, 60) and found["detections"] == FOUND


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "image/png", "PNG"), ("", "image/jpeg", "JPEG"), ("", "image/*", "JPEG"), ("?answer=png", "*/*", "PNG"),
        ("", "application/json;q=0.1, image/png;q=0.9", "PNG"),
    ],
)  # fmt: skip
def test_the_picture_comes_back_with_its_boxes(port, query, accept, kind):
    reply = post(port, picture(size=(1000, 800), box=(100, 200, 400, 500), compress_level=1), query, Accept=accept)
    # 800,000 pixels are more than this server takes
    assert reply.status == 413
    reply = post(port, picture(size=(300, 200), box=(100, 50, 200, 150)), query, Accept=accept)
    drawn = Image.open(io.BytesIO(reply.body))
    assert (drawn.format, drawn.size) == (kind, (800, 533)) and reply.headers["content-type"] == f"image/{kind.lower()}"
    edge = np.asarray(drawn.convert("RGB"))[250, 267]  # the left side of the bright box, which is orange
    assert np.abs(edge.astype(int) - (230, 159, 0)).max() < 30


def test_the_server_finds_what_the_model_finds(tiny_model):
    """Alone and in a batch with pictures of other sizes, to the rounding of the answer."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 255, (h, w, 3), dtype=np.uint8) for h, w in ((48, 64), (64, 48), (50, 64), (200, 100))]
    pictures = []
    for array in arrays:
        encoded = io.BytesIO()
        Image.fromarray(array).save(encoded, "PNG")
        pictures.append(encoded.getvalue())
    expected = load(tiny_model).predict(arrays, 0.009)
    with running(Service(open_served(tiny_model, "cpu"))) as port:
        body, kind = form(*((f"{i}.png", data) for i, data in enumerate(pictures)))
        together = post(port, body, "?threshold=0.009", kind=kind).tree["pictures"]
        alone = [post(port, data, "?threshold=0.009").tree["pictures"][0] for data in pictures]
    for want, *have in zip(expected, together, alone, strict=True):
        assert len(want) > 3
        for found in have:
            assert np.allclose([one["box"] for one in found["detections"]], want.boxes, atol=0.02)
            assert np.allclose([one["score"] for one in found["detections"]], want.scores, atol=1e-4)
            assert [one["label"] for one in found["detections"]] == want.labels.tolist()


def test_requests_that_come_together_go_through_the_network_together(port, finder):
    before = len(finder.batches)
    finder.seconds = 0.15
    try:
        with ThreadPoolExecutor(6) as threads:
            replies = list(threads.map(lambda width: post(port, picture(size=(width, 60))), [80, 80, 80, 80, 70, 200]))
    finally:
        finder.seconds = 0
    assert [reply.status for reply in replies] == [200] * 6
    batches = finder.batches[before:]
    assert sum(map(len, batches)) == 6 and len(batches) < 6
    # 60x80 and 60x70 are alike once resized and padded; 60x200 is not
    assert all(len({size == (60, 200) for size in batch}) == 1 for batch in batches)


def test_the_interface_describes_itself(port):
    tree = ask(port, path="/openapi.json").tree
    detect = tree["paths"]["/v1/detect"]["post"]
    assert {"multipart/form-data", "image/jpeg"} <= set(detect["requestBody"]["content"])
    assert {"200", "400", "401", "408", "413", "415", "422", "503", "504"} <= set(detect["responses"])
    facts = ask(port, path="/v1/model").tree
    assert [each["name"] for each in facts["classes"]] == ["bright", "dark"] and facts["limits"]["pictures"] == 3
    assert ask(port, path="/healthz").tree == {"status": "ok"} and ask(port, path="/readyz").tree == {"status": "ready"}
    assert ask(port, "HEAD", "/readyz").status == 200


def test_figures_for_prometheus(port):
    post(port, picture())
    text = ask(port, path="/metrics").body.decode()
    for name in ("requests_total", "batch_pictures_bucket", "waiting_pictures", "accepted_total"):
        assert f"dsla_{name}" in text
    assert "process_resident_memory_bytes" in text
    ask(port, path="/some/path/" + "x" * 50)
    assert "some/path" not in ask(port, path="/metrics").body.decode()


def test_the_examples_of_the_documents_work(port, tmp_path, documented):
    """Every curl line of docs/serve.md, run as it stands but for the port."""
    for name in ("picture.jpg", "a.jpg", "b.png"):
        (tmp_path / name).write_bytes(picture("PNG" if name.endswith("png") else "JPEG"))
    assert len(documented) >= 5
    for line in documented:
        line = line.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        ran = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=True)
        if "answer=" in line or "Accept" in line:
            assert Image.open(io.BytesIO((tmp_path / "boxes.png").read_bytes())).size[0] >= 80
        elif "metrics" not in line:
            assert "code" not in json.loads(ran.stdout), ran.stdout
