"""What a reviewer reads in a promotion request: decision, reasons, evidence, the diff. Pure: data in, Markdown out."""

import difflib
from collections.abc import Mapping
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


def title(candidate: Candidate, environment: str) -> str:
    """`Promote ncf v18 to production: PASS (5 of 5 gates)`."""
    findings = candidate.decision.get("findings", [])
    held = sum(1 for one in findings if one["verdict"] == "pass")
    return (
        f"Promote {candidate.model} v{candidate.version} to {environment}: "
        f"{candidate.verdict.upper()} ({held} of {len(findings)} gates)"
    )


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
        _contest(candidate),
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
    rows = [f"| {one['verdict']} | {_cell(one['finding'])} |" for one in candidate.decision.get("findings", [])]
    return "\n".join(["| gate | what was found |", "|---|---|", *rows])


def _contest(candidate: Candidate) -> str:
    """The metric that models are compared by: the candidate, the champion, the tuned baselines, the run's others."""
    decision = candidate.decision
    metric = decision.get("gate", {}).get("relative", {}).get("metric", "ndcg@10")
    champion, proposed = decision.get("champion") or {}, decision.get("model", "")
    rows = [_row(f"**{proposed}**, this candidate", decision, metric)]
    rows += [_row("champion, scored again", champion, metric, champion.get("difference"))] if champion else []
    for name, metrics in sorted(decision.get("baselines", {}).items()):
        tuning = decision.get("tuning", {}).get(name, {})
        rows.append(_row(f"{name}, baseline", {"metrics": metrics}, metric, tuning.get("difference")))
    others = sorted(set(decision.get("models", {})) - {proposed})
    rows += [_row(f"{name}, of the same run", decision["models"][name], metric) for name in others]
    head = [f"On the same {decision.get('users', '-')} users of the holdout:", ""]
    head += [f"| model | {metric} | interval | the candidate against it |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, "", _details("All metrics", _metrics(decision))])


def _row(name: str, block: Mapping[str, Any], metric: str, difference: Any = None) -> str:
    measured = (block.get("metrics") or {}).get(metric)
    against = (difference or {}).get(metric)
    shown = f"{point(against):+.4f} {interval(against)}" if point(against) is not None else ""
    return f"| {name} | {number(point(measured))} | {interval(measured)} | {shown} |"


def _metrics(decision: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {name} | {number(point(metric))} | {interval(metric)} |"
        for name, metric in sorted(decision.get("metrics", {}).items())
    ]
    return ["| metric | this candidate | interval |", "|---|---|---|", *rows]


def _details(summary: str, lines: list[str]) -> str:
    return "\n".join([f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


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
    return _details("Provenance", ["| | |", "|---|---|", *lines])


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
