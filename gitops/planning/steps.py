"""Which steps of a pipeline a change runs, and why: two compiled definitions compared as SageMaker's cache does."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitops.planning.differences import ABSENT, difference

UPSTREAM = re.compile(r"Steps\.([A-Za-z0-9_-]+)\.")
# what an address of the artifact bucket stands for, by its path; a digest in it says nothing to a reader
ADDRESSES = (
    (re.compile(r"s3://[^/]+/code/(\w+)/([0-9a-f]{64})/"), r"\1"),
    (re.compile(r"s3://[^/]+/locks/([0-9a-f]{64})/"), "data lock"),
)
OWN = re.compile(r"s3://[^/]+/steps/\w+/([0-9a-f]{64})(?![0-9a-f])")  # where it writes: its own key
REASONS = 6  # of a step that are shown; more are counted
Definition = Mapping[str, Any]
Values = Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """One step that is cached when nothing it is asked for changed."""

    name: str
    runs: bool
    reasons: tuple[str, ...]
    instance_type: str
    instances: int
    jobs: int = 1  # at once; of a search more than one

    @property
    def why(self) -> str:
        """The reasons in one line."""
        more = len(self.reasons) - REASONS
        return "; ".join(self.reasons[:REASONS]) + (f"; and {more} more" if more > 0 else "")


def compare(before: Definition | None, after: Definition, values: tuple[Values, Values]) -> list[Step]:
    """Every cached step of `after` in its order; `before` None: nothing of it has been run.

    `values`: the execution parameters of both sides that steps may read.
    """
    old = {one["Name"]: facts(one, values[0]) for one in _cached(before or {"Steps": []})}
    found: list[Step] = []
    for one in _cached(after):
        running = {step.name for step in found if step.runs}
        new = facts(one, values[1])
        reasons = _reasons(old.get(one["Name"]), new)
        reasons += [f"{name} runs" for name in sorted(running & upstream(one))]
        if not reasons and old[one["Name"]].get("key") != new.get("key"):
            reasons = ["its identity differs"]
        found.append(Step(one["Name"], bool(reasons), tuple(reasons), *machine(one)))
    return found


def _cached(definition: Definition) -> Iterator[Mapping[str, Any]]:
    """The steps that SageMaker may take from its cache: conditions, functions and failures are always carried out."""
    for step in definition["Steps"]:
        if step.get("CacheConfig", {}).get("Enabled"):
            yield step


def others(definition: Definition) -> list[str]:
    """Names of the steps that are always carried out, those inside of a condition included."""
    found = []
    for step in definition["Steps"]:
        if not step.get("CacheConfig", {}).get("Enabled"):
            arguments = step.get("Arguments", {})
            branches = [*arguments.get("IfSteps", []), *arguments.get("ElseSteps", [])]
            found += [step["Name"], *(one["Name"] for one in branches)]
    return found


def _reasons(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    if before is None:
        return ["it is new"]
    return [
        _sentence(line)
        for line in difference(
            {key: value for key, value in before.items() if key != "key"},
            {key: value for key, value in after.items() if key != "key"},
        )
    ]


def _sentence(line: str) -> str:
    """`processing_code changed` where both sides are digests, else `epochs 10 -> 20`."""
    name, _, change = line.partition(": ")
    old, _, new = change.partition(" -> ")
    digests = all(re.fullmatch(r"[0-9a-f]{64}", side) for side in (old, new))
    return f"{name} changed" if digests else f"{name} {old} -> {new}"


def facts(step: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """What a step is asked for, by the names people use; `key` is its identity, without which nothing is reused."""
    found: dict[str, Any] = {}
    for path, value in _leaves((), step["Arguments"]):
        name, said = _fact(path, value, values)
        if name:
            found[name] = said
    return found


def _fact(path: tuple[str, ...], value: Any, values: Mapping[str, str]) -> tuple[str, Any]:
    text = str(value)
    if UPSTREAM.search(text):
        return "", None  # another step's output: said by `upstream`
    own = OWN.search(text)
    if own:
        return "key", own[1]
    for pattern, name in ADDRESSES:
        match = pattern.match(text)
        if match:
            return match.expand(name), match.groups()[-1]
    if path[-1] == "Get":
        parameter = text.removeprefix("Parameters.")
        return (parameter, values[parameter]) if parameter in values else ("", None)
    return NAMES.get(path[-1], _dotted(path)), value


def _dotted(path: tuple[str, ...]) -> str:
    kept = path[1:] if path[0] in {"HyperParameters", "arguments"} else path
    return ("hyperparameters." if path[0] == "HyperParameters" else "") + ".".join(kept)


NAMES = {
    "InstanceType": "instance_type",
    "InstanceCount": "instance_count",
    "ImageUri": "image",
    "TrainingImage": "image",
}


def _leaves(path: tuple[str, ...], found: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path[-1:] == ("ContainerArguments",):
        for name, value in _options(found):
            yield ("arguments", name), value
    elif isinstance(found, Mapping) and "Std:Join" in found:
        yield path, json.dumps(found, sort_keys=True)  # one address, put together when it runs
    elif isinstance(found, Mapping):
        for key, value in found.items():
            yield from _leaves((*path, key), value)
    elif isinstance(found, list):
        for place, value in enumerate(found):
            label = next((str(value[key]) for key in LABELS if isinstance(value, Mapping) and key in value), str(place))
            yield from _leaves((*path, label), value)
    else:
        yield path, found


LABELS = ("Name", "InputName", "OutputName", "ChannelName")


def _options(words: list[Any]) -> Iterator[tuple[str, str]]:
    """`--min-item-users 50` as ("min_item_users", "50"); several `a=b` after one option by their own names."""
    option = ""
    following: dict[str, list[str]] = {}
    for word in map(str, words):
        if word.startswith("--"):
            option = word[2:].replace("-", "_")
            following[option] = []
        else:
            following.setdefault(option, []).append(word)
    for name, given in following.items():
        if len(given) > 1 and all("=" in one for one in given):
            yield from ((f"{name}.{key}", value) for key, _, value in (one.partition("=") for one in given))
        else:
            yield name, " ".join(given)


def upstream(step: Mapping[str, Any]) -> set[str]:
    """Names of the steps whose outputs this one reads."""
    return {match[1] for _, value in _leaves((), step["Arguments"]) for match in UPSTREAM.finditer(str(value))}


def machine(step: Mapping[str, Any]) -> tuple[str, int, int]:
    """Instance type, how many for each job, and how many jobs at once."""
    arguments = step["Arguments"]
    tuned = arguments.get("TrainingJobDefinition", arguments)
    cluster = tuned.get("ProcessingResources", {}).get("ClusterConfig") or tuned.get("ResourceConfig") or {}
    limits = arguments.get("HyperParameterTuningJobConfig", {}).get("ResourceLimits", {})
    return (
        cluster.get("InstanceType", ABSENT),
        int(cluster.get("InstanceCount", 1)),
        int(limits.get("MaxParallelTrainingJobs", 1)),
    )
