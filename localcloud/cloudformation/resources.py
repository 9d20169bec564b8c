"""The only place that lists which resource types a stack may have."""

from . import api_gateway, buckets, compute, identity, messaging, storage
from .kinds import Kind

RESOURCES: dict[str, Kind] = {
    **buckets.KINDS,  # S3
    **storage.KINDS,  # KMS, SQS, SNS, Secrets Manager
    **identity.KINDS,  # IAM
    **messaging.KINDS,  # EventBridge, CloudWatch logs and alarms
    **compute.KINDS,  # CodeBuild, Lambda, SageMaker
    **api_gateway.KINDS,  # HTTP APIs
}
