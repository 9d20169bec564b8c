"""The nightly function: one transform job a day over every user of the model that is served.

`api_code.precompute.handler`; started by the rule of infra/serving.yml. The users are the archive's own (users.json),
read and written as streams. Input and answers lie in s3://<bucket>/precompute/<model>/<day>/.
"""

import codecs
import hashlib
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from .clients import Outside, outside

TOP = 100  # items for each user
INSTANCE = "ml.m5.large"
CHUNK = 1 << 20  # bytes, or characters, held of a list of users
MEMBERS_LIMIT = 1000  # an archive has a few dozen
ITEM = re.compile(r'\s*[\[,]\s*("[^"\\]*(?:\\.[^"\\]*)*")')
ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
END = re.compile(r"\s*\[?\s*\]\s*")


def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """What Lambda calls: at a scheduled time, or by hand with {} or {"time": "2026-11-20T03:00:00Z"}."""
    world = outside()
    found = start(world, os.environ["PROJECT_NAME"], event.get("time") or world.clock().astimezone(UTC).isoformat())
    print(json.dumps(found))
    return found


def start(world: Outside, project: str, moment: str) -> dict[str, Any]:
    """Start the day's job, unless it was started before or nothing is served; says which.

    A day is the event's, so that a retry after midnight is still the same job. Raises what AWS raises, for a retry.
    """
    model = served(world)
    if model is None:
        return {"started": False, "reason": f"{world.endpoint} serves no single model"}
    name, archive = model
    day = moment[:10]
    job = f"{project}-precompute-{hashlib.sha256(name.encode()).hexdigest()[:8]}-{day.replace('-', '')}"
    if known(world, job):
        return {"started": False, "job": job, "reason": "it was started before"}
    folder = f"precompute/{name}/{day}"
    count = write_requests(world, archive, f"{folder}/users.jsonl")
    try:
        world.sagemaker.create_transform_job(**request(job, name, f"s3://{world.bucket}/{folder}"))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUse":
            raise
        return {"started": False, "job": job, "reason": "it was started meanwhile"}
    return {"started": True, "job": job, "users": count}


def served(world: Outside) -> tuple[str, str] | None:
    """(name, archive's URI) of the model of the variant with the most weight; None if there is no such model."""
    try:
        endpoint = world.sagemaker.describe_endpoint(EndpointName=world.endpoint)
    except ClientError as error:
        if "Could not find" in str(error):
            return None  # nothing was deployed yet
        raise
    config = world.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    weights = {each["VariantName"]: each.get("CurrentWeight", 0) for each in endpoint.get("ProductionVariants", [])}
    variants = sorted(config["ProductionVariants"], key=lambda each: each["VariantName"])
    best = max(variants, key=lambda each: weights.get(each["VariantName"], 0))
    container = world.sagemaker.describe_model(ModelName=best["ModelName"])["PrimaryContainer"]
    if container.get("Mode") == "MultiModel":
        return None
    return best["ModelName"], container["ModelDataUrl"]


def known(world: Outside, job: str) -> bool:
    """Whether the job exists, in whatever state: a failed one is somebody's to look at, not to repeat."""
    try:
        world.sagemaker.describe_transform_job(TransformJobName=job)
    except ClientError as error:
        if "Could not find" in str(error):
            return False
        raise
    return True


def request(job: str, model: str, folder: str) -> dict[str, Any]:
    """CreateTransformJob: one user a request, so that no answer is large and the endpoint's quick way is taken."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{folder}/users.jsonl"}}
    return {
        "TransformJobName": job,
        "ModelName": model,
        "BatchStrategy": "SingleRecord",
        "MaxConcurrentTransforms": 8,
        "MaxPayloadInMB": 1,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 2},
        "TransformInput": {"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": folder, "Accept": "application/json", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": INSTANCE, "InstanceCount": 1},
    }


def write_requests(world: Outside, archive: str, key: str) -> int:
    """A getRecommendations request a line for every user of the archive; how many there are."""
    bucket, _, path = archive.removeprefix("s3://").partition("/")
    body, count = world.s3.get_object(Bucket=bucket, Key=path)["Body"], 0
    with tempfile.TemporaryFile() as file:
        for count, user in enumerate(users(body), 1):  # noqa: B007 the last one is the number of users
            line = {"operation": "getRecommendations", "userId": user, "numResults": TOP}
            file.write(ENCODE(line).encode() + b"\n")
        file.seek(0)
        world.s3.upload_fileobj(file, world.bucket, key)
    return count


def users(archive: Any) -> Iterator[str]:
    """The users of a model archive that is read as a stream. ValueError if it has no list of them."""
    with tarfile.open(fileobj=archive, mode="r|gz") as tar:
        for number, member in enumerate(tar):
            if number > MEMBERS_LIMIT:
                break
            if member.name.removeprefix("./") == "users.json" and member.isfile():
                yield from strings(tar.extractfile(member))
                return
    raise ValueError("the archive has no users.json")


def strings(stream: Any) -> Iterator[str]:
    """The strings of a JSON list, read piece by piece. ValueError if it is anything else."""
    decode, text = codecs.getincrementaldecoder("utf-8")().decode, ""
    while chunk := stream.read(CHUNK):
        text += decode(chunk)
        end = 0
        while match := ITEM.match(text, end):
            yield json.loads(match[1])
            end = match.end()
        text = text[end:]
        if len(text) > CHUNK:
            raise ValueError("users.json is no list of strings")
    if not END.fullmatch(text + decode(b"", True)):
        raise ValueError("users.json is no list of strings")
