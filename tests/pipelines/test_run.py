"""The command itself against localcloud: real pipeline, real processes; the project's programs are a few lines each."""

import json
import os
import signal
import subprocess
import sys
from uuid import uuid4

from tests.pipelines.team import Team


def test_f07_a_run_registers_once_and_the_same_again_computes_nothing(team: Team):
    first = team.run("--all", "--wait")
    assert (first.returncode, first.stderr) == (0, "")
    assert "ncf: succeeded in" in first.stdout
    assert "Register: Succeeded" in first.stdout
    assert "arn:package/c0ffee" in first.stdout

    again = team.run("--all", "--wait")
    assert again.returncode == 0
    (line,) = again.stdout.splitlines()
    assert " already succeeded: arn:aws:sagemaker:" in line
    assert len(team.executions()) == 1

    # a new identity of equal content: an execution whose jobs are all cached
    (team.home / "buildspec.yml").write_text((team.home / "buildspec.yml").read_text() + "# a word\n")
    cached = team.run("--all", "--wait")
    assert cached.returncode == 0
    assert all(f"{name}: Succeeded (cached)" in cached.stdout for name in ("Prepare", "Train", "Evaluate"))
    assert (len(team.executions()), team.jobs()) == (2, 1)


def test_a_search_trains_several_times_and_the_same_again_computes_nothing(team: Team):
    space = {"lr": {"min": 0.001, "max": 0.02, "scale": "log"}}
    team.set("train", "models", ["neumf"])
    for key, value in {"model": "neumf", "trials": 2, "strategy": "Random", "space": space}.items():
        team.set("search", key, value)
    first = team.run("--all", "--wait")
    assert (first.returncode, first.stderr) == (0, "")
    assert "Tune: Succeeded" in first.stdout
    (team.home / "buildspec.yml").write_text((team.home / "buildspec.yml").read_text() + "# a word\n")
    assert "Tune: Succeeded (cached)" in team.run("--all", "--wait").stdout
    assert team.jobs() == 2


def test_f10_a_failed_training_is_shown_and_continued_without_preparing_again(team: Team):
    team.set("hyperparameters", "epochs", 99)
    failed = team.run("params/ncf.yml", "--wait")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: arn:aws:sagemaker:")
    assert "the loss is not finite" in failed.stderr
    assert "  | " in failed.stdout
    assert "RuntimeError: the loss is not finite" in failed.stdout
    again = team.run("params/ncf.yml", "--wait")
    assert again.returncode == 1
    assert "was Failed, continued where it stopped" in again.stdout
    assert len(team.executions()) == 1


def test_f30_a_failed_gate_says_its_reason_and_stays_failed(team: Team):
    team.set("gate", "absolute", {"ndcg@10": {"min": 0.9}})
    failed = team.run("params/ncf.yml", "--wait")
    assert failed.returncode == 1
    assert "Not registered: ndcg@10 is 0.5 | change params/" in failed.stderr
    again = team.run("params/ncf.yml")
    assert again.returncode == 1
    assert "already refused by its gate" in again.stdout
    assert "Not registered: ndcg@10 is 0.5" in again.stderr
    team.set("run", "nonce", 1)
    assert "started version" in team.run("params/ncf.yml", "--wait").stdout


def test_f21_a_missing_partition_starts_nothing(team: Team):
    team.s3.delete_object(Bucket=team.name, Key="raw/toy/week=2020-02/part-0.parquet")
    done = team.run("--all", "--wait")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: s3://{team.name}/raw/toy/week=2020-02/part-0.parquet: no such partition; "
        "the nearest existing is raw/toy/week=2020-01/part-0.parquet\n"
    )
    pipelines = team.sagemaker.list_pipelines(PipelineNamePrefix=team.name)["PipelineSummaries"]
    assert pipelines == []


def test_ctrl_c_leaves_the_run_running_and_a_later_wait_finds_it_at_its_deadline(team: Team):
    team.set("hyperparameters", "epochs", 98)
    command = [sys.executable, "-m", "pipelines", "run", "--all", "--wait"]
    with subprocess.Popen(
        command, cwd=team.home, env=team.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert "started version 1" in line
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
        assert "left running: arn:aws:sagemaker:" in process.stderr.read()
    team.set("build", "wait_minutes", 0.01)
    later = team.run("--all", "--wait")
    assert later.returncode == 0
    assert "already running" in later.stdout
    assert "still running after 0.01 minutes" in later.stdout
    assert "succeeded" not in later.stdout
    (execution,) = team.executions()
    assert execution["PipelineExecutionStatus"] == "Executing"
    team.sagemaker.stop_pipeline_execution(
        PipelineExecutionArn=execution["PipelineExecutionArn"], ClientRequestToken=uuid4().hex
    )


def test_what_is_uploaded_and_executed_is_addressed_by_content(team: Team):
    assert team.run("--all").returncode == 0
    keys = [entry["Key"] for entry in team.s3.list_objects_v2(Bucket=team.name)["Contents"]]
    (lock,) = [key for key in keys if key.endswith("lock.json")]
    assert json.loads(team.s3.get_object(Bucket=team.name, Key=lock)["Body"].read())["dataset"] == "toy"
    assert {key.split("/")[0] for key in keys} >= {"raw", "code", "locks", "champion"}
    (execution,) = team.executions()
    assert len(execution["PipelineExecutionDisplayName"]) == 64


def test_f27_one_models_trouble_does_not_stop_the_others(team: Team):
    lock = (team.home / "params" / "ncf.data.yml").read_text()
    (team.home / "params" / "another.data.yml").write_text(lock.replace("toy", "gone"))
    document = (team.home / "params" / "ncf.yml").read_text()
    (team.home / "params" / "another.yml").write_text(
        document.replace("params/ncf.data.yml", "params/another.data.yml")
    )
    done = team.run("--all", "--wait")
    assert done.returncode == 1
    assert "there is nothing below raw/gone/" in done.stderr
    assert "ncf: succeeded in" in done.stdout
