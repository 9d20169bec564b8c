"""Start a build of the newest commit: for what brings no commit of its own, such as new data and the hour.

Ships alone to Lambda: the standard library and boto3.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import boto3

s3, codebuild = boto3.client("s3"), boto3.client("codebuild")


def handler(event: Mapping[str, Any], context: Any) -> dict[str, str]:
    """What an object in S3 brings, or an hour: {project, token}. Equal tokens are one build."""
    if "detail" in event:  # S3's own event, whole: what an object is called is not put together into text on the way
        key = event["detail"]["object"]["key"]
        return start(os.environ["DATA_PROJECT"], event["id"], {"MANIFEST": key})
    return start(event["project"], event["token"], {})


def start(project: str, token: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Start the project's build with the newest source."""
    bucket = os.environ["BUCKET"]
    try:
        head = json.load(s3.get_object(Bucket=bucket, Key="source/head.json")["Body"])
    except s3.exceptions.NoSuchKey:
        return {"skipped": "nothing was ever pushed"}
    given = {**variables, "COMMIT": head["sha"], "SEQUENCE": str(head["sequence"])}
    build = codebuild.start_build(
        projectName=project,
        sourceLocationOverride=f"{bucket}/{head['key']}",
        environmentVariablesOverride=[
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in sorted(given.items())
        ],
        idempotencyToken=hashlib.sha256(f"{project} {token}".encode()).hexdigest(),
    )
    return {"build": build["build"]["id"]}
