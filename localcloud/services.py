"""The only place that lists what the local cloud can do: the services it owns and those moto answers."""

from . import api_gateway, autoscaling, cloudformation, codebuild, events, lambda_functions, sagemaker
from .service import Service

SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        api_gateway.SERVICE,  # HTTP APIs that invoke functions
        autoscaling.SERVICE,  # as many instances of a variant as its requests need
        cloudformation.SERVICE,  # stacks from one template, each resource made through its own service
        codebuild.SERVICE,  # runs the phases of a buildspec
        events.SERVICE,  # matches events and delivers them to targets
        lambda_functions.SERVICE,  # runs Python functions as processes
        sagemaker.SERVICE,  # jobs, pipelines, registry, endpoints
        sagemaker.RUNTIME,  # invokes endpoints
    )
}

MOTO_SERVICES = ("cloudwatch", "iam", "kms", "logs", "s3", "secretsmanager", "sns", "sqs", "sts")
