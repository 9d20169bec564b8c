"""Pipelines of a few steps on localcloud, carried out to their end."""

import json
import uuid

from tests.localcloud.sagemaker_lab import ROLE, Lab, until


def pipeline(lab: Lab, *steps: dict) -> str:
    """A pipeline of these steps; its name."""
    name = lab.name("pipeline")
    definition = json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": steps})
    lab.sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken=uuid.uuid4().hex
    )
    return name


def ended(lab: Lab, name: str) -> str:
    """Start the pipeline and wait for its end; the execution's ARN."""
    started = lab.sagemaker.start_pipeline_execution(PipelineName=name, ClientRequestToken=uuid.uuid4().hex)
    arn = started["PipelineExecutionArn"]
    until(
        lambda: (
            lab.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
            != "Executing"
        )
    )
    return arn
