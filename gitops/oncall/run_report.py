"""The whole report of a run: python -m gitops report <execution ARN> --output report.html

Evaluation wrote the report (processing_code/page.py) but for what it could not know: how the steps ended, how long
they took, what came from the cache. That is read from SageMaker and put in its place.
"""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError

OUTPUT, NAME = "evaluation", "report.html"  # the output that has the evidence, and the report in it
PLACE = re.compile(r"<!--run-->.*<!--/run-->", re.DOTALL)  # where the page leaves room
LARGEST = 4 * 2**20  # bytes of a report that is read; evaluation writes less than two MiB
UPSTREAM = re.compile(r"Steps\.([A-Za-z0-9_-]+)\.")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
BOX, GAP, LINE = (130, 44), (40, 16), 18
BARE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>Run</title><style>
:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; }
</style></head><body><main><h1>Run</h1><p>Nothing was evaluated, so there is no more to show than the run itself.</p>
<!--run--><!--/run--></main></body></html>
"""


@dataclass(frozen=True)
class Step:
    """How one step of an execution ended."""

    name: str
    status: str
    seconds: float | None
    cached: bool
    reason: str
    reads: frozenset[str]  # names of the steps it waits for


@dataclass(frozen=True)
class Run:
    """An execution with its steps, in the order in which they began."""

    arn: str
    name: str
    status: str
    reason: str
    created: str
    steps: tuple[Step, ...]


def read(sagemaker: Any, arn: str) -> Run:
    """The execution. Raises GitopsError if there is none."""
    try:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        definition = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    except ClientError as error:
        if not aws.missing(error):
            raise
        raise GitopsError(f"{arn}: there is no such pipeline execution; see aws sagemaker list-pipelines") from error
    waits = dict(reads_of(json.loads(definition["PipelineDefinition"])["Steps"], frozenset()))
    steps = sorted(_listed(sagemaker, arn), key=lambda one: str(one.get("StartTime", "~")))
    return Run(
        arn=arn,
        name=found.get("PipelineExecutionDisplayName", ""),
        status=found["PipelineExecutionStatus"],
        reason=found.get("FailureReason", ""),
        created=found["CreationTime"].isoformat(timespec="seconds"),
        steps=tuple(_step(one, waits.get(one["StepName"], frozenset())) for one in steps),
    )


def _listed(sagemaker: Any, arn: str) -> list[dict[str, Any]]:
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn)
    return [step for page in pages for step in page["PipelineExecutionSteps"]]


def reads_of(steps: list[dict[str, Any]], above: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """What each step waits for: what it reads, and for those inside of a condition that condition."""
    found = []
    for step in steps:
        arguments = dict(step.get("Arguments", {}))
        inside = [*arguments.pop("IfSteps", []), *arguments.pop("ElseSteps", [])]
        found.append((step["Name"], above or frozenset(UPSTREAM.findall(json.dumps(arguments)))))
        found += reads_of(inside, frozenset({step["Name"]}))
    return found


def _step(one: Mapping[str, Any], reads: frozenset[str]) -> Step:
    both = "StartTime" in one and "EndTime" in one
    return Step(
        name=one["StepName"],
        status=one["StepStatus"],
        seconds=(one["EndTime"] - one["StartTime"]).total_seconds() if both else None,
        cached="CacheHitResult" in one,
        reason=one.get("FailureReason", ""),
        reads=reads,
    )


def evaluated(sagemaker: Any, s3: Any, arn: str) -> str | None:
    """The report that evaluation left; None if no step of the execution came so far."""
    for step in reversed(_listed(sagemaker, arn)):
        job = step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn")
        uri = _output(sagemaker, job.rpartition("/")[2]) if job else None
        if uri and step["StepStatus"] == "Succeeded":
            return _text(s3, f"{uri.rstrip('/')}/{NAME}")
    return None


def _output(sagemaker: Any, job: str) -> str | None:
    outputs = sagemaker.describe_processing_job(ProcessingJobName=job).get("ProcessingOutputConfig", {})
    found = {one["OutputName"]: one["S3Output"]["S3Uri"] for one in outputs.get("Outputs", [])}
    return found.get(OUTPUT)


def _text(s3: Any, uri: str) -> str:
    bucket, key = aws.split_uri(uri)
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(LARGEST + 1)
    except ClientError as error:
        raise GitopsError(f"{uri}: cannot be read ({aws.sentence(error)}); run the evaluation again") from error
    text = bytes(body).decode("utf-8", errors="replace")
    if len(body) > LARGEST or not PLACE.search(text):
        raise GitopsError(f"{uri}: is no report that this program can complete; run the evaluation again")
    return text


def whole(report: str | None, run: Run) -> str:
    """The report with the run in its place; without one, a page of the run alone."""
    return PLACE.sub(lambda _: f"<!--run-->{section(run)}<!--/run-->", report or BARE, count=1)


def section(run: Run) -> str:
    """The run as HTML: its state, the graph of its steps, and a table of them."""
    reason = f"<p>{escape(run.reason)}</p>" if run.reason else ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("step", "status", "time", "from cache", "why it failed"))
    return (
        f"<section><h2>Run</h2><p><strong>{escape(run.status)}</strong>: {escape(run.name)[:12]}, "
        f"begun {escape(run.created)}<br/><code>{escape(run.arn)}</code></p>{reason}{graph(run.steps)}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, run.steps))}</tbody></table></section>"
    )


def escape(text: str) -> str:
    """Text of an execution as content of HTML, at most 1,000 characters."""
    return html.escape(CONTROL.sub("\ufffd", text[:1000]))


def _row(step: Step) -> str:
    cells = (step.name, step.status, _time(step), "yes" if step.cached else "no", step.reason)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _time(step: Step) -> str:
    return "-" if step.cached or step.seconds is None else f"{step.seconds:.1f} s"


def graph(steps: tuple[Step, ...]) -> str:
    """The steps as boxes, each to the right of those it waits for."""
    depth: dict[str, int] = {}
    for step in steps:  # each begins after those it waits for
        depth[step.name] = 1 + max((depth[name] for name in step.reads if name in depth), default=-1)
    place: dict[str, tuple[int, int]] = {}
    for step in steps:
        above = sum(depth[name] == depth[step.name] for name in place)
        place[step.name] = depth[step.name] * (BOX[0] + GAP[0]), above * (BOX[1] + GAP[1])
    width, height = (max((at[side] for at in place.values()), default=0) + BOX[side] for side in (0, 1))
    lines = [_line(place[name], place[step.name]) for step in steps for name in sorted(step.reads) if name in place]
    boxes = [_box(step, place[step.name]) for step in steps]
    return (
        f'<svg class="chart" role="img" viewBox="-2 -2 {width + 4} {height + 4}"><title>Steps of the run</title>'
        f"{''.join(lines)}{''.join(boxes)}</svg>"
    )


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    points = start[0] + BOX[0], start[1] + BOX[1] // 2, end[0], end[1] + BOX[1] // 2
    return '<line stroke="gray" x1="{}" y1="{}" x2="{}" y2="{}"/>'.format(*points)


def _box(step: Step, at: tuple[int, int]) -> str:
    below = "cached" if step.cached else f"{step.status} {_time(step)}"
    dashed = ' stroke-dasharray="4 3"' if step.cached else ' stroke-width="3"' if step.status == "Failed" else ""
    return (
        f'<rect x="{at[0]}" y="{at[1]}" width="{BOX[0]}" height="{BOX[1]}" rx="6" fill="none" stroke="gray"{dashed}/>'
        f'<text fill="currentColor" x="{at[0] + 8}" y="{at[1] + LINE}">{escape(step.name[:18])}</text>'
        f'<text fill="currentColor" class="small" x="{at[0] + 8}" y="{at[1] + 2 * LINE}">{escape(below)}</text>'
    )
