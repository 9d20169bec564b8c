"""training_code as jobs: taken away and started again as spot training is, and on two instances."""

import io
import tarfile
from typing import Any

import pytest

from tests.localcloud.sagemaker_lab import Lab, archive, until
from tests.training_code import checkerboard as board

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


@pytest.fixture(scope="module")
def request_of(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A request that trains on the board with the project's own code; it needs a name and may be changed."""
    code = {path.name: path.read_text() for path in (board.ROOT / "training_code").glob("*.py")}
    source = lab.put("code/sourcedir.tar.gz", archive(code))
    for path in (board.prepared(tmp_path_factory.mktemp("board")) / "train").iterdir():
        lab.put(f"board/{path.name}", path.read_bytes())
    s3 = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{lab.bucket}/board"}
    given = {"models": "als,neumf", "epochs": "300", "patience": "0", "factor_num": "2"}
    return lab.training(
        "",
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": s3}}],
        Environment={"OMP_NUM_THREADS": "1"},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
        HyperParameters={**given, "als_factors": "4", "sagemaker_submit_directory": source},
    )


def started(lab: Lab, request: dict[str, Any], **changes: Any) -> str:
    name = lab.name("train")
    lab.sagemaker.create_training_job(**{**request, "TrainingJobName": name, **changes})
    return name


def ended(lab: Lab, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = lab.sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    return until(look, 300)


def archives(lab: Lab, name: str) -> dict[str, bytes]:
    job = ended(lab, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    with tarfile.open(fileobj=io.BytesIO(lab.read(job["ModelArtifacts"]["S3ModelArtifacts"]))) as packed:
        return {member: packed.extractfile(member).read() for member in packed.getnames()}


@pytest.mark.heavy
def test_a_spot_job_taken_away_half_way_goes_on_where_it_was(lab: Lab, request_of: dict[str, Any]):
    spot = {"CheckpointConfig": {"S3Uri": f"s3://{lab.bucket}/checkpoints"}}
    first = started(lab, request_of, **spot)
    until(lambda: any("neumf epoch 3:" in line for line in lab.log(GROUP, first)), 60)
    lab.sagemaker.stop_training_job(TrainingJobName=first)
    assert ended(lab, first)["TrainingJobStatus"] == "Stopped"
    second, whole = started(lab, request_of, **spot), started(lab, request_of)
    found = archives(lab, second)
    printed = "\n".join(lab.log(GROUP, second))
    assert "als: was finished before" in printed
    assert "neumf.0: goes on after epoch" in printed
    assert "neumf epoch 3:" not in printed
    assert sorted(found) == ["als.tar.gz", "neumf.tar.gz"]
    assert found == archives(lab, whole)


@pytest.mark.heavy
def test_two_instances_train_together(lab: Lab, request_of: dict[str, Any]):
    two = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    name = started(lab, request_of, ResourceConfig=two)
    assert sorted(archives(lab, name)) == ["als.tar.gz", "neumf.tar.gz"]
    assert any("neumf epoch 300:" in line for line in lab.log(GROUP, f"{name}/algo-1-"))
    assert not any("epoch" in line for line in lab.log(GROUP, f"{name}/algo-2-"))
