"""What happens to objects reaches EventBridge, where their bucket asks for it."""

import io
import json
import uuid

import pytest

from tests.localcloud.test_events import names, queue, wait_for


@pytest.fixture
def lab(localcloud):
    """(s3, a bucket that tells EventBridge, a function that gives the next event of it)."""
    s3, events, bucket = localcloud.client("s3"), localcloud.client("events"), f"objects-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    url, arn = queue(localcloud)
    rule = names("objects")
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
    sqs = localcloud.client("sqs")

    def following() -> dict:
        message = wait_for(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))[0]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])

    def waiting() -> int:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    return s3, bucket, following, waiting


def test_an_object_that_is_put_is_told_with_its_size_and_digest(lab):
    s3, bucket, following, _ = lab
    put = s3.put_object(Bucket=bucket, Key="manifests/a b.json", Body=b"[1]")
    event = following()
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert event["resources"] == [f"arn:aws:s3:::{bucket}"]
    found = event["detail"]["object"]
    assert (found["key"], found["size"], found["etag"]) == ("manifests/a b.json", 3, put["ETag"].strip('"'))
    assert event["detail"]["reason"] == "PutObject"


def test_an_upload_in_parts_is_told_once_when_it_is_complete(lab):
    s3, bucket, following, waiting = lab
    from boto3.s3.transfer import TransferConfig

    five = 5 * 1024 * 1024
    s3.upload_fileobj(io.BytesIO(b"x" * (five + 1)), bucket, "big", Config=TransferConfig(five, 1, five))
    assert following()["detail"]["reason"] == "CompleteMultipartUpload"
    assert waiting() == 0


def test_a_deletion_is_told(lab):
    s3, bucket, following, _ = lab
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    following()
    s3.delete_object(Bucket=bucket, Key="a")
    assert following()["detail-type"] == "Object Deleted"


def test_a_refused_write_and_another_bucket_tell_nothing(lab, localcloud):
    s3, bucket, following, waiting = lab
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    following()
    with pytest.raises(s3.exceptions.ClientError):
        s3.put_object(Bucket=bucket, Key="a", Body=b"", IfNoneMatch="*")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    s3.put_object(Bucket=bucket, Key="b", Body=b"")
    assert waiting() == 0
