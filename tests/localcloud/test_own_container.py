"""The project's own container behind a multi-model endpoint of localcloud: both sides of SageMaker's contract."""

import concurrent.futures
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.endpoint_lab import Host
from tests.localcloud.sagemaker_lab import ROLE

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "tests" / "serving_code" / "older_archive"
QUESTION = json.dumps({"operation": "getRecommendations", "userId": "nobody", "numResults": 3})
CUSTOMERS = [f"c{number}" for number in range(10)]


def image(host: Host) -> str:
    """The address of an image of serving_code as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for path in sorted((ROOT / "serving_code").glob("*.py")):
            packed.add(path, f"serving_code/{path.name}")
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    host.s3.put_object(Bucket="images-bucket", Key=f"images/serving/{digest}.tar.gz", Body=buffer.getvalue())
    return f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/p/serving@sha256:{digest}"


def packed_for(customer: str, spoilt: str = "") -> bytes:
    """An archive whose items all bear the customer's mark; the file `spoilt` is not what the manifest says."""
    files = {path.name: path.read_bytes() for path in sorted(ARCHIVE.iterdir())}
    for name in ("items.json", "golden.jsonl"):
        files[name] = files[name].replace(b'"i', f'"{customer}:i'.encode())
        files[name] = files[name].replace(f'"{customer}:itemIds"'.encode(), b'"itemIds"')
    manifest = json.loads(files["manifest.json"])
    for name in manifest["files"]:
        manifest["files"][name] = {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
    files["manifest.json"] = json.dumps(manifest).encode()
    if spoilt:
        files[spoilt] = files[spoilt][:-1] + b"x"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def host(localcloud) -> Host:
    host = Host(localcloud)
    yield host
    host.close()


@pytest.fixture(scope="module")
def endpoint(host: Host) -> str:
    """Ten customers behind a container that has room for three of them."""
    name = host.name("customers")
    for customer in CUSTOMERS:
        host.put(f"{name}/releases/r1/{customer}.tar.gz", packed_for(customer))
    container = {
        "Image": image(host),
        "Mode": "MultiModel",
        "ModelDataUrl": f"s3://{host.bucket}/{name}/",
        "Environment": {"MODEL_CACHE_BYTES": "900000"},
    }
    host.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    return host.serve([host.variant(name)])


def items(host: Host, endpoint: str, customer: str) -> set[str]:
    """The marks of the items that a customer's model recommends."""
    target = {"TargetModel": f"releases/r1/{customer}.tar.gz", "ContentType": "application/json"}
    answer: dict[str, Any] = host.ask(endpoint, QUESTION, **target)
    assert len(answer["itemList"]) == 3
    return {row["itemId"].partition(":")[0] for row in answer["itemList"]}


def test_f47_every_customer_is_answered_by_the_own_model(host: Host, endpoint: str):
    asked = [CUSTOMERS[number * 7 % 10] for number in range(60)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        marks = list(pool.map(lambda customer: items(host, endpoint, customer), asked))
    assert marks == [{customer} for customer in asked]


def test_f52_a_tampered_archive_is_refused_by_the_container_itself(host: Host, endpoint: str):
    config = host.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    model = host.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["ModelName"]
    host.put(f"{model}/releases/r1/bad.tar.gz", packed_for("bad", spoilt="score.onnx"))
    with pytest.raises(host.runtime.exceptions.ModelError) as refusal:
        items(host, endpoint, "bad")
    assert refusal.value.response["OriginalStatusCode"] == 400
    assert "score.onnx" in refusal.value.response["OriginalMessage"]
