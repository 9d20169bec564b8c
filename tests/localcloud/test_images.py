"""Which image runs as what, and that an archive is only run if it is what its digest says."""

import hashlib
import io
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloud import Cloud
from localcloud.images import ENVIRONMENT, Images
from localcloud.processes import Processes
from localcloud.service import CloudError

RULES = """\
images:
  - {image: "*/serving@sha256:*", source: "s3://BUCKET/{digest}.tar.gz", command: [python, -m, serving_code]}
  - {image: "*/training:*", source: environment}
"""


def archive(*members: tuple[str, bytes], link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)
    return buffer.getvalue()


@pytest.fixture
def cloud(localcloud: Any, tmp_path: Path) -> Iterator[Cloud]:
    bucket = f"images-{uuid.uuid4().hex[:8]}"
    localcloud.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    (tmp_path / "images.yml").write_text(RULES.replace("BUCKET", bucket))
    processes = Processes()
    images = Images.load(tmp_path / "images.yml")
    yield Cloud(tmp_path / "state", localcloud.endpoint, "eu-west-1", images, processes, lambda *_: None)
    processes.stop_all()


def uri(data: bytes) -> str:
    return f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/film/serving@sha256:{hashlib.sha256(data).hexdigest()}"


def upload(cloud: Cloud, address: str, data: bytes) -> str:
    bucket, _, key = cloud.images.find(address).source.removeprefix("s3://").partition("/")
    cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
    return address


def test_the_archive_of_a_digest_is_unpacked_once(cloud: Cloud) -> None:
    data = archive(("serving_code/__main__.py", b"print()"))
    image = cloud.images.find(upload(cloud, uri(data), data))
    folder = image.folder(cloud)
    assert folder is not None
    assert (folder / "serving_code" / "__main__.py").read_bytes() == b"print()"
    assert image.command == ("python", "-m", "serving_code")
    (folder / "kept").touch()
    assert image.folder(cloud) == folder
    assert (folder / "kept").exists()


def test_an_environment_image_has_no_folder(cloud: Cloud) -> None:
    image = cloud.images.find("123456789012.dkr.ecr.eu-west-1.amazonaws.com/film/training:laptop")
    assert (image.source, image.folder(cloud)) == (ENVIRONMENT, None)


def test_f14_other_bytes_than_the_digest_says_are_not_run(cloud: Cloud) -> None:
    address = uri(b"expected")
    upload(cloud, address, archive(("a", b"other")))
    with pytest.raises(CloudError, match="has sha256"):
        cloud.images.find(address).folder(cloud)


@pytest.mark.parametrize(
    "data",
    [archive(("../outside", b"x")), archive(("/outside", b"x")), archive(link="/etc/passwd"), b"not an archive"],
    ids=["parent", "absolute", "link", "no archive"],
)
def test_f55_an_archive_that_reaches_outside_is_not_unpacked(cloud: Cloud, tmp_path: Path, data: bytes) -> None:
    image = cloud.images.find(upload(cloud, uri(data), data))
    for _ in range(2):
        with pytest.raises(CloudError, match="image archive"):
            image.folder(cloud)
    assert not list(tmp_path.rglob("outside"))


def test_a_missing_archive_an_unknown_image_and_a_tag_are_named(cloud: Cloud) -> None:
    with pytest.raises(CloudError, match="cannot be read"):
        cloud.images.find(uri(b"never uploaded")).folder(cloud)
    with pytest.raises(CloudError, match=r"no image can be run for .*other"):
        cloud.images.find("example.com/other:1")
    with pytest.raises(CloudError, match="names no digest"):
        cloud.images.find(f"example.com/serving@sha256:{'0' * 63}")
