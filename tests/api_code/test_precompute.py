"""The nightly function: which model, which users, one job a day."""

import io
import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from api_code import precompute
from api_code.clients import Outside
from tests.api_code.endpoint import serve
from tests.localcloud.sagemaker_lab import Lab, archive

NIGHT = "2026-11-20T03:00:00Z"


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


@pytest.fixture(scope="module")
def endpoint(lab) -> str:
    return serve(lab, lab.name("night"), {"main": 1.0}, json.dumps(["u1", 'é "2"', "3"], ensure_ascii=False))


@pytest.fixture
def world(lab, endpoint) -> Outside:
    return Outside(None, Recorder(lab.sagemaker), lab.s3, endpoint, lab.bucket, lambda: datetime.now(UTC))


class Recorder:
    """SageMaker, but for transform jobs, which are only remembered; a job's name is taken once."""

    def __init__(self, sagemaker: Any) -> None:
        self.sagemaker, self.jobs = sagemaker, {}
        self.exceptions = sagemaker.exceptions

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sagemaker, name)

    def create_transform_job(self, **given: Any) -> None:
        self.jobs[given["TransformJobName"]] = given

    def describe_transform_job(self, TransformJobName: str) -> Any:  # noqa: N803 - boto3's name
        return self.jobs.get(TransformJobName) or self.sagemaker.describe_transform_job(
            TransformJobName=TransformJobName
        )


def test_every_user_of_the_served_model_is_asked_for_once(world, lab, endpoint):
    found = precompute.start(world, "film", NIGHT)
    [job] = world.sagemaker.jobs.values()
    assert (found["started"], found["users"], found["job"]) == (True, 3, job["TransformJobName"])
    folder = f"s3://{lab.bucket}/precompute/{endpoint}/2026-11-20"
    assert (job["ModelName"], job["TransformOutput"]["S3OutputPath"]) == (endpoint, folder)
    lines = lab.read(f"{folder}/users.jsonl").decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"operation": "getRecommendations", "userId": user, "numResults": 100} for user in ("u1", 'é "2"', "3")
    ]


def test_f01_the_same_night_again_starts_nothing_and_the_next_one_does(world):
    first = precompute.start(world, "film", NIGHT)
    assert precompute.start(world, "film", NIGHT) == {
        "started": False, "job": first["job"], "reason": "it was started before",
    }  # fmt: skip
    assert precompute.start(world, "film", "2026-11-21T03:00:00Z")["started"]
    assert len(world.sagemaker.jobs) == 2


def test_the_jobs_request_and_name_are_what_sagemaker_takes(lab):
    given = precompute.request("p" * 32 + "-precompute-01234567-20261120", "m", "s3://bucket/folder")
    shape = lab.sagemaker.meta.service_model.operation_model("CreateTransformJob").input_shape
    errors = ParamValidator().validate(given, shape)
    assert not errors.has_errors(), errors.generate_report()
    assert len(given["TransformJobName"]) <= 63


def test_an_endpoint_that_is_not_there_is_no_error(world):
    found = precompute.start(replace(world, endpoint="nothing-yet"), "film", NIGHT)
    assert found == {"started": False, "reason": "nothing-yet serves no single model"}


def streamed(files: dict[str, str]) -> io.BytesIO:
    return io.BytesIO(archive(files))


def test_an_archive_without_users_is_refused():
    with pytest.raises(ValueError, match=r"has no users\.json"):
        list(precompute.users(streamed({"items.json": "[]"})))


def test_f55_a_link_is_no_list_of_users():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("users.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    buffer.seek(0)
    with pytest.raises(ValueError, match=r"has no users\.json"):
        list(precompute.users(buffer))


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, in the middle of a character if need be."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def read(self, _: int | None = -1) -> bytes:
        return super().read(self.size)


@settings(deadline=None)
@given(st.lists(st.text()), st.integers(1, 9), st.booleans(), st.sampled_from([None, 1]))
def test_a_list_is_read_in_whatever_pieces_it_comes(users, size, ascii_only, indent):
    users = [user.encode("utf-8", "ignore").decode() for user in users]
    data = json.dumps(users, ensure_ascii=ascii_only, indent=indent).encode()
    assert list(precompute.strings(Trickle(data, size))) == users


@pytest.mark.parametrize("text", ["", "{}", '["a"', '["a", 1]', '["a",]', "[[]]", '"a"', '["a"] x', '["' + "x" * 2**21])
def test_what_is_no_list_of_strings_is_refused(text):
    with pytest.raises(ValueError, match=r"no list of strings"):
        list(precompute.strings(io.BytesIO(text.encode())))
