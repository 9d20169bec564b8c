"""EventBridge: buses, rules, the matcher and the delivery are localcloud's own."""

from ..service import Service
from . import buses, put, rules

SERVICE = Service(
    "events",
    {
        "CreateEventBus": buses.create_event_bus,
        "DeleteEventBus": buses.delete_event_bus,
        "DeleteRule": rules.delete_rule,
        "DescribeEventBus": buses.describe_event_bus,
        "DescribeRule": rules.describe_rule,
        "DisableRule": rules.switch("DISABLED"),
        "EnableRule": rules.switch("ENABLED"),
        "ListEventBuses": buses.list_event_buses,
        "ListRuleNamesByTarget": rules.list_rule_names_by_target,
        "ListRules": rules.list_rules,
        "ListTagsForResource": buses.list_tags_for_resource,
        "ListTargetsByRule": rules.list_targets_by_rule,
        "PutEvents": put.put_events,
        "PutPermission": buses.put_permission,
        "PutRule": rules.put_rule,
        "PutTargets": rules.put_targets,
        "RemovePermission": buses.remove_permission,
        "RemoveTargets": rules.remove_targets,
        "TagResource": buses.tag_resource,
        "TestEventPattern": put.evaluate_pattern,
        "UntagResource": buses.untag_resource,
        "UpdateEventBus": buses.update_event_bus,
    },
)
