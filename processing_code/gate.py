"""The gate: from metrics to pass, fail or inconclusive, with reasons. Pure: data in, data out.

What cannot be measured is never a pass: a metric that is missing or not a number, too few users, an empty slice, a
champion that cannot be read or that has seen the holdout.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from intervals import Interval
from rules import Rules, check_rules, kind_of, metric_of

Verdict = Literal["pass", "fail", "inconclusive"]
Intervals = Mapping[str, Interval]
Measure = float | Interval | None
SLICE_USERS = 30  # of fewer users an interval says nothing


@dataclass(frozen=True)
class Finding:
    """What was found of one rule: in a sentence, and as what was asked, what was measured and of how many users."""

    verdict: Verdict
    said: str
    rule: str = ""
    measured: Measure = None
    users: int | None = None


@dataclass(frozen=True)
class Slice:
    """A metric's intervals among some users or items, and how many users they are of."""

    users: int
    metrics: Intervals


@dataclass(frozen=True)
class Evidence:
    """What was measured. `doubts` rule out a pass.

    `difference` is candidate minus champion, None without one; `baselines` candidate minus each baseline, and
    `skipped` says why there is none.
    """

    metrics: Mapping[str, float]
    popularity: Mapping[str, float]
    users: int
    difference: Intervals | None = None
    baselines: Mapping[str, Intervals] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    slices: Mapping[str, Slice] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The verdict, the reasons that led to it, and what was found of every rule."""

    verdict: Verdict
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def register(self) -> bool:
        """Whether the pipeline goes on to the registry."""
        return self.verdict != "fail"


def decide(rules: Rules, evidence: Evidence) -> Decision:
    """Apply the rules: one failed rule fails, else one doubt is inconclusive, else it passes."""
    check_rules(rules)
    findings = [Finding("inconclusive", doubt) for doubt in evidence.doubts]
    findings += [finding for judge in JUDGES for finding in judge(rules, evidence)]
    if not findings:
        findings = [Finding("inconclusive", "the gate has no rule; add gate.absolute, gate.relative or gate.sanity")]
    for verdict in ("fail", "inconclusive", "pass"):
        reasons = tuple(finding.said for finding in findings if finding.verdict == verdict)
        if reasons:
            return Decision(verdict, reasons, tuple(findings))
    raise AssertionError("every finding has one of three verdicts")


def absolute(rules: Rules, evidence: Evidence) -> Iterator[Finding]:
    """Metrics against fixed bounds."""
    for name, bounds in rules.get("absolute", {}).items():
        value = number(evidence.metrics, name)
        yield Finding(*bounded(name, value, bounds), f"{name} {asked(bounds)}", value, evidence.users)


def bounded(name: str, value: float | None, bounds: Mapping[str, float]) -> tuple[Verdict, str]:
    """A number against bounds."""
    if value is None:
        return "inconclusive", f"{name} is missing or not a number"
    if value < bounds.get("min", -math.inf):
        return "fail", f"{name} is {value:.4f}; at least {bounds['min']:g} is asked"
    if value > bounds.get("max", math.inf):
        return "fail", f"{name} is {value:.4f}; at most {bounds['max']:g} is asked"
    return "pass", f"{name} is {value:.4f}, within what is asked"


def relative(rules: Rules, evidence: Evidence) -> Iterator[Finding]:
    """Against the champion on the same users. Without one there is nothing to compare."""
    if "relative" in rules and evidence.difference is not None:
        yield drop(rules, rules["relative"], "the champion", (evidence.difference, evidence.users))


def baselines(rules: Rules, evidence: Evidence) -> Iterator[Finding]:
    """Against tuned baselines on the same users."""
    for name, rule in rules.get("baselines", {}).items():
        if name in evidence.baselines:
            yield drop(rules, rule, name, (evidence.baselines[name], evidence.users))
        else:
            said = f"baseline {name}: {evidence.skipped.get(name, 'is not measured')}"
            yield Finding("inconclusive", said, against(rules, rule, name))


def drop(rules: Rules, rule: Mapping[str, float], whom: str, measured: tuple[Intervals, int]) -> Finding:
    """A paired difference of so many users against the drop that is allowed."""
    difference, users = measured
    name = metric_of(rules)
    verdict, said = dropped(name, rule.get("max_drop", 0.0), whom, difference.get(name))
    return Finding(verdict, said, against(rules, rule, whom), difference.get(name), users)


def against(rules: Rules, rule: Mapping[str, float], whom: str) -> str:
    """What a rule about a difference asks, in words."""
    return f"{metric_of(rules)} against {whom}, a drop of at most {rule.get('max_drop', 0.0):g}"


def dropped(name: str, allowed: float, whom: str, found: Interval | None) -> tuple[Verdict, str]:
    """It fails when the whole interval is below the drop that is allowed.

    A drop that is larger than allowed but not certain is inconclusive.
    """
    if found is None or not sound(found):
        return "inconclusive", f"{name} of the candidate or of {whom} is missing or not a number"
    said = f"{name} against {whom}: {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    if found.high < -allowed:
        return "fail", f"{said}; a drop of {allowed:g} is allowed"
    if found.value < -allowed:
        return "inconclusive", f"{said}; a drop of more than {allowed:g} is likely but not certain"
    return "pass", said


def slices(rules: Rules, evidence: Evidence) -> Iterator[Finding]:
    """Metrics among some users or items. A slice is small: only an interval that is wholly outside fails."""
    for part, metrics in rules.get("slices", {}).items():
        users = evidence.slices[part].users if part in evidence.slices else 0
        if users < SLICE_USERS:
            said = f"{part}: {users} holdout users; at least {SLICE_USERS} are asked"
            yield Finding("inconclusive", said, f"{part}, at least {SLICE_USERS} holdout users", None, users)
            continue
        for name, bounds in metrics.items():
            found = evidence.slices[part].metrics.get(name)
            rule = f"{name} of {part} {asked(bounds)}"
            yield Finding(*within(f"{name} of {part}", found, bounds), rule, found, users)


def within(name: str, found: Interval | None, bounds: Mapping[str, float]) -> tuple[Verdict, str]:
    """An interval against bounds."""
    if found is None or not sound(found):
        return "inconclusive", f"{name} is missing or not a number"
    low, high = bounds.get("min", -math.inf), bounds.get("max", math.inf)
    said = f"{name}: {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"
    if found.high < low or found.low > high:
        return "fail", f"{said}; {asked(bounds)} is asked"
    if not low <= found.value <= high:
        return "inconclusive", f"{said}; {asked(bounds)} is asked, and it is likely but not certain to be missed"
    return "pass", said


def asked(bounds: Mapping[str, float]) -> str:
    """Bounds in words."""
    words = {"min": "at least", "max": "at most"}
    return " and ".join(f"{words[name]} {value:g}" for name, value in bounds.items())


def sanity(rules: Rules, evidence: Evidence) -> Iterator[Finding]:
    """Better than popularity, and measured on enough users."""
    asked = rules.get("sanity", {})
    least = asked.get("min_users", 1)
    rule, users = f"at least {least:g} holdout users", evidence.users
    if users < least:
        yield Finding("inconclusive", f"{users} holdout users; at least {least} are asked", rule, users, users)
    elif "min_users" in asked:
        yield Finding("pass", f"{users} holdout users", rule, users, users)
    if asked.get("beat_popularity", False):
        name = metric_of(rules)
        found = against_popularity(name, evidence)
        yield Finding(*found, f"{name} above popularity's", number(evidence.metrics, name), users)


def against_popularity(name: str, evidence: Evidence) -> tuple[Verdict, str]:
    """The candidate's mean above the popularity baseline's."""
    ours, theirs = number(evidence.metrics, name), number(evidence.popularity, name)
    if ours is None or theirs is None:
        return "inconclusive", f"{name} of the candidate or of popularity is missing or not a number"
    said = f"{name} is {ours:.4f}, popularity's {theirs:.4f}"
    return ("pass", said) if ours > theirs else ("fail", f"{said}; a model must beat popularity")


JUDGES: tuple[Callable[[Rules, Evidence], Iterator[Finding]], ...] = (absolute, relative, baselines, slices, sanity)


def number(metrics: Mapping[str, Any], name: str) -> float | None:
    """A metric that is there and finite, else None."""
    value = metrics.get(name)
    return float(value) if value is not None and kind_of(value) == "number" else None


def sound(found: Interval) -> bool:
    """Whether an interval is made of finite numbers."""
    return all(kind_of(part) == "number" for part in (found.value, found.low, found.high))
