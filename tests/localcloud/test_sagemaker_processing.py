"""Processing jobs, driven through boto3."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker_lab import Lab

COPY = """
import json, os, pathlib, sys
source, target = (pathlib.Path(word.partition("=")[2]) for word in sys.argv[1:3])
for path in source.rglob("*"):
    if path.is_file():
        out = target / path.relative_to(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(path.read_text().upper())
config = json.loads((pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "config/processingjobconfig.json").read_text())
print(config["ProcessingJobName"])
"""


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


def given(uri: str, kind: str = "S3Prefix") -> list[dict]:
    path = "/opt/ml/processing/input/data"
    return [
        {"InputName": "data", "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": kind, "S3InputMode": "File"}}
    ]


def results(uri: str) -> dict:
    path = "/opt/ml/processing/output/data"
    place = {"S3Uri": uri, "LocalPath": path, "S3UploadMode": "EndOfJob"}
    return {"Outputs": [{"OutputName": "data", "S3Output": place}]}


def test_inputs_are_brought_and_outputs_uploaded_as_files(lab: Lab):
    lab.put("in/x/a.txt", "one")
    lab.put("in/b.txt", "two")
    request = lab.processing(
        COPY,
        ["--in=/opt/ml/processing/input/data", "--out=/opt/ml/processing/output/data"],
        ProcessingInputs=given(f"s3://{lab.bucket}/in"),
        ProcessingOutputConfig=results(f"s3://{lab.bucket}/out"),
    )
    lab.sagemaker.create_processing_job(**request)
    job = lab.processed(request["ProcessingJobName"])
    assert job["ProcessingJobStatus"] == "Completed"
    assert lab.read(f"s3://{lab.bucket}/out/x/a.txt") == b"ONE"
    assert lab.read(f"s3://{lab.bucket}/out/b.txt") == b"TWO"
    assert lab.log("/aws/sagemaker/ProcessingJobs", job["ProcessingJobName"]) == [job["ProcessingJobName"]]
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]


def test_a_manifest_keeps_the_keys_below_its_prefix(lab: Lab):
    lab.put("raw/week=1/part.txt", "one")
    lab.put("raw/week=2/part.txt", "two")
    listing = lab.put("partitions.manifest", json.dumps([{"prefix": f"s3://{lab.bucket}/"}, "raw/week=2/part.txt"]))
    request = lab.processing(
        COPY,
        ["--in=/opt/ml/processing/input/data", "--out=/opt/ml/processing/output/data"],
        ProcessingInputs=given(listing, "ManifestFile"),
        ProcessingOutputConfig=results(f"s3://{lab.bucket}/listed"),
    )
    lab.sagemaker.create_processing_job(**request)
    assert lab.processed(request["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"
    found = lab.s3.list_objects_v2(Bucket=lab.bucket, Prefix="listed/")["Contents"]
    assert [row["Key"] for row in found] == ["listed/raw/week=2/part.txt"]


def test_f13_a_failing_container_uploads_nothing_and_says_why(lab: Lab):
    script = (
        "import os, sys; open(sys.argv[1] + '/half.txt', 'w').write('half');"
        "open(os.environ['SAGEMAKER_BASE_DIR'] + '/output/message', 'w').write('bad'); exit('no rows')"
    )
    request = lab.processing(
        script, ["/opt/ml/processing/output/data"], ProcessingOutputConfig=results(f"s3://{lab.bucket}/failed")
    )
    lab.sagemaker.create_processing_job(**request)
    job = lab.processed(request["ProcessingJobName"])
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no rows, exit code: 1"
    assert job["ExitMessage"] == "bad"
    assert "Contents" not in lab.s3.list_objects_v2(Bucket=lab.bucket, Prefix="failed/")


def test_a_job_can_be_stopped_and_listed(lab: Lab):
    request = lab.processing("import time; time.sleep(60)", [])
    name = request["ProcessingJobName"]
    lab.sagemaker.create_processing_job(**request)
    lab.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert lab.processed(name)["ProcessingJobStatus"] == "Stopped"
    rows = lab.sagemaker.list_processing_jobs(NameContains=name)["ProcessingJobSummaries"]
    assert [row["ProcessingJobStatus"] for row in rows] == ["Stopped"]


def test_a_path_outside_the_containers_folder_is_refused(lab: Lab):
    place = {"S3Uri": f"s3://{lab.bucket}/o", "LocalPath": "/opt/ml/processing/../../etc", "S3UploadMode": "EndOfJob"}
    outputs = {"Outputs": [{"OutputName": "data", "S3Output": place}]}
    with pytest.raises(ClientError, match="LocalPath must begin with"):
        lab.sagemaker.create_processing_job(**lab.processing("", [], ProcessingOutputConfig=outputs))


def test_an_unknown_job_is_sagemakers_own_error(lab: Lab):
    with pytest.raises(ClientError, match="Could not find requested job with name: nobody"):
        lab.sagemaker.describe_processing_job(ProcessingJobName="nobody")
