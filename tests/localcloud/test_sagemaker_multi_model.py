"""Multi-model endpoints, driven through boto3: the platform's part of the container's contract."""

import concurrent.futures
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.endpoint_lab import MULTI_SERVER, Host
from tests.localcloud.sagemaker_lab import ROLE, archive, until


class ManyHost(Host):
    """Endpoints of many models, each with a prefix of its own."""

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud)
        self.image = self.serving_image(MULTI_SERVER)
        self.prefixes: dict[str, str] = {}

    def serve_many(self, room: int = 100, **container: Any) -> str:
        """An endpoint with room for so many models at a time."""
        name = self.name("many")
        row = {
            "Image": self.image,
            "Mode": "MultiModel",
            "ModelDataUrl": f"s3://{self.bucket}/{name}/",
            "Environment": {"ROOM": str(room)},
        }
        self.sagemaker.create_model(ModelName=name, PrimaryContainer={**row, **container}, ExecutionRoleArn=ROLE)
        endpoint = self.serve([self.variant(name)])
        self.prefixes[endpoint] = name
        return endpoint

    def add(self, endpoint: str, key: str, says: str | None = None) -> None:
        self.put(f"{self.prefixes[endpoint]}/{key}", archive({"name": says or key}))


@pytest.fixture(scope="module")
def host(localcloud) -> ManyHost:
    host = ManyHost(localcloud)
    yield host
    host.close()


@pytest.fixture(scope="module")
def endpoint(host: ManyHost) -> str:
    """An endpoint with room for all its models."""
    endpoint = host.serve_many()
    for key in ("releases/r1/a.tar.gz", "releases/r1/b.tar.gz"):
        host.add(endpoint, key)
    return endpoint


def test_the_target_model_answers_and_is_loaded_once(host: ManyHost, endpoint: str):
    for key in ("releases/r1/a.tar.gz", "releases/r1/b.tar.gz", "releases/r1/a.tar.gz"):
        said = host.ask(endpoint, TargetModel=key)
        assert (said["model"], said["target"], said["loads"]) == (key, key, 1)


def test_models_added_later_are_there_without_any_change(host: ManyHost, endpoint: str):
    with pytest.raises(ClientError, match=r"Failed to download model data\(bucket: .*later\.tar\.gz\)") as refusal:
        host.ask(endpoint, TargetModel="later.tar.gz")
    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    host.add(endpoint, "later.tar.gz")
    assert host.ask(endpoint, TargetModel="later.tar.gz")["model"] == "later.tar.gz"


@pytest.mark.parametrize("target", ["../other/a.tar.gz", "/a.tar.gz", "a/../../b.tar.gz", "./a.tar.gz", "a//b.tar.gz"])
def test_a_target_that_leaves_the_prefix_is_refused(host: ManyHost, endpoint: str, target: str):
    with pytest.raises(ClientError, match="is not a path relative to the endpoint's ModelDataUrl"):
        host.ask(endpoint, TargetModel=target)


def test_a_multi_model_endpoint_needs_a_target_and_another_takes_none(host: ManyHost, endpoint: str, localcloud):
    with pytest.raises(ClientError, match="requires TargetModel"):
        host.ask(endpoint)
    single = Host(localcloud)
    name = single.start(single.config("single"))
    single.settled(name)
    with pytest.raises(ClientError, match="is not a multi-model endpoint"):
        single.ask(name, TargetModel="a.tar.gz")
    single.close()


def test_an_archive_that_leaves_its_folder_is_refused_before_it_is_loaded(host: ManyHost, endpoint: str):
    host.put(f"{host.prefixes[endpoint]}/evil.tar.gz", archive({"../../name": "evil"}))
    host.put(f"{host.prefixes[endpoint]}/noise.tar.gz", b"no archive at all")
    for key in ("evil.tar.gz", "noise.tar.gz"):
        with pytest.raises(ClientError, match="Failed to extract model data archive"):
            host.ask(endpoint, TargetModel=key)


def test_what_the_container_says_of_a_model_it_cannot_load_is_a_model_error(host: ManyHost, endpoint: str):
    host.add(endpoint, "broken.tar.gz", "broken")
    with pytest.raises(host.runtime.exceptions.ModelError) as refusal:
        host.ask(endpoint, TargetModel="broken.tar.gz")
    assert refusal.value.response["OriginalStatusCode"] == 400
    assert "cannot read this model" in refusal.value.response["OriginalMessage"]
    host.add(endpoint, "broken.tar.gz", "mended")  # nothing of the failure stays
    assert host.ask(endpoint, TargetModel="broken.tar.gz")["model"] == "mended"


def test_first_calls_at_the_same_time_load_a_model_once(host: ManyHost, endpoint: str):
    host.add(endpoint, "rush.tar.gz")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda _: host.ask(endpoint, TargetModel="rush.tar.gz"), range(16)))
    assert [(each["model"], each["loads"]) for each in said] == [("rush.tar.gz", 1)] * 16


def test_f47_a_full_container_makes_room_by_unloading_the_least_recently_used(host: ManyHost):
    endpoint = host.serve_many(room=2)
    for key in "abc":
        host.add(endpoint, key)
    for key in "ab":
        host.ask(endpoint, TargetModel=key)
    host.ask(endpoint, TargetModel="a")
    assert host.ask(endpoint, TargetModel="c")["loaded"] == 2  # b has gone
    assert host.ask(endpoint, TargetModel="a")["loads"] == 1
    assert host.ask(endpoint, TargetModel="b")["loads"] == 2
    until(lambda: host.metric(endpoint, "main", "ModelUnloadingTime", "SampleCount") == 2)


def test_f47_no_answer_is_ever_another_models_while_they_push_each_other_out(host: ManyHost):
    endpoint = host.serve_many(room=3)
    keys = [f"customer-{number}.tar.gz" for number in range(12)]
    for key in keys:
        host.add(endpoint, key)
    asked = [(keys[number % 12], ("slow", "{}")[number % 5 > 0]) for number in range(0, 7 * 60, 7)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        said = list(pool.map(lambda each: host.ask(endpoint, each[1], TargetModel=each[0]), asked))
    assert [each["model"] for each in said] == [key for key, _ in asked]
    assert max(each["loaded"] for each in said) <= 3


def test_f47_a_key_that_is_used_again_is_seen_when_its_model_has_been_unloaded(host: ManyHost):
    endpoint = host.serve_many(room=1)
    for key in ("same", "other"):
        host.add(endpoint, key)
    assert host.ask(endpoint, TargetModel="same")["model"] == "same"
    host.add(endpoint, "same", "replaced")
    assert host.ask(endpoint, TargetModel="same")["model"] == "same"  # as on AWS
    host.ask(endpoint, TargetModel="other")
    assert host.ask(endpoint, TargetModel="same")["model"] == "replaced"


def test_a_container_without_room_for_a_single_model_is_a_model_error(host: ManyHost):
    endpoint = host.serve_many(room=0)
    host.add(endpoint, "big")
    with pytest.raises(host.runtime.exceptions.ModelError) as refusal:
        host.ask(endpoint, TargetModel="big")
    assert refusal.value.response["OriginalStatusCode"] == 507


def test_a_model_that_the_container_dropped_is_loaded_again(host: ManyHost, endpoint: str):
    host.add(endpoint, "dropped")
    host.ask(endpoint, TargetModel="dropped")
    with pytest.raises(host.runtime.exceptions.ModelError):  # it forgets whenever it is told to
        host.ask(endpoint, "forget", TargetModel="dropped")
    assert host.ask(endpoint, TargetModel="dropped")["model"] == "dropped"


def test_a_models_own_404_reaches_the_caller_and_unloads_nothing(host: ManyHost, endpoint: str):
    host.add(endpoint, "own")
    host.ask(endpoint, TargetModel="own")
    with pytest.raises(host.runtime.exceptions.ModelError) as refusal:
        host.ask(endpoint, "missing", TargetModel="own")
    assert json.loads(refusal.value.response["OriginalMessage"]) == {"error": "no such user"}
    assert host.ask(endpoint, TargetModel="own")["loads"] == 1


def test_models_come_back_after_their_container_died(host: ManyHost):
    endpoint = host.serve_many()
    host.add(endpoint, "back")
    host.ask(endpoint, TargetModel="back")
    with pytest.raises(host.runtime.exceptions.ModelError):
        host.ask(endpoint, "die", TargetModel="back")

    def back() -> bool:
        try:
            return host.ask(endpoint, TargetModel="back")["model"] == "back"
        except host.runtime.exceptions.ModelError:
            return False

    assert until(back)


def test_without_caching_no_model_stays_loaded(host: ManyHost):
    endpoint = host.serve_many(MultiModelConfig={"ModelCacheSetting": "Disabled"})
    for key in "ab":
        host.add(endpoint, key)
    loads = [host.ask(endpoint, TargetModel=key) for key in "aab"]
    assert [(each["loads"], each["loaded"]) for each in loads] == [(1, 1), (2, 1), (1, 1)]


def test_loading_is_measured_in_cloudwatch(host: ManyHost):
    endpoint = host.serve_many()
    for key in "ab":
        host.add(endpoint, key)
    for key in "aab":
        host.ask(endpoint, TargetModel=key)
    until(lambda: host.metric(endpoint, "main", "Invocations", "Sum") == 3)
    assert host.metric(endpoint, "main", "ModelCacheHit", "Sum") == 1
    assert host.metric(endpoint, "main", "ModelCacheHit", "SampleCount") == 3
    assert host.metric(endpoint, "main", "LoadedModelCount", "Maximum") == 2
    for name in ("ModelLoadingTime", "ModelDownloadingTime", "ModelLoadingWaitTime"):
        assert host.metric(endpoint, "main", name, "SampleCount") == 2
    assert host.metric(endpoint, "main", "ModelLoadingTime", "Minimum") >= 50_000  # microseconds
    assert host.metric(endpoint, "main", "ModelLatency", "Minimum") < 50_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Mode": "MultiModel"}, "needs ModelDataUrl"),
        ({"MultiModelConfig": {"ModelCacheSetting": "Enabled"}}, "for containers of Mode MultiModel"),
    ],
)
def test_a_container_that_cannot_be_multi_model_is_refused(host: ManyHost, changes: dict[str, Any], message: str):
    container = {"Image": host.image, **changes}
    with pytest.raises(ClientError, match=message):
        host.sagemaker.create_model(ModelName=host.name("m"), PrimaryContainer=container, ExecutionRoleArn=ROLE)


def test_a_shadow_does_not_go_with_many_models(host: ManyHost, endpoint: str):
    config = host.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    model = host.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["ModelName"]
    with pytest.raises(ClientError, match="do not go together"):
        host.sagemaker.create_endpoint_config(
            EndpointConfigName=host.name("c"),
            ProductionVariants=[host.variant(model, "one")],
            ShadowProductionVariants=[host.variant(model, "two")],
        )
