"""What the page's server answers, and whom: against direct calls of assigners and predictor."""

import io
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from dsla.assign import FCOS, TAL, Predictions
from dsla.data import Resize, open_data
from dsla.engine.predict import load
from dsla.explore.app import create_app
from dsla.explore.guard import host_is_here
from dsla.explore.serving import open_session
from dsla.geometry import GroundTruth, Points
from dsla.recipes import recipe

HOME = "http://127.0.0.1:8642"


@pytest.fixture(scope="module")
def session(data, model):
    session = open_session(str(data), [model], recipe())
    yield session
    session.close()


@pytest.fixture
def client(session) -> TestClient:
    return TestClient(create_app(session), base_url=HOME, raise_server_exceptions=False)


def scaled_truth(data, index: int, imgsz: int) -> tuple[GroundTruth, Points, tuple[int, ...]]:
    """The picture's boxes at a size, as the loader makes them, and the lattice over the padded picture."""
    sample = Resize(imgsz)(open_data(data).val.sample(index))
    height, width = (-(-side // 32) * 32 for side in sample.size)
    strides = (8, 16, 32, 64, 128)
    points = Points.lattice([(-(-height // s), -(-width // s)) for s in strides], strides, 0.5)
    return GroundTruth.collate([(sample.boxes, sample.labels, sample.ignore)]), points, sample.size


def asked(client, **question) -> dict:
    answer = client.post("/api/labels", json={"split": "val", "index": 0, "imgsz": 320} | question)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_labels_are_the_assigners(client, data, index):
    for name, assigner, settings in (
        ("dsla", None, {"relaxation_factor": 0.4, "core_zone": False, "center_radius": None, "cover": False}),
        ("fcos", FCOS(reach=6.0), {"reach": 6.0, "center_radius": None, "cover": False}),
    ):
        truth, points, _ = scaled_truth(data, index, 320)
        assigner = assigner or replace(recipe().assigner, coupling=False, **settings)
        wanted = assigner(points, truth)
        told = asked(client, index=index, assigner=name, settings=settings)
        assert told["point"] == wanted.point.tolist()
        assert told["owner"] == wanted.gt.tolist()
        assert np.allclose(np.array(told["label"]) / 1000, wanted.score.numpy(), atol=5.1e-4)
        assert told["ignored"] == wanted.ignored[0].nonzero().flatten().tolist()
        assert told["sizes"] == [list(size) for size in points.sizes]


def test_with_a_model_labels_stand_on_its_predictions(client, data, model):
    predictor = load(model)
    sample = Resize(160)(open_data(data).val.sample(0))
    with torch.no_grad():
        images = sample.image[None]
        output = predictor.detector(predictor.detector.preprocess(images, torch.tensor([sample.size])))
    truth = GroundTruth.collate([(sample.boxes, sample.labels, sample.ignore)])
    for name, assigner in (("dsla", predictor.config.assigner), ("tal", TAL(cover=True))):
        wanted = assigner(output.points, truth, Predictions(output.logits, output.ltrb))
        told = asked(client, assigner=name, model=0, imgsz=160)
        assert told["point"] == wanted.point.tolist() and told["owner"] == wanted.gt.tolist()
        assert np.allclose(np.array(told["label"]) / 1000, wanted.score.numpy(), atol=5.1e-4)


def test_the_word_of_a_model_is_what_it_detects(client, data, model):
    predictor = load(model)
    found = predictor.predict_decoded([open_data(data).val.sample(1).image], [None], 0.05)[0]
    told = client.post("/api/word", json={"split": "val", "index": 1, "imgsz": 160, "model": 0}).json()
    assert len(told["found"]["boxes"]) == len(found) > 0
    assert np.allclose(told["found"]["boxes"], found.boxes, atol=0.51)
    assert told["found"]["labels"] == found.labels.tolist()
    by, scores = np.array(told["removed"]["by"]), np.array(told["found"]["scores"])
    assert len(by) > 0 and (scores[by] >= told["removed"]["scores"]).all()
    assert [told["found"]["labels"][n] for n in by] == told["removed"]["labels"]


def test_the_survey_counts_what_the_pictures_show(client):
    question = {"split": "val", "model": 0, "threshold": 0.29}
    for _ in range(200):
        survey = client.post("/api/survey", json=question).json()
        if survey["done"] == survey["total"]:
            break
        time.sleep(0.05)
    assert survey["total"] == 4 and survey["error"][3] in (0.0, 1.0)
    for index, boxes in enumerate((2, 50, 1, 0)):
        found = client.post("/api/word", json={"split": "val", "index": index, "imgsz": 160, "model": 0}).json()[
            "found"
        ]
        sure = [match for match, score in zip(found["match"], found["scores"], strict=True) if score >= 290]
        assert survey["missed"][index] == boxes - sum(match >= 0 for match in sure)
        assert survey["invented"][index] == sum(match == -1 for match in sure)


def test_pictures_come_by_index_upright_and_small(client):
    listed = client.get("/api/pictures/val").json()
    assert listed["names"] == ["two.png", "many.png", "crowd.png", "none.png"]
    assert listed["boxes"] == [2, 50, 1, 0] and listed["classes"][2] == [0]
    truth = client.get("/api/pictures/val/2").json()
    assert truth["ignore"] == [False, True] and truth["boxes"][0] == [30, 40, 110, 120]
    for kind, size in (("picture", (320, 240)), ("thumb", (192, 144))):
        answer = client.get(f"/api/pictures/val/0/{kind}.jpg")
        assert Image.open(io.BytesIO(answer.content)).size == size


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"index": 9}, "picture 9: the split val has 4, counted from 0"),
        ({"assigner": "fcoss"}, "assigner fcoss: unknown"),
        ({"assigner": "tal"}, "its labels depend on what a network predicts; give a model"),
        ({"settings": {"coupling": True}}, "choose a model, or turn it off"),
        ({"settings": {"reach": 1e9}}, "1000000000.0 is not a number from 2 to 16"),
        ({"settings": {"core_zone": 3}}, "3 is not true or false"),
        ({"settings": {"released_": True}}, "has no control released_"),
        ({"model": 5}, "model 5: there are 1"),
        ({"imgsz": 100_000}, "imgsz: Input should be less than or equal to 1536"),
        ({"offset": "x"}, "offset: Input should be a valid number"),
        ({"split": "../.."}, "split: Input should be"),
        ({"path": "/etc/passwd"}, "path: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_question_gets_one_sentence(client, question, reason):
    asked = {"split": "val", "index": 0, "imgsz": 160, "assigner": "dsla"} | question
    answer = client.post("/api/labels", json=asked)
    assert answer.status_code == 422 and set(answer.json()) == {"error"}
    assert reason in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_nothing_but_the_page_and_the_pictures_is_readable(client):
    for path in (
        "/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "//etc/passwd", "/api/pictures/val/..%2f..%2f/picture.jpg",
        "/api/pictures/%2e%2e/0", "/api/pictures/val/-1/picture.jpg", "/page/index.html", "/docs", "/openapi.json",
    ):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code in (404, 422), path
        assert set(answer.json()) == {"error"}


def test_only_the_page_itself_may_ask(client):
    question = {"split": "val", "index": 0, "imgsz": 160, "assigner": "fcos"}
    assert client.get("/api/about", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/api/about", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/labels", json=question, headers={"origin": HOME}).status_code == 200
    assert client.post("/api/labels", json=question, headers={"origin": "http://127.0.0.1:1"}).status_code == 403
    assert client.post("/api/labels", content="{}", headers={"content-type": "text/plain"}).status_code == 415
    assert client.post("/api/labels", json={"x": "y" * 70_000}).status_code == 413
    assert client.options("/api/labels", headers={"access-control-request-method": "POST"}).status_code == 405
    answer = client.get("/")
    assert "access-control-allow-origin" not in answer.headers
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("header", "bound", "here"),
    [
        ("127.0.0.1:8642", "127.0.0.1", True), ("localhost:1", "127.0.0.1", True), ("[::1]:8642", "::1", True),
        ("evil.example", "127.0.0.1", False), ("192.168.1.5:8642", "127.0.0.1", False), ("", "127.0.0.1", False),
        ("192.168.1.5:8642", "0.0.0.0", True), ("evil.example:8642", "0.0.0.0", False),
        ("127.0.0.1.evil.example", "0.0.0.0", False), ("lab.example:80", "lab.example", True),
    ],
)  # fmt: skip
def test_whose_address_is_answered(header, bound, here):
    assert host_is_here(header, bound) is here
