"""Event buses, rules, log groups and alarms as CloudFormation resources."""

import json
from typing import Any

from localcloud.service import CloudError

from .kinds import Kind, Order, again, names, removing, sync_tags

RULE = ("Description", "EventPattern", "ScheduleExpression", "State", "RoleArn", "Tags")


def create_bus(order: Order) -> str:
    """A custom event bus; its physical id is its name."""
    order.call("events", "CreateEventBus", **order.only("Name", "Description", "Tags"))
    return str(order.properties["Name"])


def update_bus(order: Order) -> None:
    """Its description in place."""
    order.call("events", "UpdateEventBus", **order.only("Name", "Description"))


def describe_bus(order: Order) -> dict[str, Any]:
    """Arn and Name."""
    bus = order.call("events", "DescribeEventBus", Name=order.physical_id)
    return {"Arn": bus["Arn"], "Name": bus["Name"]}


def put_statement(order: Order) -> str:
    """One statement of a bus's policy; the others stay."""
    bus, sid = order.properties.get("EventBusName", "default"), order.properties["StatementId"]
    statements = [item for item in bus_statements(order, bus) if item.get("Sid") != sid]
    statements.append(order.properties["Statement"] | {"Sid": sid})
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    order.call("events", "PutPermission", EventBusName=bus, Policy=policy)
    return f"{bus}|{sid}"


def bus_statements(order: Order, bus: str) -> list[dict[str, Any]]:
    """What the bus's policy says now."""
    policy = order.call("events", "DescribeEventBus", Name=bus).get("Policy")
    return list(json.loads(policy)["Statement"]) if policy else []


def describe_statement(order: Order) -> dict[str, Any]:
    """No attributes; the bus's policy has the statement."""
    bus, sid = order.physical_id.split("|")
    if not any(item.get("Sid") == sid for item in bus_statements(order, bus)):
        raise CloudError("ResourceNotFoundException", f"Statement {sid} on event bus {bus} does not exist.")
    return {}


def delete_statement(order: Order) -> None:
    """Take the statement out of the bus's policy."""
    bus, sid = order.physical_id.split("|")
    order.call("events", "RemovePermission", EventBusName=bus, StatementId=sid)


def place(order: Order) -> dict[str, str]:
    """Name and bus of a rule, out of its physical id: `name`, or `bus|name` off the default bus."""
    bus, _, name = order.physical_id.rpartition("|")
    return {"Name": name, "EventBusName": bus or "default"}


def create_rule(order: Order) -> str:
    """A rule with its targets; one that is there already is not taken over."""
    bus = str(order.properties.get("EventBusName", "default")).rsplit("/", 1)[-1]
    name = order.name("Name")
    rules = order.call("events", "ListRules", EventBusName=bus, NamePrefix=name)["Rules"]
    if any(rule["Name"] == name for rule in rules):
        raise CloudError("ResourceAlreadyExistsException", f"Rule {name} already exists on event bus {bus}.")
    order.call("events", "PutRule", Name=name, EventBusName=bus, **order.only(*RULE))
    physical_id = name if bus == "default" else f"{bus}|{name}"
    order.claim(physical_id)
    if order.properties.get("Targets"):
        put_targets(order, name, bus)
    return physical_id


def put_targets(order: Order, rule: str, bus: str) -> None:
    """Write the targets; EventBridge reports a bad one in its answer, not as an error."""
    targets = order.properties["Targets"]
    failed = order.call("events", "PutTargets", Rule=rule, EventBusName=bus, Targets=targets).get("FailedEntries")
    if failed:
        raise CloudError(failed[0]["ErrorCode"], failed[0]["ErrorMessage"])


def update_rule(order: Order) -> None:
    """PutRule replaces the rule; targets that the template no longer has are removed."""
    at = place(order)
    order.call("events", "PutRule", **at, **order.only(*(key for key in RULE if key != "Tags")))
    kept = {target["Id"] for target in order.properties.get("Targets", [])}
    stale = [target["Id"] for target in order.previous.get("Targets", []) if target["Id"] not in kept]
    if stale:
        order.call("events", "RemoveTargets", Rule=at["Name"], EventBusName=at["EventBusName"], Ids=stale)
    if kept:
        put_targets(order, at["Name"], at["EventBusName"])


def delete_rule(order: Order) -> None:
    """EventBridge deletes only a rule without targets."""
    at = place(order)
    ids = [target["Id"] for target in order.properties.get("Targets", [])]
    if ids:
        order.drop("events", "RemoveTargets", Rule=at["Name"], EventBusName=at["EventBusName"], Ids=ids)
    order.call("events", "DeleteRule", **at)


def describe_rule(order: Order) -> dict[str, Any]:
    """Arn."""
    return {"Arn": order.call("events", "DescribeRule", **place(order))["Arn"]}


def create_log_group(order: Order) -> str:
    """A log group with its retention; one that is there already is an error, as on AWS."""
    name = order.name("LogGroupName")
    tags = {"tags": order.properties["Tags"]} if "Tags" in order.properties else {}
    order.call("logs", "CreateLogGroup", LogGroupName=name, **order.only("KmsKeyId"), **tags)
    order.claim(name)
    set_retention(order, name)
    return name


def set_retention(order: Order, name: str) -> None:
    """Days that logs are kept; for ever if the template does not say."""
    days = order.properties.get("RetentionInDays")
    if days is not None:
        order.call("logs", "PutRetentionPolicy", LogGroupName=name, RetentionInDays=days)
    elif "RetentionInDays" in order.previous:
        order.call("logs", "DeleteRetentionPolicy", LogGroupName=name)


def update_log_group(order: Order) -> None:
    """Retention, key and tags in place."""
    name, key = order.physical_id, order.properties.get("KmsKeyId")
    set_retention(order, name)
    if key != order.previous.get("KmsKeyId"):
        operation, values = ("AssociateKmsKey", {"KmsKeyId": key}) if key else ("DisassociateKmsKey", {})
        order.call("logs", operation, LogGroupName=name, **values)
    sync_tags(
        order,
        lambda tags: order.call("logs", "TagLogGroup", LogGroupName=name, Tags=tags),
        lambda keys: order.call("logs", "UntagLogGroup", LogGroupName=name, Tags=keys),
    )


def describe_log_group(order: Order) -> dict[str, Any]:
    """Arn, which ends in `:*` as CloudFormation gives it."""
    found = order.call("logs", "DescribeLogGroups", LogGroupNamePrefix=order.physical_id)["logGroups"]
    for group in found:
        if group["logGroupName"] == order.physical_id:
            return {"Arn": group["arn"] if group["arn"].endswith(":*") else group["arn"] + ":*"}
    raise CloudError("ResourceNotFoundException", f"The specified log group does not exist: {order.physical_id}")


def put_alarm(order: Order) -> str:
    """An alarm; PutMetricAlarm replaces all of it."""
    name = order.physical_id or order.name("AlarmName")
    order.call("cloudwatch", "PutMetricAlarm", **{**order.properties, "AlarmName": name})
    return name


def describe_alarm(order: Order) -> dict[str, Any]:
    """Arn."""
    found = order.call("cloudwatch", "DescribeAlarms", AlarmNames=[order.physical_id])["MetricAlarms"]
    if not found:
        raise CloudError("ResourceNotFound", f"Alarm {order.physical_id} does not exist")
    return {"Arn": found[0]["AlarmArn"]}


def delete_alarm(order: Order) -> None:
    """DeleteAlarms takes a list."""
    order.call("cloudwatch", "DeleteAlarms", AlarmNames=[order.physical_id])


KINDS = {
    "AWS::Events::EventBus": Kind(
        create_bus,
        update_bus,
        removing("events", "DeleteEventBus", "Name"),
        describe_bus,
        names("Name Description Tags"),
        names("Name Tags"),
    ),
    "AWS::Events::EventBusPolicy": Kind(
        put_statement,
        again(put_statement),
        delete_statement,
        describe_statement,
        names("EventBusName StatementId Statement"),
        names("EventBusName StatementId"),
    ),
    "AWS::Events::Rule": Kind(
        create_rule,
        update_rule,
        delete_rule,
        describe_rule,
        frozenset(RULE) | names("Name EventBusName Targets"),
        names("Name EventBusName Tags"),
    ),
    "AWS::Logs::LogGroup": Kind(
        create_log_group,
        update_log_group,
        removing("logs", "DeleteLogGroup", "logGroupName"),
        describe_log_group,
        names("LogGroupName RetentionInDays KmsKeyId Tags"),
        names("LogGroupName"),
    ),
    "AWS::CloudWatch::Alarm": Kind(
        put_alarm,
        again(put_alarm),
        delete_alarm,
        describe_alarm,
        names(
            "AlarmName AlarmDescription ActionsEnabled AlarmActions OKActions InsufficientDataActions Namespace "
            "MetricName Dimensions Statistic ExtendedStatistic Period EvaluationPeriods DatapointsToAlarm Threshold "
            "ComparisonOperator TreatMissingData Unit Metrics"
        ),
        names("AlarmName"),
    ),
}
