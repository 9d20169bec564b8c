"""deploy/<environment>/<model>.yml: what an environment serves. Loads it, and edits its release block only."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field

from gitops import rollout as rolling
from gitops.errors import GitopsError
from gitops.rollout import Rollout
from pipelines import documents, models
from pipelines.models import Section, text

Name = Annotated[str, text(r"^[a-z](?:-?[a-z0-9]){0,31}$", "lower-case letters, digits and single dashes")]
ReleaseId = Annotated[
    str, text(r"^[a-z](?:-?[a-z0-9]){0,31}-[0-9a-f]{12}$", "<model>-<first 12 digits of the run's digest>")
]
PackageArn = Annotated[
    str,
    text(
        r"^arn:[a-z-]+:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package/[A-Za-z0-9-]+/[0-9]+$",
        "the ARN of a version in a model package group",
    ),
]
S3Uri = Annotated[str, text(r"^s3://[a-z0-9.-]{3,63}/[^\s]+$", "s3://<bucket>/<key>")]
Sha256 = Annotated[str, text(r"^[0-9a-f]{64}$", "a sha256 of 64 hexadecimal digits")]
Image = Annotated[str, text(r"^[^\s@]+@sha256:[0-9a-f]{64}$", "<repository>@sha256:<digest>: a tag may move")]
Instance = Annotated[str, text(r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$", "an instance type such as ml.c6i.large")]
VARIANT = "main"  # one name for ever: deployment guardrails need the same variant on both sides
# these YAML reads as text without quotes: no number, date or truth value has a slash, or a letter first and a dash
PLAIN = re.compile(r"(?:[A-Za-z0-9][\w.:@=+-]*/|[a-z][a-z0-9]*-)[\w./:@=+-]*\w", re.ASCII)


class Release(Section):
    """Exactly one archive in one image; what a promotion changes."""

    id: ReleaseId
    package_arn: PackageArn
    archive_uri: S3Uri
    archive_sha256: Sha256
    image: Image

    @property
    def version(self) -> int:
        """The package's version number in its group."""
        return int(self.package_arn.rsplit("/", 1)[1])


class Serving(Section):
    mode: Literal["realtime"] = "realtime"
    instance_type: Instance
    instances: Annotated[int, Field(ge=1, le=100)] = 1


class Capture(Section):
    """Requests and answers kept in S3, in SageMaker's format: what drift and shadow reports read."""

    sampling_percent: Annotated[int, Field(ge=1, le=100)]


class Challenger(Section):
    """A second release that answers a share of the traffic, beside `release`."""

    release: Release
    share: Annotated[float, Field(gt=0, lt=1)]
    instances: Annotated[int, Field(ge=1, le=100)] = 1


class Shadow(Section):
    """A release that gets a copy of a share of the requests; its answers are captured and never returned."""

    release: Release
    share: Annotated[float, Field(gt=0, le=1)]
    instances: Annotated[int, Field(ge=1, le=100)] = 1


class Autoscaling(Section):
    min: Annotated[int, Field(ge=1)]
    max: Annotated[int, Field(ge=1)]
    invocations_per_instance: Annotated[int, Field(ge=1)]


class Verify(Section):
    max_p99_ms: Annotated[float, Field(gt=0)] | None = None  # of golden requests, measured by the caller
    max_p99_ratio: Annotated[float, Field(ge=1, le=100)] | None = None  # to the champion's, under the same load
    public_key: Annotated[str, Field(max_length=1000)] | None = None  # PEM; then an archive must be signed by its owner


class Deployment(Section):
    """One model in one environment. `release` null: nothing deployed yet; it never deletes an endpoint."""

    model: Name
    release: Release | None
    serving: Serving
    challenger: Challenger | None = None
    shadow: Shadow | None = None
    capture: Capture | None = None
    autoscaling: Autoscaling | None = None
    rollout: Rollout = Rollout()
    verify: Verify = Verify()
    retry: Annotated[int, Field(ge=0)] = 0  # raise it to try again a release that was rolled back
    allow_recreate: bool = False  # may a Failed endpoint, which serves nothing, be deleted and created anew

    @property
    def releases(self) -> dict[str, Release]:
        """What each variant serves, by the variant's name; `main` is the one that answers by default."""
        found = {VARIANT: self.release, "challenger": self.challenger, "shadow": self.shadow}
        return {
            name: one if isinstance(one, Release) else one.release for name, one in found.items() if one is not None
        }


def load(path: Path, content: str | None = None) -> Deployment:
    """The deployment in the file, or in `content` under that name; its stem must be the model's name.

    Raises ProjectError naming the file, the key and what to write instead.
    """
    deployment = models.parse(Deployment, path, documents.load(path, content))
    if deployment.model != path.stem:
        raise GitopsError(f"{path}: model is {deployment.model!r}; it must be {path.stem!r}, the file's own name")
    if deployment.challenger and deployment.shadow:
        raise GitopsError(f"{path}: has a challenger and a shadow; SageMaker takes one of them at a time")
    _refuse_autoscaling(deployment, path)
    serving, scaled = deployment.serving, deployment.autoscaling
    fewest = min(serving.instances, scaled.min) if scaled else serving.instances
    variants = 1 + (deployment.challenger is not None) + (deployment.shadow is not None)
    problem = rolling.refusal(deployment.rollout, serving.instance_type, fewest, variants)
    if problem:
        raise GitopsError(f"{path}: {problem}")
    return deployment


def _refuse_autoscaling(deployment: Deployment, path: Path) -> None:
    """GitopsError where the two say different things of the number of instances."""
    scaled, instances = deployment.autoscaling, deployment.serving.instances
    if scaled and not scaled.min <= instances <= scaled.max:
        raise GitopsError(
            f"{path}: serving.instances is {instances}, autoscaling allows {scaled.min} to {scaled.max}; "
            "instances is what it starts from, write one of those"
        )


def files(root: Path, environment: str) -> list[Path]:
    """The deploy files of an environment: _policy.yml and the like are none."""
    return sorted((root / "deploy" / environment).glob("[!_]*.yml"))


def with_release(content: str, release: Release | None, where: Path) -> str:
    """`content` with its release block replaced and every other byte kept, comments and order included."""
    documents.load(where, content)
    lines = content.splitlines(keepends=True)
    start, end, head, comment = _block(content, where)
    newline = "\r\n" if lines[start].endswith("\r\n") else "\n"
    if release is None:
        block = f"{head} null{comment}{newline}"
    else:
        body = [f"  {key}: {_scalar(value)}" for key, value in release.model_dump().items()]
        block = newline.join([f"{head}{comment}", *body, ""])
    edited = "".join([*lines[:start], block, *lines[end:]])
    _only_release_differs(content, edited, release, where)
    return edited


def _scalar(value: str) -> str:
    # a digest may read as a number, a URI may hold " #": anything in doubt is quoted
    return value if PLAIN.fullmatch(value) else json.dumps(value)


def _block(content: str, where: Path) -> tuple[int, int, str, str]:
    """The top-level `release` entry: first line, line after the last, `release:`, the comment on its first line."""
    root = yaml.compose(content, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise GitopsError(f"{where}: is not one mapping in block style; see deploy/staging/ for an example")
    keys = [key for key, _ in root.value]
    names = [key.value for key in keys]
    if "release" not in names:
        raise GitopsError(f"{where}: release: is missing; add 'release: null'")
    position = names.index("release")
    value = root.value[position][1]
    lines = content.splitlines()
    start = keys[position].start_mark.line
    end = keys[position + 1].start_mark.line if position + 1 < len(keys) else len(lines)
    # comments and blank lines in front of the next key are about that key
    while end - 1 > start and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    colon = lines[start].index(":", keys[position].end_mark.column) + 1
    after = value.end_mark.column if value.end_mark.line == start else colon
    comment = re.search(r"\s+#.*$", lines[start][after:])
    return start, end, lines[start][:colon], comment.group() if comment else ""


def _only_release_differs(before: str, after: str, release: Release | None, where: Path) -> None:
    old, new = documents.load(where, before), documents.load(where, after)
    expected = {**old, "release": release.model_dump() if release else None}
    if new != expected or list(new) != list(old):
        raise GitopsError(f"{where}: its release block cannot be replaced safely; write it in block style")
