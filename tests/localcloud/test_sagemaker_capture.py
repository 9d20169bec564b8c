"""Data capture and shadow variants of endpoints, driven through boto3."""

import base64
import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gitops.data import shadow
from gitops.errors import GitopsError
from tests.localcloud.endpoint_lab import Host
from tests.localcloud.sagemaker_lab import until

BOTH = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]


@pytest.fixture(scope="module")
def host(localcloud) -> Host:
    host = Host(localcloud)
    yield host
    host.close()


def capturing(host: Host, **changes: Any) -> dict[str, Any]:
    """A DataCaptureConfig with a destination of its own."""
    config = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{host.bucket}/{host.name('captured')}",
        "CaptureOptions": BOTH,
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
    }
    return {**config, **changes}


def captured(host: Host, config: dict[str, Any], variant: str = "") -> list[dict[str, Any]]:
    """The events captured so far, of one variant or all."""
    prefix = config["DestinationS3Uri"].removeprefix(f"s3://{host.bucket}/")
    found = host.s3.list_objects_v2(Bucket=host.bucket, Prefix=prefix).get("Contents", [])
    keys = sorted(each["Key"] for each in found if not variant or f"/{variant}/" in each["Key"])
    lines = [line for key in keys for line in host.read(f"s3://{host.bucket}/{key}").splitlines()]
    return [json.loads(line) for line in lines]


def test_requests_and_answers_are_captured_as_sagemaker_writes_them(host: Host):
    config = capturing(host)
    endpoint = host.serve([host.variant(host.model("kept"), "main")], DataCaptureConfig=config)
    described = host.sagemaker.describe_endpoint(EndpointName=endpoint)["DataCaptureConfig"]
    assert (described["EnableCapture"], described["CaptureStatus"]) == (True, "Started")
    assert (described["CurrentSamplingPercentage"], described["DestinationS3Uri"]) == (100, config["DestinationS3Uri"])

    host.ask(endpoint, '{"a": 1}', ContentType="application/json; charset=utf-8", InferenceId="mine")
    host.ask(endpoint, "u1,i1", ContentType="text/csv")
    host.ask(endpoint, "anything", ContentType="text/plain")
    first, second, third = until(lambda: found if len(found := captured(host, config)) == 3 else None)

    assert (first["eventVersion"], first["eventMetadata"]["inferenceId"]) == ("0", "mine")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["eventMetadata"]["inferenceTime"])
    sent = {"observedContentType": "application/json; charset=utf-8", "mode": "INPUT"}
    assert first["captureData"]["endpointInput"] == {**sent, "data": '{"a": 1}', "encoding": "JSON"}
    output = first["captureData"]["endpointOutput"]
    assert (output["observedContentType"], output["mode"], output["encoding"]) == ("application/json", "OUTPUT", "JSON")
    assert json.loads(output["data"])["model"] == "kept"
    assert second["captureData"]["endpointInput"]["encoding"] == "CSV"
    assert "inferenceId" not in second["eventMetadata"]
    assert third["captureData"]["endpointInput"]["encoding"] == "BASE64"
    assert base64.b64decode(third["captureData"]["endpointInput"]["data"]) == b"anything"
    assert len({each["eventMetadata"]["eventId"] for each in (first, second, third)}) == 3


def test_captured_files_lie_below_the_endpoint_the_variant_and_the_hour(host: Host):
    config = capturing(host, CaptureOptions=[{"CaptureMode": "Output"}])
    endpoint = host.serve([host.variant(host.model("dated"), "main")], DataCaptureConfig=config)
    host.ask(endpoint)
    (event,) = until(lambda: captured(host, config))
    assert set(event["captureData"]) == {"endpointOutput"}
    prefix = config["DestinationS3Uri"].removeprefix(f"s3://{host.bucket}/")
    (found,) = host.s3.list_objects_v2(Bucket=host.bucket, Prefix=prefix)["Contents"]
    name = r"\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl"
    assert re.fullmatch(f"{prefix}/{endpoint}/main/{name}", found["Key"])


def test_only_a_share_of_the_calls_is_captured_and_the_rest_is_written_at_the_end(host: Host):
    config = capturing(host, InitialSamplingPercentage=50)
    endpoint = host.serve([host.variant(host.model("half"), "main")], DataCaptureConfig=config)
    for _ in range(50):
        host.ask(endpoint)
    host.endpoints.remove(endpoint)
    host.sagemaker.delete_endpoint(EndpointName=endpoint)
    until(lambda: not host.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"])
    assert 8 <= len(captured(host, config)) <= 42  # outside by chance less than once in a million


def test_nothing_is_captured_while_capture_is_off(host: Host):
    config = capturing(host, EnableCapture=False)
    endpoint = host.serve([host.variant(host.model("off"), "main")], DataCaptureConfig=config)
    described = host.sagemaker.describe_endpoint(EndpointName=endpoint)["DataCaptureConfig"]
    assert (described["EnableCapture"], described["CaptureStatus"]) == (False, "Stopped")
    host.ask(endpoint)
    until(lambda: host.metric(endpoint, "main", "Invocations", "Sum"))  # written at the same pace
    assert captured(host, config) == []


def test_a_destination_that_does_not_exist_costs_the_caller_nothing(host: Host):
    config = capturing(host, DestinationS3Uri="s3://no-such-bucket-at-all/here")
    endpoint = host.serve([host.variant(host.model("lost"), "main")], DataCaptureConfig=config)
    host.ask(endpoint)
    time.sleep(1.2)  # its batch has failed by now
    assert host.ask(endpoint)["model"] == "lost"


def shadowed(host: Host, model: str, weights: tuple[float, float] = (1, 1), **config: Any) -> str:
    """An endpoint whose shadow variant serves the model `shadow`."""
    rows = [host.variant(host.model(model), "shade", weights[1])]
    production = [host.variant(host.model("real"), "main", weights[0])]
    return host.serve(production, ShadowProductionVariants=rows, **config)


def test_a_shadow_answers_copies_and_its_answers_are_captured_but_never_returned(host: Host):
    config = capturing(host)
    endpoint = shadowed(host, "new", DataCaptureConfig=config)
    described = host.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert [row["VariantName"] for row in described["ProductionVariants"]] == ["main"]
    assert [row["VariantName"] for row in described["ShadowProductionVariants"]] == ["shade"]
    asked = [{"InferenceId": str(number), "TargetVariant": "main"} for number in range(20)]
    answers = [host.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x", **each) for each in asked]
    assert {answer["InvokedProductionVariant"] for answer in answers} == {"main"}
    assert {json.loads(answer["Body"].read())["model"] for answer in answers} == {"real"}
    with pytest.raises(ClientError, match="Variant shade"):
        host.ask(endpoint, TargetVariant="shade")

    shade = until(lambda: found if len(found := captured(host, config, "shade")) == 20 else None)
    said = [json.loads(each["captureData"]["endpointOutput"]["data"]) for each in shade]
    assert {(each["model"], each["variant"]) for each in said} == {("new", None)}
    main = until(lambda: found if len(found := captured(host, config, "main")) == 20 else None)
    assert identities(main) == identities(shade)
    until(lambda: host.metric(endpoint, "shade", "Invocations", "Sum") == 20)
    assert host.metric(endpoint, "shade", "ModelLatency", "SampleCount") == 20
    assert host.metric(endpoint, "main", "Invocations", "Sum") == 20


def identities(events: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(each["eventMetadata"]["eventId"], each["eventMetadata"]["inferenceId"]) for each in events}


def test_a_shadow_gets_the_share_that_its_weight_is_of_productions(host: Host):
    endpoint = shadowed(host, "tenth", (4, 1))
    for _ in range(80):
        host.ask(endpoint)
    until(lambda: host.metric(endpoint, "main", "Invocations", "Sum") == 80)
    time.sleep(1.2)  # the copies' metrics may come one batch later
    assert 1 <= host.metric(endpoint, "shade", "Invocations", "Sum") <= 45  # 20 expected


@pytest.mark.parametrize("model", ["fails", "hangs", "dies"])
def test_a_shadow_that_fails_or_hangs_touches_nobody(host: Host, model: str):
    endpoint = shadowed(host, model)
    calls = 150 if model == "hangs" else 20  # more than wait for a shadow
    assert [host.ask(endpoint)["model"] for _ in range(calls)] == ["real"] * calls
    if model == "fails":
        until(lambda: host.metric(endpoint, "shade", "Invocation5XXErrors", "Sum"))
        assert host.metric(endpoint, "main", "InvocationModelErrors", "Sum") == 0


def test_a_shadow_has_one_production_variant_beside_it(host: Host):
    model = host.model("any")
    rows = {name: host.variant(model, name) for name in ("one", "two", "three")}
    create = host.sagemaker.create_endpoint_config
    with pytest.raises(ClientError, match="only specify one variant"):
        create(
            EndpointConfigName=host.name("c"),
            ProductionVariants=[rows["one"], rows["two"]],
            ShadowProductionVariants=[rows["three"]],
        )
    with pytest.raises(ClientError, match="must be unique"):
        create(
            EndpointConfigName=host.name("c"),
            ProductionVariants=[rows["one"]],
            ShadowProductionVariants=[rows["one"]],
        )


def test_what_both_variants_captured_can_be_compared(host: Host):
    endpoint = shadowed(host, "new", DataCaptureConfig=capturing(host))
    for number in range(5):
        host.ask(endpoint, InferenceId=str(number))
    clients = shadow.Clients(host.sagemaker, host.s3, host.client("cloudwatch"))
    until(lambda: shadow.compare_shadow(clients, endpoint, 1).pairs == 5)
    found = until(lambda: each if (each := shadow.compare_shadow(clients, endpoint, 1)).shadow_latency_ms else None)
    assert (found.production_errors, found.shadow_errors, found.unpaired) == (0, 0, 0)
    assert found.production_latency_ms > 0
    with pytest.raises(GitopsError, match="has no shadow variant"):
        shadow.compare_shadow(clients, host.serve([host.variant(host.model("alone"))]))
