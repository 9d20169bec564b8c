"""Building blocks that pipelines share: content-addressed processing and training jobs as SDK steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines import sdk
from pipelines.cloud import Cloud
from pipelines.errors import ProjectError
from pipelines.identity import step_key

PROCESSING_ROOT = "/opt/ml/processing"
CACHE_LIFETIME = "P90D"
VOLUME_GIB = 30
MAX_ARGUMENT, MAX_ARGUMENTS = 256, 100  # characters of one processing argument, and how many there may be


class Job(Protocol):
    """A job before it knows where it writes."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...


@dataclass(frozen=True)
class Input:
    """What a job reads: an S3 address or a reference to an earlier step, and the digest of what is there."""

    uri: Any  # str, or a pipeline variable of the SDK
    identity: str
    manifest: bool = False  # the address is of a list of files, not of a prefix


@dataclass(frozen=True)
class ProcessingJob:
    """One program of processing_code with its arguments. Input `code` is where the program is."""

    name: str
    program: str
    image: str
    instance_type: str
    arguments: tuple[str, ...]
    inputs: Mapping[str, Input]

    @property
    def key(self) -> str:
        """Identity: program, arguments, machine, image and inputs."""
        arguments = {
            "program": self.program,
            "image": self.image,
            "instance_type": self.instance_type,
            "arguments": list(self.arguments),
        }
        return step_key(arguments, {name: given.identity for name, given in self.inputs.items()})


@dataclass(frozen=True)
class TrainingJob:
    """One training job in script mode: `code` is a sourcedir.tar.gz, `train` and maybe `signing` are its channels."""

    name: str
    image: str
    instance_type: str
    hyperparameters: Mapping[str, str]
    code: Input
    train: Input
    max_runtime_seconds: int
    instance_count: int
    spot: bool
    metrics: Mapping[str, str]  # name -> regular expression that finds it in the log
    signing_uri: str | None = None  # of the private key that archives are signed with

    @property
    def key(self) -> str:
        """Identity: hyperparameters, machine, image, code and data."""
        arguments = {
            "image": self.image,
            "instance_type": self.instance_type,
            "hyperparameters": dict(self.hyperparameters),
            "max_runtime_seconds": self.max_runtime_seconds,
            "instance_count": self.instance_count,
            "spot": self.spot,
            "metrics": dict(self.metrics),
        }
        if self.signing_uri:
            arguments["signing"] = self.signing_uri
        return step_key(arguments, {"code": self.code.identity, "train": self.train.identity})


def location(cloud: Cloud, job: Job) -> str:
    """Where a job's outputs live: below its own key, so that equal jobs share them."""
    return f"s3://{cloud.bucket}/steps/{job.name}/{job.key}"


def folder(kind: str, name: str) -> str:
    """A processing job's folder for the input or output of that name."""
    return f"{PROCESSING_ROOT}/{kind}/{name}"


def processing_step(cloud: Cloud, session: Any, job: ProcessingJob, outputs: Mapping[str, Any]) -> Any:
    """A ProcessingStep; `outputs` maps each output's name to its S3 address.

    Raises ProjectError for more or longer arguments than SageMaker takes.
    """
    from sagemaker.core.network import NetworkConfig
    from sagemaker.core.processing import Processor
    from sagemaker.mlops.workflow.steps import ProcessingStep

    if len(job.arguments) > MAX_ARGUMENTS:
        raise ProjectError(
            f"{job.name}: {len(job.arguments)} arguments, SageMaker takes {MAX_ARGUMENTS}; give it fewer rules"
        )
    for argument in job.arguments:
        if len(argument) > MAX_ARGUMENT:
            raise ProjectError(
                f"{job.name}: an argument of {len(argument)} characters, SageMaker takes {MAX_ARGUMENT};"
                f" shorten what it comes from: {argument[:60]}..."
            )
    processor = Processor(
        role=cloud.role_arn,
        image_uri=job.image,
        instance_count=1,
        instance_type=job.instance_type,
        entrypoint=["python3", f"{folder('input', 'code')}/{job.program}"],
        volume_size_in_gb=VOLUME_GIB,
        max_runtime_in_seconds=7200,
        sagemaker_session=session,
        network_config=NetworkConfig(enable_network_isolation=True),
    )
    inputs = [_processing_input(name, given) for name, given in job.inputs.items()]
    places = [_processing_output(name, uri) for name, uri in outputs.items()]
    arguments = processor.run(inputs=inputs, outputs=places, arguments=list(job.arguments))
    return ProcessingStep(job.name, step_args=arguments, cache_config=cache(), retry_policies=retries())


def _processing_input(name: str, given: Input) -> Any:
    from sagemaker.core.shapes import ProcessingInput, ProcessingS3Input

    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=given.uri,
            local_path=folder("input", name),
            s3_data_type="ManifestFile" if given.manifest else "S3Prefix",
            s3_input_mode="File",
            s3_data_distribution_type="FullyReplicated",
        ),
    )


def _processing_output(name: str, uri: Any) -> Any:
    from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output

    place = ProcessingS3Output(s3_uri=uri, local_path=folder("output", name), s3_upload_mode="EndOfJob")
    return ProcessingOutput(output_name=name, s3_output=place)


def training_step(cloud: Cloud, session: Any, job: TrainingJob) -> Any:
    """A TrainingStep. The archive arrives below <location>/model, as <job name>/output/model.tar.gz."""
    from sagemaker.core.training.configs import CheckpointConfig
    from sagemaker.mlops.workflow.steps import TrainingStep

    place = location(cloud, job)
    trainer = model_trainer(cloud, session, job, f"{place}/model").with_metric_definitions(_metrics(job.metrics))
    if job.spot:  # below the job's own key, so that only a job of equal code, data and settings finds them
        trainer = trainer.with_checkpoint_config(CheckpointConfig(s3_uri=f"{place}/checkpoints"))
    with sdk.without_telemetry(session):
        arguments = trainer.train(input_data_config=channels(job))
    return TrainingStep(job.name, step_args=arguments, cache_config=cache(), retry_policies=retries())


def model_trainer(cloud: Cloud, session: Any, job: TrainingJob, output: str) -> Any:
    """The SDK's ModelTrainer for a job that writes below `output`; its metrics are not yet defined."""
    from sagemaker.core.training.configs import Compute, OutputDataConfig, StoppingCondition
    from sagemaker.train.model_trainer import ModelTrainer

    # classic script mode: the SDK's own SourceCode uploads under a timestamp, and no compile equals another
    script = {"sagemaker_program": "train.py", "sagemaker_submit_directory": job.code.uri}
    limits = {"max_runtime_in_seconds": job.max_runtime_seconds}
    if job.spot:
        limits["max_wait_time_in_seconds"] = 2 * job.max_runtime_seconds
    return ModelTrainer(
        sagemaker_session=session,
        role=cloud.role_arn,
        training_image=job.image,
        base_job_name=job.name,
        compute=Compute(
            instance_type=job.instance_type,
            instance_count=job.instance_count,
            volume_size_in_gb=VOLUME_GIB,
            enable_managed_spot_training=job.spot,
        ),
        stopping_condition=StoppingCondition(**limits),
        output_data_config=OutputDataConfig(s3_output_path=output),
        hyperparameters={**job.hyperparameters, **script},
    )


def channels(job: TrainingJob) -> list[Any]:
    """What the job reads, by channel."""
    from sagemaker.core.training.configs import InputData

    found = {"train": job.train.uri, **({"signing": job.signing_uri} if job.signing_uri else {})}
    return [InputData(channel_name=name, data_source=uri) for name, uri in found.items()]


def _metrics(expressions: Mapping[str, str]) -> list[Any]:
    from sagemaker.core.shapes import MetricDefinition

    return [MetricDefinition(name=name, regex=regex) for name, regex in expressions.items()]


def cache() -> Any:
    """Reuse a step's outputs while they are there."""
    from sagemaker.mlops.workflow.steps import CacheConfig

    return CacheConfig(enable_caching=True, expire_after=CACHE_LIFETIME)


def retries() -> list[Any]:
    """Try again what was not the job's fault."""
    from sagemaker.mlops.workflow.retry import (
        SageMakerJobExceptionTypeEnum,
        SageMakerJobStepRetryPolicy,
        StepExceptionTypeEnum,
        StepRetryPolicy,
    )

    return [
        StepRetryPolicy(
            exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
            interval_seconds=5,
            max_attempts=5,
        ),
        SageMakerJobStepRetryPolicy(
            exception_types=[SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT],
            failure_reason_types=[
                SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
                SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
            ],
            interval_seconds=60,
            max_attempts=3,
        ),
    ]
