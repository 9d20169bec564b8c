"""Batch transform jobs and Transform steps of pipelines, driven through boto3."""

import gzip
import json
from concurrent.futures import Future
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker.transform_records import PayloadError, assembled, in_order, payloads
from tests.localcloud.endpoint_lab import Host
from tests.localcloud.sagemaker_lab import ROLE, archive, until

SERVER = """
import http.server, json, os, sys, threading, time
model = open(os.environ["SAGEMAKER_BASE_DIR"] + "/model/name").read()
busy, most, flaky = 0, 0, set()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        self.answer(200, b"{}")

    def do_POST(self):
        global busy, most
        body = self.rfile.read(int(self.headers["Content-Length"]))
        busy += 1
        most = max(most, busy)
        try:
            self.reply(body)
        finally:
            busy -= 1

    def reply(self, body):
        if b"refused" in body:
            return self.answer(400, b"no such user")
        if b"broken" in body or (b"flaky" in body and body not in flaky and not flaky.add(body)):
            return self.answer(500, b"traceback")
        if b"hang" in body:
            time.sleep(600)
        if b"late" in body:  # answers come in another order than the requests
            time.sleep(0.2)
        if b"environment" in body:
            batch = {k: v for k, v in os.environ.items() if k.startswith("SAGEMAKER_B") or k in ("RUN_ID", "EXTRA")}
            return self.answer(200, json.dumps({**batch, **dict(self.headers)}).encode())
        if b"most" in body:
            return self.answer(200, str(most).encode())
        self.answer(200, b"<" + body + b">")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

print("serving", model)
http.server.ThreadingHTTPServer.request_queue_size = 128  # five wait by default, and the sixth is turned away
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


class BatchHost(Host):
    """Transform jobs of one model."""

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud)
        self.image = self.serving_image(SERVER)
        self.served = self.model("batch")

    def request(self, files: dict[str, bytes], **changes: Any) -> dict[str, Any]:
        """A job over these files, below a prefix of its own."""
        name = self.name("transform")
        for key, content in files.items():
            self.put(f"{name}/in/{key}", content)
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{name}/in/"}
        return {
            "TransformJobName": name,
            "ModelName": self.served,
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **changes,
            "TransformInput": {"DataSource": {"S3DataSource": source}, **changes.get("TransformInput", {})},
            "TransformOutput": {
                "S3OutputPath": f"s3://{self.bucket}/{name}/out",
                **changes.get("TransformOutput", {}),
            },
        }

    def ended(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            job = self.sagemaker.describe_transform_job(TransformJobName=name)
            return job if job["TransformJobStatus"] not in ("InProgress", "Stopping") else None

        return until(look)

    def transform(self, files: dict[str, bytes], **changes: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Run a job to its end; its description, and its outputs by name."""
        request = self.request(files, **changes)
        self.sagemaker.create_transform_job(**request)
        job = self.ended(request["TransformJobName"])
        return job, self.outputs(request["TransformJobName"])

    def outputs(self, name: str) -> dict[str, bytes]:
        prefix = f"{name}/out/"
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {row["Key"].removeprefix(prefix): self.read(f"s3://{self.bucket}/{row['Key']}") for row in found}


LINES = {"SplitType": "Line"}
BY_LINE = {"AssembleWith": "Line"}


@pytest.fixture(scope="module")
def host(localcloud) -> BatchHost:
    host = BatchHost(localcloud)
    yield host
    host.close()


def test_each_file_has_an_output_with_its_lines_in_order(host: BatchHost):
    read = host.watch(["SageMaker Transform Job State Change"])
    job, outputs = host.transform(
        {"a.txt": b"late 1\n2\n3\n", "deeper/b.txt": b"4\nlate 5"},
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=3,
        TransformInput=LINES,
        TransformOutput=BY_LINE,
    )
    assert job["TransformJobStatus"] == "Completed"
    assert outputs == {"a.txt.out": b"<late 1>\n<2>\n<3>\n", "deeper/b.txt.out": b"<4>\n<late 5>\n"}
    assert job["TransformStartTime"] <= job["TransformEndTime"]
    name = job["TransformJobName"]

    def statuses() -> set[str]:
        details = [e["detail"] for e in read() if e["detail"]["TransformJobName"] == name]
        return {detail["TransformJobStatus"] for detail in details}

    until(lambda: statuses() == {"InProgress", "Completed"})
    assert "serving batch" in until(lambda: host.log("/aws/sagemaker/TransformJobs", f"{name}/"))
    listed = host.sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    assert [(row["TransformJobName"], row["TransformJobStatus"]) for row in listed] == [(name, "Completed")]


def test_a_file_is_one_request_unless_it_is_split_and_many_lines_are_one_payload(host: BatchHost):
    whole, outputs = host.transform({"a": b"1\n2\n"})
    assert (whole["TransformJobStatus"], outputs) == ("Completed", {"a.out": b"<1\n2\n>"})
    _, outputs = host.transform({"a": b"1\n2\n3\n"}, TransformInput=LINES)
    assert outputs == {"a.out": b"<1\n2\n3>"}


def test_packed_files_are_unpacked_and_the_container_is_told_of_the_batch(host: BatchHost):
    job, outputs = host.transform(
        {"a.gz": gzip.compress(b"environment")},
        Environment={"EXTRA": "1"},
        TransformInput={"CompressionType": "Gzip", "ContentType": "text/csv"},
        TransformOutput={"Accept": "application/json"},
    )
    assert job["TransformJobStatus"] == "Completed"
    said = json.loads(outputs["a.gz.out"])
    assert (said["Content-Type"], said["Accept"]) == ("text/csv", "application/json")
    assert (said["EXTRA"], said["RUN_ID"]) == ("1", host.served)
    assert (said["SAGEMAKER_BATCH"], said["SAGEMAKER_BATCH_STRATEGY"]) == ("true", "MultiRecord")


def test_no_more_requests_are_under_way_than_the_job_allows(host: BatchHost):
    lines = b"\n".join(b"late %d" % number for number in range(8)) + b"\nmost"
    changes = {"BatchStrategy": "SingleRecord", "TransformInput": LINES, "TransformOutput": BY_LINE}
    for allowed in (1, 4):
        _, outputs = host.transform({"a": lines}, MaxConcurrentTransforms=allowed, **changes)
        assert 1 <= int(outputs["a.out"].split()[-1]) <= allowed
    assert int(outputs["a.out"].split()[-1]) > 1


@pytest.mark.parametrize(
    ("line", "reason", "log"),
    [
        (b"refused", "ClientError: See job logs for more information", "algorithm: 400, no such user"),
        (b"broken", "AlgorithmError: See job logs for more information", "algorithm: 500, traceback"),
        (b"x" * 1024 * 1024 + b"y", "ClientError: See job logs for more information", "Too much data"),
    ],
    ids=["refused", "broken", "too large"],
)
def test_a_file_that_fails_has_no_output_and_the_others_have_theirs(
    host: BatchHost, line: bytes, reason: str, log: str
):
    job, outputs = host.transform(
        {"a": b"1\n" + line + b"\n3\n", "b": b"4\n"},
        BatchStrategy="SingleRecord",
        MaxPayloadInMB=1,
        ModelClientConfig={"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 60},
        TransformInput=LINES,
    )
    assert (job["TransformJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert outputs == {"b.out": b"<4>"}
    (said,) = until(lambda: host.log("/aws/sagemaker/TransformJobs", f"{job['TransformJobName']}/data-log"))
    assert said.startswith("a: ")
    assert log in said
    summary = host.sagemaker.list_transform_jobs(NameContains=job["TransformJobName"])["TransformJobSummaries"][0]
    assert summary["FailureReason"] == reason


def test_a_request_that_fails_once_is_made_again(host: BatchHost):
    job, outputs = host.transform({"a": b"flaky"})
    assert (job["TransformJobStatus"], outputs) == ("Completed", {"a.out": b"<flaky>"})


def test_an_input_that_is_not_there_and_a_container_that_never_serves_fail_the_job(host: BatchHost):
    job, _ = host.transform({})
    assert "No S3 objects found" in job["FailureReason"]
    image, data = host.serving_image("raise SystemExit('cannot')"), host.put("any.tar.gz", archive({"name": "x"}))
    model = host.name("never")
    container = {"Image": image, "ModelDataUrl": data}
    host.sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    job, outputs = host.transform({"a": b"1"}, ModelName=model)
    assert (job["TransformJobStatus"], outputs) == ("Failed", {})
    assert "did not pass the ping health check" in job["FailureReason"]


def test_a_job_that_is_stopped_ends_at_once_with_what_it_had_finished(host: BatchHost):
    request = host.request({"a": b"1", "b": b"hang"})
    name = request["TransformJobName"]
    host.sagemaker.create_transform_job(**request)
    until(lambda: host.outputs(name))
    host.sagemaker.stop_transform_job(TransformJobName=name)
    assert host.ended(name)["TransformJobStatus"] == "Stopped"
    assert host.outputs(name) == {"a.out": b"<1>"}
    with pytest.raises(ClientError, match="transform job is in status Stopped"):
        host.sagemaker.stop_transform_job(TransformJobName=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "InstanceCount other than 1"),
        ({"TransformInput": {"SplitType": "RecordIO"}}, "SplitType RecordIO"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "DataProcessing.JoinSource"),
        ({"DataProcessing": {"OutputFilter": "$.score"}}, "DataProcessing.OutputFilter"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "DataCaptureConfig"),
    ],
)
def test_what_no_job_does_here_is_refused_by_name(host: BatchHost, changes: dict[str, Any], message: str):
    with pytest.raises(ClientError, match=message):
        host.sagemaker.create_transform_job(**host.request({"a": b"1"}, **changes))


def test_a_pipeline_transforms_with_the_model_of_an_earlier_step(host: BatchHost):
    request = host.request({"a": b"1"}, TransformOutput=BY_LINE)
    del request["TransformJobName"]
    data = host.put("step/model.tar.gz", archive({"name": "step"}))
    model = {"PrimaryContainer": {"Image": host.image, "ModelDataUrl": data}, "ExecutionRoleArn": ROLE}
    steps = [
        {"Name": "Make", "Type": "Model", "Arguments": model},
        {"Name": "Use", "Type": "Transform", "Arguments": {**request, "ModelName": {"Get": "Steps.Make.ModelName"}}},
    ]
    definition, name = json.dumps({"Version": "2020-12-01", "Steps": steps}), host.name("pipeline")
    host.sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition, ClientRequestToken=name + "0" * 32, RoleArn=ROLE
    )
    arn = host.sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    describe = host.sagemaker.describe_pipeline_execution
    until(lambda: describe(PipelineExecutionArn=arn)["PipelineExecutionStatus"] != "Executing")
    rows = host.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    metadata = {row["StepName"]: row["Metadata"] for row in rows}
    job = host.sagemaker.describe_transform_job(
        TransformJobName=metadata["Use"]["TransformJob"]["Arn"].rpartition("/")[2]
    )
    assert job["TransformJobStatus"] == "Completed"
    assert host.read(f"{request['TransformOutput']['S3OutputPath']}/a.out") == b"<1>\n"


def bodies(records: list[bytes], strategy: str, limit: int) -> list[bytes]:
    lines = [record + b"\n" for record in records]
    return list(payloads(lines, "Line", strategy, limit))


@given(st.lists(st.binary(max_size=12).filter(lambda record: b"\n" not in record), max_size=30), st.integers(12, 40))
def test_packing_loses_no_line_and_no_payload_is_over_the_limit(records: list[bytes], limit: int):
    packed = bodies(records, "MultiRecord", limit)
    assert [record for body in packed for record in body.split(b"\n")] == records
    assert all(len(body) <= limit for body in packed)
    assert bodies(records, "SingleRecord", limit) == records


def test_a_record_over_the_limit_is_refused_and_no_limit_is_none():
    with pytest.raises(PayloadError, match="13 bytes, 12 allowed"):
        bodies([b"x" * 13], "MultiRecord", 12)
    assert bodies([b"x" * 13], "MultiRecord", 0) == [b"x" * 13]
    with pytest.raises(PayloadError):
        list(payloads([b"12\n", b"34\n"], "None", "MultiRecord", 5))


def test_answers_stay_in_order_and_few_requests_wait():
    submitted: list[bytes] = []

    def submit(body: bytes) -> "Future[bytes]":
        future: Future[bytes] = Future()
        future.set_result(body.upper())
        submitted.append(body)
        return future

    answers = in_order(iter([b"a", b"b", b"c", b"d"]), submit, 2)
    assert next(answers) == b"A"
    assert submitted == [b"a", b"b"]
    assert list(answers) == [b"B", b"C", b"D"]


def test_lines_are_ended_once():
    assert b"".join(assembled([b"1", b"2\n"], "Line")) == b"1\n2\n"
    assert b"".join(assembled([b"1", b"2\n"], "None")) == b"12\n"
