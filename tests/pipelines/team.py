"""A project of its own on the shared localcloud: real pipeline, real processes; its programs are a few lines each."""

import io
import re
import shutil
import tarfile
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
    # half-way
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
model = pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.txt"
model.write_text("half a model")
# half-way
model.write_text(f"{text} {given.epochs}")
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
# half-way
(given.output_dir / "evaluation.json").write_text("{}")
"""
# a program that is killed, once, where it says die(); each of its starts is a line in a file
MORTAL = """
import os, pathlib, signal
home = pathlib.Path({home!r})
with (home / "starts").open("a") as starts:
    starts.write("{program}\\n")
def die():
    if not (home / "died").exists():
        (home / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""
PROGRAMS = {"prepare": "processing_code", "train": "training_code", "evaluate": "processing_code"}
REGISTER = """
def handler(event, context):
    return {"package_arn": "arn:package/" + event["commit"], "created": True}
"""


def function(localcloud: Any, name: str, code: str) -> str:
    """The ARN of a new Lambda function."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", code)
    return localcloud.client("lambda").create_function(
        FunctionName=name,
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

    def make_mortal(self, killed: str, moment: str) -> None:
        """Every program counts its starts; that one is killed at the moment: before, half-way or after (its output)."""
        for program, folder in PROGRAMS.items():
            path = self.home / folder / f"{program}.py"
            before, text = MORTAL.format(home=str(self.home), program=program), path.read_text()
            if program == killed:
                text = {"before": "die()\n" + text, "after": text + "die()\n"}.get(moment) or text.replace(
                    "# half-way", "die()"
                )
            path.write_text(before + text)

    def starts(self) -> list[str]:
        return (self.home / "starts").read_text().split()

    def kept(self) -> dict[str, bytes]:
        """What the steps left, by names without digests and jobs; an archive is its only member's content."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix="steps/")
        found = {}
        for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
            content = self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()
            if key.endswith(".tar.gz"):
                with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                    content = b"".join(tar.extractfile(each).read() for each in tar if each.isfile())
            found[re.sub(r"[0-9a-f]{64}|pipelines-[^/]+", "*", key)] = content
        return found

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
