"""params/<model>.yml and its data lock: what to train, and on which data."""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipelines import documents
from pipelines import project as projects
from pipelines.errors import ProjectError, nearest
from pipelines.gates import Fraction, Gate
from pipelines.models import Section, parse
from pipelines.names import Column, Digest, Group, Instance, LockPath, PartitionKey, SigningKey, Word
from pipelines.space import Dimension, Search, dimensions, refuse_unless_trained

PIPELINES = {"ncf": "pipelines.ncf"}  # name in `pipeline:` -> module with define(); a new pipeline is one line here
MODEL_NAME = re.compile(r"^[a-z](?:-?[a-z0-9]){0,31}$")


def known_pipeline(name: str) -> str:
    """The name of a pipeline that exists. Raises ValueError, as pydantic wants it, naming the nearest."""
    if name not in PIPELINES:
        raise ValueError(f"unknown pipeline {name!r}; write {nearest(name, PIPELINES) or ' or '.join(PIPELINES)}")
    return name


Pipeline = Annotated[str, AfterValidator(known_pipeline), Field(json_schema_extra={"enum": sorted(PIPELINES)})]
Depths = Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(strict=False, min_length=1, max_length=10)]
# what training_code/models.py can train
Model = Literal["gmf", "mlp", "neumf", "neumf_pretrained", "als", "ease"]
# those of them that several machines can train together; the others are the first machine's alone
IN_EPOCHS = frozenset({"gmf", "mlp", "neumf", "neumf_pretrained"})
# how a model is promoted: merged by the bot after checks, or by a person
Release = Literal["auto", "merge_request"]


class Columns(Section):
    """Names of the data's columns."""

    user: Column
    item: Column
    time: Column
    segment: Column | None = None  # of the user
    category: Column | None = None  # of the item

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({self.user.lower(), self.item.lower(), self.time.lower()}) < 3:
            raise ValueError("user, item and time must be three different columns")
        return self


class Prepare(Section):
    """The preprocessing job, on one machine. Spark over several is EMR's or Glue's (infra/airflow/)."""

    # spark here is Spark on that one machine, and the processing image must have it
    engine: Literal["duckdb", "spark"] = "duckdb"
    min_user_interactions: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    min_item_users: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    split: Literal["temporal", "leave_one_out"] = "temporal"
    holdout_days: Annotated[int, Field(ge=1, le=365)] = 7  # of the temporal split
    folds: Annotated[int, Field(ge=2, le=100)] | None = None  # deals the training pairs
    max_bad_ratio: Fraction = 0.01
    max_user_share: Annotated[float, Field(gt=0, le=1)] = 0.5  # a user with more of all rows is quarantined
    instance_type: Instance = "ml.m5.xlarge"
    instance_count: Literal[1] = 1


class Train(Section):
    """The training job."""

    models: Annotated[tuple[Model, ...], Field(strict=False, min_length=1, max_length=6)] = ("neumf",)
    instance_type: Instance = "ml.m5.2xlarge"
    instance_count: Annotated[int, Field(ge=1, le=8)] = 1
    spot: bool = False
    max_runtime_seconds: Annotated[int, Field(ge=60, le=432_000)] = 7200
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    cross_validate: bool = False  # on the folds that prepare made
    signing_key: SigningKey | None = None  # in the project's bucket; archives then carry a signature

    @field_validator("models")
    @classmethod
    def _distinct(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(models)) != len(models):
            raise ValueError("each model once")
        return models

    @model_validator(mode="after")
    def _shared(self) -> Self:
        if self.instance_count > 1 and not IN_EPOCHS & set(self.models):
            models = ", ".join(self.models)
            raise ValueError(f"instance_count: only models trained in epochs share machines, not {models}; write 1")
        return self


class Hyperparameters(Section):
    """The names of LotteON's training script, and what other models than its own take (training_code/settings.py).

    `top_k` and `test_num_ng` may be given here or under `evaluate`.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    lr: Annotated[float, Field(ge=1e-9, le=1)] = 0.008
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] = 10_240
    dropout: Annotated[float, Field(ge=0, le=0.99)] = 0.0
    factor_num: Annotated[int, Field(ge=1, le=1024)] = 32
    num_layers: Annotated[int, Field(ge=1, le=8)] = 3
    num_ng: Annotated[int, Field(ge=1, le=1000)] = 4
    sampling: Literal["global", "class"] = "global"
    reg: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    patience: Annotated[int, Field(ge=0, le=10_000)] = 3
    min_gain: Annotated[float, Field(ge=0, le=1)] = 0.0
    refit: bool = True
    pretrain: Literal["als", "blend", "parts"] = "als"
    tune_lr: Annotated[float, Field(ge=1e-9, le=1)] = 0.0001
    pretrain_epochs: Annotated[int, Field(ge=1, le=10_000)] = 5
    als_factors: Annotated[int, Field(ge=1, le=1024)] = 128
    als_reg: Annotated[float, Field(ge=0, le=1e6)] = 0.005
    als_nu: Annotated[float, Field(ge=0, le=2)] = 1.0
    als_alpha: Annotated[float, Field(ge=0, le=1e6)] = 0.3
    als_iterations: Annotated[int, Field(ge=1, le=1000)] = 12
    ease_reg: Annotated[float, Field(ge=1e-6, le=1e9)] = 500.0
    ease_factors: Annotated[int, Field(ge=1, le=1024)] = 128
    blend_below: Annotated[int, Field(ge=0, le=1000)] = 0
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    test_num_ng: Annotated[int, Field(ge=1, le=100_000)] | None = None


class Evaluate(Section):
    """The evaluation job."""

    top_k: Depths = (10, 50)
    test_num_ng: Annotated[int, Field(ge=1, le=100_000)] = 99
    instance_type: Instance = "ml.m5.xlarge"

    @field_validator("top_k")
    @classmethod
    def _distinct(cls, depths: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(depths)) != len(depths):
            raise ValueError("each depth once")
        return depths


class Registry(Section):
    """The model package group; `load` fills in `<project>-<model>`, so that params need not name the project."""

    group: Group = ""


class Refresh(Section):
    """Who merges a new data lock, by its reason, and when live requests count as drifted from the training data."""

    new_partition: Release = "auto"
    schedule: Release = "auto"
    drift: Release = "merge_request"
    max_psi: Annotated[float, Field(gt=0)] = 0.25  # population stability index
    max_unknown_users: Annotated[float, Field(ge=0, le=1)] = 0.5  # share of the requests
    min_requests: Annotated[int, Field(ge=1)] = 1000
    # which feedback events become interactions, such as purchase; none: feedback is only reported
    events: Annotated[tuple[Word, ...], Field(strict=False)] = ()

    def automatic(self, reason: str) -> bool:
        """Whether a lock of this reason is merged by the API; a backfill or a person's own is a person's to merge."""
        return getattr(self, reason.replace("-", "_"), "merge_request") == "auto"


class Run(Section):
    """Raise `nonce` to train identical inputs again, visibly."""

    nonce: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class Build(Section):
    """How long `--wait` waits before it leaves a run to itself."""

    wait_minutes: Annotated[float, Field(gt=0, le=70)] = 60  # the retrain build itself has 75


class Params(Section):
    """params/<model>.yml."""

    pipeline: Pipeline
    data: LockPath
    columns: Columns
    prepare: Prepare = Prepare()
    train: Train = Train()
    hyperparameters: Hyperparameters = Hyperparameters()
    search: Search | None = None
    evaluate: Evaluate = Evaluate()
    gate: Gate = Gate()
    registry: Registry = Registry()
    release: dict[projects.Environment, Release] = Field(default={"staging": "auto", "production": "merge_request"})
    refresh: Refresh = Refresh()
    run: Run = Run()
    build: Build = Build()

    @model_validator(mode="before")
    @classmethod
    def _aliases(cls, document: Any) -> Any:
        """LotteON's `top_k` and `test_num_ng` under hyperparameters mean evaluate's where that says nothing."""
        if not isinstance(document, dict):
            return document
        given, evaluate = document.get("hyperparameters"), document.get("evaluate", {})
        if not (isinstance(given, dict) and isinstance(evaluate, dict)):
            return document
        aliases = {"test_num_ng": given.get("test_num_ng"), "top_k": given.get("top_k")}
        aliases["top_k"] = [aliases["top_k"]] if isinstance(aliases["top_k"], int) else None
        return {**document, "evaluate": {**{key: value for key, value in aliases.items() if value}, **evaluate}}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        given, evaluate = self.hyperparameters, self.evaluate
        if given.top_k is not None and given.top_k not in evaluate.top_k:
            raise ValueError(f"hyperparameters.top_k: {given.top_k} is not in evaluate.top_k; say it in one place")
        if given.test_num_ng is not None and given.test_num_ng != evaluate.test_num_ng:
            raise ValueError(
                f"hyperparameters.test_num_ng: {given.test_num_ng} contradicts evaluate.test_num_ng "
                f"{evaluate.test_num_ng}; say it in one place"
            )
        for key, metric in self.gate.metrics.items():
            _, at, depth = metric.partition("@")
            if at and int(depth) not in evaluate.top_k:
                raise ValueError(f"{key}: {metric} is not measured; add {depth} to evaluate.top_k")
        if self.search:
            refuse_unless_trained(self.search, self.train.models, self.objective, self.top_k)
            dimensions(self.search.space, Hyperparameters)
        return self

    @property
    def top_k(self) -> int:
        """The depth of the metrics that training measures."""
        return self.hyperparameters.top_k or self.evaluate.top_k[0]

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The search space; empty without a search."""
        return dimensions(self.search.space, Hyperparameters) if self.search else ()

    @property
    def objective(self) -> str:
        """The validation metric that models of this file are chosen by."""
        return (self.search and self.search.objective) or f"ndcg@{self.top_k}"


class Partition(Section):
    """One file of the data set: where it is below the bucket, and what it must be."""

    key: PartitionKey
    sha256: Digest
    bytes: Annotated[int, Field(ge=1)]
    rows: Annotated[int, Field(ge=0)]


class DataLock(Section):
    """params/<model>.data.yml: the exact data a model is trained on."""

    dataset: Word
    reason: Literal["new-partition", "schedule", "drift", "backfill", "manual"]
    partitions: Annotated[tuple[Partition, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = [partition.key for partition in self.partitions]
        for index, key in enumerate(keys):
            if not key.startswith(f"raw/{self.dataset}/"):
                raise ValueError(
                    f"partitions[{index}].key: {key} is not of this data set; it is raw/{self.dataset}/..."
                )
            if key in keys[:index]:
                raise ValueError(f"partitions[{index}].key: {key} is listed twice; keep one")
        if not sum(partition.rows for partition in self.partitions):
            raise ValueError("partitions: no rows in any of them; lock data that has some")
        return self

    def canonical(self) -> bytes:
        """lock.json as the preprocessing job reads it. Order of partitions and reason change nothing."""
        partitions = sorted(
            (partition.model_dump() for partition in self.partitions), key=lambda item: str(item["key"])
        )
        return json.dumps({"dataset": self.dataset, "partitions": partitions}, sort_keys=True).encode()

    @property
    def sha256(self) -> str:
        """Identity of the data."""
        return hashlib.sha256(self.canonical()).hexdigest()


def model_name(path: Path) -> str:
    """params/ncf.yml -> ncf. Raises ProjectError for a name that cannot name AWS resources."""
    if not MODEL_NAME.fullmatch(path.stem):
        raise ProjectError(f"{path}: {path.stem} cannot name a model; use lower-case letters, digits and single dashes")
    return path.stem


def load(path: Path, document_text: str | None = None) -> Params:
    """The params in a file, or in a text under that name, checked against project.yml's environments.

    Raises ProjectError naming the file, the key and what to write instead.
    """
    params = parse(Params, path, documents.load(path, document_text))
    project = projects.load(projects.find_root(path))
    group = params.registry.group or f"{project.project}-{model_name(path)}"
    known = project.environments
    for environment in params.release:
        if environment not in known:
            match = nearest(environment, known)
            remedy = f"did you mean {match}?" if match else f"project.yml has {', '.join(known)}"
            raise ProjectError(f"{path}: release.{environment}: unknown environment; {remedy}")
    return params.model_copy(update={"registry": Registry(group=group)})


def load_lock(path: Path, document_text: str | None = None) -> DataLock:
    """The data lock in a file, or in a text under that name. Raises ProjectError as `load` does."""
    return parse(DataLock, path, documents.load(path, document_text))
