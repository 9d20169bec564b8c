"""How an event is handed to each kind of target: through the target service's own API. A new kind is one line here."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from ..cloud import Cloud
from ..service import CloudError


def _codebuild(cloud: Cloud, target: dict[str, Any], text: str) -> None:
    """StartBuild. Its parameters come from Input or InputTransformer; an event itself has none."""
    parameters = {}
    if "Input" in target or "InputTransformer" in target:
        parameters = json.loads(text)
        if not isinstance(parameters, dict):
            raise CloudError("ValidationException", "the target's input is not an object of StartBuild parameters")
    project = target["Arn"].rpartition(":project/")[2]
    cloud.client("codebuild").start_build(**{**parameters, "projectName": project})


def _lambda(cloud: Cloud, target: dict[str, Any], text: str) -> None:
    cloud.client("lambda").invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=text.encode())


def _sqs(cloud: Cloud, target: dict[str, Any], text: str) -> None:
    sqs = cloud.client("sqs")
    group = {"MessageGroupId": target["SqsParameters"]["MessageGroupId"]} if "SqsParameters" in target else {}
    url = sqs.get_queue_url(QueueName=target["Arn"].rpartition(":")[2])["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=text, **group)


def _sns(cloud: Cloud, target: dict[str, Any], text: str) -> None:
    cloud.client("sns").publish(TopicArn=target["Arn"], Message=text)


def _logs(cloud: Cloud, target: dict[str, Any], text: str) -> None:
    """One stream per event; the group must be there."""
    group = target["Arn"].rpartition(":log-group:")[2].removesuffix(":*")
    stream, logs = str(uuid.uuid4()), cloud.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": int(time.time() * 1000), "message": text}]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


KINDS: dict[str, Callable[[Cloud, dict[str, Any], str], None]] = {
    "codebuild": _codebuild,
    "lambda": _lambda,
    "sqs": _sqs,
    "sns": _sns,
    "logs": _logs,
}


def kind_of(arn: str) -> str:
    """Which kind of target an ARN is; the empty string for one that is no ARN."""
    service, _, resource = arn.removeprefix("arn:aws:").partition(":")
    return "event-bus" if service == "events" and ":event-bus/" in resource else service
