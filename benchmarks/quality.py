"""Quality and cost of every model on every data set, with the papers' sampled metrics and the full catalogue's.

    python -m benchmarks.quality --json quality.json --data completejourney

Settings are those of benchmarks/tuned.json, or are chosen on validation data before the table is made.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import peers, results
from .errors import exit_code
from .options import DATA_HELP, at_least_one, parser, selected
from .trials import Contender, Run, able, prepared, rounds, say, task

TUNED = Path(__file__).with_name("tuned.json")
NETWORK = {"factor_num": 32, "num_layers": 3, "epochs": 15}
# row -> model and fixed settings; a new row is one line here
MODELS: Mapping[str, Contender] = {
    "popularity": Contender("judge", {"model": "popularity"}),
    "item-kNN": Contender("judge", {"model": "item_knn"}),
    "implicit's ALS": Contender("judge", {"model": "implicit", "epochs": 15}, peer=True),
    "ALS": Contender("judge", {"model": "als"}),
    "EASE": Contender("judge", {"model": "ease"}),
    "GMF": Contender("judge", {"model": "gmf", **NETWORK}),
    "MLP": Contender("judge", {"model": "mlp", **NETWORK}),
    "NeuMF": Contender("judge", {"model": "neumf", **NETWORK}),
    "NeuMF pre-trained": Contender("judge", {"model": "neumf_pretrained", **NETWORK}),
}
NETWORK_GRID = {"lr": [0.002, 0.004, 0.008]}
# what is tried on validation data; the last value of a list is what --quick takes
GRIDS: Mapping[str, Mapping[str, list[Any]]] = {
    "popularity": {},
    "item_knn": {"neighbours": [50, 200, 1000], "shrink": [0, 100, 10]},
    "implicit": {"factors": [64, 128], "regularization": [10.0, 100.0, 30.0], "alpha": [1.0, 10.0, 3.0]},
    "als": {"als_factors": [32, 128], "als_reg": [0.003, 0.03, 0.01], "als_alpha": [0.1, 1.0, 0.3]},
    "ease": {"ease_reg": [100.0, 200.0, 1000.0, 2000.0, 5000.0, 500.0]},
    "gmf": NETWORK_GRID,
    "mlp": NETWORK_GRID,
    "neumf": NETWORK_GRID,
    "neumf_pretrained": {"pretrain": ["blend", "als"]},
}
# as the training job is told for a holdout of so many days: validation asks what the holdout will ask
FIXED: Mapping[str, Mapping[str, Any]] = {"completejourney": {"validation_days": 28}}
METRICS = ("sampled_hr@10", "sampled_ndcg@10", "hr@10", "ndcg@10")
NUMBERS = (*METRICS, "validation", "cpu_seconds", "peak_mib")
ALS_ROWS = ("implicit's ALS", "ALS")  # which one the others are compared with: the first that took part


def benchmark(argv: Sequence[str] | None = None) -> None:
    """Judge the models on each data set, print the tables and write the JSON."""
    given = arguments(argv)
    chosen, without = able(selected(MODELS, given.models), peers.python() is not None)
    parts = {name: on_one(name, chosen, given) for name in given.data}
    runs = [run for part in parts.values() for run in part.pop("runs")]
    settings = {"seeds": given.seeds, "data": {name: part.pop("settings") for name, part in parts.items()}}
    ratio = {name: part.pop("ratio") for name, part in parts.items()}
    found = results.document("quality", settings, runs, found=parts, ratio=ratio, left_out=without)
    results.finish(found, table(found), given.json)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; --quick is a smoke test on synthetic data."""
    words = parser(__doc__, "quality")
    standard = ["completejourney", "synthetic", *(["ml-1m"] if os.environ.get("ML1M_DIR") else [])]
    words.add_argument("--data", nargs="+", default=standard, metavar="NAME", help=DATA_HELP)
    words.add_argument("--seeds", type=at_least_one, default=3)
    words.add_argument("--models", metavar="A,B", help=f"some of: {', '.join(MODELS)}")
    words.add_argument("--interactions", type=at_least_one, default=100_000, help="of synthetic data")
    words.add_argument("--tune", action="store_true", help="choose anew, and write benchmarks/tuned.json")
    given = words.parse_args(argv)
    if given.quick:
        vars(given).update(data=["synthetic"], interactions=4000, seeds=1)
    return given


def on_one(name: str, chosen: Mapping[str, Contender], given: argparse.Namespace) -> dict[str, Any]:
    """All models on one data set: settings, runs, medians, ratios, which one is proposed, and the intervals."""
    with prepared(name, given.interactions) as (folder, size):
        settings = {row: {**one.settings, **points(folder, size["name"], one, given)} for row, one in chosen.items()}

        def run(row: str, seed: int) -> Run:
            label = f"{settings[row]['model']}-{seed}"
            found = task("judge", folder, {**settings[row], "seed": seed, "label": label}, chosen[row].peer)
            return {**found, "data": name, "label": label}

        runs = rounds(list(chosen), given.seeds, run)
        medians = results.medians(runs, NUMBERS)
        against = next((row for row in ALS_ROWS if row in chosen), None)
        compared = {} if against is None else intervals(folder, runs, against)
    less = {} if against is None else results.ratios(medians, "cpu_seconds", against)
    return {
        "settings": {"size": size, "models": settings}, "runs": runs, "medians": medians,
        "proposed": proposed(medians), "against": against, "intervals": compared,
        "ratio": {"baseline": against, "times_less_cpu": less},
    }  # fmt: skip


def points(folder: Path, data: str, one: Contender, given: argparse.Namespace) -> dict[str, Any]:
    """A model's settings: those chosen before for this data set, or chosen now on validation data."""
    model = one.settings["model"]
    values, start = GRIDS[model], dict(FIXED.get(data, {}))
    if given.quick or not values:
        return {"epochs": 2, **{name: own[-1] for name, own in values.items()}} if values else {}
    kept = json.loads(TUNED.read_text(encoding="utf-8"))
    if model == "neumf_pretrained":  # it starts from these two
        start |= kept.get(data, {}).get("als", {}) | kept.get(data, {}).get("ease", {})
    if model in kept.get(data, {}) and not given.tune:
        return {**start, **kept[data][model]}
    say(f"choosing settings for {model} on validation data")
    best = task("tune", folder, {**one.settings, **start, "seed": 1, "grid": values}, one.peer)["best"]
    if given.tune:
        kept.setdefault(data, {})[model] = best
        results.write(TUNED, kept)
    return {**start, **best}


def intervals(folder: Path, runs: Sequence[Run], against: str) -> dict[str, Any]:
    """Every model's paired interval against one of them."""
    labels: dict[str, list[str]] = {}
    for run in runs:
        labels.setdefault(run["contender"], []).append(run["label"])
    others = {row: own for row, own in labels.items() if row != against}
    found = {row: task("compare", folder, {"labels": own, "against": labels[against]}) for row, own in others.items()}
    return {row: {name: one[name] for name in METRICS} for row, one in found.items()}


def proposed(medians: results.Medians) -> str | None:
    """The model that the pipeline would propose: the best of its own on its own validation split."""
    judged = {row: own["validation"] for row, own in medians.items() if "validation" in own}
    return max(judged, key=lambda row: judged[row]) if judged else None


def table(found: Mapping[str, Any]) -> str:
    """One Markdown table for each data set."""
    return "\n\n".join(table_of_one(found, name) for name in found["found"])


def table_of_one(found: Mapping[str, Any], name: str) -> str:
    """The table of one data set, the proposed model in bold."""
    part, size = found["found"][name], found["settings"]["data"][name]["size"]
    header = [
        "",
        "sampled HR@10",
        "sampled NDCG@10",
        "HR@10",
        "NDCG@10",
        f"NDCG@10 minus {part['against']}",
        "CPU s",
        "peak MiB",
    ]
    rows = []
    for row, own in part["medians"].items():
        numbers = [results.shown(own[metric], ".4f") for metric in METRICS]
        costs = [results.shown(own["cpu_seconds"]), results.shown(own["peak_mib"], ".0f")]
        interval = part["intervals"].get(row, {}).get("ndcg@10")
        rows.append([f"**{row}**" if row == part["proposed"] else row, *numbers, spread(interval), *costs])
    title = (
        f"Quality on {size['name']} ({size['users']:,} users, {size['items']:,} items, {size['interactions']:,} "
        f"interactions), medians of {found['settings']['seeds']} seed(s); the pipeline proposes the one in bold; "
        f"{results.caption(found)}."
    )
    missing = [f"{row}: {reason}." for row, reason in found["left_out"].items()]
    return "\n\n".join([" ".join([title, *missing]), results.table(header, rows)])


def spread(interval: Mapping[str, float] | None) -> str:
    """A paired 95 % interval."""
    return "" if interval is None else f"{interval['value']:+.4f} [{interval['low']:+.4f}, {interval['high']:+.4f}]"


if __name__ == "__main__":
    sys.exit(exit_code(benchmark))
