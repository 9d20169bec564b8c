"""report.html: what an evaluation found, as one file that needs nothing else: no script, no address, no font.

Every number is <data value="...">: what is shown is rounded, the value is decision.json's. What an evaluation cannot
know, the steps' states and times, belongs between the two comments that RUN holds; `python -m gitops report` puts it
there after the run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charts import intervals
from markup import Markup, empty, escape, join, number, section, short, table, tag
from page_data import data
from page_serving import serving
from page_training import training
from timing import Milliseconds

RAW = 2**20  # bytes of decision.json that are embedded
ROWS = 60  # of one table
SHOWN = "ndcg@10"
COMMAND = "python -m gitops report <execution ARN> --output report.html"
RUN = ("<!--run-->", "<!--/run-->")
STYLE = """
:root { color-scheme: light dark; --fg: #1b1f24; --bg: #fff; --soft: #f3f4f6; --line: #c8ccd2; --mark: #1f5fbf;
  --pass: #1a7f37; --fail: #b3261e; --inconclusive: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6e8eb; --bg: #14171a; --soft: #20252a; --line: #454c54;
  --mark: #7fb0ff; --pass: #5fd07f; --fail: #ff8a80; --inconclusive: #f0b64d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); max-width: 60rem;
  margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; border-bottom: 1px solid var(--line); margin-top: 2rem; }
table { border-collapse: collapse; margin: .7rem 0; font-size: .92em; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
table { overflow-wrap: normal; } td data { font-variant-numeric: tabular-nums; white-space: nowrap; }
td code { overflow-wrap: anywhere; }
pre, code { font: .88em ui-monospace, monospace; background: var(--soft); }
pre { padding: .8rem; white-space: pre-wrap; }
.banner { border-left: .5rem solid; padding: .3rem 1rem; background: var(--soft); }
.pass { color: var(--pass); } .fail { color: var(--fail); } .inconclusive { color: var(--inconclusive); }
section { overflow-x: auto; } h3 { font-size: 1rem; }
.chart { width: 100%; max-width: 45rem; min-width: 34rem; } .chart text { font-size: 12px; fill: var(--fg); }
.chart .small { font-size: 10px; } .chart .end { text-anchor: end; } .axis { stroke: var(--line); }
.zero { stroke: var(--fg); stroke-dasharray: 3 3; } .interval { stroke: var(--mark); stroke-width: 2; }
.point, .bar { fill: var(--mark); } .curve { fill: none; stroke: var(--mark); stroke-width: 2; }
@media print { body { max-width: none; } section { overflow: visible; } tr, .chart { break-inside: avoid; }
  table { font-size: .7em; } .chart { min-width: 0; } details:not([open]) { display: none; } }
"""


@dataclass(frozen=True)
class Beside:
    """What is shown beside the decision. All of it may be empty: what it would say is then said to be unknown."""

    prepared: Mapping[str, Any] = field(default_factory=dict)  # prepare's manifest
    manifests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of the archives, by model
    took: Milliseconds = field(default_factory=dict)  # of scoring one user, by contestant


def page(decision: Mapping[str, Any], beside: Beside) -> str:
    """The report of a decision (decision.json's content), with what belongs beside it."""
    head = tag(
        "head",
        empty("meta", charset="utf-8"),
        empty("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{decision['model']}: {decision['verdict']}"),
        tag("style", Markup(STYLE)),
    )
    parts = (
        banner(decision),
        Markup(f"{RUN[0]}{section('Run', tag('p', 'Known after the run: ', tag('code', COMMAND)))}{RUN[1]}"),
        data(decision, beside.prepared),
        metrics(decision),
        slices(decision),
        gate(decision),
        changes(decision),
        training(decision, beside.manifests),
        serving(decision, beside.manifests.get(decision["model"], {}), beside.took),
        reproduce(decision, beside.prepared),
        raw(decision),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', tag('main', *parts)), lang='en')}\n"


def banner(decision: Mapping[str, Any]) -> Markup:
    """Decision first, then the reasons."""
    verdict = decision["verdict"]
    reasons = [tag("li", short(reason)) for reason in decision["reasons"][:ROWS]]
    words = tag("strong", str(verdict).upper(), class_=verdict)
    lead = tag("p", words, f": model {decision['model']}, measured on ", number(decision["users"]), " holdout users")
    return join([tag("h1", "Evaluation"), tag("div", lead, tag("ul", *reasons), class_=f"banner {verdict}")])


def metrics(decision: Mapping[str, Any]) -> Markup:
    """Every contestant on the same users; the proposed one against the others, user by user."""
    name = compared_by(decision)
    everyone = contestants(decision)
    rows = [(label, found[name]) for label, found in everyone.items() if name in found]
    against = [(label, found[name]) for label, found in opponents(decision).items() if name in found]
    names = sorted({metric for found in everyone.values() for metric in found})
    body: list[list[object]] = [
        [metric, *(spread(found.get(metric)) for found in everyone.values())] for metric in names[:ROWS]
    ]
    skipped = [tag("p", f"Baseline {one} was not measured: ", short(why)) for one, why in decision["skipped"].items()]
    return section(
        f"Metrics, compared by {name}",
        intervals(f"{name} of each model", rows),
        tag("p", "The proposed model minus each of these, of the same users; right of the line it is better:"),
        intervals(f"difference in {name}", against, zero=True),
        table(("metric", *everyone), body),
        *skipped,
    )


def compared_by(decision: Mapping[str, Any]) -> str:
    """The metric that models are compared by."""
    return str(decision["gate"].get("relative", {}).get("metric", SHOWN))


def contestants(decision: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Metrics by model, the proposed one first."""
    found = {f"{decision['model']} (proposed)": decision["metrics"]}
    if decision["champion"] and decision["champion"]["metrics"]:
        found["champion"] = decision["champion"]["metrics"]
    found |= {f"baseline {name}": one for name, one in decision["baselines"].items()}
    return found | {name: one["metrics"] for name, one in decision["models"].items() if name != decision["model"]}


def opponents(decision: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Differences, the proposed model minus each."""
    found = {f"baseline {name}": one["difference"] for name, one in decision["tuning"].items()}
    champion = decision["champion"] or {}
    return ({"champion": champion["difference"]} if champion.get("difference") else {}) | found


def spread(one: Mapping[str, Any] | None) -> Markup:
    """A value, and its interval where there is one."""
    if one is None:
        return Markup("")
    if one.get("low") is None or one.get("high") is None:
        return number(one["value"])
    return join([number(one["value"]), " [", number(one["low"]), ", ", number(one["high"]), "]"])


def slices(decision: Mapping[str, Any]) -> Markup:
    """The proposed model among some users or items."""
    name = compared_by(decision)
    found = [(part, one["users"], one["metrics"].get(name, {})) for part, one in decision["slices"].items()]
    rows: list[list[object]] = [[short(part), number(users), spread(one or None)] for part, users, one in found]
    chart = intervals(f"{name} in parts of the holdout", [(part, one) for part, _, one in found if one])
    return section("Slices", chart, table(("slice", "users", name), rows[:ROWS]))


def gate(decision: Mapping[str, Any]) -> Markup:
    """Every rule as it was evaluated."""
    rows: list[list[object]] = [
        [short(one["rule"]), spread(one), number(one["users"]), tag("span", one["verdict"], class_=one["verdict"]),
         short(one["finding"])]
        for one in decision["findings"]
    ]  # fmt: skip
    return section("Gate", table(("rule", "value", "users", "verdict", "finding"), rows[: 2 * ROWS]))


def changes(decision: Mapping[str, Any]) -> Markup:
    """What users would notice."""
    found = decision["changes"]
    if not found:
        return section("What changes for users", tag("p", "No champion was compared."))
    parts = ("overlap", "first", "identical")
    rows: list[list[object]] = [[f"{part} of the first {found['length']}", number(found[part])] for part in parts]
    lists: list[list[object]] = [
        [one["user"], " ".join(one["before"]), " ".join(one["after"])] for one in found["examples"]
    ]
    return section(
        "What changes for users", table(("what", "part"), rows), table(("user, hashed", "before", "after"), lists)
    )


def reproduce(decision: Mapping[str, Any], prepared: Mapping[str, Any]) -> Markup:
    """What makes the same numbers again."""
    partitions = [[short(one["key"]), tag("code", one["sha256"])] for one in prepared.get("partitions", [])[:ROWS]]
    return section(
        "How to reproduce",
        tag("p", "Check out the commit of the release's record, then compile and start the same run:"),
        tag("pre", "python -m pipelines run params/<model>.yml --dry-run\npython -m pipelines run params/<model>.yml"),
        tag("p", "Equal inputs give this file byte for byte, but for the run and the times. The gate was:"),
        tag("pre", json.dumps(decision["gate"], indent=2, sort_keys=True)),
        table(("partition", "sha256"), partitions),
    )


def raw(decision: Mapping[str, Any]) -> Markup:
    """decision.json itself."""
    text = json.dumps(decision, indent=1, sort_keys=True)
    if len(text) > RAW:
        return section("Raw", tag("p", f"decision.json has {len(text)} characters; see the file beside this one."))
    return section("Raw", tag("details", tag("summary", "decision.json"), tag("pre", escape(text), id="decision")))


def write(path: Path, text: str) -> None:
    """Write the page."""
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")
