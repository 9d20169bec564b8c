"""How an update reaches the traffic: the `rollout` block of a deploy file, and SageMaker's DeploymentConfig of it.

The limits are those of SageMaker's API reference (TrafficRoutingConfig, RollingUpdatePolicy, CapacitySize). What its
page of deployment guardrail exclusions says becomes "all at once" without a word is an error here.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipelines.models import Section, text

Strategy = Literal["all_at_once", "canary", "linear", "rolling"]
Alarm = Annotated[str, text(r"^\S(?:.{0,253}\S)?$", "the name of a CloudWatch alarm")]
Seconds = Annotated[int, Field(ge=0, le=3600)]
# the key that says how large a step is; the others belong to another strategy
SIZE: dict[str, str] = {"canary": "canary_percent", "linear": "step_percent", "rolling": "batch_percent"}


class Rollout(Section):
    """One strategy and its numbers. A guarded rollout is in steps, bakes or has alarms."""

    strategy: Strategy = "all_at_once"
    canary_percent: Annotated[int, Field(ge=1, le=50)] | None = None  # of the instances, rounded up to whole ones
    step_percent: Annotated[int, Field(ge=10, le=50)] | None = None
    batch_percent: Annotated[int, Field(ge=5, le=50)] | None = None
    wait_seconds: Seconds = 0  # after each step, while the alarms watch
    bake_seconds: Seconds = 0  # after the last one, while the old fleet stands by
    alarms: Annotated[tuple[Alarm, ...], Field(strict=False, max_length=10)] = ()
    maximum_seconds: Annotated[int, Field(ge=600, le=28800)] | None = None  # then SageMaker gives up and rolls back

    @model_validator(mode="after")
    def _consistent(self) -> "Rollout":
        for check in (self._sizes, self._watched, self._timed):
            problem = check()
            if problem:
                raise ValueError(problem)
        return self

    def _sizes(self) -> str:
        wanted = SIZE.get(self.strategy)
        for strategy, key in SIZE.items():
            if key != wanted and getattr(self, key) is not None:
                return f"{key} belongs to strategy {strategy}; this one is {self.strategy}, remove it"
        if wanted and getattr(self, wanted) is None:
            return f"strategy {self.strategy} without {wanted}; say how large a step is, for example {wanted}: 10"
        return ""

    def _watched(self) -> str:
        if len(set(self.alarms)) != len(self.alarms):
            return "alarms names one twice; name each once"
        if self.strategy != "all_at_once" and not self.alarms:
            return (
                f"strategy {self.strategy} without alarms: nothing would stop it; name a CloudWatch alarm in alarms, "
                "or write strategy: all_at_once"
            )
        if self.alarms and not self.bake_seconds and self.strategy == "all_at_once":
            return "alarms without bake_seconds: nobody would wait for them; write for example bake_seconds: 300"
        return ""

    def _timed(self) -> str:
        steps = self.strategy != "all_at_once"
        if steps and not self.wait_seconds:
            return f"strategy {self.strategy} without wait_seconds: the alarms need time; write wait_seconds: 300"
        if not steps and self.wait_seconds:
            return "wait_seconds belongs to canary, linear and rolling; all_at_once has bake_seconds"
        if self.strategy == "rolling" and self.bake_seconds:
            return "bake_seconds: a rolling update keeps no old fleet that could stand by; wait_seconds is its bake"
        if self.maximum_seconds is not None and self.maximum_seconds <= self.waiting_seconds:
            return (
                f"maximum_seconds is {self.maximum_seconds}, but the waits alone take {self.waiting_seconds}; "
                "allow more than that"
            )
        if self.maximum_seconds is not None and not self.guarded:
            return "maximum_seconds belongs to a rollout that is watched; add bake_seconds, or remove it"
        return ""

    @property
    def guarded(self) -> bool:
        """True if SageMaker is asked for more than its plain update."""
        return self.strategy != "all_at_once" or bool(self.alarms) or bool(self.bake_seconds)

    @property
    def waiting_seconds(self) -> int:
        """How long it takes at least: every wait, and no instance's start."""
        size = getattr(self, SIZE[self.strategy]) if self.strategy in SIZE else None
        waits = 0 if size is None else 1 if self.strategy == "canary" else math.ceil(100 / size)
        return waits * self.wait_seconds + self.bake_seconds


def refusal(rollout: Rollout, instance_type: str, fewest: int, variants: int) -> str:
    """Why SageMaker would quietly do less than `rollout` asks; empty if it would not.

    `fewest` instances serve at times (autoscaling's minimum, where it has the count); `variants` are all in the config.
    """
    if not rollout.guarded:
        return ""
    if variants > 1:
        return (
            "rollout: with a challenger or a shadow SageMaker may shift everything at once and unwatched; "
            "write strategy: all_at_once without alarms and bake_seconds while it is there"
        )
    if instance_type.startswith("ml.inf1."):
        return f"rollout: SageMaker has no guardrails for {instance_type}; write strategy: all_at_once, or another type"
    if rollout.strategy != "all_at_once" and fewest < 2:
        return (
            f"rollout: {rollout.strategy} shifts whole instances, so with 1 the first step is everything; "
            "ask for at least 2 instances, or write strategy: all_at_once"
        )
    return ""


def deployment_config(rollout: Rollout) -> dict[str, Any]:
    """UpdateEndpoint's DeploymentConfig; empty for SageMaker's plain update."""
    if not rollout.guarded:
        return {}
    found = POLICIES[rollout.strategy](rollout)
    if rollout.maximum_seconds is not None:
        for policy in found.values():
            policy["MaximumExecutionTimeoutInSeconds"] = rollout.maximum_seconds
    if rollout.alarms:
        found["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in rollout.alarms]}
    return found


def _share(percent: int | None) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": percent}


def _blue_green(rollout: Rollout, kind: str, **size: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": rollout.wait_seconds, **size}
    # the old fleet stands by while the alarms watch
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": rollout.bake_seconds}
    return {"BlueGreenUpdatePolicy": policy}


def _rolling(rollout: Rollout) -> dict[str, Any]:
    batch = {"MaximumBatchSize": _share(rollout.batch_percent), "WaitIntervalInSeconds": rollout.wait_seconds}
    return {"RollingUpdatePolicy": batch}


POLICIES: Mapping[str, Callable[[Rollout], dict[str, Any]]] = {
    "all_at_once": lambda asked: _blue_green(asked, "ALL_AT_ONCE"),
    "canary": lambda asked: _blue_green(asked, "CANARY", CanarySize=_share(asked.canary_percent)),
    "linear": lambda asked: _blue_green(asked, "LINEAR", LinearStepSize=_share(asked.step_percent)),
    "rolling": _rolling,
}
