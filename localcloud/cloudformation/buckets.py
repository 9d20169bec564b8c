"""S3 buckets and their policies as CloudFormation resources."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.service import CloudError

from .kinds import Kind, Order, again, as_string, names, removing

# property -> (operation that sets it, its argument, operation that takes it away)
FACETS = {
    "VersioningConfiguration": ("PutBucketVersioning", "VersioningConfiguration", ""),
    "PublicAccessBlockConfiguration": (
        "PutPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        "DeletePublicAccessBlock",
    ),
    "OwnershipControls": ("PutBucketOwnershipControls", "OwnershipControls", "DeleteBucketOwnershipControls"),
    "BucketEncryption": ("PutBucketEncryption", "ServerSideEncryptionConfiguration", "DeleteBucketEncryption"),
    "LifecycleConfiguration": ("PutBucketLifecycleConfiguration", "LifecycleConfiguration", "DeleteBucketLifecycle"),
    "NotificationConfiguration": ("PutBucketNotificationConfiguration", "NotificationConfiguration", ""),
    "CorsConfiguration": ("PutBucketCors", "CORSConfiguration", "DeleteBucketCors"),
    "LoggingConfiguration": ("PutBucketLogging", "BucketLoggingStatus", ""),
    "Tags": ("PutBucketTagging", "Tagging", "DeleteBucketTagging"),
}
NOTHING: dict[str, Any] = {
    "VersioningConfiguration": {"Status": "Suspended"},
    "NotificationConfiguration": {},
    "LoggingConfiguration": {},
}


def create_bucket(order: Order) -> str:
    """An S3 bucket with all of its settings; a name that is taken is an error, also by this account."""
    name = order.name("BucketName").lower()
    region = order.cloud.region
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(ClientError):
        order.call("s3", "HeadBucket", Bucket=name)
        raise CloudError("BucketAlreadyExists", f"{name} already exists")
    lock = (
        {"ObjectLockEnabledForBucket": order.properties["ObjectLockEnabled"]}
        if "ObjectLockEnabled" in order.properties
        else {}
    )
    order.call("s3", "CreateBucket", Bucket=name, **place, **lock)
    order.claim(name)
    for key in order.only(*FACETS):
        set_facet(order, name, key, order.properties[key])
    return name


def set_facet(order: Order, bucket: str, key: str, value: Any) -> None:
    """One bucket setting, by the API call that belongs to it."""
    operation, argument, _ = FACETS[key]
    order.call("s3", operation, Bucket=bucket, **{argument: CONVERT[key](value) if key in CONVERT else value})


def update_bucket(order: Order) -> None:
    """Set what changed, take away what the template no longer names."""
    for key, (_, _, remove) in FACETS.items():
        value, before = order.properties.get(key), order.previous.get(key)
        if value == before:
            continue
        if value is not None:
            set_facet(order, order.physical_id, key, value)
        elif remove:
            order.call("s3", remove, Bucket=order.physical_id)
        else:
            order.call("s3", FACETS[key][0], Bucket=order.physical_id, **{FACETS[key][1]: NOTHING[key]})


def _encryption(value: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    rules = [
        {renamed.get(key, key): item for key, item in rule.items()}
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"Rules": rules}


def _lifecycle(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    expiration = {"ExpirationInDays": "Days", "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"}
    result = {key: item for key, item in rule.items() if key not in {*expiration, "Prefix", "Transitions"}}
    expire = {short: rule[key] for key, short in expiration.items() if key in rule}
    moves = [
        {("Days" if key == "TransitionInDays" else key): item for key, item in move.items()}
        for move in rule.get("Transitions", [])
    ]
    return (
        result
        | {"Filter": {"Prefix": rule.get("Prefix", "")}}
        | ({"Expiration": expire} if expire else {})
        | ({"Transitions": moves} if moves else {})
    )


def _notification(value: Mapping[str, Any]) -> dict[str, Any]:
    if set(value) - {"EventBridgeConfiguration"}:
        raise CloudError(
            "ValidationError", "localcloud supports EventBridgeConfiguration only in NotificationConfiguration"
        )
    enabled = as_string(value["EventBridgeConfiguration"].get("EventBridgeEnabled", True)) == "true"
    return {"EventBridgeConfiguration": {}} if enabled else {}


def _logging(value: Mapping[str, Any]) -> dict[str, Any]:
    known = {"DestinationBucketName": "TargetBucket", "LogFilePrefix": "TargetPrefix"}
    target = {known.get(key, key): item for key, item in value.items()}
    return {"LoggingEnabled": {"TargetPrefix": "", **target}} if value else {}


CONVERT: dict[str, Callable[[Any], dict[str, Any]]] = {
    "BucketEncryption": _encryption,
    "LifecycleConfiguration": _lifecycle,
    "NotificationConfiguration": _notification,
    "LoggingConfiguration": _logging,
    "Tags": lambda value: {"TagSet": value},
}


def describe_bucket(order: Order) -> dict[str, Any]:
    """The bucket's attributes, if it answers."""
    order.call("s3", "HeadBucket", Bucket=order.physical_id)
    name, region = order.physical_id, order.cloud.region
    return {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
    }


def put_bucket_policy(order: Order) -> str:
    """The bucket's one policy."""
    order.call("s3", "PutBucketPolicy", Bucket=order.properties["Bucket"], Policy=order.properties["PolicyDocument"])
    return str(order.properties["Bucket"])


def describe_bucket_policy(order: Order) -> dict[str, Any]:
    """No attributes; the policy answers."""
    order.call("s3", "GetBucketPolicy", Bucket=order.physical_id)
    return {}


KINDS = {
    "AWS::S3::Bucket": Kind(
        create_bucket,
        update_bucket,
        removing("s3", "DeleteBucket", "Bucket"),
        describe_bucket,
        frozenset(FACETS) | names("BucketName ObjectLockEnabled"),
        names("BucketName ObjectLockEnabled"),
    ),
    "AWS::S3::BucketPolicy": Kind(
        put_bucket_policy,
        again(put_bucket_policy),
        removing("s3", "DeleteBucketPolicy", "Bucket"),
        describe_bucket_policy,
        names("Bucket PolicyDocument"),
        names("Bucket"),
    ),
}
