"""Events out: to every target of every rule that matches, with retries, then the target's dead-letter queue.

AWS retries for up to 24 hours and 185 times; here time is scaled: at most 3 retries within a second. Only a target
that is busy (a limit, such as one build at a time) is asked as often as the rule says, at most every 5 seconds.
What happened is in CloudWatch Logs, group /localcloud/events, one stream per bus.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from ..cloud import Cloud
from ..service import CloudError
from .pattern import matches
from .store import Bus, Rule, buses
from .targets import KINDS, kind_of
from .transform import target_input

LOG_GROUP = "/localcloud/events"
_RETRIES = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


def distribute(cloud: Cloud, name: str, bus: Bus | None, event: dict[str, Any], forwarded: bool = False) -> None:
    """Send the event to the targets of every enabled rule it matches; `bus` is None for one that does not exist."""
    every = list(bus.rules.values()) if bus else []
    rules = [rule for rule in every if rule.state == "ENABLED" and takes(rule, event)]
    outcome = f"matched {', '.join(rule.name for rule in rules)}" if rules else "matched no rule"
    _note(cloud, name, event, outcome if bus else "bus does not exist")
    for rule in rules:
        send(cloud, rule, event, forwarded)


def takes(rule: Rule, event: dict[str, Any]) -> bool:
    """Whether the rule's pattern matches; a rule that only has a schedule matches nothing."""
    return rule.pattern is not None and matches(rule.pattern, event)


def send(cloud: Cloud, rule: Rule, event: dict[str, Any], forwarded: bool = False) -> None:
    """Deliver the event to each of the rule's targets, each in its own time."""
    for target in list(rule.targets.values()):
        cloud.spawn(_delivery(cloud, rule, target, event, forwarded), f"deliver-{rule.name}")


def check(target: Mapping[str, Any]) -> None:
    """CloudError if localcloud cannot deliver to the target, or AWS would ask for its role."""
    kind = kind_of(target["Arn"])
    if kind not in KINDS and kind != "event-bus":
        raise CloudError("UnsupportedOperation", f"localcloud does not deliver events to {target['Arn']}")
    if kind == "codebuild" and "RoleArn" not in target:
        raise CloudError("ValidationException", f"RoleArn is required for target {target['Arn']}.")


def _delivery(
    cloud: Cloud, rule: Rule, target: dict[str, Any], event: dict[str, Any], forwarded: bool
) -> Callable[[], None]:
    def deliver() -> None:
        kind = kind_of(target["Arn"])
        try:
            if kind == "event-bus":
                _forward(cloud, target, event, forwarded)
            else:
                text = target_input(target, event, {"name": rule.name, "arn": rule.arn})
                _with_retries(target, lambda: KINDS[kind](cloud, target, text))
        except (ClientError, ParamValidationError, CloudError, ValueError) as error:
            _note(cloud, rule.bus, event, f"rule {rule.name} failed for {target['Arn']}: {error}")
            _bury(cloud, rule, target, event, error)
        else:
            _note(cloud, rule.bus, event, f"rule {rule.name} delivered to {target['Arn']}")

    return deliver


def _forward(cloud: Cloud, target: dict[str, Any], event: dict[str, Any], forwarded: bool) -> None:
    """To another bus, once: what came from a bus is not sent on to a third."""
    name = target["Arn"].rpartition("event-bus/")[2]
    if forwarded:
        return
    bus = buses(cloud).get(name)
    if bus is None:
        raise CloudError("ResourceNotFoundException", f"Event bus {name} does not exist.")
    distribute(cloud, name, bus, event, forwarded=True)


def _with_retries(target: Mapping[str, Any], send: Callable[[], None]) -> None:
    """Retry what may pass; a missing target or a refused request goes to the dead-letter queue at once, as on AWS."""
    allowed = target.get("RetryPolicy", {}).get("MaximumRetryAttempts", _RETRIES)
    for attempt in range(allowed + 1):
        try:
            return send()
        except ClientError as error:
            if attempt >= min(allowed, _patience(error)):
                raise
            time.sleep(min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE))
    return None


def _patience(error: ClientError) -> int:
    """How often to try again after this error, if the rule allows it."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    code = error.response.get("Error", {}).get("Code", "")
    if "LimitExceeded" in code:
        return 185
    return _RETRIES if status >= 500 or "Throttl" in code or "TooManyRequests" in code else 0


def _bury(cloud: Cloud, rule: Rule, target: Mapping[str, Any], event: dict[str, Any], error: Exception) -> None:
    """The event to the target's dead-letter queue, with the attributes AWS gives it."""
    queue = target.get("DeadLetterConfig", {}).get("Arn")
    if not queue:
        return
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    attributes = {
        "RULE_ARN": rule.arn,
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": error.code if isinstance(error, CloudError) else code,
        "ERROR_MESSAGE": str(error) or code,
    }
    sqs = cloud.client("sqs")
    try:
        sqs.send_message(
            QueueUrl=sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"],
            MessageBody=json.dumps(event),
            MessageAttributes={k: {"DataType": "String", "StringValue": value} for k, value in attributes.items()},
        )
    except ClientError as lost:
        _note(cloud, rule.bus, event, f"dead-letter queue {queue} failed: {lost}")


def _note(cloud: Cloud, bus: str, event: Mapping[str, Any], outcome: str) -> None:
    line = {"id": event["id"], "source": event["source"], "detail-type": event["detail-type"], "outcome": outcome}
    cloud.log(LOG_GROUP, bus.replace(":", "-").replace("*", "-"), [json.dumps(line)])
