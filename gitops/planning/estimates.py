"""How long steps take and what they cost, from how long they took before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from gitops.planning.prices import Prices
from gitops.planning.steps import Step

RUNS = 10  # the last ones that are looked at


@dataclass(frozen=True)
class History:
    """Seconds that each step took in the last runs, without those that took nothing because they were cached."""

    seconds: Mapping[str, list[float]] = field(default_factory=dict)
    source: str = "no run is known"

    def typical(self, step: str) -> float | None:
        """The median in seconds; None for a step that never ran."""
        found = self.seconds.get(step)
        return median(found) if found else None


@dataclass(frozen=True)
class Estimate:
    """Of one step: seconds, USD and USD an hour, None where not known. A cached step takes none of them."""

    seconds: float | None
    usd: float | None
    hourly: float | None = 0.0


def from_records(records: Iterable[Mapping[str, Any]]) -> History:
    """From the records of a model's releases in git, the newest first."""
    seconds: dict[str, list[float]] = {}
    used = 0
    for record in list(records)[:RUNS]:
        cost = record.get("cost")
        taken = cost.get("step_seconds") if isinstance(cost, Mapping) else None
        for name, one in taken.items() if isinstance(taken, Mapping) else ():
            if isinstance(one, int | float) and one > 0:
                seconds.setdefault(str(name), []).append(float(one))
        used += isinstance(taken, Mapping)
    return History(seconds, f"median of {used} release{'s' * (used != 1)} in releases/") if seconds else History()


def from_executions(sagemaker: Any, pipeline: str) -> History:
    """From a pipeline's last executions that succeeded, as SageMaker lists them."""
    listed = sagemaker.list_pipeline_executions(
        PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending", MaxResults=100
    )["PipelineExecutionSummaries"]
    arns = [one["PipelineExecutionArn"] for one in listed if one["PipelineExecutionStatus"] == "Succeeded"][:RUNS]
    seconds: dict[str, list[float]] = {}
    for arn in arns:
        for page in sagemaker.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn):
            for step in page["PipelineExecutionSteps"]:
                if "CacheHitResult" not in step and {"StartTime", "EndTime"} <= step.keys():
                    took = (step["EndTime"] - step["StartTime"]).total_seconds()
                    seconds.setdefault(step["StepName"], []).append(took)
    return History(seconds, f"median of the last {len(arns)} executions") if seconds else History()


def estimate(step: Step, history: History, prices: Prices) -> Estimate:
    """What the step is expected to take and to cost."""
    if not step.runs:
        return Estimate(0.0, 0.0)
    seconds, instances = history.typical(step.name), step.instances * step.jobs
    hourly = prices.usd(step.instance_type, 3600, instances)
    if seconds is None:
        return Estimate(None, None, hourly)
    return Estimate(seconds, prices.usd(step.instance_type, seconds, instances), hourly)


def total(found: Iterable[float | None]) -> float | None:
    """The sum; None if one of them is not known."""
    known = list(found)
    return None if any(one is None for one in known) else sum(one for one in known if one is not None)


def time(seconds: float | None) -> str:
    """`11 min`, `45 s`, `unknown`."""
    if seconds is None:
        return "unknown"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def cost(found: Estimate) -> str:
    """`0.42 USD`; where nobody knows for how long, `unknown, 0.46 USD an hour`."""
    known = found.usd is not None or found.hourly is None
    return money(found.usd) if known else f"unknown, {money(found.hourly)} an hour"


def money(usd: float | None) -> str:
    """`0.42 USD`, `unknown`."""
    return "unknown" if usd is None else f"{usd:.2f} USD" if usd >= 0.1 or not usd else f"{usd:.4f} USD"
