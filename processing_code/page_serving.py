"""The report's part about serving, as far as it is known before there is an endpoint: golden requests, times, size."""

from collections.abc import Mapping
from typing import Any

from charts import histogram
from markup import Markup, join, number, section, short, table, tag
from timing import Milliseconds, percentiles

ROWS = 60
TOOK = ("<!--took-->", "<!--/took-->")  # around what no two runs have in common
WIDE = 1.5  # the pictures end at so many times the largest p95: a single slow user would flatten them


def serving(decision: Mapping[str, Any], manifest: Mapping[str, Any], took: Milliseconds) -> Markup:
    """What an endpoint would load, whether it answers as promised, and how long its scores take."""
    rows: list[list[object]] = [["archive sha256", tag("code", decision["archive_sha256"])]]
    rows.append(["archive bytes", number(decision["models"][decision["model"]]["bytes"])])
    files = manifest.get("files", {})
    rows += [[short(name), number(one.get("bytes"))] for name, one in list(files.items())[:ROWS]]
    return section("Serving check", golden(decision), times(took), table(("what", ""), rows))


def golden(decision: Mapping[str, Any]) -> Markup:
    """The archive's own promises, asked of its graph."""
    found = decision.get("golden") or {"asked": 0}
    if not found["asked"]:
        return tag("p", "The archive has no golden requests, so no endpoint of it could be proved right.")
    wrong = [tag("li", short(why)) for why in found["wrong"]]
    lead = tag(
        "p", "Golden requests: ", number(found["right"]), " of ", number(found["asked"]),
        " are answered by score.onnx as the archive promises. The endpoint is asked the same when it is deployed.",
    )  # fmt: skip
    return join([lead, tag("ul", *wrong)]) if wrong else lead


def times(took: Milliseconds) -> Markup:
    """Histograms of how long one user takes, on one scale, with percentiles."""
    known = {name: percentiles(values) for name, values in took.items() if values}
    if not known:
        return tag("p", "No time was taken.")
    span = 0.0, WIDE * max(one["p95"] for one in known.values())
    parts = ("users", "p50", "p95", "p99", "slowest")
    rows: list[list[object]] = [[short(name), *(number(one[part]) for part in parts)] for name, one in known.items()]
    words = (
        "Milliseconds to score every item for one user and sort the best ones out, after a warm-up, inside of this "
        "evaluation's container: not what an endpoint takes, whose latency is measured when it is deployed."
    )
    pictures = [
        histogram(name, took[name], span, {part: one[part] for part in ("p50", "p95", "p99")})
        for name, one in known.items()
    ]
    return join([Markup(TOOK[0]), tag("p", words), *pictures, table(("model", *parts), rows), Markup(TOOK[1])])
