"""A bucket, tiny scripts as containers and short requests: what the SageMaker tests share."""

import hashlib
import io
import json
import tarfile
import time
import uuid
from collections.abc import Callable
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1"
COMPUTE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}


def archive(files: dict[str, str]) -> bytes:
    """A tar.gz of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            packed.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def until(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `look` finds, once it finds anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing after {seconds} s")


class Lab:
    """Clients of one localcloud and a bucket of one's own."""

    def __init__(self, cloud: Any) -> None:
        self.client = cloud.client
        self.sagemaker, self.s3 = cloud.client("sagemaker"), cloud.client("s3")
        self.bucket = self.name("lab")
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def name(self, prefix: str) -> str:
        return f"{prefix}-{uuid.uuid4().hex[:8]}"

    def put(self, key: str, content: bytes | str) -> str:
        body = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def read(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def training(self, script: str, **changes: Any) -> dict[str, Any]:
        """The request of a script-mode training job."""
        code = self.put(f"code/{uuid.uuid4().hex}/sourcedir.tar.gz", archive({"train.py": script}))
        hyperparameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": code}
        return {
            "TrainingJobName": self.name("train"),
            "RoleArn": ROLE,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": COMPUTE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **changes,
            "HyperParameters": {**hyperparameters, **changes.get("HyperParameters", {})},
        }

    def processing(self, script: str, arguments: list[str], **changes: Any) -> dict[str, Any]:
        """The request of a processing job that runs a script from its input `code`."""
        self.put(f"{(folder := self.name('code'))}/run.py", script)
        place = {"S3Uri": f"s3://{self.bucket}/{folder}/", "LocalPath": "/opt/ml/processing/input/code"}
        code = {"InputName": "code", "S3Input": {**place, "S3DataType": "S3Prefix", "S3InputMode": "File"}}
        entry = ["python3", "/opt/ml/processing/input/code/run.py"]
        return {
            "ProcessingJobName": self.name("process"),
            "RoleArn": ROLE,
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": entry,
                **({"ContainerArguments": arguments} if arguments else {}),
            },
            "ProcessingResources": {"ClusterConfig": COMPUTE},
            **changes,
            "ProcessingInputs": [code, *changes.get("ProcessingInputs", [])],
        }

    def train(self, script: str, **changes: Any) -> dict[str, Any]:
        """Run a training job to its end; its description."""
        request = self.training(script, **changes)
        self.sagemaker.create_training_job(**request)
        return self.trained(request["TrainingJobName"])

    def trained(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            job = self.sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

        return until(look)

    def processed(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            job = self.sagemaker.describe_processing_job(ProcessingJobName=name)
            return job if job["ProcessingJobStatus"] not in ("InProgress", "Stopping") else None

        return until(look)

    def log(self, group: str, prefix: str) -> list[str]:
        """The lines of the first log stream that starts so; none while there is no such stream."""
        logs = self.client("logs")
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return []
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
        if not streams:
            return []
        found = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)
        return [event["message"] for event in found["events"]]

    def watch(self, detail_types: list[str]) -> Callable[[], list[dict[str, Any]]]:
        """A queue behind a rule on the default bus; what it answers reads all that has arrived."""
        sqs, events, name = self.client("sqs"), self.client("events"), self.name("watch")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["aws.sagemaker"], "detail-type": detail_types}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        arrived: list[dict[str, Any]] = []

        def read() -> list[dict[str, Any]]:
            while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    arrived.append(json.loads(message["Body"]))
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return arrived

        return read

    def serving_image(self, server: str) -> str:
        """The address of a serving image whose `serving_code` is this program."""
        packed = archive({"serving_code/__init__.py": "", "serving_code/__main__.py": server})
        digest = hashlib.sha256(packed).hexdigest()
        if "images-bucket" not in {bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]}:
            where = {"LocationConstraint": "eu-west-1"}
            self.s3.create_bucket(Bucket="images-bucket", CreateBucketConfiguration=where)
        self.s3.put_object(Bucket="images-bucket", Key=f"images/serving/{digest}.tar.gz", Body=packed)
        return f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/p/serving@sha256:{digest}"
