"""Collect finished runs into a small JSON file, and write the tables of the documents from such files.

    python benchmarks/results.py collect docs/results/bccd.json runs/bccd-* --command 'for seed in ...'
    python benchmarks/results.py lengths docs/results/lengths.json runs/compare-*/summary.json --picture lengths.png
    python benchmarks/results.py parity docs/results/parity.json exports/*.parity.json --command 'for precision in ...'
    python benchmarks/results.py effects docs/results/effects.json docs/results/switches.json
    python benchmarks/results.py tables README.md docs/results.md

A document marks the place of a table with `<!-- results: docs/results/bccd.json -->` and `<!-- end -->`; what
stands between is replaced. The `summary.json` of a `dsla compare` and the `analysis.json` of a `dsla analyse` are such
files as they are. A test holds the documents equal to the files, so that no number is typed by hand.
"""

import argparse
import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dsla.lab import analysis_tables
from dsla.lab.conclusions import signed
from dsla.lab.tables import docs_block
from dsla.report.comparison import plot_lengths
from dsla.report.style import save_figure

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
KEPT = (*FIGURES, "AR100", "best_epoch", "last_epoch", "seed", "epochs", "train_seconds", "data", "versions")
COCO_PICTURES = 118_287  # of train2017
LEAST_WEIGHED = 1000  # boxes a picture from which the memory of assigning them is told
PLACE = re.compile(r"(<!-- results: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def collect(runs: list[Path], command: str) -> dict[str, Any]:
    """Figures, per-class AP, protocol and settings of runs, with the command that makes them again."""
    rows: list[dict[str, Any]] = []
    configs: dict[str, Any] = {}
    for run in runs:
        told = json.loads((run / "results.json").read_text(encoding="utf-8"))
        assigner = told["config"]["assigner"]["name"]
        data = Path(told["data"]).name  # where it lay on one machine is nobody's business
        told["config"]["data"]["path"] = data
        row = {key: told[key] for key in KEPT} | {"data": data}
        row["per_class"] = {name: values["AP"] for name, values in told["per_class"].items()}
        rows.append({"run": run.name, "assigner": assigner} | row)
        configs[assigner] = told["config"]
    return {"command": command, "protocol": told["protocol"], "runs": rows, "configs": configs}


def table(results: dict[str, Any]) -> str:
    """Markdown: figures of the last epoch in percent, mean and standard deviation over seeds, an assigner a row."""
    lines = ["| assigner | seeds | " + " | ".join(FIGURES) + " | minutes |", "|---|---|" + "---:|" * (len(FIGURES) + 1)]
    for assigner in dict.fromkeys(row["assigner"] for row in results["runs"]):
        rows = [row for row in results["runs"] if row["assigner"] == assigner]
        cells = [_spread([row["last_epoch"][figure] for row in rows], 100) for figure in FIGURES]
        minutes = _spread([row["train_seconds"] for row in rows], 1 / 60)
        seeds = ", ".join(str(row["seed"]) for row in rows)
        lines.append(f"| {assigner} | {seeds} | " + " | ".join(cells) + f" | {minutes} |")
    counts = results["protocol"]["counts"]
    epochs = results["runs"][0]["epochs"]
    lines += [
        "",
        f"Weights of the last of {epochs} epochs (nothing was chosen by these figures), mean ± standard deviation over "
        f"seeds; COCO protocol on {counts['pictures']} validation pictures with {counts['boxes']} boxes, in percent. "
        f"Made by:",
        "",
        "```bash",
        *results["command"].splitlines(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def step_table(results: dict[str, Any]) -> str:
    """Markdown: time and memory of a training step, a contender a row, and whether each claim holds."""
    lines = ["| step | ms | times ours | memory, MB |", "|---|---:|---:|---:|"]
    lines += [
        f"| {row['label']} | {row['ms']:.0f} | {row['ratio']:.2f} | {row['memory_mb']:.0f} |" for row in results["rows"]
    ]
    return "\n".join([*lines, "", *_claims(results)]) + "\n"


def data_table(results: dict[str, Any]) -> str:
    """Markdown: where the time of a picture goes, a data path a row."""
    lines = [
        "| data path | decode | transform | collate | all | times ours | worker, MB | with 12 MP pictures |",
        "|---|" + "---:|" * 7,
    ]
    for row in results["rows"]:
        steps = " | ".join(f"{row[f'{step}_ms']:.2f}" for step in ("decode", "transform", "collate", "total"))
        sizes = (row.get("memory_mb"), row.get("memory_large_mb"))
        memory = " | ".join("" if size is None else f"{size:.0f}" for size in sizes)
        lines.append(f"| {row['label']} | {steps} | {row['ratio']:.2f} | {memory} |")
    return "\n".join([*lines, "", *_claims(results)]) + "\n"


def latency_table(results: dict[str, Any]) -> str:
    """Markdown: a picture from its bytes to boxes, a contender a row, and whether each claim holds."""
    lines = [
        "| | ms | speed-up | ms after a rest | file, MB | first picture of a process, s | peak, MB |",
        "|---|" + "---:|" * 6,
    ]
    for row in results["rows"]:
        size = "" if row["size_mb"] is None else f"{row['size_mb']:.1f}"
        cells = f"{_ms(row['ms'])} | {row['speedup']:.2f} | {_ms(row['ms_rested'])} | {size} | {row['cold_s']:.1f}"
        lines.append(f"| {row['label']} | {cells} | {row['peak_mb']:.0f} |")
    where = results["machine"]
    how = f"{results['imgsz']} px, {where['cpu']}, {where['threads']} threads, medians of {results['turns']} turns."
    together = [
        f"Several pictures at once, {name}, milliseconds each: "
        + ", ".join(f"{_ms(ms)} (of {count})" for count, ms in counts.items())
        for name, counts in results["batches"].items()
    ]
    parts = [
        f"Where a picture's time goes, {name}: " + ", ".join(f"{part} {ms:.1f} ms" for part, ms in steps.items())
        for name, steps in results["parts"].items()
    ]
    told = [f"{line}.\n" for line in (*parts, *together)]
    return "\n".join([*lines, "", how, "", *told, *_claims(results)]) + "\n"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"


def equal_time_table(results: dict[str, Any]) -> str:
    """Markdown: AP after equal time and the latency of what was trained, a contender a row, and the claims."""
    lines = [
        "| | AP | of each seed | AP50 | epochs | ms | ms after a rest | file, MB |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in results["rows"]:
        runs = row["runs"]
        scores = ", ".join(f"{100 * run['AP']:.1f}" for run in runs)
        epochs = f"{min(run['epochs'] for run in runs)} to {max(run['epochs'] for run in runs)}"
        fifty = 100 * sum(run["AP50"] for run in runs) / len(runs)
        speed = f"{row['ms']:.1f} | {row['ms_rested']:.1f} | {row['size_mb']:.1f}"
        lines.append(f"| {row['label']} | {100 * row['ap']:.1f} | {scores} | {fifty:.1f} | {epochs} | {speed} |")
    where, seeds = results["machine"], len(results["rows"][0]["runs"])
    how = (
        f"{results['data']} at {results['imgsz']} px, {seeds} seeds, {results['minutes']:g} minutes of training each "
        f"from random weights, {where['cpu']}, {where['threads']} threads; latencies are medians of "
        f"{results['turns']} turns. Made by `python benchmarks/equal_time.py {results['data']} --ultralytics FOLDER "
        f"--minutes {results['minutes']:g} --json equal_time.json`."
    )
    return "\n".join([*lines, "", how, "", *_claims(results)]) + "\n"


def serve_load_table(results: dict[str, Any]) -> str:
    """Markdown: what clients and the system saw of a server at saturation, and whether each claim holds."""
    row = results["row"]
    first, last = row["memory_mb"]
    told = {
        "seconds at saturation": f"{row['seconds']:.0f}",
        "pictures a second": f"{row['pictures_a_second']:.0f}",
        "requests answered": f"{row['answered']:,}",
        "requests told to come back (503)": f"{row['refused']:,}",
        "a request took, ms: p50, p99, most": f"{row['p50_ms']:.0f}, {row['p99_ms']:.0f}, {row['most_ms']:.0f}",
        "memory at the beginning and the end, MB": f"{first:.0f}, {last:.0f}",
        "slope of the memory, MB an hour": f"{row['memory_mb_an_hour']:.0f}",
        "requests in the server's log": f"{row['requests_in_the_log']:,}",
    }
    lines = ["| | |", "|---|---:|", *(f"| {what} | {number} |" for what, number in told.items())]
    return "\n".join([*lines, "", *_claims(results)]) + "\n"


def serve_hostile_table(results: dict[str, Any]) -> str:
    """Markdown: hostile requests by kind, how they were answered, and whether each claim holds."""
    lines = ["| kind | answers | slowest, s |", "|---|---|---:|"]
    for row in results["rows"]:
        answers = ", ".join(f"{count} x {status}" for status, count in row["answers"].items())
        lines.append(f"| {row['kind'].replace('_', ' ')} | {answers} | {row['slowest_seconds']:.2f} |")
    good = ", ".join(f"{count} x {status}" for status, count in results["good"].items())
    lines.append(f"| good ones between them | {good} | |")
    return "\n".join([*lines, "", *_claims(results)]) + "\n"


def parity(reports: list[Path], command: str) -> dict[str, Any]:
    """Join the reports that `dsla export` left beside its artefacts."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in reports]
    return {"parity": rows, "command": command}


def parity_table(results: dict[str, Any]) -> str:
    """Markdown: how far each export is from PyTorch."""
    lines = [
        "| | AP, exported | in PyTorch | boxes, px: most / middle | scores: most / middle | on one side only | MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results["parity"]:
        total, ap = row["total"], row["ap"]
        name = row["format"] + ("" if row["precision"] == "fp32" else f", {row['precision']}")
        apart = " | ".join(
            f"{total[f'{what}_max']:.2g} / {total[f'{what}_median']:.2g}" for what in ("boxes", "scores")
        )
        alone = f"{total['unmatched']:,} of {total['unmatched'] + total['matched']:,}"
        aps = f"{100 * ap['artefact']:.2f} | {100 * ap['network']:.2f}"
        lines.append(f"| {name} | {aps} | {apart} | {alone} | {row['bytes'] / 2**20:.1f} |")
    return "\n".join([*lines, "", "Made by:", "", "```bash", *results["command"].splitlines(), "```"]) + "\n"


def _claims(results: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for claim in results["claims"]:
        verdict = {True: "holds", False: "does **not** hold", None: "was not measured"}[claim["holds"]]
        measured = "" if claim["measured"] is None else f" ({claim['measured']:.3g})"
        lines.append(f"- {claim['claim']}: {verdict}{measured}")
    return lines


def points_table(results: dict[str, Any]) -> str:
    """Markdown: boxes by the points they get, in percent; a rule and picture size a row."""
    lines = [
        "| pictures | px | rule | no point | 1 | 2 to 4 | 5 or more | points a box | on levels, finest first |",
        "|---|---:|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in results["points_a_box"]:
        shares = " | ".join(f"{100 * row['shares'][kind]:.1f}" for kind in ("0", "1", "2-4", "5+"))
        levels = " ".join(f"{100 * share:.0f}" for share in row["levels"])
        lines.append(f"| {row['data']} | {row['imgsz']} | {row['rule']} | {shares} | {row['mean']:.1f} | {levels} |")
    return "\n".join(lines) + "\n"


def assign_table(results: dict[str, Any]) -> str:
    """Markdown: time and memory of assigning a batch, and how much faster than the dense form; an assigner a row."""
    machine, rows = results["machine"], results["rows"]
    counts = sorted({row["boxes"] for row in rows})
    weighed = [count for count in counts if count >= LEAST_WEIGHED]
    compared = sorted({row["boxes"] for row in rows if row["dense_ms"]})
    heads = [f"{count:,}" for count in counts]
    heads += [f"MB, {count:,}" for count in weighed] + [f"times, {count:,}" for count in compared]
    lines = ["| boxes a picture | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for assigner in dict.fromkeys(row["assigner"] for row in rows):
        by = {row["boxes"]: row for row in rows if row["assigner"] == assigner}
        cells = [_number(by.get(count), "ms") for count in counts]
        cells += [_number(by.get(count), "extra_mb") for count in weighed]
        cells += [_times(by.get(count)) for count in compared]
        lines.append(f"| {assigner} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Milliseconds for a batch of {results['batch']} pictures of {results['points']:,} points, MB of extra memory, "
        f"and times faster than the dense form of the same rule; medians, {machine['threads']} threads of "
        f"{machine['cpu']}. Made by `python benchmarks/assign.py --json FILE`.",
        "",
    ]
    return "\n".join([*lines, *_claims(results)]) + "\n"


def _number(row: dict[str, Any] | None, key: str) -> str:
    if row is None:
        return ""
    return f"{row[key]:,.1f}" if row[key] < 10 else f"{row[key]:,.0f}"


def _times(row: dict[str, Any] | None) -> str:
    return f"{row['dense_ms'] / row['ms']:,.0f}" if row and row["dense_ms"] else ""


def lengths(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Comparisons of the same methods at several lengths of training as one: AP of each seed and differences."""
    points: list[dict[str, Any]] = []
    for summary in summaries:
        if summary["reference"] != summaries[0]["reference"]:
            raise SystemExit(f"compared with {summary['reference']}, the others with {summaries[0]['reference']}")
        differences = {row["assigner"]: row["figures"].get("AP") for row in summary["differences"]}
        for row in summary["rows"]:
            told = differences.get(row["assigner"])
            points.append(
                {
                    "data": summary["data"]["name"],
                    "assigner": row["assigner"],
                    "steps": summary["schedule"]["steps"],
                    "seeds": row["seeds"],
                    "values": row["figures"]["AP"]["values"],
                    "difference": told and {key: told[key] for key in ("difference", "low", "high", "by_seed")},
                }
            )
    return {
        "lengths": sorted(points, key=lambda point: (point["data"], point["steps"])),
        "reference": summaries[0]["reference"],
        "imgsz": sorted({summary["schedule"]["imgsz"] for summary in summaries}),
        "commands": [summary["command"] for summary in summaries],
        "configs": {row["assigner"]: row["config"] for row in summaries[0]["rows"]},
        "versions": summaries[0]["versions"],
    }


def lengths_table(results: dict[str, Any]) -> str:
    """Markdown: AP in percent, an assigner a row, a length of training a column, a table a data set."""
    lines: list[str] = []
    points = results["lengths"]
    for data in dict.fromkeys(point["data"] for point in points):
        mine = [point for point in points if point["data"] == data]
        steps = sorted({point["steps"] for point in mine})
        lines += [f"| {data} | " + " | ".join(f"{step:,} steps" for step in steps) + " |"]
        lines += ["|---|" + "---:|" * len(steps)]
        for assigner in dict.fromkeys(point["assigner"] for point in mine):
            by = {point["steps"]: point for point in mine if point["assigner"] == assigner}
            lines.append(f"| {assigner} | " + " | ".join(_length_cell(by.get(step)) for step in steps) + " |")
        lines.append("")
    seeds = max(len(point["seeds"]) for point in points)
    lines += [
        f"AP in percent, mean ± standard deviation over {seeds} seeds; in brackets the paired difference to "
        f"{results['reference']}, **bold** where its 95 % interval over pictures and seeds leaves out zero. Each "
        f"length is a training of its own with its whole schedule, at {' and '.join(map(str, results['imgsz']))} px; "
        f"weights of the last epoch. Made by:",
        "",
        "```bash",
        *results["commands"],
        "```",
    ]
    return "\n".join(lines) + "\n"


def _length_cell(point: dict[str, Any] | None) -> str:
    if point is None:
        return "-"
    cell = _spread(point["values"], 100)
    if point["difference"] is None:
        return cell
    low, high = point["difference"]["low"], point["difference"]["high"]
    told = signed(100 * point["difference"]["difference"])
    return f"{cell} ({told})" if low <= 0 <= high else f"{cell} (**{told}**)"


SWITCHES = {"r": "interval relaxation", "c": "core zone", "i": "IoU coupling"}


def effects(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """What each of DSLA's switches does on average over the states of the other two, from a comparison of all eight.

    Args:
        summary: of variants r0c0i0 to r1c1i0, and dsla, which has all three on.
        name: of its file, for the record.
    """
    runs = {
        "r1c1i1" if row["assigner"] == summary["reference"] else row["assigner"]: row["figures"]["AP"]["values"]
        for row in summary["rows"]
    }
    rows: list[dict[str, Any]] = []
    for letter, words in SWITCHES.items():
        pairs = [(values, runs[label.replace(f"{letter}0", f"{letter}1")]) for label, values in runs.items()
                 if f"{letter}0" in label]  # fmt: skip
        steps = [[on - off for off, on in zip(*pair, strict=True)] for pair in pairs]
        rows.append({"switch": words, "by_seed": [statistics.mean(seed) for seed in zip(*steps, strict=True)]})
        rows[-1]["pairs"] = [statistics.mean(pair) for pair in steps]
    return {"effects": rows, "from": name, "seeds": summary["seeds"], "data": summary["data"]["name"]}


def effects_table(results: dict[str, Any]) -> str:
    """Markdown: points of AP that each switch brings, a switch a row."""
    lines = ["| turned on | points of AP | by seed | least and most over the other switches |", "|---|---:|---|---|"]
    for row in results["effects"]:
        by_seed = ", ".join(signed(100 * value) for value in row["by_seed"])
        ends = " to ".join(signed(100 * value) for value in (min(row["pairs"]), max(row["pairs"])))
        lines.append(f"| {row['switch']} | {signed(100 * statistics.mean(row['by_seed']))} | {by_seed} | {ends} |")
    return "\n".join(lines) + "\n"


def recipes_table(results: dict[str, Any]) -> str:
    """Markdown: parts, parameters and multiply-adds, a recipe a row."""
    lines = [
        "| recipe | backbone by timm | epochs x batch | px, h x w | parameters, M | that learn, M | multiply-adds, G |"
        " COCO, Eflop |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results["recipes"]:
        size = " x ".join(map(str, row["size"]))
        millions = f"{row['parameters'] / 1e6:.2f} | {row['trainable'] / 1e6:.2f}"
        schedule = f"{row['epochs']} x {row['batch']}"
        # Backward costs twice what forward does, and a multiply-add is two operations.
        work = f"{6 * row['multiply_adds'] * COCO_PICTURES * row['epochs'] / 1e18:.2g}"
        counts = f"{millions} | {row['multiply_adds'] / 1e9:.1f} | {work}"
        lines.append(f"| `{row['recipe']}` | `{row['backbone']}` | {schedule} | {size} | {counts} |")
    return "\n".join(lines) + "\n"


# Which table a file holds, by a key of it or by its `benchmark`.
MAKERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "data_path": data_table,
    "comparison": docs_block,
    "bootstrap": analysis_tables.docs_block,
    "runs": table,
    "train_step": step_table,
    "points_a_box": points_table,
    "latency": latency_table,
    "equal_time": equal_time_table,
    "serve_load": serve_load_table,
    "serve_hostile": serve_hostile_table,
    "parity": parity_table,
    "lengths": lengths_table,
    "effects": effects_table,
    "assign": assign_table,
    "recipes": recipes_table,
}


def with_tables(document: str, root: Path) -> str:
    """The document with each marked table made anew; file names are relative to `root`."""

    def fill(match: re.Match[str]) -> str:
        results = json.loads((root / match[2]).read_text(encoding="utf-8"))
        make = next(make for kind, make in MAKERS.items() if kind in results or results.get("benchmark") == kind)
        return match[1] + make(results) + match[3]

    return PLACE.sub(fill, document)


def _spread(values: list[float | None], factor: float) -> str:
    known = [value * factor for value in values if value is not None]
    if not known:
        return "-"
    mean = f"{statistics.mean(known):.1f}"
    return f"{mean} ± {statistics.stdev(known):.1f}" if len(known) > 1 else mean


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    gather = commands.add_parser("collect", help="runs to JSON")
    gather.add_argument("out", type=Path)
    gather.add_argument("runs", type=Path, nargs="+")
    gather.add_argument("--command", required=True, help="the shell lines that made the runs")
    join = commands.add_parser("lengths", help="comparisons of several lengths to one JSON and a figure")
    join.add_argument("out", type=Path)
    join.add_argument("summaries", type=Path, nargs="+")
    join.add_argument("--picture", type=Path, help="draw AP against steps to this file")
    factorial = commands.add_parser("effects", help="a comparison of all switches to the effect of each")
    factorial.add_argument("out", type=Path)
    factorial.add_argument("summary", type=Path)
    equal = commands.add_parser("parity", help="reports of exports to one JSON")
    equal.add_argument("out", type=Path)
    equal.add_argument("reports", type=Path, nargs="+")
    equal.add_argument("--command", required=True, help="the shell lines that made them")
    write = commands.add_parser("tables", help="JSON to documents")
    write.add_argument("documents", type=Path, nargs="+")
    chosen = parser.parse_args()
    if chosen.what == "collect":
        text = json.dumps(collect(chosen.runs, chosen.command), indent=1)
        chosen.out.write_text(text + "\n", encoding="utf-8")
    elif chosen.what == "lengths":
        joined = lengths([json.loads(path.read_text(encoding="utf-8")) for path in chosen.summaries])
        chosen.out.write_text(json.dumps(joined, indent=1) + "\n", encoding="utf-8")
        if chosen.picture:
            save_figure(plot_lengths(joined["lengths"]), chosen.picture)
    elif chosen.what == "effects":
        told = effects(json.loads(chosen.summary.read_text(encoding="utf-8")), chosen.summary.name)
        chosen.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    elif chosen.what == "parity":
        text = json.dumps(parity(chosen.reports, chosen.command), indent=1)
        chosen.out.write_text(text + "\n", encoding="utf-8")
    else:
        for document in chosen.documents:
            document.write_text(with_tables(document.read_text(encoding="utf-8"), Path.cwd()), encoding="utf-8")


if __name__ == "__main__":
    main()
