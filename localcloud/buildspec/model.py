"""What a buildspec 0.2 may say. localcloud/buildspec.schema.json is generated from these models.

Every scalar arrives as the text that stands in the file (see document.py), as CodeBuild reads it: `VERSION: 1.10` is
"1.10" and not the number 1.1. The schema also accepts YAML's own numbers and booleans, for editors.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RETRY = re.compile(r"RETRY(?:-(?P<count>\d+))?(?:-(?P<pattern>.+))?", re.DOTALL)


def _yes(value: object) -> object:
    if value in ("yes", "true", True):
        return True
    if value in ("no", "false", False):
        return False
    raise ValueError(f"{value!r} is neither yes nor no")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a variable's name; use letters, digits and _")
    return value


def _on_failure(value: str) -> str:
    parse_on_failure(value)
    return value


Text = Annotated[str, WithJsonSchema(_SCALAR)]
YesNo = Annotated[bool, BeforeValidator(_yes), WithJsonSchema({"enum": ["yes", "no", "true", "false", True, False]})]
Whole = Annotated[int, WithJsonSchema({"type": "integer"})]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
Variables = Annotated[
    dict[Name, Text],
    WithJsonSchema(
        {"type": "object", "propertyNames": {"pattern": f"^{_NAME.pattern}$"}, "additionalProperties": _SCALAR}
    ),
]
OnFailure = Annotated[
    str,
    AfterValidator(_on_failure),
    WithJsonSchema({"type": "string", "pattern": "^(ABORT|CONTINUE|RETRY(-[0-9]+)?(-.+)?)$"}),
]
Version = Annotated[Literal["0.2"], WithJsonSchema({"enum": [0.2, "0.2"]})]


@dataclass(frozen=True)
class Failure:
    """What to do when a phase failed; `retries` more attempts while `pattern` is found in the error."""

    action: Literal["ABORT", "CONTINUE", "RETRY"]
    retries: int = 0
    pattern: re.Pattern[str] = re.compile(".*")


def parse_on_failure(text: str) -> Failure:
    """ABORT | CONTINUE | RETRY | RETRY-n | RETRY-regex | RETRY-n-regex; ValueError otherwise."""
    if text == "ABORT":
        return Failure("ABORT")
    if text == "CONTINUE":
        return Failure("CONTINUE")
    found = _RETRY.fullmatch(text)
    if not found:
        raise ValueError(
            f"{text!r} is unknown; use ABORT, CONTINUE, RETRY, RETRY-count, RETRY-regex, RETRY-count-regex"
        )
    try:
        pattern = re.compile(found["pattern"] or ".*")
    except re.error as error:
        raise ValueError(f"{found['pattern']!r} is not a regular expression: {error}") from error
    return Failure("RETRY", int(found["count"] or 3), pattern)


def _key(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_key, validate_by_name=False)


class Phase(_Part):
    """One phase: `commands` until the first failure, then `finally`, whatever happened."""

    run_as: Text | None = None
    on_failure: OnFailure | None = None
    commands: tuple[Text, ...] = ()
    finally_: tuple[Text, ...] = ()


class InstallPhase(Phase):
    """The install phase may also ask for runtimes."""

    runtime_versions: dict[str, Text] = Field(default_factory=dict)


class Phases(_Part):
    """The four phases whose commands are the user's."""

    install: InstallPhase | None = None
    pre_build: Annotated[Phase | None, Field(alias="pre_build")] = None
    build: Phase | None = None
    post_build: Annotated[Phase | None, Field(alias="post_build")] = None


class Env(_Part):
    """Variables of the build. Values are literal: nothing is expanded in them."""

    shell: Literal["bash", "sh", "/bin/sh", "/bin/bash", "powershell.exe", "cmd.exe"] | None = None
    variables: Variables = Field(default_factory=dict)
    parameter_store: Variables = Field(default_factory=dict)
    secrets_manager: Annotated[Variables, Field(description="NAME: secret-id:json-key:version-stage:version-id")] = (
        Field(default_factory=dict)
    )
    exported_variables: tuple[Name, ...] = ()
    git_credential_helper: YesNo = False


class Proxy(_Part):
    """Only for builds behind an explicit proxy server."""

    upload_artifacts: YesNo = False
    logs: YesNo = False


class Report(_Part):
    """A report group: which files hold the results, and in which format."""

    files: tuple[Text, ...] = Field(min_length=1)
    base_directory: Text | None = None
    discard_paths: YesNo = False
    file_format: Literal[
        "CUCUMBERJSON", "JUNITXML", "NUNITXML", "NUNIT3XML", "TESTNGXML", "VISUALSTUDIOTRX",
        "CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV",
    ] = "JUNITXML"  # fmt: skip


class Artifact(_Part):
    """Files that are uploaded; patterns are relative to `base-directory`, `**` crosses folders."""

    files: tuple[Text, ...] = Field(min_length=1)
    name: Text | None = None
    discard_paths: YesNo = False
    base_directory: Text | None = None
    exclude_paths: tuple[Text, ...] = ()
    enable_symlinks: YesNo = False
    s3_prefix: Text | None = None


class Artifacts(Artifact):
    """The primary artifact, and any number of named ones."""

    files: tuple[Text, ...] = ()
    secondary_artifacts: dict[str, Artifact] = Field(default_factory=dict)


class Cache(_Part):
    """What to keep between builds. A project with NO_CACHE ignores it."""

    key: Text | None = None
    fallback_keys: Annotated[tuple[Text, ...], Field(max_length=5)] = ()
    action: Literal["save", "restore"] | None = None
    paths: tuple[Text, ...] = ()


class BatchEnv(_Part):
    """Overrides for one build of a batch."""

    compute_type: Text | None = None
    fleet: Text | None = None
    image: Text | None = None
    privileged_mode: YesNo | None = None
    type: Text | None = None
    variables: Variables = Field(default_factory=dict)


class BatchBuild(_Part):
    """One build of a build list."""

    identifier: Text
    buildspec: Text | None = None
    debug_session: YesNo = False
    ignore_failure: YesNo = False
    env: BatchEnv | None = None


class GraphBuild(BatchBuild):
    """One build of a build graph."""

    depend_on: tuple[Text, ...] = ()


class MatrixEnv(_Part):
    """The dimensions of a build matrix."""

    compute_type: tuple[Text, ...] = ()
    fleet: tuple[Text, ...] = ()
    image: tuple[Text, ...] = ()
    variables: dict[Name, tuple[Text, ...]] = Field(default_factory=dict)


class MatrixStatic(_Part):
    """What all builds of a matrix share."""

    ignore_failure: YesNo = False
    env: BatchEnv | None = None


class MatrixDynamic(_Part):
    """What varies between the builds of a matrix."""

    buildspec: tuple[Text, ...] = ()
    env: MatrixEnv | None = None


class Matrix(_Part):
    """A build for every combination."""

    static: MatrixStatic | None = None
    dynamic: MatrixDynamic | None = None


class Fanout(_Part):
    """One build, `parallelism` times."""

    parallelism: Whole
    ignore_failure: YesNo = False


class Batch(_Part):
    """A batch of builds: understood, but not run by localcloud."""

    fast_fail: YesNo = False
    build_list: tuple[BatchBuild, ...] | None = None
    build_matrix: Matrix | None = None
    build_graph: tuple[GraphBuild, ...] | None = None
    build_fanout: Fanout | None = None


class Buildspec(_Part):
    """AWS CodeBuild's build specification, version 0.2."""

    version: Version
    run_as: Text | None = None
    env: Env = Env()
    proxy: Proxy | None = None
    batch: Batch | None = None
    phases: Phases = Phases()
    reports: dict[str, Report] = Field(default_factory=dict)
    artifacts: Artifacts | None = None
    cache: Cache | None = None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a buildspec, for editors and linters."""
    schema = Buildspec.model_json_schema(by_alias=True) | {"title": "AWS CodeBuild buildspec 0.2"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
