"""What the demo sees of the cloud: only boto3 and the git host's API, as anyone could."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
import gitlab

from demo.errors import DemoError

Say = Callable[[str], None]
FINAL = {"SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT", "FAULT"}


@dataclass
class Cloud:
    """Clients for one local cloud, and the waiting the story needs."""

    exports: Mapping[str, str]
    project: str
    git_project: str
    say: Say = field(default=print)

    def client(self, service: str) -> Any:
        """A boto3 client on the local cloud."""
        return boto3.client(
            service,
            endpoint_url=self.exports["AWS_ENDPOINT_URL"],
            region_name=self.exports["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.exports["AWS_SECRET_ACCESS_KEY"],
        )

    @cached_property
    def codebuild(self) -> Any:
        return self.client("codebuild")

    @cached_property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @cached_property
    def runtime(self) -> Any:
        return self.client("sagemaker-runtime")

    @cached_property
    def bucket(self) -> str:
        account = self.client("sts").get_caller_identity()["Account"]
        return f"{self.project}-{account}-{self.exports['AWS_DEFAULT_REGION']}"

    def builds(self, name: str) -> list[str]:
        """Build ids of project `<project>-<name>`, newest first."""
        found: list[str] = self.codebuild.list_builds_for_project(projectName=f"{self.project}-{name}")["ids"]
        return found

    def all_builds(self) -> int:
        """How many builds there have been of any kind."""
        return sum(len(page["ids"]) for page in self.codebuild.get_paginator("list_builds").paginate())

    def wait_for_build(self, name: str, number: int, *, seconds: float = 180) -> dict[str, Any]:
        """Wait until the number-th build (1 is the first) of a project has succeeded; its record.

        Raises DemoError with the end of its log if it fails, or if it does not end in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ids = self.builds(name)
            if len(ids) >= number:
                build: dict[str, Any] = self.codebuild.batch_get_builds(ids=[ids[-number]])["builds"][0]
                if build["buildStatus"] in FINAL:
                    return self._judged(build)
            time.sleep(0.1)
        raise DemoError(f"build {number} of {self.project}-{name} did not end within {seconds:.0f} s")

    def _judged(self, build: dict[str, Any]) -> dict[str, Any]:
        took = (build["endTime"] - build["startTime"]).total_seconds()
        if build["buildStatus"] != "SUCCEEDED":
            raise DemoError(f"build {build['id']}: {build['buildStatus']}\n{self.log_of(build)}")
        self.say(f"CodeBuild {build['id'].split(':')[0]}: SUCCEEDED in {took:.1f} s")
        return build

    def log_of(self, build: dict[str, Any]) -> str:
        """The last lines of a build's log."""
        logs = build["logs"]
        events = self.client("logs").get_log_events(
            logGroupName=logs["groupName"], logStreamName=logs["streamName"], startFromHead=False
        )["events"]
        return "\n".join(event["message"].rstrip() for event in events[-40:])

    def executions(self, model: str) -> list[dict[str, Any]]:
        """Executions of a model's pipeline, newest first; empty if it was never started."""
        names = [row["PipelineName"] for row in self.sagemaker.list_pipelines()["PipelineSummaries"]]
        if f"{self.project}-{model}" not in names:
            return []
        found: list[dict[str, Any]] = self.sagemaker.list_pipeline_executions(
            PipelineName=f"{self.project}-{model}", SortBy="CreationTime", SortOrder="Descending"
        )["PipelineExecutionSummaries"]
        return found

    def steps(self, execution: str) -> list[dict[str, Any]]:
        """Steps of an execution in the order they started."""
        found = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=execution)["PipelineExecutionSteps"]
        return sorted(found, key=lambda step: step["StartTime"])

    def training_jobs(self) -> int:
        """How many training jobs there have been."""
        return len(self.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"])

    def step_seconds(self, model: str) -> float:
        """Seconds all steps of a model's pipeline ran, in all executions; what came from the cache did not run."""
        steps = [step for row in self.executions(model) for step in self.steps(row["PipelineExecutionArn"])]
        ran = [step for step in steps if "CacheHitResult" not in step]
        return float(sum((step["EndTime"] - step["StartTime"]).total_seconds() for step in ran))

    def ask(self, environment: str, model: str, request: dict[str, Any]) -> dict[str, Any]:
        """One answer of an environment's endpoint."""
        answer = self.runtime.invoke_endpoint(
            EndpointName=f"{self.project}-{model}-{environment}",
            ContentType="application/json",
            Body=json.dumps(request),
        )
        parsed: dict[str, Any] = json.loads(answer["Body"].read())
        return parsed

    def reviewer(self) -> Any:
        """The project on the git host, as the reviewer sees it."""
        host = gitlab.Gitlab(self.exports["GIT_URL"], private_token=self.exports["GIT_REVIEWER_TOKEN"])
        return host.projects.get(self.git_project)
