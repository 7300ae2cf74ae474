"""A training step: precision of the losses, accumulation, and the learning rate that goes with the batch."""

import dataclasses

import pytest
import torch
from commands import TINY

from dsla.config import Config, override, parse_assignments
from dsla.criterion import Criterion
from dsla.data import Resize, open_data, train_loader
from dsla.engine.train import train
from dsla.methods import with_assigner
from dsla.recipes import recipe


def settings(*words: str, assigner: str = "fcos") -> Config:
    return override(with_assigner(recipe(), assigner), parse_assignments([*TINY, *words]), "test")


HERE = [
    pytest.param("cpu", "bf16-mixed", id="cpu"),
    pytest.param(
        "cuda",
        "16-mixed",
        id="cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")],
    ),
]


@pytest.mark.parametrize(("device", "precision"), HERE)
@pytest.mark.parametrize("assigner", ["fcos", "dsla"])
def test_losses_are_float32_whatever_the_network_runs_in(scenes, tmp_path, monkeypatch, device, precision, assigner):
    seen = []
    plain = Criterion.__call__

    def watched(self, output, truth, progress=1.0):
        losses = plain(self, output, truth, progress)
        wide = dataclasses.replace(output, logits=output.logits.float())
        seen.append((output, losses, plain(self, wide, truth, progress), torch.is_autocast_enabled(device)))
        return losses

    monkeypatch.setattr(Criterion, "__call__", watched)
    words = ("train.epochs=1", f"train.precision={precision}", f"train.device={device}")
    train(settings(*words, assigner=assigner), open_data(scenes / "train.json"), tmp_path / "run")
    half = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    assert len(seen) == 3
    for output, losses, wide, autocast in seen:
        assert output.logits.dtype == half, "the network does run in 16 bits"
        assert output.ltrb.dtype == torch.float32 and not autocast
        for name, value in losses.terms.items():
            assert value.dtype == torch.float32 and torch.isfinite(value)
            assert torch.equal(value, wide.terms[name]), "to the bit what wide logits give"


def test_accumulation_is_the_mean_of_the_micro_batches_gradients(scenes, tmp_path):
    """Against plain torch: one step of SGD from four pictures in two batches, each with its own normalisers."""
    words = ("data.batch=2", "train.accumulate=2", "train.epochs=1", "train.ema=null", "train.clip=null")
    optim = ("optim.name=sgd", "optim.lr=0.05", "optim.lr_batch=2", "optim.backbone_factor=1", "optim.weight_decay=0")
    config = settings(*words, *optim, "optim.warmup=0", "optim.schedule=step")
    data = dataclasses.replace(open_data(scenes), val=None)
    rate = 0.1  # 0.05 for 2 pictures a step, of which there are 4

    torch.manual_seed(config.train.seed)
    detector = config.build_detector(len(data.train.class_names))
    criterion = config.build_criterion()
    loader = train_loader(
        data.train, batch=2, workers=0, augment=config.data.augment, resize=Resize(64), seed=0, epochs=1
    )
    optimizer = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=rate, momentum=0.9)
    batches = list(loader)
    assert len(batches) == 6
    for pair in (batches[:2], batches[2:4], batches[4:]):
        optimizer.zero_grad()
        for batch in pair:
            output = detector(detector.preprocess(batch.images, batch.sizes))
            (criterion(output, batch.truth).total / 2).backward()
        optimizer.step()

    train(config, data, tmp_path / "run")
    point = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert point["global_step"] == 3
    for name, value in detector.state_dict().items():
        torch.testing.assert_close(point["state_dict"][f"detector.{name}"], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ((), 0.01),
        (("data.batch=4",), 0.01),  # only when asked
        (("optim.lr_batch=16", "data.batch=16"), 0.01),
        (("optim.lr_batch=16", "data.batch=4"), 0.0025),
        (("optim.lr_batch=16", "data.batch=8", "train.accumulate=8"), 0.04),
        (("optim.lr_batch=16", "data.batch=16", "train.devices=4"), 0.01),  # the batch is that of all processes
    ],
)
def test_the_learning_rate_follows_the_batch_when_asked(words, rate):
    assert settings("optim.lr=0.01", *words).learning_rate == pytest.approx(rate)
