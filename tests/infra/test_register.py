"""The register function (infra/functions/register.py), deployed and invoked on localcloud."""

import hashlib
import itertools
import json
import uuid
from typing import Any

import pytest

COUNT = itertools.count(1)
DEFINITION = {
    "Version": "2020-12-01",
    "Steps": [{"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "only its display name is wanted"}}],
}


class Registry:
    """What the function works on: a bucket with an archive and its evidence, and a named execution."""

    def __init__(self, localcloud: Any, name: str) -> None:
        self.name, self.client = name, localcloud.client
        self.s3, self.sagemaker = localcloud.client("s3"), localcloud.client("sagemaker")
        self.bucket = f"{name}-123456789012-eu-west-1"
        self.image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}/serving@sha256:" + "0" * 64

    def execution(self) -> tuple[str, str]:
        """ARN and display name of a new execution."""
        pipeline = f"{self.name}-ncf"
        role = f"arn:aws:iam::123456789012:role/{self.name}-execution"
        if not self.sagemaker.list_pipelines(PipelineNamePrefix=pipeline)["PipelineSummaries"]:
            self.sagemaker.create_pipeline(
                PipelineName=pipeline, PipelineDefinition=json.dumps(DEFINITION), RoleArn=role
            )
        run_id = hashlib.sha256(uuid.uuid4().bytes).hexdigest()
        arn = self.sagemaker.start_pipeline_execution(PipelineName=pipeline, PipelineExecutionDisplayName=run_id)
        return arn["PipelineExecutionArn"], run_id

    def event(self, *archives: bytes, proposed: int = 0, **decision: Any) -> dict[str, Any]:
        """What the pipeline's last step passes for models m0, m1, ..., under a key of their own."""
        place = f"steps/{next(COUNT)}"
        models = {
            f"m{number}": {"archive_sha256": hashlib.sha256(each).hexdigest()} for number, each in enumerate(archives)
        }
        said = {"verdict": "pass", "register": True, "model": f"m{proposed}", "models": models} | decision
        for number, each in enumerate(archives):
            self.s3.put_object(Bucket=self.bucket, Key=f"{place}/models/m{number}/model.tar.gz", Body=each)
        self.s3.put_object(Bucket=self.bucket, Key=f"{place}/evaluation/decision.json", Body=json.dumps(said).encode())
        arn, self.run_id = self.execution()
        return {
            "group": f"{self.name}-ncf",
            "image": self.image,
            "models_uri": f"s3://{self.bucket}/{place}/models",
            "evaluation_uri": f"s3://{self.bucket}/{place}/evaluation/",
            "execution_arn": arn,
            "commit": "c" * 40,
            "data_lock_sha256": "d" * 64,
        }

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        answer = self.client("lambda").invoke(FunctionName=f"{self.name}-register", Payload=json.dumps(event).encode())
        return json.load(answer["Payload"]) | ({"failed": True} if "FunctionError" in answer else {})

    def versions(self) -> list[dict[str, str]]:
        """The metadata of every version, oldest first."""
        listed = self.sagemaker.list_model_packages(ModelPackageGroupName=f"{self.name}-ncf", MaxResults=100)
        found = sorted(listed["ModelPackageSummaryList"], key=lambda row: row["ModelPackageVersion"])
        described = [self.sagemaker.describe_model_package(ModelPackageName=row["ModelPackageArn"]) for row in found]
        return [one["CustomerMetadataProperties"] for one in described]


@pytest.fixture(scope="module")
def registry(localcloud, deployed) -> Registry:
    return Registry(localcloud, deployed)


def test_an_archive_becomes_a_version_that_waits_for_approval(registry):
    event = registry.event(b"first archive", verdict="inconclusive")
    made = registry.invoke(event)
    assert made["created"] is True
    found = registry.sagemaker.describe_model_package(ModelPackageName=made["package_arn"])
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    [container] = found["InferenceSpecification"]["Containers"]
    assert (container["Image"], container["ModelDataUrl"]) == (registry.image, event["models_uri"] + "/m0/model.tar.gz")
    statistics = found["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert statistics == {"ContentType": "application/json", "S3Uri": event["evaluation_uri"] + "models/m0.json"}
    assert found["CustomerMetadataProperties"] == {
        "model": "m0",
        "run_id": registry.run_id,
        "commit": "c" * 40,
        "archive_sha256": hashlib.sha256(b"first archive").hexdigest(),
        "verdict": "inconclusive",
        "data_lock_sha256": "d" * 64,
        "execution_arn": event["execution_arn"],
        "evaluation_uri": event["evaluation_uri"],
    }


def test_every_model_of_a_run_is_registered_the_proposed_one_first(registry):
    before = len(registry.versions())
    made = registry.invoke(registry.event(b"one", b"two", b"three", proposed=1))
    new = registry.versions()[before:]
    assert [(version["model"], version["verdict"]) for version in new] == [
        ("m1", "pass"), ("m0", "challenger"), ("m2", "challenger"),
    ]  # fmt: skip
    found = registry.sagemaker.describe_model_package(ModelPackageName=made["package_arn"])
    assert found["CustomerMetadataProperties"] == new[0]


def test_a_challenger_of_one_run_can_be_what_another_proposes(registry):
    registry.invoke(registry.event(b"strong", b"promising"))
    made = registry.invoke(registry.event(b"promising"))
    assert made["created"] is True
    assert registry.versions()[-1]["verdict"] == "pass"


def test_f01_the_same_bytes_are_the_same_version_whoever_registers_them(registry):
    first = registry.invoke(registry.event(b"same archive", b"same challenger"))
    before = len(registry.versions())
    second = registry.invoke(registry.event(b"same archive", b"same challenger"))  # another execution, another place
    assert second == {"package_arn": first["package_arn"], "created": False}
    assert len(registry.versions()) == before


def test_f14_an_archive_that_is_not_the_evaluated_one_is_refused(registry):
    before = len(registry.versions())
    models = {"m0": {"archive_sha256": "e" * 64}}
    answer = registry.invoke(registry.event(b"corrupt archive", models=models))
    assert answer["failed"]
    assert "is not the archive that was evaluated" in answer["errorMessage"]
    assert len(registry.versions()) == before


def test_f52_an_archive_that_was_replaced_before_its_registration_is_refused(registry):
    event, before = registry.event(b"evaluated archive"), len(registry.versions())
    bucket, _, place = event["models_uri"].removeprefix("s3://").partition("/")
    registry.s3.put_object(Bucket=bucket, Key=f"{place}/m0/model.tar.gz", Body=b"tampered archive")
    answer = registry.invoke(event)
    assert answer["failed"]
    assert "is not the archive that was evaluated" in answer["errorMessage"]
    assert len(registry.versions()) == before


@pytest.mark.parametrize("register", [False, "true"])
def test_f30_what_the_gate_did_not_let_pass_is_refused(registry, register):
    answer = registry.invoke(registry.event(b"bad archive", verdict="fail", register=register, reason="ndcg too low"))
    assert answer["failed"]
    assert answer["errorMessage"] == "the gate says fail: ndcg too low"
