"""What a finished run has to offer: its package, its evidence, its release block. Read from AWS, decided nowhere."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, ledger
from gitops.deployment import Release
from gitops.errors import GitopsError
from pipelines import models

REPORT = "report.html"  # beside decision.json
CHALLENGER = "challenger"  # the verdict of a run's models that were not proposed


@dataclass(frozen=True)
class Execution:
    """A finished pipeline execution."""

    arn: str
    run_id: str  # its display name
    pipeline: str
    status: str
    version: int | None  # of the pipeline
    started: Any  # datetime
    step_seconds: dict[str, float]


@dataclass(frozen=True)
class Candidate:
    """One registered model version and what is known about it."""

    model: str
    execution: Execution
    package: dict[str, Any]  # DescribeModelPackage
    decision: dict[str, Any]  # decision.json
    whole_report: str = ""  # where the report with its run lies, once it does

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.package.get("CustomerMetadataProperties", {}))

    @property
    def version(self) -> int:
        return int(self.package["ModelPackageVersion"])

    @property
    def verdict(self) -> str:
        """pass | inconclusive (a failed gate registers nothing)."""
        return str(self.decision["verdict"])

    @property
    def release(self) -> Release:
        """The deploy file's release block for this candidate."""
        container = self.package["InferenceSpecification"]["Containers"][0]
        document = {
            "id": ledger.release_id(self.model, self.execution.run_id),
            "package_arn": self.package["ModelPackageArn"],
            "archive_uri": container["ModelDataUrl"],
            "archive_sha256": self.metadata["archive_sha256"],
            "image": container["Image"],
        }
        return models.parse(Release, Path(document["package_arn"]), document)

    @property
    def report(self) -> str:
        """Where its report lies, with the run or as evaluation left it; `unknown` for what was registered otherwise."""
        folder = self.metadata.get("evaluation_uri", "").rstrip("/")
        return self.whole_report or (f"{folder}/{REPORT}" if folder else "unknown")

    def record(self) -> dict[str, Any]:
        """The evidence for releases/<model>/<id>.json: the same for the same candidate, whenever it is made."""
        release, decision = self.release, self.decision
        return {
            "id": release.id,
            "model": self.model,
            "commit": self.metadata.get("commit", "unknown"),
            "run_id": self.execution.run_id,
            "execution_arn": self.execution.arn,
            "pipeline_version": self.execution.version,
            "package_arn": release.package_arn,
            "version": self.version,
            "archive": {"uri": release.archive_uri, "sha256": release.archive_sha256},
            "image": release.image,
            "report": self.report,
            "data_lock_sha256": self.metadata.get("data_lock_sha256", "unknown"),
            "data": decision.get("data"),
            "metrics": decision.get("metrics", {}),
            "baselines": decision.get("baselines", {}),
            "champion": decision.get("champion"),
            "gate": {
                "verdict": self.verdict,
                "reasons": decision.get("reasons", []),
                "users": decision.get("users"),
                "rules": decision.get("gate", {}),
            },
            "cost": {"step_seconds": self.execution.step_seconds},  # what was used; prices change, seconds do not
            "created": self.package["CreationTime"].isoformat(),
        }


def execution(sagemaker: Any, arn: str) -> Execution:
    """The execution behind an event; GitopsError if there is none."""
    try:
        found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    except ClientError as error:
        if not aws.missing(error):
            raise
        raise GitopsError(f"{arn}: there is no such pipeline execution; give the event's execution ARN") from error
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn)
    steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
    return Execution(
        arn=arn,
        run_id=found.get("PipelineExecutionDisplayName", ""),
        pipeline=found["PipelineArn"].rsplit("/", 1)[1],
        status=found["PipelineExecutionStatus"],
        version=found.get("PipelineVersionId"),
        started=found["CreationTime"],
        step_seconds={step["StepName"]: _seconds(step) for step in steps if "EndTime" in step and "StartTime" in step},
    )


def _seconds(step: dict[str, Any]) -> float:
    if "CacheHitResult" in step:
        return 0.0  # nothing ran
    return round(float((step["EndTime"] - step["StartTime"]).total_seconds()), 1)


def package(sagemaker: Any, group: str, run: Execution) -> dict[str, Any] | None:
    """The package this run proposes, or None: its archive was registered before. The run's others only challenge it."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            if summary["CreationTime"] < run.started:
                return None  # older than the run, and so are all that follow
            found = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
            metadata = found.get("CustomerMetadataProperties", {})
            if metadata.get("run_id") == run.run_id and metadata.get("verdict") != CHALLENGER:
                return dict(found)
    return None


def evidence(s3: Any, found: dict[str, Any], name: str) -> dict[str, Any]:
    """A JSON document of the package's evaluation, for example decision.json."""
    arn, metadata = found["ModelPackageArn"], found.get("CustomerMetadataProperties", {})
    uri = f"{metadata.get('evaluation_uri', '').rstrip('/')}/{name}"
    try:
        body = s3.get_object(**dict(zip(("Bucket", "Key"), aws.split_uri(uri), strict=True)))["Body"].read()
        document = json.loads(body)
    except ClientError as error:
        raise GitopsError(
            f"{uri}: cannot be read ({aws.sentence(error)}); without evidence {arn} stays undeployed"
        ) from error
    except ValueError as error:
        raise GitopsError(f"{uri}: is not JSON ({error}); without evidence {arn} stays undeployed") from error
    if not isinstance(document, dict):
        raise GitopsError(f"{uri}: is not a JSON object; without evidence {arn} stays undeployed")
    return document


def candidate(s3: Any, model: str, run: Execution, found: dict[str, Any]) -> Candidate:
    """Package and evidence together; GitopsError unless they are about the same archive."""
    decision = evidence(s3, found, "decision.json")
    result = Candidate(model, run, found, decision)
    registered = result.metadata.get("archive_sha256")
    if not registered or decision.get("archive_sha256") != registered:
        raise GitopsError(
            f"{found['ModelPackageArn']}: was registered for archive {registered}, its decision is about "
            f"{decision.get('archive_sha256')}; train again"
        )
    if decision.get("verdict") not in {"pass", "inconclusive"}:
        raise GitopsError(
            f"{found['ModelPackageArn']}: its verdict is {decision.get('verdict')!r}; "
            "only pass and inconclusive are proposed"
        )
    return result
