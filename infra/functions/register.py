"""Register a run's models, each archive once: the same bytes in the same part are the same version.

The last step of the pipeline calls it. Ships alone to Lambda: the standard library and boto3.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import boto3

s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
JSON = "application/json"


def stored(uri: str) -> Any:
    """The object's body."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"]


def digest(uri: str) -> str:
    """The object's sha256."""
    total = hashlib.sha256()
    for chunk in stored(uri).iter_chunks(1 << 20):
        total.update(chunk)
    return total.hexdigest()


def registered(group: str, archive: str, challenger: bool) -> str | None:
    """The version of the group that has these bytes in this part, the newest first, or None."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            arn: str = summary["ModelPackageArn"]
            known = sagemaker.describe_model_package(ModelPackageName=arn).get("CustomerMetadataProperties", {})
            if known.get("archive_sha256") == archive and (known["verdict"] == "challenger") == challenger:
                return arn
    return None


def register(event: Mapping[str, str], run_id: str, name: str, archive: str, verdict: str) -> tuple[str, bool]:
    """(ARN, whether it is new) of one model's version."""
    uri = f"{event['models_uri'].rstrip('/')}/{name}/model.tar.gz"
    if digest(uri) != archive:
        raise ValueError(f"{uri} is not the archive that was evaluated ({archive})")
    known = registered(event["group"], archive, verdict == "challenger")
    if known:
        return known, False
    quality = f"{event['evaluation_uri'].rstrip('/')}/models/{name}.json"
    made = sagemaker.create_model_package(
        ModelPackageGroupName=event["group"],
        ClientToken=hashlib.sha256(f"{event['group']} {archive} {verdict}".encode()).hexdigest()[:36],
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": event["image"], "ModelDataUrl": uri}],
            "SupportedContentTypes": [JSON],
            "SupportedResponseMIMETypes": [JSON],
        },
        ModelMetrics={"ModelQuality": {"Statistics": {"ContentType": JSON, "S3Uri": quality}}},
        CustomerMetadataProperties={
            "model": name,
            "run_id": run_id,
            "archive_sha256": archive,
            "verdict": verdict,
            **{key: event[key] for key in ("commit", "data_lock_sha256", "execution_arn", "evaluation_uri")},
        },
    )
    return made["ModelPackageArn"], True


def handler(event: Mapping[str, str], _context: Any) -> dict[str, Any]:
    """The proposed model first, then the run's others, which are there to be compared with."""
    decision = json.load(stored(event["evaluation_uri"].rstrip("/") + "/decision.json"))
    if decision["register"] is not True:
        raise ValueError(f"the gate says {decision['verdict']}: {decision.get('reason')}")
    run = sagemaker.describe_pipeline_execution(PipelineExecutionArn=event["execution_arn"])
    proposed, found = decision["model"], {}
    for name in sorted(decision["models"], key=lambda name: (name != proposed, name)):
        verdict = decision["verdict"] if name == proposed else "challenger"
        archive = decision["models"][name]["archive_sha256"]
        found[name] = register(event, run["PipelineExecutionDisplayName"], name, archive, verdict)
    arn, created = found[proposed]
    return {"package_arn": arn, "created": created}
