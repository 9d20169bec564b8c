"""What a reviewer reads in a promotion request: decision, reasons, evidence, the diff. Pure: data in, Markdown out."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops import ledger
from gitops.markdown import code
from gitops.promotion.candidate import Candidate
from pipelines import documents

REASONS, GATES, CONTESTANTS, EXAMPLES = 6, 12, 8, 3  # reasons in a line, rows that are shown unfolded


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
        _changes(candidate),
        _provenance(candidate),
        _rollout(candidate, promotion),
        _diff(promotion),
    )
    return "\n\n".join(blocks) + "\n"


def _decision(candidate: Candidate, promotion: Promotion) -> str:
    every = [_cell(reason) for reason in candidate.decision.get("reasons", [])]
    more = [f"and {len(every) - REASONS} more"] if len(every) > REASONS else []
    reasons = "; ".join([*every[:REASONS], *more])
    lead = f"**{candidate.verdict.upper()}**" + (f": {reasons}" if reasons else "")
    if candidate.verdict != "pass":
        lead += "\n\nA draft: it is never merged automatically. Merge it only if you know why the gate could not tell."
    move = f"`{candidate.release.id}` replaces `{promotion.current or 'nothing'}` in {promotion.environment}."
    return (
        f"{lead}\n\n{move} Report: `{candidate.report}`, one file to open in a browser "
        f"(`aws s3 cp {candidate.report} .`)."
    )


def _gates(candidate: Candidate) -> str:
    """The first rules as a table, those that did not pass before the others; the rest is folded."""
    findings = sorted(candidate.decision.get("findings", []), key=lambda one: one["verdict"] == "pass")
    rows = [
        f"| {_cell(one.get('rule') or one['finding'])} | {_value(one)} | {interval(one)} | "
        f"{one.get('users') or '-'} | {one['verdict']} |"
        for one in findings
    ]
    head = ["| rule | value | interval | n | verdict |", "|---|---|---|---|---|"]
    more = f"{len(rows) - GATES} more rules"
    folded = ["", _details(more, [*head, *rows[GATES:]])] if len(rows) > GATES else []
    return "\n".join([*head, *rows[:GATES], *folded])


def _value(one: Mapping[str, Any]) -> str:
    """A count as one, anything else in four digits."""
    found = one.get("value")
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else number(found)


def _changes(candidate: Candidate) -> str:
    """What users would notice: how much of their lists stays, and a few of them under hashed names."""
    found = candidate.decision.get("changes")
    if not isinstance(found, Mapping):
        return "What changes for users: not known, no champion was compared."
    length = found.get("length", 10)
    lead = (
        f"What changes for users: {_percent(found.get('overlap'))} of a top-{length} stays, the first item for "
        f"{_percent(found.get('first'))} of {found.get('users', '-')} users, the whole list for "
        f"{_percent(found.get('identical'))}."
    )
    lines: list[str] = []
    for one in found.get("examples", [])[:EXAMPLES]:
        kept = set(one["before"]) & set(one["after"])
        lines += [f"user `{_cell(one['user'])}`, {len(kept)} of {len(one['after'])} kept (new ones in bold)", ""]
        lines += [
            f"- before: {_items(one['before'], set(one['before']))}",
            f"- after: {_items(one['after'], kept)}",
            "",
        ]
    return "\n".join([lead, "", _details("A few lists, ids hashed", lines)]) if lines else lead


def _items(items: list[str], kept: set[str]) -> str:
    shown = [str(item)[:16] for item in items[:20]]
    return " ".join(code(item) if item in kept else f"**{code(item)}**" for item in shown)


def _percent(part: Any) -> str:
    found = point(part)
    return "-" if found is None else f"{100 * found:.0f} %"


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
    rows, more = rows[:CONTESTANTS], rows[CONTESTANTS:]
    head = [f"On the same {decision.get('users', '-')} users of the holdout:", ""]
    head += [f"| model | {metric} | interval | the candidate against it |", "|---|---|---|---|"]
    rest = ["", _details(f"{len(more)} more models", [*head[2:], *more])] if more else []
    return "\n".join([*head, *rows, *rest, "", _details("All metrics", _metrics(decision))])


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


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


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
        "rows, quarantined": _rows(candidate.decision.get("data")),
        "evidence": ledger.path(candidate.model, release.id),
    }
    lines = [f"| {name} | `{value}` |" for name, value in rows.items()]
    return _details("Provenance", ["| | |", "|---|---|", *lines])


def _rows(data: Any) -> str:
    """`156,058, 0`, of what prepare counted."""
    counts = data.get("counts") if isinstance(data, Mapping) else None
    found = [counts.get(name) for name in ("rows", "bad_rows")] if isinstance(counts, Mapping) else []
    return ", ".join(f"{one:,}" for one in found if isinstance(one, int)) or "unknown"


def _rollout(candidate: Candidate, promotion: Promotion) -> str:
    back = f"`{promotion.current}`" if promotion.current else "no release (the endpoint itself stays)"
    return (
        f"Rollout: merging starts the deploy build ({_strategy(promotion)}); it succeeds only if the endpoint is in "
        "service with this release and answers the archive's golden requests.\n"
        f"Rollback: `python -m gitops rollback {promotion.environment} {candidate.model}`, or revert the commit that "
        f"the merge left, whichever way it was merged: back to {back}; nothing is trained."
    )


def _strategy(promotion: Promotion) -> str:
    """The rollout section of the deploy file, in words."""
    found = documents.load(Path(promotion.path), promotion.after).get("rollout")
    given = found if isinstance(found, Mapping) else {}
    alarms = given.get("alarms") or []
    watched = f"{len(alarms)} alarm{'s' * (len(alarms) != 1)}" if isinstance(alarms, list) and alarms else "no alarm"
    return f"{given.get('strategy', 'all_at_once')}, {given.get('bake_seconds', 0)} s under watch, {watched}"


def _diff(promotion: Promotion) -> str:
    lines = difflib.unified_diff(
        promotion.before.splitlines(), promotion.after.splitlines(), promotion.path, promotion.path, n=1, lineterm=""
    )
    return "\n".join(["```diff", *(line.replace("```", "'''") for line in lines), "```"])
