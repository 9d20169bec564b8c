"""A new serving image: made by (a stand-in for) docker or packed for localcloud, then proposed and never trained."""

import base64
import io
import json
import tarfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from gitops import deployment
from gitops.errors import GitopsError
from gitops.promotion import registry
from gitops.promotion.image import ImageProposer, newest
from gitops.promotion.registry import Kiln
from tests.gitops.host import RepositoryHost
from tests.gitops.repository import project

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/p/serving"
OLD, NEW, NEWER = (f"{REPOSITORY}@sha256:{digit * 64}" for digit in "123")
RELEASE = """release:
  id: {model}-0123456789ab
  package_arn: arn:aws:sagemaker:eu-west-1:123456789012:model-package/group/3
  archive_uri: s3://bucket/steps/x/model.tar.gz
  archive_sha256: "{sha}"
  image: {image}
"""
DIGEST = "sha256:" + "9" * 64
BASE = "python:3.12-slim@sha256:" + "b" * 64
# a docker that remembers its words, as the real one is called
DOCKER = """#!/bin/sh
echo "$@" >> "$DOCKER_LOG"
case "$1" in
  login) cat >> "$DOCKER_LOG" ;;
  push) [ -z "$DOCKER_FAILS" ] || { echo "denied: no" >&2; exit 1; } ;;
  image) echo "[\\"other/serving@sha256:0\\", \\"$REPOSITORY@$DIGEST\\"]" ;;
esac
"""


def deploy(environment: str, model: str = "ncf", image: str | None = OLD) -> dict[str, str]:
    release = RELEASE.format(model=model, image=image, sha="a" * 64) if image else "release: null\n"
    serving = "serving: {mode: realtime, instance_type: ml.c6i.large, instances: 1}\n"
    return {f"deploy/{environment}/{model}.yml": f"# kept\nmodel: {model}\n{release}{serving}"}


@pytest.fixture
def host(tmp_path) -> RepositoryHost:
    found = RepositoryHost(project(tmp_path / "origin"))
    code = {"serving_code/__main__.py": "print('serve')\n", "serving_code/Dockerfile": f"ARG PYTHON={BASE}\n"}
    files = deploy("staging") | deploy("staging", "als") | deploy("staging", "new", None) | deploy("production")
    found.repository.commit(code | files)
    return found


def propose(host: RepositoryHost, image: str = NEW, environment: str = "staging") -> list[str]:
    said: list[str] = []
    ImageProposer(host, host.repository.root, environment, image, said.append).propose()
    return said


def image_of(host: RepositoryHost, path: str, ref: str = "main") -> str | None:
    release = deployment.load(Path(path), host.read(path, ref)).release
    return release and release.image


def test_one_request_changes_the_image_of_every_file_that_has_a_release_and_nothing_else(host):
    propose(host)
    [request] = host.every
    assert (request.branch, request.state) == ("image/staging-222222222222", "opened")
    assert host.changed_by(request) == ["deploy/staging/als.yml", "deploy/staging/ncf.yml"]
    before, after = (host.read("deploy/staging/ncf.yml", ref) for ref in ("main", request.branch))
    assert after == before.replace(OLD, NEW)
    assert NEW in host.bodies[1]


def test_f07_what_is_served_or_proposed_already_is_not_proposed_again(host):
    propose(host)
    [said] = propose(host)
    assert "is proposed already (https://git.example.com/1)" in said
    host.merge(host.every[0])
    assert propose(host) == ["staging: no deploy file runs another image; nothing to propose"]
    assert len(host.every) == 1


def test_what_somebody_turned_down_is_not_proposed_again(host):
    propose(host)
    host.close(host.every[0], "no")
    assert "turned down" in propose(host)[0]


def test_a_newer_image_takes_the_place_of_the_one_that_waits(host):
    propose(host)
    propose(host, NEWER)
    assert {request.branch: request.state for request in host.every} == {
        "image/staging-222222222222": "closed", "image/staging-333333333333": "opened",
    }  # fmt: skip
    assert "A newer image is proposed" in host.notes[1]


def test_a_request_that_a_release_overtook_is_begun_again(host):
    propose(host)
    text = host.read("deploy/staging/ncf.yml", "main").replace("0123456789ab", "ba9876543210")
    host.repository.commit({"deploy/staging/ncf.yml": text})
    propose(host)
    assert [request.state for request in host.every] == ["closed", "opened"]
    assert host.read("deploy/staging/ncf.yml", "image/staging-222222222222") == text.replace(OLD, NEW)


def test_production_is_proposed_an_image_that_is_there_already(host):
    propose(host, environment="production")
    assert host.changed_by(host.every[0]) == ["deploy/production/ncf.yml"]
    assert image_of(host, "deploy/staging/ncf.yml") == OLD


def test_f02_an_older_build_does_not_propose_over_a_newer_commit(host):
    root, commit = host.repository.root, host.head()
    assert newest(host, root, commit)
    host.repository.commit({"serving_code/__main__.py": "print('newer')\n"})
    (root / "serving_code" / "__main__.py").write_text("print('serve')\n")
    assert not newest(host, root, commit)


def test_f58_a_commit_that_was_not_merged_is_refused(host):
    with pytest.raises(GitopsError, match="is not on the protected branch"):
        newest(host, host.repository.root, "f" * 40)


def test_the_packed_code_is_an_image_to_localcloud_and_stored_once(host, localcloud):
    s3, bucket = localcloud.client("s3"), f"image-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    kiln = Kiln(host.repository.root, REPOSITORY, "", bucket, localcloud.client)
    image = registry.build(kiln, "archive")
    assert registry.build(kiln, "archive") == image
    repository, _, digest = image.partition("@sha256:")
    data = s3.get_object(Bucket=bucket, Key=f"images/serving/{digest}.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert (repository, tar.getnames()) == (REPOSITORY, ["serving_code/Dockerfile", "serving_code/__main__.py"])


class Ecr:
    """A registry with the images that were pushed to it."""

    def __init__(self, **tags: str) -> None:
        self.tags = tags

    def batch_get_image(self, repositoryName: str, imageIds: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        assert repositoryName == "p/serving"
        found = [self.tags[each["imageTag"]] for each in imageIds if each["imageTag"] in self.tags]
        return {"images": [{"imageId": {"imageDigest": digest}} for digest in found]}

    def get_authorization_token(self) -> dict[str, Any]:
        return {"authorizationData": [{"authorizationToken": base64.b64encode(b"AWS:s3cret").decode()}]}


@pytest.fixture
def docker(tmp_path, monkeypatch) -> Path:
    """A `docker` first on the PATH; gives the file that remembers its words."""
    folder, log = tmp_path / "bin", tmp_path / "docker.log"
    folder.mkdir()
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    for name, value in {"DOCKER_LOG": str(log), "REPOSITORY": REPOSITORY, "DIGEST": DIGEST}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return log


def kiln(host: RepositoryHost, ecr: Ecr, base: str = "") -> Kiln:
    return Kiln(host.repository.root, REPOSITORY, base, "bucket", {"ecr": ecr}.__getitem__)


def test_docker_builds_on_a_base_by_digest_and_pushes(host, docker):
    assert registry.build(kiln(host, Ecr()), "registry") == f"{REPOSITORY}@{DIGEST}"
    login, build, push, inspect = docker.read_text().splitlines()
    registry_name = REPOSITORY.partition("/")[0]
    assert login == f"login --username AWS --password-stdin {registry_name}"  # and the password not among the words
    assert build.startswith("s3cret" + "build --tag " + REPOSITORY + ":code-")
    assert f"--build-arg PYTHON={BASE} " in build
    assert push.startswith(f"push --quiet {REPOSITORY}:code-")
    assert inspect.startswith("image inspect")


def test_f07_code_that_was_pushed_before_is_not_built_again(host, docker):
    tag = "code-" + registry.packed(kiln(host, Ecr()))[0][:24]
    assert registry.build(kiln(host, Ecr(**{tag: DIGEST})), "registry") == f"{REPOSITORY}@{DIGEST}"
    assert not docker.exists()


def test_s20_a_base_image_by_tag_is_refused(host, docker):
    (host.repository.root / "serving_code" / "Dockerfile").write_text("ARG PYTHON=python:3.12-slim\n")
    with pytest.raises(GitopsError, match=r"the base image is python:3\.12-slim; name it by digest"):
        registry.build(kiln(host, Ecr()), "registry")
    registry.build(kiln(host, Ecr(), BASE), "registry")


def test_what_docker_says_of_a_failure_is_one_line(host, docker, monkeypatch):
    monkeypatch.setenv("DOCKER_FAILS", "1")
    with pytest.raises(GitopsError, match=r"docker push: failed \(denied: no\)"):
        registry.build(kiln(host, Ecr()), "registry")


def test_the_command_is_what_the_build_calls_and_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    from gitops.__main__ import main

    monkeypatch.chdir(project(tmp_path / "clone").root)
    monkeypatch.setenv("GIT_TOKEN", "t")
    assert main(["image", "--environment", "moon"]) == 1
    assert main(["image", "--image", "serving:latest"]) == 1
    said = capsys.readouterr().err
    assert "moon: is no environment" in said
    assert "serving:latest: is no image by digest" in said
    spec = (Path(__file__).parents[3] / "infra" / "buildspecs" / "image.yml").read_text()
    assert 'python -m gitops image --store "$IMAGE_STORE"' in spec
    assert json.dumps(sorted(registry.STORES)) == '["archive", "registry"]'
