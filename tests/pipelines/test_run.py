"""The command itself against localcloud: real pipeline, real processes; the project's programs are a few lines each."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from pipelines.__main__ import main

ROOT = Path(__file__).parent.parent.parent
ROLE = "arn:aws:iam::123456789012:role/toy"
# each does what its namesake promises, on no data: the train program fails when it is asked for 99 epochs
PREPARE = """
import argparse, pathlib
parser = argparse.ArgumentParser()
for name in ("lock", "data", "train", "holdout", "report"):
    parser.add_argument(f"--{name}-dir", type=pathlib.Path)
given, _ = parser.parse_known_args()
assert (given.lock_dir / "lock.json").is_file()
found = sorted(path.relative_to(given.data_dir).as_posix() for path in given.data_dir.rglob("*.parquet"))
for folder in (given.train_dir, given.holdout_dir, given.report_dir):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "found.txt").write_text("\\n".join(found))
"""
TRAIN = """
import argparse, os, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
given, _ = parser.parse_known_args()
text = (pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]) / "found.txt").read_text()
print("HR=0.5000; NDCG=0.2500; Loss=0.1000;", flush=True)
print("neumf validation: hr@10=0.500000; ndcg@10=0.250000;", flush=True)
if given.epochs == 98:
    time.sleep(60)
if given.epochs == 99:
    raise RuntimeError("the loss is not finite")
(pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.txt").write_text(f"{text} {given.epochs}")
"""
EVALUATE = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
for name in ("model", "champion", "output", "models"):
    parser.add_argument(f"--{name}-dir", type=pathlib.Path)
parser.add_argument("--gate", nargs="+")
given, _ = parser.parse_known_args()
assert (given.model_dir / "model.tar.gz").is_file() and (given.champion_dir / "NONE").is_file()
good = "absolute.ndcg@10.min=0.9" not in given.gate
given.models_dir.mkdir(parents=True, exist_ok=True)
decision = {"register": good, "verdict": "pass" if good else "fail", "reason": "" if good else "ndcg@10 is 0.5"}
given.output_dir.mkdir(parents=True, exist_ok=True)
(given.output_dir / "decision.json").write_text(json.dumps(decision))
(given.output_dir / "evaluation.json").write_text("{}")
"""
REGISTER = """
def handler(event, context):
    return {"package_arn": "arn:package/" + event["commit"], "created": True}
"""


@pytest.fixture(scope="module")
def register(localcloud: Any) -> str:
    """A function in the place of infra's, which says which commit it was asked to register."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", REGISTER)
    return localcloud.client("lambda").create_function(
        FunctionName="toy-register",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Team:
    """A project of its own on the shared localcloud."""

    def __init__(self, home: Path, localcloud: Any, register: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.localcloud, self.capsys = home, localcloud, capsys
        self.name = f"toy{uuid4().hex[:8]}"
        self.s3, self.sagemaker = localcloud.client("s3"), localcloud.client("sagemaker")
        self.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.environment = localcloud.environment | {
            "PYTHONPATH": str(ROOT),
            "ACCOUNT_ID": "123456789012",
            "ARTIFACT_BUCKET": self.name,
            "PIPELINE_ROLE_ARN": ROLE,
            "TRAINING_IMAGE": "toy/training:1",
            "PROCESSING_IMAGE": "toy/processing:1",
            "SERVING_IMAGE": "toy/serving:1",
            "REGISTER_FUNCTION_ARN": register,
            "COMMIT": "c0ffee",
        }
        self.write()

    def write(self) -> None:
        shutil.rmtree(self.home / "processing_code")
        shutil.rmtree(self.home / "training_code")
        for name, text in {
            "processing_code/prepare": PREPARE,
            "processing_code/evaluate": EVALUATE,
            "training_code/train": TRAIN,
        }.items():
            path = self.home / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.edit("project.yml", "film-recommender\nowner", f"{self.name}\nowner")
        for partition in yaml.safe_load((self.home / "params" / "ncf.data.yml").read_text())["partitions"]:
            self.s3.put_object(Bucket=self.name, Key=partition["key"], Body=b"x" * partition["bytes"])

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.home / name).read_text()
        assert old in text
        (self.home / name).write_text(text.replace(old, new))

    def set(self, section: str, key: str, value: Any) -> None:
        path = self.home / "params" / "ncf.yml"
        document = yaml.safe_load(path.read_text())
        document.setdefault(section, {})[key] = value
        path.write_text(yaml.safe_dump(document))

    def run(self, *arguments: str) -> Done:
        """The command in this process, which has the SDK imported already; the working directory is the project's."""
        self.capsys.readouterr()
        code = main(["run", *arguments])
        return Done(code, *self.capsys.readouterr())

    def executions(self) -> list[dict[str, Any]]:
        pipeline = f"{self.name}-ncf"
        return self.sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]

    def jobs(self) -> int:
        """How many training jobs read this team's code."""
        names = [
            one["TrainingJobName"] for one in self.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        ]
        found = [self.sagemaker.describe_training_job(TrainingJobName=name)["OutputDataConfig"] for name in names]
        return sum(self.name in output["S3OutputPath"] for output in found)


@pytest.fixture
def team(
    home: Path, localcloud: Any, register: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Team:
    made = Team(home, localcloud, register, capsys)
    monkeypatch.chdir(home)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


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
