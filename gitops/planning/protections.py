"""What a change takes away of what protects: compared by value, defaults included. For the gate: pipelines/gates.py.

A new protection is one line in RULES.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops import deployment, policy
from gitops.planning.differences import flatten, shown
from pipelines import params
from pipelines.errors import ProjectError

POLICY, DEPLOY, PARAMS = "deploy/[^/]+/_policy.yml", "deploy/[^/]+/[^_/][^/]*.yml", r"params/[^/]+(?<!\.data)\.yml"


@dataclass(frozen=True)
class Rule:
    """Which value of which file is a protection, and when it is less of one."""

    file: str  # a regular expression, as `key` is one
    key: str
    weaker: Callable[[Any, Any], bool]  # of the value before and after; None where there is none
    why: str


def _automatic(before: Any, after: Any) -> bool:
    return bool(after == "auto" and before != "auto")


def _raised(before: Any, after: Any) -> bool:
    return before is not None and (after is None or bool(after > before))


def _another(before: Any, after: Any) -> bool:
    return before is not None and after != before


def _fewer(before: Any, after: Any) -> bool:
    return bool(set(before or ()) - set(after or ()))


RULES = (
    Rule(PARAMS, r"(release|refresh)\..*", _automatic, "no person approves it any more"),
    Rule(POLICY, "revert", _automatic, "no person approves it any more"),
    Rule(POLICY, "paused", lambda before, after: before is True and after is not True, "the pause ends"),
    Rule(POLICY, r"freeze\..*", _another, "the freeze is another, or gone"),
    Rule(DEPLOY, "verify.public_key", _another, "archives are trusted by another signature, or by none"),
    Rule(DEPLOY, "verify.max_p99_(ms|ratio)", _raised, "slower answers pass"),
    Rule(DEPLOY, "rollout.alarms", _fewer, "an alarm stops no rollout any more"),
    Rule(DEPLOY, "allow_recreate", lambda before, after: after is True and not before, "a build may delete it"),
)


def weakened(paths: list[str], roots: tuple[Path, Path]) -> Iterable[str]:
    """A sentence for each protection that is less of one in the head."""
    for path in paths:
        rules = [rule for rule in RULES if re.fullmatch(rule.file, path)]
        before, after = (_values(root, path) if rules else {} for root in roots)
        for key in sorted(before.keys() | after.keys()) if before else ():
            old, new = before.get(key), after.get(key)
            for rule in rules:
                if re.fullmatch(rule.key, key) and rule.weaker(old, new):
                    yield f"{path}: {key}: {shown(old)} -> {shown(new)}; {rule.why}"


def _values(root: Path, path: str) -> Mapping[str, Any]:
    """Every value of the file, defaults included; none of a file that is not there or is wrong: said elsewhere."""
    file = root / path
    load: Callable[[Path], Any] = params.load if path.startswith("params/") else deployment.load
    if file.name == policy.FILE:
        load = policy.load
        if not file.is_file():
            return flatten(policy.Policy().model_dump(mode="json"))
    try:
        return flatten(load(file).model_dump(mode="json")) if file.is_file() else {}
    except ProjectError:
        return {}
