import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import cloud, gates, identity, ncf, params, sources
from pipelines import steps as steps_of
from pipelines.errors import ProjectError

ROOT = Path(__file__).parent.parent.parent
Steps = dict[str, dict[str, Any]]


def recompiled(given: params.Params, digests: sources.Sources, account: cloud.Cloud, **changes: Any) -> Steps:
    """The steps after changing params sections."""
    update = {name: getattr(given, name).model_copy(update=change) for name, change in changes.items()}
    definition = ncf.define(given.model_copy(update=update), digests, account)
    return {step["Name"]: step for step in definition["Steps"]}


def written(step: dict[str, Any]) -> str:
    """Where a step writes, which holds its key."""
    arguments = step["Arguments"]
    if step["Type"] == "Training":
        return arguments["OutputDataConfig"]["S3OutputPath"]
    uri = arguments["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    return uri if isinstance(uri, str) else uri["Std:Join"]["Values"][0]


def test_two_compiles_are_equal_to_the_byte(
    definition: dict[str, Any], given: params.Params, digests: sources.Sources, account: cloud.Cloud
):
    assert json.dumps(ncf.define(given, digests, account)) == json.dumps(definition)


def test_compiling_reaches_no_network_and_needs_no_credentials():
    """In a process of its own that dies at the first look-up or connection, without a home or any AWS variable."""
    code = (
        "import sys\n"
        "def hook(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname'):\n"
        "        print('network:', event, arguments, file=sys.stderr); import os; os._exit(9)\n"
        "sys.addaudithook(hook)\n"
        "from pipelines.__main__ import main\n"
        "sys.exit(main(['run', 'params/ncf.yml', '--dry-run']))\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["Version"] == "2020-12-01"


def test_the_steps_are_those_of_the_design(steps: Steps):
    assert {name: step["Type"] for name, step in steps.items()} == {
        "Prepare": "Processing",
        "Train": "Training",
        "Evaluate": "Processing",
        "Gate": "Condition",
        "Register": "Lambda",
        "GateFailed": "Fail",
    }


def test_jobs_are_cached_and_tried_again(steps: Steps):
    for name in ("Prepare", "Train", "Evaluate"):
        assert steps[name]["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P90D"}
        tried = {kind for policy in steps[name]["RetryPolicies"] for kind in policy["ExceptionType"]}
        assert {"Step.THROTTLING", "SageMaker.CAPACITY_ERROR"} <= tried


def test_code_and_data_are_named_by_their_content(steps: Steps, account: cloud.Cloud):
    text = json.dumps(steps)
    bucket = f"s3://{account.bucket}"
    assert f"{bucket}/code/processing_code/{'a' * 64}/" in text
    assert f"{bucket}/code/training_code/{'b' * 64}/sourcedir.tar.gz" in text
    assert f"{bucket}/locks/{'c' * 64}/partitions.manifest" in text


def test_hyperparameters_are_text_in_classic_script_mode(steps: Steps, given: params.Params):
    found = steps["Train"]["Arguments"]["HyperParameters"]
    assert all(isinstance(value, str) for value in found.values())
    assert found["epochs"] == str(given.hyperparameters.epochs)
    assert found["models"] == ",".join(given.train.models)
    assert (found["top_k"], found["test_num_ng"]) == ("10", "99")
    assert (found["refit"], found["validation_days"]) == ("true", str(given.prepare.holdout_days))
    assert found["sagemaker_program"] == "train.py"


def test_changing_epochs_keeps_what_prepare_made(
    steps: Steps, given: params.Params, digests: sources.Sources, account: cloud.Cloud
):
    changed = recompiled(given, digests, account, hyperparameters={"epochs": 77})
    assert written(changed["Prepare"]) == written(steps["Prepare"])
    assert written(changed["Train"]) != written(steps["Train"])
    assert written(changed["Evaluate"]) != written(steps["Evaluate"])


def test_changing_the_gate_keeps_the_model(
    steps: Steps, given: params.Params, digests: sources.Sources, account: cloud.Cloud
):
    changed = recompiled(given, digests, account, gate={"sanity": gates.Sanity(min_users=1)})
    assert written(changed["Train"]) == written(steps["Train"])
    assert written(changed["Evaluate"]) != written(steps["Evaluate"])


def test_other_data_or_code_changes_every_key_behind_it(
    steps: Steps, given: params.Params, digests: sources.Sources, account: cloud.Cloud
):
    changed = recompiled(given, sources.Sources(digests.processing, digests.training, "d" * 64), account)
    assert all(written(changed[name]) != written(steps[name]) for name in ("Prepare", "Train", "Evaluate"))
    changed = recompiled(given, sources.Sources(digests.processing, "d" * 64, digests.lock), account)
    assert written(changed["Prepare"]) == written(steps["Prepare"])
    assert written(changed["Train"]) != written(steps["Train"])


def test_no_step_knows_its_commit_or_run(definition: dict[str, Any]):
    parameters = {one["Name"]: (one["Type"], one["DefaultValue"]) for one in definition["Parameters"]}
    assert parameters["Commit"] == ("String", "unknown")
    assert parameters["ChampionUri"][1].endswith("/champion/none/")
    assert json.dumps(definition).count("Parameters.Commit") == 1  # what Register is told


def test_spot_is_a_literal_and_may_wait(given: params.Params, digests: sources.Sources, account: cloud.Cloud):
    arguments = recompiled(given, digests, account, train={"spot": True})["Train"]["Arguments"]
    assert arguments["EnableManagedSpotTraining"] is True
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}


def test_spot_training_keeps_its_checkpoints_below_its_own_key(
    given: params.Params, digests: sources.Sources, account: cloud.Cloud, steps: Steps
):
    train = recompiled(given, digests, account, train={"spot": True})["Train"]
    place = written(train).removesuffix("/model")
    assert train["Arguments"]["CheckpointConfig"]["S3Uri"] == f"{place}/checkpoints"
    assert train["Arguments"]["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
    assert "CheckpointConfig" not in steps["Train"]["Arguments"]


def test_training_may_have_several_instances(given: params.Params, digests: sources.Sources, account: cloud.Cloud):
    several = recompiled(given, digests, account, train={"instance_count": 3})["Train"]
    assert several["Arguments"]["ResourceConfig"]["InstanceCount"] == 3
    assert written(several) != written(recompiled(given, digests, account)["Train"])


def test_a_failed_gate_says_why_and_what_to_do(steps: Steps):
    values = steps["GateFailed"]["Arguments"]["ErrorMessage"]["Std:Join"]["Values"]
    reason = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Decision"}, "Path": "reason"}}
    assert reason in values
    assert any("raise run.nonce" in value for value in values if isinstance(value, str))


def test_the_gate_only_follows_the_decision(steps: Steps):
    (condition,) = steps["Gate"]["Arguments"]["Conditions"]
    assert condition["LeftValue"]["Std:JsonGet"]["Path"] == "register"
    assert (condition["Type"], condition["RightValue"]) == ("Equals", True)


def test_evaluations_of_two_champions_do_not_share_a_place(steps: Steps):
    evaluation, _ = steps["Evaluate"]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    assert {"Get": "Parameters.Champion"} in evaluation["S3Output"]["S3Uri"]["Std:Join"]["Values"]


def test_a_models_archive_has_one_place_whoever_it_was_compared_with(steps: Steps, account: cloud.Cloud):
    _, models = steps["Evaluate"]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    assert re.fullmatch(rf"s3://{account.bucket}/steps/Evaluate/[0-9a-f]{{64}}/models", models["S3Output"]["S3Uri"])


def test_a_gate_is_told_rule_by_rule(steps: Steps, given: params.Params):
    told = steps["Evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert tuple(told[told.index("--gate") + 1 :]) == gates.rules(given.gate)


def test_a_long_gate_fits_and_one_too_long_is_refused_before_anything_starts(
    given: params.Params, digests: sources.Sources, account: cloud.Cloud
):
    bounds = {f"ndcg@{depth}": gates.Bounds(min=0.123456) for depth in range(10, 100)}
    recompiled(given, digests, account, gate={"absolute": dict(list(bounds.items())[:60])})
    with pytest.raises(ProjectError, match="SageMaker takes 100"):
        recompiled(given, digests, account, gate={"absolute": bounds})


def test_an_argument_too_long_is_refused_before_anything_starts(account: cloud.Cloud):
    job = steps_of.ProcessingJob("Long", "long.py", "image", "ml.m5.xlarge", ("x" * 257,), {})
    with pytest.raises(ProjectError, match="an argument of 257 characters, SageMaker takes 256"):
        steps_of.processing_step(account, None, job, {})


def test_f25_a_run_is_named_by_its_content_whatever_the_order_of_keys(definition: dict[str, Any]):
    backwards = dict(reversed(definition.items()))
    assert list(backwards) != list(definition)
    assert identity.run_id(backwards, b"", 0) == identity.run_id(definition, b"", 0)


def test_a_run_is_identified_by_definition_buildspec_and_nonce(definition: dict[str, Any]):
    one = identity.run_id(definition, b"version: 0.2", 0)
    assert len(one) == 64
    assert identity.run_id(json.loads(json.dumps(definition)), b"version: 0.2", 0) == one
    others = {
        identity.run_id({**definition, "Metadata": {"x": 1}}, b"version: 0.2", 0),
        identity.run_id(definition, b"version: 0.2 ", 0),
        identity.run_id(definition, b"version: 0.2", 1),
    }
    assert len(others | {one}) == 4


@pytest.mark.parametrize(("step", "folder"), [("Prepare", "processing_code"), ("Evaluate", "processing_code")])
def test_a_program_takes_the_arguments_it_is_given(steps: Steps, step: str, folder: str, tmp_path: Path):
    """argparse leaves with 2; a program that understood says, with 1, which of its folders is missing."""
    specification = steps[step]["Arguments"]["AppSpecification"]
    program = Path(specification["ContainerEntrypoint"][1]).name
    arguments = [one.replace("/opt/ml", str(tmp_path)) for one in specification["ContainerArguments"]]
    command = [sys.executable, str(ROOT / folder / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert str(tmp_path) in done.stderr


def test_the_training_program_takes_the_hyperparameters_it_is_given(steps: Steps, tmp_path: Path):
    given = steps["Train"]["Arguments"]["HyperParameters"]
    names = sorted(name for name in given if not name.startswith("sagemaker_"))
    arguments = [part for name in names for part in (f"--{name}", given[name])]
    command = [sys.executable, str(ROOT / "training_code" / "train.py"), *arguments]
    environment = {"PATH": os.environ["PATH"], "SM_CHANNEL_TRAIN": str(tmp_path), "SM_MODEL_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1, done.stderr
    assert str(tmp_path) in done.stderr


def test_what_params_say_about_preparing_reaches_the_program(
    given: params.Params, digests: sources.Sources, account: cloud.Cloud
):
    labelled = given.columns.model_copy(update={"segment": "age", "category": "department"})
    changes = {"split": "leave_one_out", "folds": 5, "engine": "spark", "max_user_share": 0.25}
    prepare = recompiled(given.model_copy(update={"columns": labelled}), digests, account, prepare=changes)["Prepare"]
    words = prepare["Arguments"]["AppSpecification"]["ContainerArguments"]
    found = dict(zip(words[::2], words[1::2], strict=True))
    assert {
        "--split": "leave_one_out",
        "--folds": "5",
        "--engine": "spark",
        "--max-user-share": "0.25",
    }.items() <= found.items()
    assert json.loads(found["--columns"]) == {
        "user": "household_id",
        "item": "product_id",
        "time": "transaction_timestamp",
        "segment": "age",
        "category": "department",
    }
    assert max(len(word) for word in words) <= 256


def test_a_signing_key_is_a_channel_of_training_and_part_of_its_key(
    given: params.Params, digests: sources.Sources, account: cloud.Cloud
):
    before = recompiled(given, digests, account)["Train"]
    signed = recompiled(given, digests, account, train={"signing_key": "keys/release/ed25519.pem"})["Train"]
    found = {
        one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in signed["Arguments"]["InputDataConfig"]
    }
    assert set(found) == {"train", "signing"}
    assert found["signing"] == f"s3://{account.bucket}/keys/release/ed25519.pem"
    assert written(signed) != written(before)
