"""Rules and targets: the operations that change them."""

from collections.abc import Callable
from typing import Any

from ..cloud import Cloud
from ..service import CloudError
from . import delivery, pattern, schedules, transform
from .store import Rule, bus_of, locked, page, rule_of


def put_rule(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Create or replace a rule; its targets stay."""
    text, expression = given.get("EventPattern"), given.get("ScheduleExpression")
    if not text and not expression:
        raise CloudError("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
    checked = pattern.check(text) if text else None
    with locked(cloud):
        bus = bus_of(cloud, given.get("EventBusName"))
        middle = "" if bus.name == "default" else f"{bus.name}/"
        arn = f"arn:aws:events:{cloud.region}:{cloud.account}:rule/{middle}{given['Name']}"
        schedule = schedules.check(expression, bus.name) if expression else None
        rule = bus.rules.setdefault(given["Name"], Rule(given["Name"], arn, bus.name))
        rule.text, rule.pattern = text, checked
        rule.expression = expression
        rule.schedule = schedule
        rule.state = given.get("State", "ENABLED")
        rule.description, rule.role = given.get("Description"), given.get("RoleArn")
        rule.tags |= {tag["Key"]: tag["Value"] for tag in given.get("Tags", [])}
    if expression:
        schedules.begin(cloud)
    return {"RuleArn": rule.arn}


def describe_rule(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """The rule without its targets."""
    return rule_of(cloud, given["Name"], given.get("EventBusName")).shown()


def delete_rule(cloud: Cloud, given: dict[str, Any]) -> None:
    """A rule that has targets stays; deleting what is not there succeeds."""
    with locked(cloud):
        rules = bus_of(cloud, given.get("EventBusName")).rules
        rule = rules.get(given["Name"])
        if rule and rule.targets:
            raise CloudError("ValidationException", "Rule can't be deleted since it has targets.")
        rules.pop(given["Name"], None)


def list_rules(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """The rules of one bus by name."""
    rules = bus_of(cloud, given.get("EventBusName")).rules
    found = [rule.shown() for name, rule in sorted(rules.items()) if name.startswith(given.get("NamePrefix", ""))]
    return page("Rules", found, given)


def switch(state: str) -> Callable[[Cloud, dict[str, Any]], None]:
    """EnableRule and DisableRule."""

    def operation(cloud: Cloud, given: dict[str, Any]) -> None:
        rule_of(cloud, given["Name"], given.get("EventBusName")).state = state

    return operation


def put_targets(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Add or replace targets by their ids. A target localcloud cannot deliver to is refused, not kept in silence."""
    rule = rule_of(cloud, given["Rule"], given.get("EventBusName"))
    for target in given["Targets"]:
        delivery.check(target)
        transform.check(target)
    with locked(cloud):
        merged = rule.targets | {target["Id"]: target for target in given["Targets"]}
        if len(merged) > 5:
            raise CloudError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        rule.targets = merged
    return {"FailedEntryCount": 0, "FailedEntries": []}


def remove_targets(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Ids that are not there are reported, the others removed."""
    rule = rule_of(cloud, given["Rule"], given.get("EventBusName"))
    with locked(cloud):
        missing = [name for name in given["Ids"] if name not in rule.targets]
        rule.targets = {name: target for name, target in rule.targets.items() if name not in given["Ids"]}
    failed = [
        {"TargetId": name, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": f"No target {name}."}
        for name in missing
    ]
    return {"FailedEntryCount": len(failed), "FailedEntries": failed}


def list_targets_by_rule(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Targets in the order they came."""
    rule = rule_of(cloud, given["Rule"], given.get("EventBusName"))
    return page("Targets", list(rule.targets.values()), given)


def list_rule_names_by_target(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """The rules of one bus that send to an ARN."""
    rules = bus_of(cloud, given.get("EventBusName")).rules
    arns = {name: {target["Arn"] for target in rule.targets.values()} for name, rule in sorted(rules.items())}
    names = [name for name in arns if given["TargetArn"] in arns[name]]
    return page("RuleNames", names, given)
