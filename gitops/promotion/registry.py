"""Where a serving image is made: by docker in a registry, or, for localcloud, as packed code in the bucket.

Both name what they made by digest, and make the same code once: a second build of it finds the first one's image.
"""

import base64
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError
from pipelines import sources

CODE = "serving_code"
PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Kiln:
    """What an image is made of and where it goes."""

    root: Path
    repository: str  # <registry>/<name>, without tag or digest
    base: str  # the base image by digest; empty: the Dockerfile's own
    bucket: str
    client: Callable[[str], Any]  # service -> boto3 client


def build(kiln: Kiln, store: str) -> str:
    """The image's name by digest. GitopsError if it cannot be made."""
    return STORES[store](kiln)


def packed(kiln: Kiln) -> tuple[str, bytes]:
    """(digest, bytes) of the code that the image runs."""
    data = sources.pack(kiln.root / CODE, CODE)
    return sources.digest(data), data


def archive(kiln: Kiln) -> str:
    """The packed code as images/serving/<digest>.tar.gz, which is an image to localcloud."""
    digest, data = packed(kiln)
    try:
        kiln.client("s3").put_object(
            Bucket=kiln.bucket, Key=f"images/serving/{digest}.tar.gz", Body=data, IfNoneMatch="*"
        )
    except ClientError as error:
        if aws.code(error) != "PreconditionFailed":
            raise
    return f"{kiln.repository}@sha256:{digest}"


def registry(kiln: Kiln) -> str:
    """The code as an image that docker built and pushed, under a tag of the code's own digest."""
    ecr = kiln.client("ecr")
    digest, _ = packed(kiln)
    tag = f"code-{digest[:24]}"
    known = pushed(ecr, kiln.repository, tag)
    if known:
        return known
    base = ["--build-arg", f"PYTHON={base_image(kiln)}"]
    sign_in(ecr, kiln.repository)
    name = f"{kiln.repository}:{tag}"
    docker("build", "--tag", name, *base, str(kiln.root / CODE))
    docker("push", "--quiet", name)
    made = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    mine = [each for each in made if each.startswith(f"{kiln.repository}@")]
    if not mine:
        raise GitopsError(f"{name}: docker knows no digest of it after the push; see the registry")
    return str(mine[0])


# a new way to keep images is one function and one line here
STORES: dict[str, Callable[[Kiln], str]] = {"registry": registry, "archive": archive}


def base_image(kiln: Kiln) -> str:
    """The base image by digest: the one that was given, else the Dockerfile's. GitopsError for a tag: it may move."""
    file = kiln.root / CODE / "Dockerfile"
    own = re.search(r"^ARG PYTHON=(\S+)$", file.read_text(), flags=re.MULTILINE)
    base = kiln.base or (own[1] if own else "")
    if not PINNED.fullmatch(base):
        raise GitopsError(
            f"{file}: the base image is {base or 'not named'}; name it by digest there (ARG PYTHON=<image>@sha256:...) "
            "or with python -m infra deploy --parameter BaseImage=..."
        )
    return base


def pushed(ecr: Any, repository: str, tag: str) -> str | None:
    """The image that has this tag, by digest; None if there is none."""
    name = repository.partition("/")[2]
    found = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag}])["images"]
    return f"{repository}@{found[0]['imageId']['imageDigest']}" if found else None


def sign_in(ecr: Any, repository: str) -> None:
    """docker's own sign-in; the password goes through its standard input."""
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    docker("login", "--username", user, "--password-stdin", repository.partition("/")[0], secret=password)


def docker(*words: str, secret: str | None = None) -> str:
    """What docker printed. GitopsError with its last words."""
    try:
        done = subprocess.run(["docker", *words], input=secret, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise GitopsError("docker: is not here; --store archive makes an image for localcloud without it") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise GitopsError(f"docker {words[0]}: failed ({' '.join(last) or done.returncode}); its log is in the build's")
    return done.stdout
