"""Export a model: trace, write, prove equal, and only then put it where it was asked for."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal, TypeAlias

from dsla.data import DataSplits, open_data
from dsla.data.resize import Resize
from dsla.engine.backend import SessionBackend
from dsla.engine.exported import open_exported
from dsla.engine.modelfile import ModelFile
from dsla.engine.predictor import Predictor, load
from dsla.errors import ConfigError, ModelError
from dsla.export.first_conv import centred_bytes, take_bytes
from dsla.export.fold import folded
from dsla.export.gate import Verdict, judge
from dsla.export.graph import RawGraph, graph_of
from dsla.export.pictures import calibration
from dsla.models import Detector
from dsla.runtime.artefact import Place, Precision, describe
from dsla.runtime.session import XML

Format: TypeAlias = Literal["onnx", "openvino", "pt2"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": "_openvino", "pt2": ".pt2"}
PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "pt2": (),
}
SCENES = "scenes"
CALIBRATION = 128  # pictures; twice as many moved AP on cells by less than 0.001


@dataclass(frozen=True)
class Exported:
    """What came of an export."""

    path: Path | None
    """The artefact; None where it was refused."""
    report: Path
    """The comparison as json; the same as text stands beside it."""
    verdict: Verdict
    bytes: int


def export(
    model: str | Path,
    format: Format = "onnx",
    out: str | Path | None = None,
    *,
    decode: Place | None = None,
    precision: Precision = "fp32",
    threshold: float | None = None,
    data: str | None = None,
    pictures: int = 16,
    allow: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Exported:
    """Write a model for another run-time, if it finds there what it finds in PyTorch.

    Args:
        model: a model file, or the folder of a run.
        format: "onnx", "openvino" or "pt2".
        out: the file, or the folder for OpenVINO; by default beside the model, with its name.
        decode: "graph" puts thresholds and suppression into the graph, "outside" leaves them to whoever runs it. The
            default is "graph", for pt2 "outside", the only one there is.
        precision: "fp32", "fp16" (weights) or "int8" (calibrated on `data`).
        threshold: of the scores, in place of the model's own.
        data: pictures to compare, and to calibrate, on; by default built-in scenes.
        pictures: how many of them the detections are compared on; AP takes all.
        allow: put the artefact in its place whatever the comparison says.
        progress: called with the number of pictures done and of all.

    Raises:
        ModelError: if the model cannot be exported so, or a package is missing.
        ConfigError: if the choices contradict each other.
        DataError: if the pictures cannot be read.
    """
    decode = decode or ("outside" if format == "pt2" else "graph")
    _check(format, decode, precision, data)
    _need(format)
    predictor = load(model)
    source = predictor.file
    if not isinstance(source, ModelFile):
        raise ModelError(f"{source.path}: exported already; name the model file that it was made from")
    if threshold is not None:
        predictor = _with_threshold(predictor, threshold)
    splits = open_data(data or SCENES)
    target = _target(source.path, out, format, precision)
    folder = Path(mkdtemp(prefix=f".{target.name}.", dir=_made(target.parent)))
    try:
        draft = folder / f"model{SUFFIXES[format]}"
        _write(predictor, splits, draft, format, decode, precision)
        opened = open_exported(draft, "cpu", trust=True)
        assert opened is not None
        verdict = judge(
            predictor,
            SessionBackend(opened[0]),
            splits.part("val"),
            f"{splits.path or 'built-in scenes'}",
            precision=precision,
            pictures=pictures,
            progress=progress,
        )
        size = sum(file.stat().st_size for file in ([draft] if draft.is_file() else draft.iterdir()))
        report = _report(target, verdict, size, format, decode, precision)
        if not verdict.passed and not allow:
            return Exported(None, report, verdict, size)
        _move(draft, target)
        return Exported(target, report, verdict, size)
    finally:
        shutil.rmtree(folder)


def _check(format: Format, decode: Place, precision: Precision, data: str | None) -> None:
    if format == "pt2" and (decode == "graph" or precision != "fp32"):
        raise ConfigError("pt2 knows --decode outside and --precision fp32 only; ONNX and OpenVINO know all")
    if precision == "int8" and data is None:
        raise ConfigError("int8 measures ranges on your own pictures: name them with --data")


def _need(format: Format) -> None:
    """Find out that a package is missing before minutes of work; the run-time is needed to compare."""
    try:
        for name in PACKAGES[format]:
            import_module(name)
    except ImportError as error:
        raise ModelError(f"export to {format} needs {error.name}: pip install 'dsla[{format}]'") from error


def _with_threshold(predictor: Predictor, threshold: float) -> Predictor:
    inference = replace(predictor.config.inference, score_threshold=threshold)
    return replace(predictor, config=predictor.config.model_copy(update={"inference": inference}))


def _write(
    predictor: Predictor,
    splits: DataSplits,
    draft: Path,
    format: Format,
    decode: Place,
    precision: Precision,
) -> None:
    twin = folded(predictor.detector)
    prepare = centred_bytes if precision == "int8" and take_bytes(twin) else None
    graph = graph_of(twin, predictor.config.inference, inside=decode == "graph", prepare=prepare)
    texts = _texts(predictor, twin, graph, decode, precision)
    if format == "pt2":
        from dsla.export.pt2 import save_pt2

        save_pt2(graph, draft, texts)
        return
    from dsla.export.onnx import describe_onnx, halve, save_onnx, to_onnx

    model = to_onnx(graph)
    if precision == "int8":
        from dsla.export.int8 import quantise

        resize = Resize(predictor.config.data.imgsz, predictor.config.data.shorter)
        model = quantise(model, calibration(splits.part("train"), resize, CALIBRATION))
    if format == "openvino":
        from dsla.export.openvino import save_openvino

        save_openvino(model, draft, texts, half=precision == "fp16")
        return
    if precision == "fp16":
        halve(model)
    describe_onnx(model, texts)
    save_onnx(model, draft)


def _texts(
    predictor: Predictor, twin: Detector, graph: RawGraph, decode: Place, precision: Precision
) -> dict[str, str]:
    """The description: the model file's, with the decoding that holds in the artefact."""
    file = predictor.file
    return describe(
        config=predictor.config.model_dump(mode="json"),
        class_names=file.class_names,
        preprocessing=file.preprocessing,
        versions=file.versions,
        extra=file.extra,
        decode=decode,
        precision=precision,
        strides=twin.strides,
        outputs=graph.outputs,
    )


def _target(source: Path, out: str | Path | None, format: Format, precision: Precision) -> Path:
    """Where the artefact goes; a name of its own for each precision, and never over another kind of thing."""
    kind = "" if precision == "fp32" else f"-{precision}"
    target = Path(out) if out else source.with_name(f"{source.stem}{kind}{SUFFIXES[format]}")
    if format != "openvino" and target.suffix != SUFFIXES[format]:
        raise ConfigError(f"{target}: a {format} file is known by its name; let it end with {SUFFIXES[format]}")
    if format == "openvino" and target.exists() and not (target / XML).is_file():
        raise ConfigError(f"{target}: is there and is no OpenVINO model; choose another folder")
    if format != "openvino" and target.is_dir():
        raise ConfigError(f"{target}: a folder; name a file")
    return target


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _report(target: Path, verdict: Verdict, size: int, format: Format, decode: Place, precision: Precision) -> Path:
    """Write the comparison beside the artefact, as json and as text."""
    told = {"artefact": target.name, "format": format, "decode": decode, "precision": precision, "bytes": size}
    report = target.with_name(f"{target.name}.parity.json")
    report.write_text(json.dumps(told | verdict.to_json(), indent=1) + "\n", encoding="utf-8")
    head = f"{target.name}: {format}, {precision}, detections chosen {_WHERE[decode]}, {size / 2**20:.1f} MiB"
    end = "equal within the bounds" if verdict.passed else "NOT equal within the bounds"
    report.with_suffix(".txt").write_text("\n".join([head, *verdict.lines(), end]) + "\n", encoding="utf-8")
    return report


_WHERE: dict[Place, str] = {"graph": "in the graph", "outside": "outside"}


def _move(draft: Path, target: Path) -> None:
    """Put the artefact in its place, over an older one; what else lies in a folder stays."""
    if draft.is_file():
        draft.chmod(0o644)
        draft.replace(target)
        return
    target.mkdir(exist_ok=True)
    for file in draft.iterdir():
        file.replace(target / file.name)
