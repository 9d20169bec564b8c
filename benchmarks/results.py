"""What a benchmark found: medians, ratios, its JSON and its Markdown table."""

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import machine
from .trials import Run

Medians = dict[str, dict[str, float]]


def document(benchmark: str, settings: Mapping[str, Any], runs: Sequence[Run], **more: Any) -> dict[str, Any]:
    """The JSON of one benchmark; `more` adds medians, ratio and what else it has to say."""
    return {
        "benchmark": benchmark,
        "machine": machine.describe(),
        "settings": dict(settings),
        "runs": list(runs),
        **more,
    }


def medians(runs: Iterable[Run], names: Sequence[str]) -> Medians:
    """Of each contender, the median over its runs of each of these numbers that it has."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run["contender"], []).append(run)
    return {
        contender: {
            name: statistics.median(run[name] for run in own if run.get(name) is not None)
            for name in names
            if any(run.get(name) is not None for run in own)
        }
        for contender, own in grouped.items()
    }


def ratios(found: Medians, name: str, baseline: str) -> dict[str, float]:
    """How many times smaller each contender's number is than the baseline's; empty without the baseline."""
    if name not in found.get(baseline, {}):
        return {}
    return {one: round(found[baseline][name] / own[name], 2) for one, own in found.items() if own.get(name)}


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(value: float | None, form: str = ".1f") -> str:
    """A number, or nothing where there is none."""
    return "" if value is None else format(value, form)


def caption(found: Mapping[str, Any]) -> str:
    """What a table's figures are of."""
    on = found["machine"]
    return f"{on['cores']} cores, {on['memory_gib']:g} GiB, {on['cpu']}, torch {on['torch']}"


def finish(found: Mapping[str, Any], text: str, path: Path | None) -> None:
    """Print the table, and write the JSON if a file was named."""
    print(text)
    if path is not None:
        write(path, found)
