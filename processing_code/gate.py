"""The gate: from metrics to pass, fail or inconclusive, with reasons. Pure: data in, data out.

What cannot be measured is never a pass: a metric that is missing or not a number, too few users, a champion that
cannot be read or that has seen the holdout.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intervals import Interval
from problems import ProcessingError

Verdict = Literal["pass", "fail", "inconclusive"]
# what each rule may say, and what kind of value it takes
RULES: Mapping[str, Mapping[str, str]] = {
    "relative": {"metric": "text", "interval": "number", "max_drop": "number"},
    "sanity": {"beat_popularity": "truth", "min_users": "number"},
}
BOUNDS: Mapping[str, str] = {"min": "number", "max": "number"}
DEFAULT_METRIC = "ndcg@10"


@dataclass(frozen=True)
class Evidence:
    """What was measured. `difference` is candidate minus champion, None without one; `doubts` rule out a pass."""

    metrics: Mapping[str, float]
    popularity: Mapping[str, float]
    users: int
    difference: Mapping[str, Interval] | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The verdict and the reasons that led to it."""

    verdict: Verdict
    reasons: tuple[str, ...]

    @property
    def register(self) -> bool:
        """Whether the pipeline goes on to the registry."""
        return self.verdict != "fail"


def decide(gate: Mapping[str, Any], evidence: Evidence) -> Decision:
    """Apply the gate's rules: one failed rule fails, else one doubt is inconclusive, else it passes."""
    check_rules(gate)
    findings: list[tuple[Verdict, str]] = [("inconclusive", doubt) for doubt in evidence.doubts]
    findings += [absolute(name, rule, evidence) for name, rule in gate.get("absolute", {}).items()]
    findings += relative(gate, evidence)
    findings += sanity(gate, evidence)
    if not findings:
        findings = [("inconclusive", "the gate has no rule; add gate.absolute, gate.relative or gate.sanity")]
    for verdict in ("fail", "inconclusive", "pass"):
        reasons = tuple(reason for found, reason in findings if found == verdict)
        if reasons:
            return Decision(verdict, reasons)
    raise AssertionError("every finding has one of three verdicts")


def check_rules(gate: Mapping[str, Any]) -> None:
    """Refuse what no rule reads: a misspelt rule would be a gate that is off. Raises ProcessingError."""
    known = ["absolute", *RULES]
    if set(gate) - set(known):
        raise ProcessingError(f"gate: unknown {sorted(set(gate) - set(known))}; right are {', '.join(known)}")
    for name, keys in RULES.items():
        check_rule(f"gate.{name}", gate.get(name, {}), keys)
    bounds = gate.get("absolute", {})
    if not isinstance(bounds, Mapping):
        raise ProcessingError(f"gate.absolute: is {bounds!r}; right is like {{ndcg@10: {{min: 0.02}}}}")
    for name, rule in bounds.items():
        check_rule(f"gate.absolute.{name}", rule, BOUNDS)
        if not rule:
            raise ProcessingError(f"gate.absolute.{name}: is empty; right is min, max or both")
    level = gate.get("relative", {}).get("interval", 0.95)
    if not 0 < level < 1:
        raise ProcessingError(f"gate.relative.interval: is {level!r}; right is between 0 and 1")


def check_rule(where: str, rule: Any, keys: Mapping[str, str]) -> None:
    """Refuse a rule with other keys than these or with a value of another kind."""
    right = ", ".join(f"{key} (a {kind})" for key, kind in keys.items())
    if not isinstance(rule, Mapping) or set(rule) - set(keys):
        raise ProcessingError(f"{where}: is {rule!r}; right are {right}")
    for key, value in rule.items():
        if kind_of(value) != keys[key]:
            raise ProcessingError(f"{where}.{key}: is {value!r}; right is a {keys[key]}")


def kind_of(value: Any) -> str:
    """truth, text, number (finite) or other."""
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and math.isfinite(value) else "other"


def absolute(name: str, rule: Mapping[str, float], evidence: Evidence) -> tuple[Verdict, str]:
    """A metric against fixed bounds."""
    value = number(evidence.metrics, name)
    if value is None:
        return "inconclusive", f"{name} is missing or not a number"
    low, high = rule.get("min", -math.inf), rule.get("max", math.inf)
    if value < low:
        return "fail", f"{name} is {value:.4f}; at least {low:g} is asked"
    if value > high:
        return "fail", f"{name} is {value:.4f}; at most {high:g} is asked"
    return "pass", f"{name} is {value:.4f}, within what is asked"


def relative(gate: Mapping[str, Any], evidence: Evidence) -> list[tuple[Verdict, str]]:
    """Against the champion on the same users: fails when the whole interval is below the drop that is allowed.

    A drop that is larger than allowed but not certain is inconclusive. Without a champion there is nothing to compare.
    """
    if "relative" not in gate or evidence.difference is None:
        return []
    name = metric(gate)
    allowed = float(gate["relative"].get("max_drop", 0.0))
    found = evidence.difference.get(name)
    if found is None or not all(math.isfinite(part) for part in (found.value, found.low, found.high)):
        return [("inconclusive", f"{name} of candidate or champion is missing or not a number")]
    said = f"{name} against the champion: {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    if found.high < -allowed:
        return [("fail", f"{said}; a drop of {allowed:g} is allowed")]
    if found.value < -allowed:
        return [("inconclusive", f"{said}; a drop of more than {allowed:g} is likely but not certain")]
    return [("pass", said)]


def sanity(gate: Mapping[str, Any], evidence: Evidence) -> list[tuple[Verdict, str]]:
    """Better than popularity, and measured on enough users."""
    rules = gate.get("sanity", {})
    found: list[tuple[Verdict, str]] = []
    least = int(rules.get("min_users", 1))
    if evidence.users < least:
        found.append(("inconclusive", f"{evidence.users} holdout users; at least {least} are asked"))
    elif "min_users" in rules:
        found.append(("pass", f"{evidence.users} holdout users"))
    if rules.get("beat_popularity", False):
        found.append(against_popularity(metric(gate), evidence))
    return found


def against_popularity(name: str, evidence: Evidence) -> tuple[Verdict, str]:
    """The candidate's mean above the popularity baseline's."""
    ours, theirs = number(evidence.metrics, name), number(evidence.popularity, name)
    if ours is None or theirs is None:
        return "inconclusive", f"{name} of the candidate or of popularity is missing or not a number"
    said = f"{name} is {ours:.4f}, popularity's {theirs:.4f}"
    return ("pass", said) if ours > theirs else ("fail", f"{said}; a model must beat popularity")


def metric(gate: Mapping[str, Any]) -> str:
    """The metric that candidates are compared by."""
    named = gate.get("relative", {}).get("metric")
    return str(named or next(iter(gate.get("absolute", {})), DEFAULT_METRIC))


def number(metrics: Mapping[str, Any], name: str) -> float | None:
    """A metric that is there and finite, else None."""
    value = metrics.get(name)
    return float(value) if value is not None and kind_of(value) == "number" else None
