"""Variants of an endpoint: weights, capacities, and the metrics of each, driven through boto3."""

import concurrent.futures
import datetime
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.sagemaker.traffic import Sample, summarize
from tests.localcloud.endpoint_lab import Host
from tests.localcloud.sagemaker_lab import until


@pytest.fixture(scope="module")
def host(localcloud) -> Host:
    host = Host(localcloud)
    yield host
    host.close()


@pytest.fixture
def endpoint(host: Host) -> str:
    """An endpoint of three variants that share its traffic 3 : 1 : 0."""
    rows = [host.variant(host.model(name), name, weight) for name, weight in (("most", 3), ("some", 1), ("none", 0))]
    return host.serve(rows)


def weigh(host: Host, endpoint: str, *rows: dict[str, Any]) -> None:
    host.sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=rows)


def served(host: Host, endpoint: str, requests: int) -> list[str]:
    answers = [host.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x") for _ in range(requests)]
    names = [answer["InvokedProductionVariant"] for answer in answers]
    assert [json.loads(answer["Body"].read())["model"] for answer in answers] == names
    return names


def test_traffic_is_shared_by_the_weights_of_the_variants_and_these_can_be_changed(host: Host, endpoint: str):
    names = served(host, endpoint, 80)
    assert 38 <= names.count("most") <= 79  # 60 of 80 expected; outside by chance less than once in a million
    assert names.count("none") == 0
    weigh(host, endpoint, {"VariantName": "most", "DesiredWeight": 0}, {"VariantName": "some", "DesiredWeight": 0.5})
    found = host.settled(endpoint)
    weights = {row["VariantName"]: (row["CurrentWeight"], row["DesiredWeight"]) for row in found["ProductionVariants"]}
    assert weights == {"most": (0, 0), "some": (0.5, 0.5), "none": (0, 0)}
    assert set(served(host, endpoint, 20)) == {"some"}


def test_a_variant_without_weight_answers_whoever_asks_for_it_by_name(host: Host, endpoint: str):
    assert host.ask(endpoint, TargetVariant="none")["model"] == "none"
    with pytest.raises(ClientError, match="Variant other"):
        host.ask(endpoint, TargetVariant="other")
    weigh(host, endpoint, *[{"VariantName": name, "DesiredWeight": 0} for name in ("most", "some")])
    host.settled(endpoint)
    with pytest.raises(ClientError, match="has a weight"):
        host.ask(endpoint)


def test_capacities_start_and_drain_servers_and_no_request_fails(host: Host):
    read = host.watch(["SageMaker Endpoint State Change"])
    endpoint = host.serve([host.variant(host.model("grows"), "main", 1)])
    with host.asking(endpoint) as models:
        weigh(host, endpoint, {"VariantName": "main", "DesiredInstanceCount": 2})
        during = host.sagemaker.describe_endpoint(EndpointName=endpoint)
        assert during["EndpointStatus"] == "Updating"
        assert during["ProductionVariants"][0]["DesiredInstanceCount"] == 2
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            weigh(host, endpoint, {"VariantName": "main", "DesiredWeight": 1})
        assert host.settled(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            slow = [pool.submit(host.ask, endpoint, "slow") for _ in range(4)]
            time.sleep(0.2)  # they are under way on both
            weigh(host, endpoint, {"VariantName": "main", "DesiredInstanceCount": 1})
            assert {each.result()["model"] for each in slow} == {"grows"}
        assert host.settled(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
        assert len({host.ask(endpoint)["pid"] for _ in range(20)}) == 1
    assert models == {"grows"}

    def statuses() -> list[str]:
        return [e["detail"]["EndpointStatus"] for e in read() if e["detail"]["EndpointName"] == endpoint]

    until(lambda: statuses().count("IN_SERVICE") == 3 and statuses().count("UPDATING") == 2)


def test_both_servers_of_a_variant_answer(host: Host):
    endpoint = host.serve([host.variant(host.model("two"), "main", 1, InitialInstanceCount=2)])
    with host.asking(endpoint, 4):
        until(lambda: len({host.ask(endpoint)["pid"] for _ in range(10)}) == 2)


def test_while_one_server_is_down_the_other_answers(host: Host):
    endpoint = host.serve([host.variant(host.model("pair"), "main", 1, InitialInstanceCount=2)])
    with pytest.raises(host.runtime.exceptions.ModelError):
        host.ask(endpoint, "die")
    time.sleep(0.05)  # until its end is noticed
    assert {host.ask(endpoint)["model"] for _ in range(10)} == {"pair"}


def test_a_capacity_that_cannot_be_had_leaves_what_served(host: Host):
    endpoint = host.serve([host.variant(host.model("once"), "main", 1)])
    weigh(host, endpoint, {"VariantName": "main", "DesiredInstanceCount": 2, "DesiredWeight": 7})
    found = host.settled(endpoint)
    assert "did not pass the ping health check" in found["FailureReason"]
    variant = found["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"], variant["DesiredWeight"]) == (1, 1, 1)
    assert host.ask(endpoint)["model"] == "once"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"VariantName": "other", "DesiredWeight": 1}, "do not exist in endpoint"),
        ({"VariantName": "most", "DesiredInstanceCount": 0}, "at least 1"),
        ({"VariantName": "most", "ServerlessUpdateConfig": {"MaxConcurrency": 1}}, "ServerlessUpdateConfig"),
    ],
)
def test_what_no_variant_can_be_is_refused(host: Host, steady: str, row: dict[str, Any], message: str):
    with pytest.raises(ClientError, match=message):
        weigh(host, steady, row)
    assert host.sagemaker.describe_endpoint(EndpointName=steady)["EndpointStatus"] == "InService"


@pytest.fixture(scope="module")
def steady(host: Host) -> str:
    """An endpoint of one variant that nobody changes."""
    return host.serve([host.variant(host.model("most"), "most", 1)])


def test_the_container_sees_of_its_variant_only_what_aws_would_tell_it(host: Host, steady: str):
    names = set(host.ask(steady, "environment")["names"])
    known = {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}  # those of any process
    credentials = {name for name in names if name.startswith("AWS_")}
    own = {"RUN_ID", "PYTHONUNBUFFERED", "SAGEMAKER_BASE_DIR", "SAGEMAKER_BIND_TO_PORT"}
    assert names - known - credentials == own


def test_each_call_is_counted_in_cloudwatch_under_its_variant(host: Host):
    endpoint = host.serve([host.variant(host.model("counted"), "main", 1, InitialInstanceCount=2)])
    for body in ("fine", "fine", "bad", "boom"):
        try:
            host.ask(endpoint, body)
        except host.runtime.exceptions.ModelError:
            continue
    until(lambda: host.metric(endpoint, "main", "Invocations", "Sum") == 4)
    assert host.metric(endpoint, "main", "InvocationsPerInstance", "Sum") == 2
    assert host.metric(endpoint, "main", "Invocation4XXErrors", "Sum") == 1
    assert host.metric(endpoint, "main", "Invocation5XXErrors", "Sum") == 1
    assert host.metric(endpoint, "main", "InvocationModelErrors", "Sum") == 2
    for name in ("ModelLatency", "OverheadLatency"):
        assert host.metric(endpoint, "main", name, "SampleCount") == 4
        assert 0 < host.metric(endpoint, "main", name, "Minimum") < 60e6
    found = host.client("cloudwatch").list_metrics(Namespace="AWS/SageMaker", MetricName="ModelLatency")["Metrics"]
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "main"}]
    assert dimensions in [metric["Dimensions"] for metric in found]


def test_percentiles_of_the_latency_can_be_asked_for(host: Host):
    cloudwatch, end = host.client("cloudwatch"), datetime.datetime.now(datetime.UTC)
    dimensions = [{"Name": "EndpointName", "Value": host.name("e")}, {"Name": "VariantName", "Value": "main"}]
    row = {"MetricName": "ModelLatency", "Dimensions": dimensions, "Timestamp": end, "Unit": "Microseconds"}
    values = {"Values": [float(value) for value in range(1, 101)]}
    cloudwatch.put_metric_data(Namespace="AWS/SageMaker", MetricData=[{**row, **values}])
    (point,) = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=dimensions[::-1],
        StartTime=end - datetime.timedelta(minutes=1),
        EndTime=end + datetime.timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
        ExtendedStatistics=["p50", "p99"],
    )["Datapoints"]
    assert (point["Maximum"], point["ExtendedStatistics"]) == (100, {"p50": 50, "p99": 99})


def test_many_times_of_one_second_keep_their_number_and_their_extremes():
    moment = datetime.datetime(2026, 11, 21, 12, 0, 0, 250_000, datetime.UTC)
    samples = [Sample("e", "v", moment, {"ModelLatency": float(value)}) for value in range(1, 1001)]
    (row,) = summarize(samples)
    assert (row["Unit"], row["Timestamp"]) == ("Microseconds", moment.replace(microsecond=0))
    assert len(row["Values"]) == len(row["Counts"]) <= 150  # what one datum may hold
    assert sum(row["Counts"]) == 1000
    assert (min(row["Values"]), max(row["Values"])) == (1, 1000)
