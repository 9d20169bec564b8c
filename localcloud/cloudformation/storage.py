"""Resource types that keep things: keys, queues, topics and secrets."""

from collections.abc import Mapping
from typing import Any

from localcloud.service import CloudError

from .kinds import Kind, Order, again, as_string, names, refuse_removal, removing, sync_tags


def create_key(order: Order) -> str:
    """A KMS key with its policy, rotation and tags."""
    tags = [{"TagKey": item["Key"], "TagValue": item["Value"]} for item in order.properties.get("Tags", [])]
    policy = {"Policy": order.properties["KeyPolicy"]} if "KeyPolicy" in order.properties else {}
    values = order.only("Description", "KeySpec", "KeyUsage", "MultiRegion")
    key = str(order.call("kms", "CreateKey", Tags=tags, **policy, **values)["KeyMetadata"]["KeyId"])
    order.claim(key)
    set_rotation(order, key)
    return key


def set_rotation(order: Order, key: str) -> None:
    """Yearly rotation on or off."""
    wanted = as_string(order.properties.get("EnableKeyRotation", False)) == "true"
    order.call("kms", "EnableKeyRotation" if wanted else "DisableKeyRotation", KeyId=key)


def update_key(order: Order) -> None:
    """A key's policy, description, rotation and tags can change; it stays the same key."""
    key = order.physical_id
    order.call("kms", "UpdateKeyDescription", KeyId=key, Description=order.properties.get("Description", ""))
    if "KeyPolicy" in order.properties:
        order.call("kms", "PutKeyPolicy", KeyId=key, PolicyName="default", Policy=order.properties["KeyPolicy"])
    set_rotation(order, key)
    sync_tags(
        order,
        lambda tags: order.call(
            "kms", "TagResource", KeyId=key, Tags=[{"TagKey": item["Key"], "TagValue": item["Value"]} for item in tags]
        ),
        lambda keys: order.call("kms", "UntagResource", KeyId=key, TagKeys=keys),
    )


def delete_key(order: Order) -> None:
    """A key is not deleted at once: it is scheduled for deletion, as on AWS."""
    days = order.properties.get("PendingWindowInDays", 30)
    order.call("kms", "ScheduleKeyDeletion", KeyId=order.physical_id, PendingWindowInDays=days)


def describe_key(order: Order) -> dict[str, Any]:
    """Arn and KeyId."""
    found = order.call("kms", "DescribeKey", KeyId=order.physical_id)["KeyMetadata"]
    return {"Arn": found["Arn"], "KeyId": found["KeyId"]}


def create_alias(order: Order) -> str:
    """A name for a key."""
    order.call("kms", "CreateAlias", **order.properties)
    return str(order.properties["AliasName"])


def update_alias(order: Order) -> None:
    """Point the name at another key."""
    order.call("kms", "UpdateAlias", **order.properties)


def describe_alias(order: Order) -> dict[str, Any]:
    """No attributes; the alias answers as a key."""
    order.call("kms", "DescribeKey", KeyId=order.physical_id)
    return {}


def queue_attributes(order: Order, properties: Mapping[str, Any]) -> dict[str, str]:
    """A queue's settings as SQS wants them: all text."""
    return {key: as_string(value) for key, value in properties.items() if key not in {"QueueName", "Tags"}}


def create_queue(order: Order) -> str:
    """An SQS queue; its physical id is its URL."""
    tags = {"tags": order.properties["Tags"]} if "Tags" in order.properties else {}
    attributes = queue_attributes(order, order.properties)
    return str(
        order.call("sqs", "CreateQueue", QueueName=order.name("QueueName"), Attributes=attributes, **tags)["QueueUrl"]
    )


def update_queue(order: Order) -> None:
    """Settings and tags in place."""
    url = order.physical_id
    refuse_removal(order)
    order.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes=queue_attributes(order, order.properties))
    sync_tags(
        order,
        lambda tags: order.call("sqs", "TagQueue", QueueUrl=url, Tags=tags),
        lambda keys: order.call("sqs", "UntagQueue", QueueUrl=url, TagKeys=keys),
    )


def describe_queue(order: Order) -> dict[str, Any]:
    """Arn, QueueName and QueueUrl."""
    found = order.call("sqs", "GetQueueAttributes", QueueUrl=order.physical_id, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    return {"Arn": arn, "QueueName": arn.rsplit(":", 1)[1], "QueueUrl": order.physical_id}


def put_queue_policy(order: Order) -> str:
    """One policy on each of the queues."""
    for url in order.properties["Queues"]:
        policy = as_string(order.properties["PolicyDocument"])
        order.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": policy})
    return order.physical_id or order.name("")


def delete_queue_policy(order: Order) -> None:
    """Take the policy off each queue."""
    for url in order.properties["Queues"]:
        order.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""})


def describe_queue_policy(order: Order) -> dict[str, Any]:
    """No attributes; every queue has a policy."""
    for url in order.properties["Queues"]:
        found = order.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["Policy"])
        if not found.get("Attributes", {}).get("Policy"):
            raise CloudError("NotFound", f"{url} has no policy")
    return {}


def create_topic(order: Order) -> str:
    """An SNS topic; its physical id is its ARN."""
    attributes = {key: as_string(value) for key, value in order.only("DisplayName", "KmsMasterKeyId").items()}
    values = {"Name": order.name("TopicName"), "Attributes": attributes, "Tags": order.properties.get("Tags", [])}
    arn = str(order.call("sns", "CreateTopic", **values)["TopicArn"])
    order.claim(arn)
    for subscription in order.properties.get("Subscription", []):
        order.call("sns", "Subscribe", TopicArn=arn, **subscription)
    return arn


def update_topic(order: Order) -> None:
    """Display name and key in place; anything else has to be a new topic."""
    refuse_removal(order)
    for key, value in order.only("DisplayName", "KmsMasterKeyId").items():
        arn = order.physical_id
        order.call("sns", "SetTopicAttributes", TopicArn=arn, AttributeName=key, AttributeValue=as_string(value))


def describe_topic(order: Order) -> dict[str, Any]:
    """TopicArn and TopicName."""
    order.call("sns", "GetTopicAttributes", TopicArn=order.physical_id)
    return {"TopicArn": order.physical_id, "TopicName": order.physical_id.rsplit(":", 1)[1]}


def create_secret(order: Order) -> str:
    """A secret; its physical id is its ARN."""
    values = order.only("Description", "SecretString", "KmsKeyId", "Tags")
    return str(order.call("secretsmanager", "CreateSecret", Name=order.name("Name"), **values)["ARN"])


def update_secret(order: Order) -> None:
    """Value, key and description in place."""
    refuse_removal(order)
    values = order.only("Description", "SecretString", "KmsKeyId")
    order.call("secretsmanager", "UpdateSecret", SecretId=order.physical_id, **values)


def describe_secret(order: Order) -> dict[str, Any]:
    """Id, which is the ARN as Ref is."""
    order.call("secretsmanager", "DescribeSecret", SecretId=order.physical_id)
    return {"Id": order.physical_id}


KINDS = {
    "AWS::KMS::Key": Kind(
        create_key,
        update_key,
        delete_key,
        describe_key,
        names("Description KeyPolicy KeySpec KeyUsage MultiRegion EnableKeyRotation PendingWindowInDays Tags"),
        names("KeySpec KeyUsage MultiRegion"),
    ),
    "AWS::KMS::Alias": Kind(
        create_alias,
        update_alias,
        removing("kms", "DeleteAlias", "AliasName"),
        describe_alias,
        names("AliasName TargetKeyId"),
        names("AliasName"),
    ),
    "AWS::SQS::Queue": Kind(
        create_queue,
        update_queue,
        removing("sqs", "DeleteQueue", "QueueUrl"),
        describe_queue,
        names(
            "QueueName DelaySeconds MaximumMessageSize MessageRetentionPeriod ReceiveMessageWaitTimeSeconds Tags "
            "VisibilityTimeout RedrivePolicy RedriveAllowPolicy KmsMasterKeyId KmsDataKeyReusePeriodSeconds "
            "SqsManagedSseEnabled FifoQueue ContentBasedDeduplication"
        ),
        names("QueueName FifoQueue"),
    ),
    "AWS::SQS::QueuePolicy": Kind(
        put_queue_policy,
        again(put_queue_policy),
        delete_queue_policy,
        describe_queue_policy,
        names("Queues PolicyDocument"),
        names("Queues"),
    ),
    "AWS::SNS::Topic": Kind(
        create_topic,
        update_topic,
        removing("sns", "DeleteTopic", "TopicArn"),
        describe_topic,
        names("TopicName DisplayName KmsMasterKeyId Subscription Tags"),
        names("TopicName Subscription Tags"),
    ),
    "AWS::SecretsManager::Secret": Kind(
        create_secret,
        update_secret,
        removing("secretsmanager", "DeleteSecret", "SecretId", ForceDeleteWithoutRecovery=True),
        describe_secret,
        names("Name Description SecretString KmsKeyId Tags"),
        names("Name Tags"),
    ),
}
