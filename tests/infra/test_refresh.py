"""What comes without a commit starts a build of the newest one."""

import io
import json
import time
import zipfile

import pytest

BUILD = "version: 0.2\nphases: {build: {commands: [python -m gitops refresh]}}\n"


@pytest.fixture(scope="module")
def pushed(localcloud, deployed):
    """The bucket, in which a commit's source and the head lie."""
    s3, bucket, buffer = localcloud.client("s3"), f"{deployed}-123456789012-eu-west-1", io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("infra/buildspecs/data.yml", BUILD)
    s3.put_object(Bucket=bucket, Key="source/abc.zip", Body=buffer.getvalue())
    head = {"sha": "abc", "sequence": 7, "key": "source/abc.zip"}
    s3.put_object(Bucket=bucket, Key="source/head.json", Body=json.dumps(head).encode())
    return bucket


def builds(localcloud, project: str) -> list[dict]:
    codebuild = localcloud.client("codebuild")
    found = codebuild.list_builds_for_project(projectName=project)["ids"]
    return codebuild.batch_get_builds(ids=found)["builds"] if found else []


def until(found, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def variables(build: dict) -> dict[str, str]:
    return {each["name"]: each["value"] for each in build["environment"]["environmentVariables"]}


def start(localcloud, deployed: str, event: dict) -> dict:
    answer = localcloud.client("lambda").invoke(FunctionName=f"{deployed}-start", Payload=json.dumps(event).encode())
    return json.loads(answer["Payload"].read())


def test_a_manifest_starts_the_data_build_of_the_newest_commit(localcloud, deployed, pushed):
    key = "manifests/ncf/'; touch canary; '.json"
    localcloud.client("s3").put_object(Bucket=pushed, Key=key, Body=b"[]")
    (build,) = until(lambda: builds(localcloud, f"{deployed}-data"))
    found = variables(build)
    assert (found["MANIFEST"], found["COMMIT"], found["SEQUENCE"]) == (key, "abc", "7")


def test_an_object_elsewhere_starts_nothing(localcloud, deployed, pushed):
    before = len(builds(localcloud, f"{deployed}-data"))
    localcloud.client("s3").put_object(Bucket=pushed, Key="raw/ncf/a.json", Body=b"[]")
    time.sleep(1)
    assert len(builds(localcloud, f"{deployed}-data")) == before


def test_f01_an_event_that_comes_twice_starts_one_build(localcloud, deployed, pushed):
    event = {"project": f"{deployed}-deploy-staging", "token": "one hour"}
    first, second = (start(localcloud, deployed, event) for _ in range(2))
    assert first == second
    assert first != start(localcloud, deployed, {**event, "token": "the next"})


def test_f04_each_environment_is_reconciled_on_a_schedule_in_case_an_event_was_lost(localcloud, deployed):
    events = localcloud.client("events")
    for environment in ("staging", "production"):
        rule = events.describe_rule(Name=f"{deployed}-repair-{environment}")
        assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 hour)", "ENABLED")
        (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        assert target["Arn"].endswith(f":function:{deployed}-start")
        assert f"{deployed}-deploy-{environment}" in target["InputTransformer"]["InputTemplate"]
