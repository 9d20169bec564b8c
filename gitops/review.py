"""What a reviewer reads in a promotion request: decision, reasons, evidence, the diff. Pure: data in, Markdown out."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitops import ledger
from gitops.candidate import Candidate


@dataclass(frozen=True)
class Promotion:
    """The one file a promotion changes: its text before and after, and what is there now."""

    environment: str
    path: str
    before: str
    after: str
    current: str = ""  # id of the release that is replaced


@dataclass(frozen=True)
class Gate:
    """One rule as it was evaluated, with what was measured. `held` None: nothing to compare with."""

    rule: str
    value: str
    interval: str
    held: bool | None


def title(candidate: Candidate, environment: str) -> str:
    """`Promote ncf v18 to production: PASS (5 of 5 gates)`."""
    rows = [row for row in gates(candidate.decision) if row.held is not None]
    held = sum(1 for row in rows if row.held)
    return (
        f"Promote {candidate.model} v{candidate.version} to {environment}: "
        f"{candidate.verdict.upper()} ({held} of {len(rows)} gates)"
    )


def gates(decision: Mapping[str, Any]) -> list[Gate]:
    """The rules decision.json says it evaluated, beside its numbers; the verdict itself is decision.json's."""
    gate = decision.get("gate", {})
    return [*_absolute(gate, decision), *_relative(gate, decision), *_sanity(gate, decision)]


def _absolute(gate: Mapping[str, Any], decision: Mapping[str, Any]) -> Iterator[Gate]:
    for name, rule in sorted(gate.get("absolute", {}).items()):
        metric = decision.get("metrics", {}).get(name)
        value = point(metric)
        for bound, words in (("min", "at least"), ("max", "at most")):
            if bound in rule:
                limit = rule[bound]
                held = value is not None and (value >= limit if bound == "min" else value <= limit)
                yield Gate(f"{name} {words} {limit:g}", number(value), interval(metric), held)


def _relative(gate: Mapping[str, Any], decision: Mapping[str, Any]) -> Iterator[Gate]:
    if "relative" not in gate:
        return
    name, allowed = _compared(gate), gate["relative"].get("max_drop", 0.0)
    rule = f"{name} against the champion: a drop of at most {allowed:g}"
    champion = decision.get("champion")
    if champion is None:
        yield Gate(f"{rule} (there is no champion)", "-", "", None)
        return
    difference = (champion.get("difference") or {}).get(name)
    value = point(difference)
    shown = "-" if value is None else f"{value:+.4f}"
    yield Gate(rule, shown, interval(difference), value is not None and value >= -allowed)


def _sanity(gate: Mapping[str, Any], decision: Mapping[str, Any]) -> Iterator[Gate]:
    rules = gate.get("sanity", {})
    if rules.get("beat_popularity"):
        name = _compared(gate)
        metric = decision.get("metrics", {}).get(name)
        ours, popular = point(metric), point(_metric(decision.get("baselines", {}).get("popularity"), name))
        held = ours is not None and popular is not None and ours > popular
        yield Gate(f"{name} above popularity's {number(popular)}", number(ours), interval(metric), held)
    if "min_users" in rules:
        users = point(decision.get("users"))
        held = users is not None and users >= rules["min_users"]
        yield Gate(f"at least {rules['min_users']} users in the holdout", f"{users or 0:g}", "", held)


def _compared(gate: Mapping[str, Any]) -> str:
    """The metric candidates are compared by, as processing_code/gate.py chooses it."""
    named = gate.get("relative", {}).get("metric")
    return str(named or next(iter(gate.get("absolute", {})), "ndcg@10"))


def _metric(block: Any, name: str) -> Any:
    """The metric of a champion or baseline, which may keep its metrics one level down."""
    if not isinstance(block, Mapping):
        return None
    inner = block.get("metrics", block)  # a champion has them one level down, a baseline has not
    return inner.get(name) if isinstance(inner, Mapping) else None


def point(metric: Any) -> float | None:
    """The value of {"value", "low", "high"} or of a bare number; None for anything else, NaN included."""
    value = metric.get("value") if isinstance(metric, Mapping) else metric
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
        return None
    return float(value)


def interval(metric: Any) -> str:
    """`[0.0211, 0.0263]`, or nothing where none was measured."""
    if not isinstance(metric, Mapping) or point(metric.get("low")) is None or point(metric.get("high")) is None:
        return ""
    return f"[{number(metric['low'])}, {number(metric['high'])}]"


def number(value: Any) -> str:
    """Four digits after the point; a dash for what is no number."""
    found = point(value)
    return "-" if found is None else f"{found:.4f}"


def description(candidate: Candidate, promotion: Promotion) -> str:
    """The request's text: under 60 lines unfolded."""
    blocks = (
        _decision(candidate, promotion),
        _gates(candidate),
        _comparison(candidate),
        _provenance(candidate),
        _rollout(candidate, promotion),
        _diff(promotion),
    )
    return "\n\n".join(blocks) + "\n"


def _decision(candidate: Candidate, promotion: Promotion) -> str:
    reasons = "; ".join(str(reason) for reason in candidate.decision.get("reasons", []))
    lead = f"**{candidate.verdict.upper()}**" + (f": {reasons}" if reasons else "")
    if candidate.verdict != "pass":
        lead += "\n\nA draft: it is never merged automatically. Merge it only if you know why the gate could not tell."
    return f"{lead}\n\n`{candidate.release.id}` replaces `{promotion.current or 'nothing'}` in {promotion.environment}."


def _gates(candidate: Candidate) -> str:
    words = {True: "pass", False: "not met", None: "nothing to compare"}
    users = candidate.decision.get("users", "-")
    rows = [
        f"| {row.rule} | {row.value} | {row.interval} | {users} | {words[row.held]} |"
        for row in gates(candidate.decision)
    ]
    return "\n".join(["| gate | value | interval | n | verdict |", "|---|---|---|---|---|", *rows])


def _comparison(candidate: Candidate) -> str:
    decision = candidate.decision
    champion, popularity = decision.get("champion"), decision.get("baselines", {}).get("popularity")
    rows = [
        f"| {name} | {number(point(metric))} {interval(metric)} | {_cell(champion, name)} | {_cell(popularity, name)} |"
        for name, metric in sorted(decision.get("metrics", {}).items())
    ]
    head = ["On the same holdout, the champion scored again:", ""]
    return "\n".join([*head, "| metric | this candidate | champion | popularity |", "|---|---|---|---|", *rows])


def _cell(block: Any, name: str) -> str:
    metric = _metric(block, name)
    return f"{number(point(metric))} {interval(metric)}".strip()


def _provenance(candidate: Candidate) -> str:
    release, metadata = candidate.release, candidate.metadata
    rows = {
        "commit": metadata.get("commit", "unknown"),
        "run": candidate.execution.run_id,
        "execution": candidate.execution.arn,
        "package": release.package_arn,
        "archive sha256": release.archive_sha256,
        "image": release.image,
        "data lock sha256": metadata.get("data_lock_sha256", "unknown"),
        "evidence": ledger.path(candidate.model, release.id),
    }
    lines = [f"| {name} | `{value}` |" for name, value in rows.items()]
    return "\n".join(["<details><summary>Provenance</summary>", "", "| | |", "|---|---|", *lines, "", "</details>"])


def _rollout(candidate: Candidate, promotion: Promotion) -> str:
    back = f"`{promotion.current}`" if promotion.current else "no release (the endpoint itself stays)"
    return (
        "Rollout: merging starts the deploy build; it succeeds only if the endpoint is in service with this release "
        "and answers the archive's golden requests.\n"
        f"Rollback: `git revert --mainline 1 <merge>` and push: back to {back}; nothing is trained."
    )


def _diff(promotion: Promotion) -> str:
    lines = difflib.unified_diff(
        promotion.before.splitlines(), promotion.after.splitlines(), promotion.path, promotion.path, n=1, lineterm=""
    )
    return "\n".join(["```diff", *lines, "```"])
