"""The NCF pipeline: Prepare -> Train, or Tune -> Evaluate -> Gate -> Register, or GateFailed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines import gates, sdk
from pipelines.cloud import Cloud
from pipelines.errors import ProjectError
from pipelines.identity import canonical
from pipelines.params import Params
from pipelines.sources import Sources
from pipelines.steps import Input, ProcessingJob, TrainingJob, folder, location, processing_step, training_step
from pipelines.tuning import TuningJob, best_archive, tuning_step

METRICS = {name: rf"\b{name}=([0-9.]+);" for name in ("HR", "NDCG", "Loss")}
# parameters of one execution: none of them is part of the definition, so none of them is part of a run's identity
NO_CHAMPION = "none"


@dataclass(frozen=True)
class Context:
    """What every step is built from."""

    params: Params
    sources: Sources
    cloud: Cloud
    session: Any  # the SDK's PipelineSession

    def s3(self, key: str) -> str:
        """The address of a key in the artifact bucket."""
        return f"s3://{self.cloud.bucket}/{key}"

    @property
    def program(self) -> Input:
        """The packed processing_code, as plain files: a processing container cannot unpack."""
        return Input(self.s3(f"code/processing_code/{self.sources.processing}/"), self.sources.processing)


def define(params: Params, sources: Sources, cloud: Cloud) -> dict[str, Any]:
    """The pipeline definition as SageMaker takes it. Pure: no network, no files, equal inputs give equal output.

    Raises ProjectError for params that a job cannot be asked for.
    """
    with sdk.compiling(cloud):
        from sagemaker.mlops.workflow.pipeline import Pipeline

        context = Context(params, sources, cloud, sdk.session(cloud))
        parameters = execution_parameters(context)
        prepare_job = prepare(context)
        prepare_step = processing_step(cloud, context.session, prepare_job, prepare_outputs(context, prepare_job))
        train_step, model = models(context, train(context, prepare_job, prepare_step))
        evaluate_job = evaluate(context, (prepare_job, prepare_step), model, parameters)
        decision, metrics = property_files()
        evaluate_step = processing_step(
            cloud, context.session, evaluate_job, evaluate_outputs(context, evaluate_job, parameters)
        )
        evaluate_step.property_files = [decision, metrics]
        gate_step = gate(context, evaluate_step, decision, register(context, evaluate_step, parameters))
        pipeline = Pipeline(
            name="compiled",  # not part of the definition
            parameters=list(parameters.values()),
            steps=[prepare_step, train_step, evaluate_step, gate_step],
            sagemaker_session=context.session,
            pipeline_experiment_config=None,
        )
        definition: dict[str, Any] = json.loads(pipeline.definition())
    return definition


def execution_parameters(context: Context) -> dict[str, Any]:
    """Commit, and the champion: the folder of its archive, and a short name that keeps evaluations of it apart."""
    from sagemaker.core.workflow.parameters import ParameterString

    return {
        "commit": ParameterString("Commit", default_value="unknown"),
        "champion": ParameterString("Champion", default_value=NO_CHAMPION),
        "champion_uri": ParameterString("ChampionUri", default_value=context.s3(f"champion/{NO_CHAMPION}/")),
    }


def prepare(context: Context) -> ProcessingJob:
    """Interactions of the locked partitions, filtered and split."""
    given, lock = context.params.prepare, context.sources.lock
    settings = {
        "--engine": given.engine,
        "--columns": canonical(context.params.columns.model_dump(exclude_none=True)),
        "--min-user-interactions": str(given.min_user_interactions),
        "--min-item-users": str(given.min_item_users),
        "--split": given.split,
        "--holdout-days": str(given.holdout_days),
        "--folds": str(given.folds or 0),
        "--max-bad-ratio": str(given.max_bad_ratio),
        "--max-user-share": str(given.max_user_share),
        "--lock-dir": folder("input", "lock"),
        "--data-dir": folder("input", "data"),
        "--train-dir": folder("output", "train"),
        "--holdout-dir": folder("output", "holdout"),
        "--report-dir": folder("output", "report"),
    }
    return ProcessingJob(
        name="Prepare",
        program="prepare.py",
        image=context.cloud.images.processing,
        instance_type=given.instance_type,
        arguments=flat(settings),
        inputs={
            "code": context.program,
            "lock": Input(context.s3(f"locks/{lock}/lock.json"), lock),
            "data": Input(context.s3(f"locks/{lock}/partitions.manifest"), lock, manifest=True),
        },
    )


def prepare_outputs(context: Context, job: ProcessingJob) -> dict[str, str]:
    """Each output's address, below the job's key."""
    return {name: f"{location(context.cloud, job)}/{name}" for name in ("train", "holdout", "report")}


def train(context: Context, prepared: ProcessingJob, prepare_step: Any) -> TrainingJob:
    """The model archive, from the training part of what Prepare left."""
    params = context.params
    code = context.s3(f"code/training_code/{context.sources.training}/sourcedir.tar.gz")
    return TrainingJob(
        name="Train",
        image=context.cloud.images.training,
        instance_type=params.train.instance_type,
        hyperparameters=hyperparameters(params),
        code=Input(code, context.sources.training),
        train=Input(output(prepare_step, "train"), f"{prepared.key}/train"),
        max_runtime_seconds=params.train.max_runtime_seconds,
        instance_count=params.train.instance_count,
        spot=params.train.spot,
        metrics=metrics(params.train.models),
        signing_uri=f"s3://{context.cloud.bucket}/{params.train.signing_key}" if params.train.signing_key else None,
    )


def hyperparameters(params: Params) -> dict[str, str]:
    """What train.py is told, as text."""
    given = params.hyperparameters.model_dump(exclude={"top_k", "test_num_ng"})
    given |= {
        "models": ",".join(params.train.models),
        "seed": params.train.seed,
        "cross_validate": params.train.cross_validate,
        "top_k": params.top_k,
        "test_num_ng": params.evaluate.test_num_ng,
        "validation_days": params.prepare.holdout_days if params.prepare.split == "temporal" else 0,
    }
    return {name: str(value).lower() for name, value in given.items()}


def models(context: Context, job: TrainingJob) -> tuple[Any, Input]:
    """The step that trains, and the archive it leaves: of one training job, or of the best one of a search.

    Raises ProjectError for a search beside models that it would leave out.
    """
    params, cloud, session = context.params, context.cloud, context.session
    if not params.search:
        step = training_step(cloud, session, job)
        return step, Input(step.properties.ModelArtifacts.S3ModelArtifacts, job.key)
    if params.train.models != (params.search.model,):
        raise ProjectError(
            f"search: a pipeline tunes one model; write train.models: [{params.search.model}],"
            " or take search: out and search with python -m pipelines search before"
        )
    judged = {params.objective: objective(params.search.model, params.objective)}
    search = TuningJob(
        training=replace(job, metrics={**job.metrics, **judged}),
        search=params.search,
        dimensions=params.dimensions,
        objective=params.objective,
        seed=params.train.seed,
    )
    step = tuning_step(cloud, session, search)
    return step, Input(best_archive(cloud, step, search), search.key)


def objective(model: str, metric: str) -> str:
    """The regular expression that finds a model's own validation metric in the log of its training."""
    return rf"\b{model} validation: .*\b{metric}=([0-9.]+);"


def metrics(models: Sequence[str]) -> dict[str, str]:
    """What SageMaker reads from the log: each metric of all models together, and of each model if there are more."""
    each = {f"{model}:{name}": rf"\b{model} epoch .*{found}" for model in models for name, found in METRICS.items()}
    return METRICS | (each if len(models) > 1 else {})


def evaluate(
    context: Context, prepared: tuple[ProcessingJob, Any], model: Input, parameters: dict[str, Any]
) -> ProcessingJob:
    """Metrics on the holdout, and the gate's decision. Its archive arrives unextracted."""
    given = context.params.evaluate
    settings = {
        "--top-k": ",".join(str(depth) for depth in given.top_k),
        "--test-num-ng": str(given.test_num_ng),
        "--seed": str(context.params.train.seed),
        "--model-dir": folder("input", "model"),
        "--train-dir": folder("input", "train"),
        "--holdout-dir": folder("input", "holdout"),
        "--champion-dir": folder("input", "champion"),
        "--prepared-dir": folder("input", "prepared"),
        "--output-dir": folder("output", "evaluation"),
        "--models-dir": folder("output", "models"),
    }
    prepare_job, prepare_step = prepared
    return ProcessingJob(
        name="Evaluate",
        program="evaluate.py",
        image=context.cloud.images.processing,
        instance_type=given.instance_type,
        arguments=(*flat(settings), "--gate", *gates.rules(context.params.gate)),
        inputs={
            "code": context.program,
            "model": model,
            "train": Input(output(prepare_step, "train"), f"{prepare_job.key}/train"),
            "holdout": Input(output(prepare_step, "holdout"), f"{prepare_job.key}/holdout"),
            "champion": Input(parameters["champion_uri"], "an execution parameter"),
            "prepared": Input(output(prepare_step, "report"), f"{prepare_job.key}/report"),
        },
    )


def evaluate_outputs(context: Context, job: ProcessingJob, parameters: dict[str, Any]) -> dict[str, Any]:
    """The evidence, and the archives one by one, as <model>/model.tar.gz.

    The evidence depends on the champion too: that about one must not overwrite that about another. The archives do
    not: a registered model's address stays the same whoever it was compared with.
    """
    from sagemaker.core.workflow.functions import Join

    place = location(context.cloud, job)
    return {
        "evaluation": Join(on="/", values=[place, parameters["champion"], "evaluation"]),
        "models": f"{place}/models",
    }


def property_files() -> tuple[Any, Any]:
    """decision.json, which the gate reads, and evaluation.json."""
    from sagemaker.core.workflow.properties import PropertyFile

    return (
        PropertyFile(name="Decision", output_name="evaluation", path="decision.json"),
        PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json"),
    )


def gate(context: Context, evaluate_step: Any, decision: Any, register_step: Any) -> Any:
    """Evaluate decided; this step only follows. A failed gate says why and what to do."""
    from sagemaker.core.workflow.conditions import ConditionEquals
    from sagemaker.core.workflow.functions import Join, JsonGet
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.fail_step import FailStep

    reason = JsonGet(step_name=evaluate_step.name, property_file=decision, json_path="reason")
    advice = "change params/ or the data and push again, or raise run.nonce; evidence:"
    failed = FailStep(
        name="GateFailed",
        error_message=Join(
            on=" ", values=["Not registered:", reason, "|", advice, output(evaluate_step, "evaluation")]
        ),
    )
    allowed = JsonGet(step_name=evaluate_step.name, property_file=decision, json_path="register")
    return ConditionStep(
        name="Gate",
        conditions=[ConditionEquals(left=allowed, right=True)],
        if_steps=[register_step],
        else_steps=[failed],
    )


def register(context: Context, evaluate_step: Any, parameters: dict[str, Any]) -> Any:
    """Registration of every model by a function that looks for each archive's digest first.

    SageMaker never caches its own RegisterModel step, so each run of equal inputs would add a version.
    """
    from sagemaker.core.lambda_helper import Lambda
    from sagemaker.core.workflow.execution_variables import ExecutionVariables
    from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep

    function = Lambda(function_arn=context.cloud.register_function_arn, session=context.session)
    return LambdaStep(
        name="Register",
        lambda_func=function,
        inputs={
            "group": context.params.registry.group,
            "image": context.cloud.images.serving,
            "models_uri": output(evaluate_step, "models"),
            "evaluation_uri": output(evaluate_step, "evaluation"),
            "execution_arn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            "commit": parameters["commit"],
            "data_lock_sha256": context.sources.lock,
        },
        outputs=[
            LambdaOutput("package_arn", LambdaOutputTypeEnum.String),
            LambdaOutput("created", LambdaOutputTypeEnum.Boolean),
        ],
    )


def output(step: Any, name: str) -> Any:
    """A reference to where a processing step's output lies."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def flat(settings: dict[str, str]) -> tuple[str, ...]:
    """{"--a": "1"} as ("--a", "1")."""
    return tuple(part for pair in settings.items() for part in pair)
