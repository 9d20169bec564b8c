"""The report's part about data: what came in, what of it was kept, and how far it is from the champion's."""

from collections.abc import Mapping
from typing import Any

from markup import Markup, join, number, section, short, table, tag

ROWS = 60
WORDS = {
    "rows": "rows in",
    "bad_rows": "rows quarantined",
    "duplicates": "copies of a row, merged",
    "train": "kept to train on",
    "holdout": "kept to measure with",
}


def data(decision: Mapping[str, Any], prepared: Mapping[str, Any]) -> Markup:
    """Rows in, kept and quarantined by reason; users, items, sparsity; the drift from the champion's data."""
    split = tag("p", f"Split: {decision['split']}")
    return section("Data", counted(prepared), times(decision, prepared), split, drifted(decision))


def counted(prepared: Mapping[str, Any]) -> Markup:
    """What prepare counted."""
    counts = prepared.get("counts", {})
    if not counts:
        return tag("p", "Rows are not known to this evaluation: it was not given prepare's report.")
    cells = counts["users"] * counts["items"]
    order = [*(name for name in WORDS if name in counts), *(name for name in counts if name not in WORDS)]
    rows: list[list[object]] = [[WORDS.get(name, name.replace("_", " ")), number(counts[name])] for name in order]
    rows.append(["share quarantined", number(counts["bad_rows"] / counts["rows"] if counts.get("rows") else None, 6)])
    rows.append(["sparsity of training", number(1 - counts["train"] / cells if cells else None, 6)])
    rows += [
        [f"quarantined: {short(why)}", number(count)] for why, count in list(prepared["quarantine"].items())[:ROWS]
    ]
    return table(("what", "count"), rows)


def times(decision: Mapping[str, Any], prepared: Mapping[str, Any]) -> Markup:
    """When the data happened."""
    span = [[what, short(prepared["data"][what])] for what in ("from", "through") if what in prepared.get("data", {})]
    champion = decision["champion"]
    if champion:
        span.append(["champion's data through", short(champion["data_through"])])
    return table(("training data", "time"), span)


def drifted(decision: Mapping[str, Any]) -> Markup:
    """How far the training data is from what the champion was trained on."""
    found = decision.get("drift")
    title = tag("h3", "Drift from the champion's data")
    if not found:
        return join([title, tag("p", "There is no champion whose data could be compared with this run's.")])
    rows = [
        [what, number(one["before"]), number(one["now"]), number(one.get("new")), number(one.get("gone")),
         number(one.get("psi"))]
        for what, one in ((what, found[what]) for what in ("users", "items", "interactions"))
    ]  # fmt: skip
    top = found["top_items"]
    notes = tag(
        "p",
        "New is a share of what is here now, gone one of what was there before. The stability index (PSI) is of how "
        "active users and how popular items are, among those that both have: below 0.1 nothing has changed, above "
        "0.25 much has. Of the ", number(top["length"]), " items that were most popular, a share of ",
        number(top["kept"]), " still are.",
    )  # fmt: skip
    return join([title, table(("training data", "champion's", "this run's", "new", "gone", "PSI"), rows), notes])
