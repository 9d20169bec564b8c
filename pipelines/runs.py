"""One model's run, ready to be started: everything is read, checked and compiled before the cloud is touched."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pipelines import champion, identity, sources
from pipelines import params as parameters
from pipelines import project as projects
from pipelines.cloud import Cloud
from pipelines.errors import ProjectError
from pipelines.validate import validate

BUILDSPEC = "buildspec.yml"


@dataclass(frozen=True)
class Model:
    """params/<name>.yml, its data lock and the champion in production, read and checked."""

    name: str
    path: Path
    params: parameters.Params
    lock: parameters.DataLock
    champion: champion.Champion | None


@dataclass(frozen=True)
class Run:
    """What is uploaded, which definition is started, under which identity."""

    model: Model
    pipeline: str  # its name on SageMaker
    run_id: str
    definition: str  # canonical JSON
    values: Mapping[str, str]  # execution parameters
    uploads: Mapping[str, bytes]  # S3 key -> content; each key names its content


def find(root: Path) -> list[Path]:
    """Every params file of the project, sorted. Raises ProjectError when there is none."""
    found = sorted(path for path in (root / "params").glob("*.yml") if not path.name.endswith(".data.yml"))
    if not found:
        raise ProjectError(f"{root / 'params'}: no params file; write params/<model>.yml")
    return [path.relative_to(root) if root == Path.cwd() else path for path in found]


def read(root: Path, path: Path) -> Model:
    """Raises ProjectError for anything wrong in the params, the data lock or the champion's release."""
    project = projects.load(root)
    given = parameters.load(path)
    lock_path = Path(given.data) if root == Path.cwd() else root / given.data
    lock = parameters.load_lock(lock_path)
    name = parameters.model_name(path)
    return Model(name, path, given, lock, champion.read(root, project.environments[-1], name))


def compiled(root: Path, model: Model, cloud: Cloud) -> dict[str, Any]:
    """The model's checked definition. Raises ProjectError when SageMaker would refuse it."""
    define: Callable[..., dict[str, Any]] = import_module(parameters.PIPELINES[model.params.pipeline]).define
    definition = define(model.params, sources.load(root, model.lock.sha256), cloud)
    validate(definition)
    return definition


def plan(root: Path, model: Model, cloud: Cloud, commit: str) -> Run:
    """The run of one model. Raises ProjectError when the project lacks a file a run is made of."""
    buildspec = root / BUILDSPEC
    if not buildspec.is_file():
        raise ProjectError(f"{buildspec}: no such file; it is part of a run's identity, restore it from git")
    definition = compiled(root, model, cloud)
    values = {"Commit": commit}
    if model.champion:
        values |= {"Champion": model.champion.name, "ChampionUri": model.champion.folder}
    return Run(
        model=model,
        pipeline=f"{projects.load(root).project}-{model.name}",
        run_id=identity.run_id(definition, buildspec.read_bytes(), model.params.run.nonce),
        definition=identity.canonical(definition),
        values=values,
        uploads=dict(uploads(root, model.lock, cloud)),
    )


def uploads(root: Path, lock: parameters.DataLock, cloud: Cloud) -> Iterator[tuple[str, bytes]]:
    """(key, content) of everything the steps read that is not data."""
    digests = sources.load(root, lock.sha256)
    for name, path in sources.files(root / sources.PROCESSING):
        yield f"code/processing_code/{digests.processing}/{name}", path.read_bytes()
    yield f"code/training_code/{digests.training}/sourcedir.tar.gz", sources.pack(root / sources.TRAINING)
    yield f"locks/{lock.sha256}/lock.json", lock.canonical()
    listed = [{"prefix": f"s3://{cloud.bucket}/"}, *sorted(partition.key for partition in lock.partitions)]
    yield f"locks/{lock.sha256}/partitions.manifest", json.dumps(listed).encode()
    yield "champion/none/NONE", b"no champion\n"
