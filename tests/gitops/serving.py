"""A serving image for the tests: answers the archive's own golden requests, and fails in the ways it is told to.

The archive's `behaviour` member says how: `good`, `wrong` (another answer), `slow`, or `sick` (never healthy).
"""

import hashlib
import io
import json
import tarfile
import uuid
from dataclasses import dataclass, field
from typing import Any

from gitops.deployment import Release

SERVER = """
import hashlib, json, os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

MODEL = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model"
BEHAVIOUR = (MODEL / "behaviour").read_text()
LINES = [json.loads(line) for line in (MODEL / "golden.jsonl").read_text().splitlines()]
NAMES = {"name": os.environ["MODEL_NAME"], "version": os.environ["MODEL_VERSION"], "runId": os.environ["RUN_ID"]}
DIGEST = hashlib.sha256((MODEL / "manifest.json").read_bytes()).hexdigest()
if DIGEST != os.environ["MANIFEST_SHA256"]:
    sys.exit("the manifest is another one")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # header and body in one packet: two would wait 40 ms for each other

    def do_GET(self):
        self.answer(503 if BEHAVIOUR == "sick" else 200, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if BEHAVIOUR == "slow":
            time.sleep(0.2)
        line = next((line for line in LINES if line["request"] == request), LINES[0])
        ids = reversed(line["itemIds"]) if BEHAVIOUR == "wrong" else line["itemIds"]
        items = [{"itemId": item, "score": score} for item, score in zip(ids, line["scores"])]
        self.answer(200, {"itemList": items, "model": NAMES})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if BEHAVIOUR == "sick":
    sys.exit("this image is sick")
HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def packed(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class Registry:
    """Puts archives and packages into a localcloud; each release is a new version."""

    s3: Any
    sagemaker: Any
    image: str = ""
    group: str = field(default_factory=lambda: f"gitops-{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        code = packed({"serving_code/__main__.py": SERVER})
        digest = hashlib.sha256(code).hexdigest()
        location = {"LocationConstraint": self.s3.meta.region_name}
        if "images-bucket" not in {each["Name"] for each in self.s3.list_buckets()["Buckets"]}:
            self.s3.create_bucket(Bucket="images-bucket", CreateBucketConfiguration=location)
        self.s3.put_object(Bucket="images-bucket", Key=f"images/serving/{digest}.tar.gz", Body=code)
        self.image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/p/serving@sha256:{digest}"
        self.sagemaker.create_model_package_group(ModelPackageGroupName=self.group)

    def release(self, behaviour: str = "good", run_id: str = "", **metadata: str) -> Release:
        """A registered archive of its own."""
        run_id = run_id or uuid.uuid4().hex * 2
        line = {"request": {"userId": run_id}, "itemIds": ["a", "b"], "scores": [0.9, 0.1]}
        archive = packed({"golden.jsonl": json.dumps(line) + "\n", "manifest.json": run_id, "behaviour": behaviour})
        sha, key = hashlib.sha256(archive).hexdigest(), f"archives/{run_id}/model.tar.gz"
        self.s3.put_object(Bucket="images-bucket", Key=key, Body=archive)
        uri = f"s3://images-bucket/{key}"
        package = self.sagemaker.create_model_package(
            ModelPackageGroupName=self.group,
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={
                "Containers": [{"Image": self.image, "ModelDataUrl": uri}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={"run_id": run_id, "archive_sha256": sha, **metadata},
        )
        return Release(
            id=f"ncf-{run_id[:12]}",
            package_arn=package["ModelPackageArn"],
            archive_uri=uri,
            archive_sha256=sha,
            image=self.image,
        )
