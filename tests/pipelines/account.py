"""A SageMaker that holds state: pipelines with versions, executions with tokens. Nothing runs until a test says so."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Barrier, Lock
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class Execution:
    """One execution, in the state a test put it in."""

    name: str
    definition: str
    parameters: dict[str, str]
    status: str = "Executing"
    steps: list[dict[str, Any]] = field(default_factory=list)
    modified: datetime = datetime(2026, 1, 1, tzinfo=UTC)


class FakeSageMaker:
    """The operations that start.py and watch.py use, with SageMaker's own rules for tokens and versions."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.role = ""
        self.executions: dict[str, Execution] = {}
        self.tokens: dict[str, str] = {}
        self.calls: list[str] = []
        self.looking: Barrier | None = None  # who lists executions waits here for the others
        self.atomic = Lock()
        self.other_writer: str | None = None  # a definition that sneaks in between update and start

    def describe_pipeline(self, **_: Any) -> dict[str, Any]:
        if not self.versions:
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "no pipeline"}}, "DescribePipeline")
        return {"PipelineDefinition": self.versions[-1], "RoleArn": self.role}

    def create_pipeline(self, **given: Any) -> dict[str, Any]:
        return self._write("create", given)

    def update_pipeline(self, **given: Any) -> dict[str, Any]:
        return self._write("update", given)

    def _write(self, call: str, given: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(call)
        self.versions.append(given["PipelineDefinition"])
        self.role = given["RoleArn"]
        return {"PipelineVersionId": len(self.versions)}

    def list_pipeline_versions(self, **_: Any) -> dict[str, Any]:
        return {"PipelineVersionSummaries": [{"PipelineVersionId": len(self.versions)}]}

    def start_pipeline_execution(self, **given: Any) -> dict[str, Any]:
        with self.atomic:
            return self._start(given)

    def _start(self, given: dict[str, Any]) -> dict[str, Any]:
        token = given["ClientRequestToken"]
        if token not in self.tokens:
            self.calls.append("start")
            arn = f"arn:aws:sagemaker:eu-west-1:111122223333:pipeline/x/execution/{len(self.executions)}"
            definition = self.other_writer or self.versions[given["PipelineVersionId"] - 1]
            parameters = {one["Name"]: one["Value"] for one in given["PipelineParameters"]}
            self.executions[arn] = Execution(given["PipelineExecutionDisplayName"], definition, parameters)
            self.tokens[token] = arn
        return {"PipelineExecutionArn": self.tokens[token]}

    def retry_pipeline_execution(self, **given: Any) -> dict[str, Any]:
        if given["ClientRequestToken"] not in self.tokens:
            self.calls.append("retry")
            self.tokens[given["ClientRequestToken"]] = given["PipelineExecutionArn"]
            self.executions[given["PipelineExecutionArn"]].status = "Executing"
        return {"PipelineExecutionArn": given["PipelineExecutionArn"]}

    def stop_pipeline_execution(self, **given: Any) -> dict[str, Any]:
        self.calls.append("stop")
        self.executions[given["PipelineExecutionArn"]].status = "Stopped"
        return {}

    def describe_pipeline_definition_for_execution(self, **given: Any) -> dict[str, Any]:
        return {"PipelineDefinition": self.executions[given["PipelineExecutionArn"]].definition}

    def describe_pipeline_execution(self, **given: Any) -> dict[str, Any]:
        arn = given["PipelineExecutionArn"]
        found = self.executions[arn]
        return {
            "PipelineExecutionArn": arn,
            "PipelineExecutionStatus": found.status,
            "LastModifiedTime": found.modified,
        }

    def get_paginator(self, operation: str) -> "Pages":
        return Pages(self, operation)


@dataclass
class Pages:
    """Two entries a page, so that reading only the first page is noticed."""

    sagemaker: FakeSageMaker
    operation: str

    def paginate(self, **given: Any) -> list[dict[str, Any]]:
        if self.operation == "list_pipeline_execution_steps":
            key, entries = "PipelineExecutionSteps", self.sagemaker.executions[given["PipelineExecutionArn"]].steps
        else:
            key = "PipelineExecutionSummaries"
            if self.sagemaker.looking:
                self.sagemaker.looking.wait(10)
            entries = [
                {
                    "PipelineExecutionArn": arn,
                    "PipelineExecutionStatus": one.status,
                    "PipelineExecutionDisplayName": one.name,
                }
                for arn, one in reversed(self.sagemaker.executions.items())
            ]
        return [{key: entries[start : start + 2]} for start in range(0, max(len(entries), 1), 2)]
