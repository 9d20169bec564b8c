"""Conformance: the official sagemaker-training toolkit runs training_code, and hears what localcloud's jobs hear.

The toolkit gets a virtual environment of its own (requirements.toolkit.lock), kept in .venv-toolkit.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.heavy
ROOT = Path(__file__).resolve().parents[2]
COLUMNS = {"user": "user", "item": "item", "time": "time"}
HYPERPARAMETERS = {"epochs": "2", "factor_num": "8", "models": "neumf", "seed": "3", "lr": "0.008"}


@pytest.fixture(scope="session")
def toolkit() -> str:
    """The Python that has the toolkit installed."""
    folder = ROOT / ".venv-toolkit"
    lock = hashlib.sha256((ROOT / "requirements.toolkit.lock").read_bytes()).hexdigest()
    ready = folder / "ready"
    python = str(folder / "bin" / "python")
    if not ready.exists() or ready.read_text() != lock:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, "--require-hashes", "-r", ROOT / "requirements.toolkit.lock"], check=True)
        # torch is the image's: lend it this environment's
        site = subprocess.run(
            [sys.executable, "-c", "import torch, pathlib; print(pathlib.Path(torch.__file__).parents[1])"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        target = next((folder / "lib").glob("python3*/site-packages"))
        (target / "torch").symlink_to(Path(site) / "torch")
        (target / "torchgen").symlink_to(Path(site) / "torchgen")
        ready.write_text(lock)
    return python


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training channel as prepare.py writes it, of a small generated data set."""
    folder = tmp_path_factory.mktemp("prepared")
    random = np.random.default_rng(1)
    count = 4000
    table = pa.table(
        {
            "user": random.integers(60, size=count),
            "item": random.integers(80, size=count),
            "time": pa.array(1_600_000_000_000_000 + np.sort(random.integers(40 * 86_400_000_000, size=count))).cast(
                pa.timestamp("us")
            ),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    body = buffer.getvalue()
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "data" / "raw" / "part-0.parquet").write_bytes(body)
    one = {"key": "raw/part-0.parquet", "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "rows": count}
    (folder / "lock").mkdir()
    lock = {"dataset": "toy", "reason": "manual", "partitions": [one]}
    (folder / "lock" / "lock.json").write_text(json.dumps(lock))
    words = [f"--{name}-dir={folder / name}" for name in ("lock", "data", "train", "holdout", "report")]
    command = [sys.executable, ROOT / "processing_code" / "prepare.py", *words, "--columns", json.dumps(COLUMNS)]
    subprocess.run(command, check=True)
    return folder / "train"


def lay_out(base: Path, channel: Path | None, code: Path, program: str, values: dict[str, str]) -> None:
    """/opt/ml as SageMaker lays it out, for script mode."""
    archive = base / "sourcedir.tar.gz"
    base.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(code.glob("*")):
            if path.is_file():
                tar.add(path, path.name)
    config = base / "input" / "config"
    config.mkdir(parents=True)
    for folder in ("model", "output/data", "code"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    script = {"sagemaker_program": program, "sagemaker_submit_directory": str(archive), "sagemaker_region": "eu-west-1"}
    (config / "hyperparameters.json").write_text(json.dumps({**values, **script}))
    group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["localhost"]}
    host = {
        "current_host": "localhost",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "homogeneousCluster",
        "hosts": ["localhost"],
        "instance_groups": [group],
        "network_interface_name": "eth0",
    }
    (config / "resourceconfig.json").write_text(json.dumps(host))
    train = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    channels = {} if channel is None else {"train": train}
    (config / "inputdataconfig.json").write_text(json.dumps(channels))
    if channel is not None:
        (base / "input" / "data").mkdir()
        (base / "input" / "data" / "train").symlink_to(channel)


def run_toolkit(python: str, base: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        "SAGEMAKER_BASE_DIR": str(base),
        "HOME": str(base),
        "TRAINING_JOB_NAME": "conformance",
        "AWS_REGION": "eu-west-1",
    }
    command = [python, "-m", "sagemaker_training.cli.train"]
    return subprocess.run(command, env=environment, cwd=base, capture_output=True, text=True, timeout=300, check=False)


def test_the_official_toolkit_trains_this_code(toolkit: str, channel: Path, tmp_path: Path):
    base = tmp_path / "ml"
    lay_out(base, channel, ROOT / "training_code", "train.py", HYPERPARAMETERS)
    done = run_toolkit(toolkit, base)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(re.findall(r"HR=([0-9.]+);", done.stdout)) == 2
    assert [path.name for path in (base / "model").iterdir()] == ["neumf.tar.gz"]


PROBE = """
import json, os, sys
from pathlib import Path
heard = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
text = json.dumps({"variables": heard, "arguments": sys.argv[1:]})
text = text.replace(os.environ["SM_MODEL_DIR"].removesuffix("/model"), "/opt/ml")
Path(os.environ["SM_MODEL_DIR"], "heard.json").write_text(text)
"""
# the toolkit looks at the machine or at its own installation for these
ITS_OWN = {"SM_TRAINING_ENV", "SM_MODULE_DIR", "SM_FRAMEWORK_MODULE", "SM_LOG_LEVEL"}


def test_a_script_hears_from_localcloud_what_the_toolkit_tells_it(toolkit: str, localcloud, tmp_path: Path):
    code, data = tmp_path / "code", tmp_path / "data"
    for folder in (code, data):
        folder.mkdir()
    (code / "train.py").write_text(PROBE)
    (data / "one.txt").write_text("1")
    lay_out(tmp_path / "ml", data, code, "train.py", HYPERPARAMETERS)
    done = run_toolkit(toolkit, tmp_path / "ml")
    assert done.returncode == 0, done.stderr
    official = json.loads((tmp_path / "ml" / "model" / "heard.json").read_text())
    ours = heard_in_a_job(localcloud, tmp_path / "ml" / "sourcedir.tar.gz")
    assert ours["arguments"] == official["arguments"]
    told, heard = ({name: plain(value) for name, value in one["variables"].items()} for one in (official, ours))
    different = {name: (told[name], heard.get(name)) for name in told.keys() - ITS_OWN if told[name] != heard.get(name)}
    assert not different


def plain(value: str) -> object:
    """A variable's value; JSON is compared as what it means, and where the code came from is not compared."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    if isinstance(found, dict):
        found = {name: part for name, part in found.items() if not name.startswith("sagemaker_submit")}
    return found


def heard_in_a_job(localcloud, archive: Path) -> dict:
    """What the probe heard as a training job."""
    s3, sagemaker = localcloud.client("s3"), localcloud.client("sagemaker")
    s3.create_bucket(Bucket="probe-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.upload_file(str(archive), "probe-bucket", "sourcedir.tar.gz")
    s3.put_object(Bucket="probe-bucket", Key="data/one.txt", Body=b"1")
    script = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "s3://probe-bucket/sourcedir.tar.gz",
        "sagemaker_region": "eu-west-1",
    }
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://probe-bucket/data/", "S3DataDistributionType": "FullyReplicated"}
    sagemaker.create_training_job(
        TrainingJobName="conformance",
        RoleArn="arn:aws:iam::123456789012:role/sagemaker",
        AlgorithmSpecification={"TrainingImage": "x/training:1", "TrainingInputMode": "File"},
        HyperParameters={**HYPERPARAMETERS, **script},
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}, "InputMode": "File"}],
        OutputDataConfig={"S3OutputPath": "s3://probe-bucket/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    deadline = time.monotonic() + 30
    while (job := sagemaker.describe_training_job(TrainingJobName="conformance"))["TrainingJobStatus"] == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert job["TrainingJobStatus"] == "Completed", job
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://probe-bucket/")
    body = s3.get_object(Bucket="probe-bucket", Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        member = tar.extractfile("heard.json")
        assert member is not None
        return json.load(member)
