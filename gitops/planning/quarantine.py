"""Which share of a data lock's rows went to the quarantine, as the runs that prepared it counted them.

Told by the records in releases/, which need nobody to be asked, and by SageMaker's last executions, which also know
of runs that came to no release.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws

STEP, INPUT, OUTPUT = "Prepare", "lock", "report"  # as pipelines/ncf.py names them
LOCK = re.compile(r"/locks/([0-9a-f]{64})/")
RUNS = 5  # the last ones that are asked about
LARGEST = 2**22  # bytes of prepare's manifest that are read


@dataclass(frozen=True)
class Prepared:
    """What one run counted of one lock."""

    lock: str  # sha256 of the data
    rows: int
    quarantined: int
    by: str  # release or run

    @property
    def words(self) -> str:
        """`0.05 % (12 of 24,018 rows, by ncf-9c41d2e7a0b1)`."""
        return f"{self.quarantined / self.rows:.2%} ({self.quarantined:,} of {self.rows:,} rows, by {self.by})"


@dataclass(frozen=True)
class Memory:
    """The runs that are known, the last one first; `silence` says why SageMaker was not asked, empty if it was."""

    runs: Sequence[Prepared] = ()
    silence: str = ""


def line(lock: str, memory: Memory) -> str:
    """The share that the last run which prepared this lock counted, or why it is not known. Pure."""
    same = next((one for one in memory.runs if one.lock == lock), None)
    if same:
        return f"quarantined {same.words}"
    last = next(iter(memory.runs), None)
    older = f"; {last.words.removesuffix(')')}, of lock {last.lock[:12]})" if last else ""
    return (f"quarantined share unknown: {memory.silence}" if memory.silence else "not prepared yet") + older


def counted(lock: Any, counts: Any, by: str) -> Iterator[Prepared]:
    """What a run says, if it says it rightly: `counts` is prepare's {"rows", "bad_rows"}."""
    found = counts if isinstance(counts, Mapping) else {}
    rows, bad = found.get("rows"), found.get("bad_rows")
    if isinstance(lock, str) and type(rows) is int and type(bad) is int and 0 <= bad <= rows and rows:
        yield Prepared(lock, rows, bad, by)


def from_records(records: Iterable[Mapping[str, Any]]) -> list[Prepared]:
    """From the records of a model's releases, the newest first."""
    found: list[Prepared] = []
    for record in records:
        data = record.get("data")
        counts = data.get("counts") if isinstance(data, Mapping) else None
        found += counted(record.get("data_lock_sha256"), counts, str(record.get("id")))
    return found


def from_executions(sagemaker: Any, s3: Any, pipeline: str) -> list[Prepared]:
    """From a pipeline's last executions whose data was prepared, the newest first. Raises ClientError."""
    listed = sagemaker.list_pipeline_executions(
        PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending", MaxResults=RUNS
    )["PipelineExecutionSummaries"]
    found: list[Prepared] = []
    for one in listed:
        job = _job(sagemaker, one["PipelineExecutionArn"])
        by = one.get("PipelineExecutionDisplayName", one["PipelineExecutionArn"].rsplit("/", 1)[-1])
        found += _of_job(sagemaker, s3, job, f"run {by[:12]}") if job else ()
    return found


def _job(sagemaker: Any, arn: str) -> str | None:
    """The processing job that prepared an execution's data."""
    for page in sagemaker.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn):
        for step in page["PipelineExecutionSteps"]:
            if step["StepName"] == STEP and step["StepStatus"] == "Succeeded":
                found = step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn")
                return str(found).rpartition("/")[2] if found else None
    return None


def _of_job(sagemaker: Any, s3: Any, job: str, by: str) -> Iterator[Prepared]:
    described = sagemaker.describe_processing_job(ProcessingJobName=job)
    inputs = {one["InputName"]: one.get("S3Input", {}).get("S3Uri", "") for one in described["ProcessingInputs"]}
    outputs = {one["OutputName"]: one["S3Output"]["S3Uri"] for one in described["ProcessingOutputConfig"]["Outputs"]}
    lock = LOCK.search(inputs.get(INPUT, ""))
    if lock and OUTPUT in outputs:
        manifest = _manifest(s3, f"{outputs[OUTPUT].rstrip('/')}/manifest.json")
        yield from counted(lock[1], manifest.get("counts"), by)


def _manifest(s3: Any, uri: str) -> Mapping[str, Any]:
    """prepare's report; empty where it is gone or is none."""
    bucket, key = aws.split_uri(uri)
    try:
        found = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read(LARGEST))
    except ClientError as error:
        if not aws.missing(error):
            raise
        return {}
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
