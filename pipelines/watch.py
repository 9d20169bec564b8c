"""Follow an execution: one line per step's change of state, and the end of a failed job's log."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from pipelines.errors import ProjectError
from pipelines.start import Clients, Started, explained, list_steps

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks
PATIENCE = 0.05  # in between, this part of the time since the last change: what is long may be noticed later
TAIL_LINES = 20
LOG_GROUPS = {"ProcessingJob": "/aws/sagemaker/ProcessingJobs", "TrainingJob": "/aws/sagemaker/TrainingJobs"}
GOING_ON = {"Executing", "Stopping"}

Say = Callable[[str], None]


def wait(clients: Clients, started: Started, deadline: float, say: Say) -> str:
    """Follow until the execution ends or `deadline` (seconds of time.monotonic) passes.

    Returns SageMaker's status, "Executing" at the deadline. Raises ProjectError when the execution failed.
    """
    seen: dict[str, str] = {}
    changed = time.monotonic()
    while True:
        with explained(f"{started.arn}: looking"):
            execution = clients.sagemaker.describe_pipeline_execution(PipelineExecutionArn=started.arn)
            steps = list_steps(clients, started.arn)
        changes = list(news(steps, seen))
        for line in changes:
            say(line)
        status = execution["PipelineExecutionStatus"]
        if status not in GOING_ON:
            break
        now = time.monotonic()
        if now >= deadline:
            return str(status)
        changed = now if changes else changed
        pause = min(max(SHORTEST_PAUSE, PATIENCE * (now - changed)), LONGEST_PAUSE)
        time.sleep(min(pause, deadline - now))
    if status != "Succeeded":
        raise failure(clients, execution, steps, say)
    return str(status)


def news(steps: list[dict[str, Any]], seen: dict[str, str]) -> Iterator[str]:
    """A line for each step whose state is not the one in `seen`, which is brought up to date."""
    for step in steps:
        state = step["StepStatus"]
        if seen.get(step["StepName"]) != state:
            seen[step["StepName"]] = state
            yield f"  {step['StepName']}: {state}{details(step)}"


def details(step: dict[str, Any]) -> str:
    """Seconds taken, or that nothing was computed; why it failed, or which model package it left."""
    text = ""
    if "EndTime" in step and "StartTime" in step:
        text = f" after {(step['EndTime'] - step['StartTime']).total_seconds():.1f} s"
    if step.get("CacheHitResult"):
        text = " (cached)"
    outputs = step.get("Metadata", {}).get("Lambda", {}).get("OutputParameters", [])
    package = next((entry["Value"] for entry in outputs if entry["Name"] == "package_arn"), None)
    more = step.get("FailureReason") or package
    return f"{text}: {more}" if more else text


def failure(clients: Clients, execution: dict[str, Any], steps: list[dict[str, Any]], say: Say) -> ProjectError:
    """The error that ends a failed run, after the end of each failed job's log was said."""
    reasons = [execution.get("FailureReason", "")]
    for step in steps:
        if step["StepStatus"] == "Failed":
            reasons.insert(0, f"{step['StepName']}: {step.get('FailureReason', 'no reason given')}")
            for line in log_tail(clients, step):
                say(f"  | {line}")
    arn, status = execution["PipelineExecutionArn"], execution["PipelineExecutionStatus"]
    reason = next((reason for reason in reasons if reason), "no reason given")
    return ProjectError(f"{arn}: {status}: {reason}")


def log_tail(clients: Clients, step: dict[str, Any]) -> list[str]:
    """The last lines of a step's job in CloudWatch Logs; empty for a step without one, or when they are not there."""
    for kind, group in LOG_GROUPS.items():
        arn = step.get("Metadata", {}).get(kind, {}).get("Arn")
        if arn:
            return job_tail(clients, group, arn.rpartition("/")[2])
    return []


def job_tail(clients: Clients, group: str, job: str) -> list[str]:
    """The last lines of a job's newest stream."""
    try:
        streams = clients.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        if not streams:
            return []
        events = clients.logs.get_log_events(
            logGroupName=group, logStreamName=streams[-1]["logStreamName"], limit=TAIL_LINES, startFromHead=False
        )["events"]
    except ClientError as error:
        # the run's own failure is what matters; why its log cannot be read is said beside it
        return [f"log {group}/{job}: {error}"]
    return [event["message"].rstrip() for event in events]
