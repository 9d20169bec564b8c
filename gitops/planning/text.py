"""A plan as Markdown: decision first, evidence after it, details folded. What the head wrote cannot act as markup."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitops.events import changes
from gitops.markdown import HIDDEN, cell, code
from gitops.planning.endpoints import Endpoint
from gitops.planning.estimates import cost, money, time, total
from gitops.planning.training import Training
from pipelines import secrets

if TYPE_CHECKING:
    from gitops.planning.plan import Plan

MARKER = "<!-- gitops:plan -->"  # finds the comment again
SHOWN = 8  # lines of a list; more are counted
FOLDED = 200  # lines of a folded part
LONGEST = 60_000  # characters; GitHub takes 65,536 in a comment


def render(found: "Plan") -> str:
    """The plan as Markdown; its first line is the marker. Too long for a comment it goes without its folded parts."""
    text = _joined([*_decision(found), *_evidence(found), *_folds(found), _last(found)])
    if len(text) <= LONGEST:
        return text
    end = "Too long for a comment: run it locally to see the rest.\n"
    kept = _joined([*_decision(found), *_evidence(found)])
    # cut where a line ends, so that no code span is left open
    return (kept if len(kept) <= LONGEST else kept[: kept.rindex("\n", 0, LONGEST)].rstrip() + "\n") + f"\n{end}"


def _joined(blocks: Iterable[str]) -> str:
    return secrets.masked("\n\n".join(block for block in blocks if block)) + "\n"


def _decision(found: "Plan") -> list[str]:
    """What a reviewer must know, however long the rest is."""
    groups = changes.by_class(found.paths)
    idle = all(kind.on_main == "nothing" for kind in groups)
    later = " now; the next retrain would do this:" if found.trainings else "."
    return [
        f"{MARKER}\n{_notes(found)}\n{headline(found)}",
        _listed("**Stale**", found.stale),
        _listed("**Problems**", found.problems),
        _listed("**The gate is loosened**", found.loosened),
        _listed("**Warnings**", found.warnings),
        "\n".join(f"**{kind.name}** · on main: {kind.on_main}" for kind in groups),
        f"Nothing would be trained or deployed{later}" if idle else "",
    ]


def _evidence(found: "Plan") -> list[str]:
    return [
        *(_training(one) for one in found.trainings),
        *(_endpoint(one) for one in found.endpoints),
        *(_listed(f"{code(path)}:", lines or ["no value differs"]) for path, lines in found.differences.items()),
        _checks(found),
    ]


def _folds(found: "Plan") -> list[str]:
    listed = [f"- {code(path)}" for path in found.paths[:FOLDED]]
    more = [f"- and {len(found.paths) - FOLDED} more"] if len(found.paths) > FOLDED else []
    return [_folded(_count(len(found.paths), "path"), listed + more), *(_details(one) for one in found.trainings)]


def _notes(found: "Plan") -> str:
    """What a later reader compares to know whether the plan still holds."""
    locks = " ".join(f"{path}={digest[:12]}" for path, digest in found.locks.items() if re.fullmatch(r"[\w./-]+", path))
    return f"<!-- base {found.base} head {found.head} {locks} -->"


def headline(found: "Plan") -> str:
    """`### Plan: ncf · a1b2c3d on main@9f8e7d6 · 3 changes, 2 steps will run, est. 0.42 USD, 11 min`."""
    every_name = sorted({one.name for one in found.trainings} | {one.model for one in found.endpoints})
    more = f" and {len(every_name) - SHOWN} more" if len(every_name) > SHOWN else ""
    names = ", ".join(every_name[:SHOWN]) + more
    problems = [f"**{_count(len(found.problems), 'problem')}**"] if found.problems else []
    facts = [*problems, _count(len(found.paths), "changed path")]
    if found.trainings:
        every = [estimate for one in found.trainings for estimate in one.estimates]
        facts.append(f"{_count(sum(one.running for one in found.trainings), 'step')} will run")
        usd, seconds = total(one.usd for one in every), total(one.seconds for one in every)
        hourly = max((one.hourly for one in every if one.hourly is not None), default=0.0)
        unknown = f"est. unknown, up to {money(hourly)} an hour"
        facts.append(unknown if seconds is None else f"est. {money(usd)}, {time(seconds)}")
    name = f"{names} · " if names else ""
    return f"### Plan: {name}`{found.head[:12]}` on `{found.base[:12]}` · {', '.join(facts)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _listed(title: str, lines: Iterable[str]) -> str:
    every = list(lines)
    kept = [f"- {code(line)}" for line in every[:SHOWN]]
    more = [f"- and {len(every) - SHOWN} more"] if len(every) > SHOWN else []
    return "\n".join([title, *kept, *more]) if every else ""


def _training(one: Training) -> str:
    run = "a run of its own" if one.starts else "no new run: main's run is this one"
    lines = [
        f"#### {one.name}: {run}",
        "",
        *_listed(f"{code(one.path)}:", one.differences or ["no value differs"]).split("\n"),
    ]
    lines += ["", "| step | will it run? | why | est. time | est. cost |", "|---|---|---|---|---|"]
    for step, estimate in zip(one.steps, one.estimates, strict=True):
        will, why = ("**runs**", cell(step.why)) if step.runs else ("cached", "asked for the same as on main")
        lines.append(f"| {step.name} | {will} | {why} | {time(estimate.seconds)} | {cost(estimate)} |")
    lines.append(f"| {', '.join(one.always)} | always | decide and register; no instance | seconds | - |")
    lines += ["", f"Time: {one.history.source}. Cached: where main's own run succeeded within 90 days.", ""]
    lines += [f"Data lock: {code(one.lock[0])}", *(f"- {code(line)}" for line in one.lock[1:]), ""]
    lines.append(f"Champion now: {code(one.champion)}")
    return "\n".join(lines)


def _endpoint(one: Endpoint) -> str:
    before, after = one.monthly
    change = f" ({after - before:+.2f} USD)" if before is not None and after is not None else ""
    most = f", at most {money(one.most)} scaled out" if one.most != after else ""
    lines = [f"#### {one.model} in {one.environment}", ""]
    if one.releases[0] != one.releases[1]:
        lines += [f"- release before: {code(one.releases[0])}", f"- release after: {code(one.releases[1])}"]
    lines += [f"- {code(line)}" for line in one.differences[:SHOWN]]
    lines += [f"- and {len(one.differences) - SHOWN} more"] if len(one.differences) > SHOWN else []
    if not one.differences and one.releases[0] == one.releases[1]:
        lines.append("- no value differs")
    lines += [f"- cost per month: {money(before)} -> {money(after)}{change}{most}", f"- rollback: `{one.rollback}`"]
    if one.metrics:
        rows = [f"| {cell(name)} | {old} | {new} | {delta} |" for name, old, new, delta in one.metrics]
        lines += ["", "Each as measured on its own holdout; the request's text has both on the same one.", ""]
        lines += ["| metric | before | after | difference |", "|---|---|---|---|", *rows[:SHOWN]]
    return "\n".join(lines)


def _checks(found: "Plan") -> str:
    compiled = f" · {_count(len(found.compiled), 'definition')} compiled and valid" if found.compiled else ""
    verdict = "all valid" if not found.problems else _count(len(found.problems), "problem")
    files = _count(len(found.checked), "file")
    return f"Checked {files} of the head, every record, and the changed texts for secrets{compiled}: {verdict}."


def _details(one: Training) -> str:
    parts = [_folded(f"{one.name}: resolved params", ["```json", *_clipped(one.resolved.splitlines()), "```"])]
    if one.definition_diff:
        diff = ["```diff", *_clipped(one.definition_diff), "```"]
        parts.append(_folded(f"{one.name}: definition diff", diff))
    return "\n\n".join(parts)


def _clipped(lines: list[str]) -> list[str]:
    more = [f"... {len(lines) - FOLDED} more lines"] if len(lines) > FOLDED else []
    plain = [secrets.masked(HIDDEN.sub(" ", line)) for line in lines[:FOLDED]]
    return [line.replace("```", "'''")[:400] for line in plain] + more


def _folded(summary: str, lines: list[str]) -> str:
    return "\n".join([f"<details><summary>{summary}</summary>", "", *lines[: FOLDED + 3], "", "</details>"])


def _last(found: "Plan") -> str:
    names = " ".join(one.path for one in found.trainings) or "--all"
    return (
        f"Cost: {found.prices}. Run it locally: `python -m pipelines run {names} --dry-run` · "
        "stale if main or the data lock moves"
    )
