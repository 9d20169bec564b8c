"""Runs a pipeline execution: starts every step as soon as it may, in parallel, until nothing is left to start."""

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ..service import CloudError
from . import job as jobs
from . import retries, step_cache
from .ending import INTERNAL
from .execution import Execution, ExecutionScope, StepRun, change, change_from, change_step, of_pipeline
from .references import ResolutionError, resolve
from .schedule import OVER, ready
from .steps import RUNNERS, StepError, StepStopped, Work
from .store import lock, now

if TYPE_CHECKING:
    from ..cloud import Cloud

FAILED = "Step failure: One or multiple steps failed."


def drive(cloud: "Cloud", execution: Execution) -> None:
    """Take an execution from Executing to Succeeded, Failed or Stopped."""
    scope = ExecutionScope(cloud, execution)
    while True:
        execution.changed.clear()
        with lock(cloud):
            started = [_begin(execution, name) for name in _next(execution)]
            running = [run for run in execution.runs.values() if run.status not in OVER]
        for run in started:
            change_step(cloud, execution, run, "Starting")
            cloud.spawn(partial(_work, cloud, execution, run, scope), f"step {run.step.name}")
        if not running:
            break
        execution.changed.wait()
    _finish(cloud, execution)


def stop(cloud: "Cloud", execution: Execution) -> None:
    """Start no more steps and stop the jobs of those that run."""
    if not change_from(cloud, execution, ("Executing",), "Stopping"):
        return
    with lock(cloud):
        execution.stopping.set()
        running = [run for run in execution.runs.values() if run.status not in OVER]
    for run in running:
        if run.job:
            change_step(cloud, execution, run, "Stopping")
            with suppress(CloudError):  # it has just ended by itself
                jobs.request_stop(cloud, run.job.kind, run.job.name)
    execution.changed.set()


def _next(execution: Execution) -> list[str]:
    if execution.stopping.is_set():
        return []
    states = {name: run.status for name, run in execution.runs.items()}
    names = ready(execution.definition, states, execution.outcomes)
    limit = execution.row.get("ParallelismConfiguration", {}).get("MaxParallelExecutionSteps")
    running = sum(run.status not in OVER for run in execution.runs.values())
    return names[: max(0, limit - running)] if limit else names


def _begin(execution: Execution, name: str) -> StepRun:
    run = execution.runs[name] = StepRun(execution.definition.steps[name])
    return run


def _work(cloud: "Cloud", execution: Execution, run: StepRun, scope: ExecutionScope) -> None:
    """Run one step to its end, whatever happens."""
    status, failure = "Failed", INTERNAL
    try:
        _run(cloud, execution, run, scope)
        status, failure = "Succeeded", ""
    except StepStopped:
        status, failure = "Stopped", ""
    except (StepError, ResolutionError) as error:
        failure = str(error)
    finally:
        try:
            change_step(cloud, execution, run, status, failure=failure or None, ended=now())
        finally:
            execution.changed.set()


def _run(cloud: "Cloud", execution: Execution, run: StepRun, scope: ExecutionScope) -> None:
    step = run.step
    raw = step.row.get("Arguments")
    arguments = raw if step.type == "Condition" else resolve(raw, scope)
    key = step_cache.key(step.row, arguments or {})
    source = _cached(cloud, execution, run, key) if key else None
    if source:
        run.properties, run.metadata = source[1].properties, source[1].metadata
        run.cached_from = source[0].arn
        return
    change_step(cloud, execution, run, "Executing")
    _attempt(cloud, Work(execution, run, scope, arguments))
    run.cache_key = key


def _attempt(cloud: "Cloud", work: Work) -> None:
    """Run the step, again where its retry policies say so."""
    run = work.run
    while True:
        run.attempts += 1
        try:
            RUNNERS[run.step.type](cloud, work)
        except StepError as error:
            policies = run.step.row.get("RetryPolicies") or []
            seconds = retries.delay(policies, error.kind, run.attempts, now() - run.started)
            if seconds is None:
                raise
            time.sleep(seconds)
            if work.execution.stopping.is_set():
                raise StepStopped from error
        else:
            return


def _cached(cloud: "Cloud", execution: Execution, run: StepRun, key: str) -> tuple[Execution, StepRun] | None:
    """The latest run of this step in this pipeline with the same attributes, if it is not too old."""
    with lock(cloud):
        earlier = [
            (other, other.runs[run.step.name])
            for other in of_pipeline(cloud, execution.pipeline)
            if run.step.name in other.runs
        ]
    fresh = [
        (other, found)
        for other, found in earlier
        if found.cache_key == key and found.ended and not step_cache.expired(run.step.row, found.ended, now())
    ]
    return max(fresh, key=lambda pair: pair[1].ended or pair[1].started, default=None)


def _finish(cloud: "Cloud", execution: Execution) -> None:
    if any(run.status == "Failed" for run in execution.runs.values()):
        change(cloud, execution, "Failed", FailureReason=FAILED)
    elif execution.stopping.is_set():
        change(cloud, execution, "Stopped")
    else:
        change(cloud, execution, "Succeeded")
