"""A search for hyperparameters as one step: SageMaker trains a model for each set of values, the best one counts."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from pipelines import sdk
from pipelines.cloud import Cloud
from pipelines.identity import step_key
from pipelines.space import Categorical, Continuous, Dimension, Integer, Search, as_text
from pipelines.steps import TrainingJob, cache, channels, location, model_trainer, retries


@dataclass(frozen=True)
class TuningJob:
    """Training jobs that are equal but for the values that the search chooses."""

    training: TrainingJob  # with the values that are not searched
    search: Search
    dimensions: tuple[Dimension, ...]
    objective: str  # one of the training job's metrics, to be as large as possible
    seed: int
    name: str = "Tune"

    @cached_property
    def fixed(self) -> TrainingJob:
        """The training job without the hyperparameters that are searched: what they are elsewhere changes nothing."""
        searched = {dimension.name for dimension in self.dimensions}
        left = {name: value for name, value in self.training.hyperparameters.items() if name not in searched}
        return replace(self.training, hyperparameters=left)

    @property
    def key(self) -> str:
        """Identity: the training job, the space, and how it is searched."""
        arguments = {
            "dimensions": [[type(dimension).__name__, asdict(dimension)] for dimension in self.dimensions],
            "objective": self.objective,
            "seed": self.seed,
            **self.search.model_dump(include={"trials", "parallel", "strategy"}),
        }
        return step_key(arguments, {"training": self.fixed.key})


def tuning_step(cloud: Cloud, session: Any, job: TuningJob) -> Any:
    """A TuningStep. Each archive arrives below `models`, as <training job name>/output/model.tar.gz."""
    from sagemaker.mlops.workflow.steps import TuningStep
    from sagemaker.train.tuner import HyperparameterTuner

    metrics = [{"Name": name, "Regex": regex} for name, regex in job.training.metrics.items()]
    tuner = HyperparameterTuner(
        model_trainer=model_trainer(cloud, session, job.fixed, f"s3://{cloud.bucket}/{models(cloud, job)}"),
        objective_metric_name=job.objective,
        objective_type="Maximize",
        hyperparameter_ranges={dimension.name: RANGES[type(dimension)](dimension) for dimension in job.dimensions},
        metric_definitions=metrics,
        strategy=job.search.strategy,
        max_jobs=job.search.trials,
        max_parallel_jobs=job.search.parallel,
        random_seed=max(job.seed, 1),  # the SDK drops a 0
    )
    with sdk.without_telemetry(session):
        arguments = tuner.tune(inputs=channels(job.training))
    return TuningStep(job.name, step_args=arguments, cache_config=cache(), retry_policies=retries())


def models(cloud: Cloud, job: TuningJob) -> str:
    """The key in the artifact bucket below which the archives of all trials lie."""
    return f"{location(cloud, job).removeprefix(f's3://{cloud.bucket}/')}/model"


def best_archive(cloud: Cloud, step: Any, job: TuningJob) -> Any:
    """A reference to the archive of the best trial."""
    return step.get_top_model_s3_uri(0, cloud.bucket, models(cloud, job))


def _continuous(dimension: Any) -> Any:
    from sagemaker.core.parameter import ContinuousParameter

    return ContinuousParameter(dimension.least, dimension.most, _scale(dimension))


def _integer(dimension: Any) -> Any:
    from sagemaker.core.parameter import IntegerParameter

    return IntegerParameter(dimension.least, dimension.most, _scale(dimension))


def _categorical(dimension: Any) -> Any:
    from sagemaker.core.parameter import CategoricalParameter

    return CategoricalParameter([as_text(value) for value in dimension.values])


def _scale(dimension: Continuous | Integer) -> str:
    return "Logarithmic" if dimension.log else "Linear"


# each kind of dimension as the SDK's
RANGES: Mapping[type[Dimension], Callable[[Any], Any]] = {
    Continuous: _continuous,
    Integer: _integer,
    Categorical: _categorical,
}
