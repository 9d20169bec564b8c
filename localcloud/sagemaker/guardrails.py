"""Deployment guardrails: the steps of an update, those of its rollback, and SageMaker's limits. Nothing here does I/O.

Limits: API reference of TrafficRoutingConfig, RollingUpdatePolicy and CapacitySize; what cannot be guarded:
https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]
PLAIN: Config = {
    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
}
_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
# of a variant's total instance count
_PERCENT = {"CanarySize": (0, 50), "LinearStepSize": (10, 50), "MaximumBatchSize": (5, 50)}


@dataclass(frozen=True)
class Step:
    """`new` instances of the new fleet get `share` of the requests; the alarms are watched for `wait` seconds of

    SageMaker's; then `old` instances of the old fleet remain. A way back first brings up the `old` ones, then turns
    the traffic, then ends what is more than `new`.
    """

    new: int
    share: float
    wait: int
    old: int


def steps(config: Config, old: int, new: int) -> list[Step]:
    """The way from a fleet of `old` instances to one of `new`; the old one is ended whole after the last step."""
    policy = _rolling(config)
    if policy:
        batch = size(policy["MaximumBatchSize"], new)
        waits = policy["WaitIntervalInSeconds"]
        # ends are rounded so that no moment has less capacity than the traffic that is still there
        return [Step(count, count / new, waits, old - old * count // new) for count in _marks(batch, new)]
    policy = config.get("BlueGreenUpdatePolicy", {})
    routing = policy.get("TrafficRoutingConfiguration", {})
    kind = routing.get("Type", "ALL_AT_ONCE")
    first = size(routing[_SIZES[kind]], new) if kind in _SIZES else new
    marks = _marks(first, new) if kind == "LINEAR" else sorted({first, new})
    waits = [routing.get("WaitIntervalInSeconds", 0)] * (len(marks) - 1) + [policy.get("TerminationWaitInSeconds", 0)]
    return [Step(count, count / new, wait, old) for count, wait in zip(marks, waits, strict=True)]


def rollback(config: Config, old: int, new: int, reached: int, left: int) -> list[Step]:
    """The way back to `old` instances, of which `left` still serve, when `reached` of the `new` ones have traffic."""
    batch = size(_rolling(config).get("RollbackMaximumBatchSize", {"Type": "CAPACITY_PERCENT", "Value": 100}), new)
    counts = range(reached - batch, 0, -batch)
    part = [Step(count, count / new, 0, max(old - old * count // new, left)) for count in counts]
    return [*part, Step(0, 0.0, 0, old)]


def size(capacity: Config, total: int) -> int:
    """A CapacitySize in whole instances of `total`, rounded up."""
    value: int = capacity["Value"]
    return min(value if capacity["Type"] == "INSTANCE_COUNT" else math.ceil(total * value / 100), total)


def effective(config: Config, old: Config, new: Config) -> Config:
    """`config`, or PLAIN where SageMaker falls back to it: what it cannot guard goes all at once and unwatched.

    `old` and `new` are endpoint configurations.
    """
    before, after = _names(old), _names(new)
    guarded = before == after and not any("ShadowProductionVariants" in each for each in (old, new))
    inferentia = any(variant["InstanceType"].startswith("ml.inf1.") for variant in new["ProductionVariants"])
    return PLAIN if not guarded or inferentia or (_rolling(config) and len(after) > 1) else config


def problem(config: Config, new: int) -> str | None:
    """What SageMaker refuses in a DeploymentConfig for a new fleet of `new` instances."""
    blue_green = config.get("BlueGreenUpdatePolicy", {})
    if blue_green and _rolling(config):
        return "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified in DeploymentConfig."
    routing = blue_green.get("TrafficRoutingConfiguration", {})
    wanted = _SIZES.get(routing.get("Type"))
    for member in _SIZES.values():
        if (member in routing) != (member == wanted):
            word = "required" if member == wanted else "not allowed"
            return f"{member} is {word} for TrafficRoutingConfiguration of type {routing['Type']}."
    for member, capacity in {**routing, **_rolling(config)}.items():
        if member in _PERCENT and (found := _outside(member, capacity, new)):
            return found
    return _short(config, new)


def _outside(member: str, capacity: Config, total: int) -> str | None:
    least, most = _PERCENT[member]
    value = capacity["Value"]
    percent = value if capacity["Type"] == "CAPACITY_PERCENT" else 100 * value / total
    if least <= percent <= most:
        return None
    limit = f"between {least}% and {most}%" if least else f"at most {most}%"
    return f"{member} must be {limit} of the variant's total instance count, {total}."


def _short(config: Config, new: int) -> str | None:
    most = maximum(config)
    waits = sum(step.wait for step in steps(config, 1, new))
    if most is None or most > waits:
        return None
    return f"MaximumExecutionTimeoutInSeconds must be greater than the total waiting time, {waits} seconds."


def maximum(config: Config) -> int | None:
    """MaximumExecutionTimeoutInSeconds."""
    policy = _rolling(config) or config.get("BlueGreenUpdatePolicy", {})
    found: int | None = policy.get("MaximumExecutionTimeoutInSeconds")
    return found


def alarms(config: Config) -> list[str]:
    """The names of the alarms that roll an update back."""
    return [alarm["AlarmName"] for alarm in config.get("AutoRollbackConfiguration", {}).get("Alarms", [])]


def _rolling(config: Config) -> Config:
    found: Config = config.get("RollingUpdatePolicy", {})
    return found


def _marks(size: int, total: int) -> Sequence[int]:
    return [*range(size, total, size), total]


def _names(config: Config) -> set[str]:
    return {variant["VariantName"] for variant in config["ProductionVariants"]}
