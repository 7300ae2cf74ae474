"""Time and memory of all measures on somebody else's results: 5,000 pictures, 500,000 boxes, 80 classes, generated.

    python benchmarks/analysis.py --json docs/results/analysis.json

Ground truth and results are written as json files first, as they would come from another tool, and read back in the
process that is measured. Then the same boxes are taken for those before NMS, which measures everything that does not
need a network. Claims are about processor time, which other work on the machine changes little.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from told import claim, machine, verdicts

CLASSES, TRUE_A_PICTURE = 80, 7


def generate(folder: Path, pictures: int, found_boxes: int, seed: int = 0) -> None:
    """Write `truth.json` and `results.json`: most boxes lie around true ones, better where they score higher."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, CLASSES + 1)
    true = TRUE_A_PICTURE * pictures
    place = rng.integers(pictures, size=true)
    label = rng.choice(CLASSES, size=true, p=weights / weights.sum())
    boxes = np.column_stack([rng.uniform(0, 440, (true, 2)), rng.uniform(12, 200, (true, 2))])
    annotations = [
        {
            "id": number + 1, "image_id": int(picture), "category_id": int(its), "bbox": box,
            "area": box[2] * box[3], "iscrowd": 0,
        }
        for number, (picture, its, box) in enumerate(zip(place, label, boxes.tolist(), strict=True))
    ]  # fmt: skip
    about = rng.integers(true, size=found_boxes)
    quality = rng.beta(2, 1.2, size=found_boxes)
    jitter = rng.normal(0, 0.25, (found_boxes, 4)) * (1 - quality)[:, None] * np.tile(boxes[about][:, 2:], 2)
    found = boxes[about] + jitter
    found[:, 2:] = found[:, 2:].clip(2)
    score = (0.7 * quality + 0.3 * rng.random(found_boxes)) ** 2
    other = rng.random(found_boxes) < 0.3
    its = np.where(other, rng.integers(CLASSES, size=found_boxes), label[about])
    where = np.where(other, rng.integers(pictures, size=found_boxes), place[about])
    columns = (where.tolist(), its.tolist(), found.round(2).tolist(), score.round(5).tolist())
    results = [{"image_id": i, "category_id": c, "bbox": b, "score": s} for i, c, b, s in zip(*columns, strict=True)]
    truth = {
        "images": [{"id": number, "width": 640, "height": 640} for number in range(pictures)],
        "annotations": annotations,
        "categories": [{"id": number, "name": f"class {number}"} for number in range(CLASSES)],
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))


def measured(folder: Path, candidates: bool) -> dict[str, Any]:
    """Read and measure in this process."""
    from dsla.analysis import Answers, Candidates, found_boxes, measure

    began = time.perf_counter()
    truth, rows = (json.loads((folder / f"{name}.json").read_text()) for name in ("truth", "results"))
    found = found_boxes(truth, rows)
    boxes = len(rows)
    del rows
    read = time.perf_counter()
    answers = Answers.chosen_from(Candidates(found, 0.6)) if candidates else Answers(found)
    told = measure(truth, answers)
    return {
        "pictures": len(truth["images"]),
        "boxes": boxes,
        "candidates": candidates,
        "read_s": round(read - began, 2),
        "measure_s": round(time.perf_counter() - read, 2),
        "total_s": round(time.perf_counter() - began, 2),
        "cpu_s": round(time.process_time(), 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "figures": told.values,
    }


def main() -> None:
    """Generate, measure in a process of its own, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=int, default=5_000)
    parser.add_argument("--boxes", type=int, default=500_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--candidates", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measured(args.measure, args.candidates)))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name), args.pictures, args.boxes)
        for words in ([], ["--candidates"]):
            call = [sys.executable, __file__, "--measure", name, *words]
            rows.append(json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout))
    for row in rows:
        kind = "taken for boxes before NMS" if row["candidates"] else "as results"
        print(f"{kind}: read {row['read_s']} s, measured {row['measure_s']} s, peak {row['peak_gb']} GB")
        print(f"    {row['cpu_s']} s of processor time, Python's start included")
    claims = [
        claim("all measures of a file of results in under a minute", rows[0]["cpu_s"], rows[0]["cpu_s"] < 60),
        claim("the same in under 4 GB", rows[0]["peak_gb"], rows[0]["peak_gb"] < 4),
        claim("and of boxes before NMS in under a minute", rows[1]["cpu_s"], rows[1]["cpu_s"] < 60),
    ]
    print("\n".join(verdicts(claims)))
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(1), "rows": rows, "claims": claims}, indent=1) + "\n")


if __name__ == "__main__":
    main()
