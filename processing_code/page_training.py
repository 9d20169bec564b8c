"""The report's part about training: how each model came to be, with the curves of its archive's manifest."""

from collections.abc import Mapping
from typing import Any

from charts import curve, finite
from markup import Markup, join, number, section, short, table, tag

ROWS = 60
MODELS, LINES, POINTS = 12, 12, 300  # that are drawn: training writes fewer, and the page stays small whoever wrote it
Manifest = Mapping[str, Any]


def training(decision: Mapping[str, Any], manifests: Mapping[str, Manifest]) -> Markup:
    """Each model's validation; what failed; the proposed model's curves, the others' folded."""
    names = sorted({metric for one in decision["models"].values() for metric in one["validation"]})
    rows: list[list[object]] = [
        [name, number(one["bytes"]), number(manifests.get(name, {}).get("epochs")),
         *(number(one["validation"].get(metric)) for metric in names)]
        for name, one in decision["models"].items()
    ]  # fmt: skip
    failed: list[list[object]] = [[name, short(why)] for name, why in decision["failures"].items()]
    own = curves(str(decision["model"]), manifests.get(decision["model"], {}))
    unfolded = {} if "<svg" in own else {"open": "open"}  # where the proposed model has no curve, the others' are shown
    others = [
        tag("details", tag("summary", f"Curves of {name}"), curves(name, manifests.get(name, {})), **unfolded)
        for name in decision["models"]
        if name != decision["model"]
    ]
    return section(
        "Training",
        table(("model", "bytes", "epochs kept", *(f"validation {metric}" for metric in names)), rows[:ROWS]),
        table(("failed", "why"), failed[:ROWS]),
        own,
        *others[:MODELS],
    )


def curves(model: str, manifest: Manifest) -> Markup:
    """A picture for each curve, and a word on what they are of; the dot is the epoch that was kept."""
    found = manifest.get("curves")
    lines = [
        picture(str(name), points(one), manifest)
        for name, one in sorted(found.items() if isinstance(found, Mapping) else ())
    ][:LINES]
    if not any(lines):
        why = "it is solved for at once, so there is none" if model == "ease" else "its archive has none"
        return tag("p", f"{short(model)} has no training curve: {why}.")
    settings = manifest.get("hyperparameters")
    again = " Then it was trained again on all data, for as many epochs." if (
        isinstance(settings, Mapping) and settings.get("refit") is True
    ) else ""  # fmt: skip
    return join([tag("p", f"{short(model)}, on the part of the data that chose the epoch (the dot).{again}"), *lines])


def points(found: Any) -> list[tuple[float, float]]:
    """The first pairs [epoch, value] of a curve that can be drawn, in the order of their epochs."""
    some = found[:POINTS] if isinstance(found, list) else []
    pairs = [one for one in some if isinstance(one, list) and len(one) == 2]
    numbers = [(finite(epoch), finite(value)) for epoch, value in pairs]
    return sorted({epoch: value for epoch, value in numbers if epoch is not None and value is not None}.items())


def picture(name: str, found: list[tuple[float, float]], manifest: Manifest) -> Markup:
    """A curve with its dot; ALS has sweeps instead of epochs, of which the last one counts."""
    sweeps = name.startswith("als")
    return curve(short(name), found, None if sweeps else finite(manifest.get("epochs")), "sweep" if sweeps else "epoch")
