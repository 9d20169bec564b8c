"""Training jobs, driven through boto3, with tiny scripts as containers."""

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker_lab import IMAGE, Lab, until

MODEL = """
import json, os, sys
print(json.dumps({"args": sys.argv[1:], "env": dict(os.environ)}))
train = os.environ["SM_CHANNEL_TRAIN"]
open(os.environ["SM_MODEL_DIR"] + "/model.json", "w").write(json.dumps(sorted(os.listdir(train))))
for epoch in (1, 2):
    print(f"HR=0.{epoch}; Loss={3 - epoch}.5;")
"""


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


def channel(uri: str, kind: str = "S3Prefix") -> list[dict]:
    return [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}}]


def test_a_script_trains_on_its_channel_and_its_model_is_uploaded(lab: Lab):
    lab.put("data/a.csv", "1")
    lab.put("data/b.csv", "2")
    metrics = [{"Name": "HR", "Regex": "HR=([0-9.]+);"}, {"Name": "Loss", "Regex": "Loss=([0-9.]+);"}]
    job = lab.train(
        MODEL,
        InputDataConfig=channel(f"s3://{lab.bucket}/data"),
        HyperParameters={"lr": "0.008", "epochs": "2", "name": "neumf"},
        AlgorithmSpecification={"TrainingImage": "img", "TrainingInputMode": "File", "MetricDefinitions": metrics},
    )
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    uri = f"s3://{lab.bucket}/models/{job['TrainingJobName']}/output/model.tar.gz"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": uri}
    with tarfile.open(fileobj=io.BytesIO(lab.read(uri))) as packed:
        assert json.load(packed.extractfile("model.json")) == ["a.csv", "b.csv"]
    statuses = [row["Status"] for row in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert {row["MetricName"]: round(row["Value"], 3) for row in job["FinalMetricDataList"]} == {"HR": 0.2, "Loss": 1.5}
    seen = json.loads(lab.log("/aws/sagemaker/TrainingJobs", f"{job['TrainingJobName']}/algo-1-")[0])
    assert seen["args"] == ["--epochs", "2", "--lr", "0.008", "--name", "neumf"]
    assert seen["env"]["SM_HPS"] == '{"epochs":2,"lr":0.008,"name":"neumf"}'
    assert seen["env"]["SM_HP_LR"] == "0.008"
    assert seen["env"]["SM_CURRENT_HOST"] in json.loads(seen["env"]["SM_HOSTS"])
    assert seen["env"]["TRAINING_JOB_NAME"] == job["TrainingJobName"]
    assert "PYTEST_CURRENT_TEST" not in seen["env"]


def test_metrics_of_the_log_reach_cloudwatch(lab: Lab):
    metrics = [{"Name": "HR", "Regex": "HR=([0-9.]+);"}]
    job = lab.train(
        "print('HR=0.25;')",
        AlgorithmSpecification={"TrainingImage": "img", "TrainingInputMode": "File", "MetricDefinitions": metrics},
    )
    answer = lab.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="HR",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=job["CreationTime"].replace(microsecond=0),
        EndTime=job["TrainingEndTime"].replace(year=job["TrainingEndTime"].year + 1),
        Period=60,
        Statistics=["Maximum"],
    )
    assert [point["Maximum"] for point in answer["Datapoints"]] == [0.25]


def test_a_loss_that_is_no_number_does_not_fail_the_job(lab: Lab):
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File"}
    metrics = [{"Name": "loss", "Regex": "Loss=(.*);"}]
    script = "for loss in ('0.5', 'nan', 'inf'): print(f'Loss={loss};')"
    job = lab.train(script, AlgorithmSpecification={**algorithm, "MetricDefinitions": metrics})
    assert job["TrainingJobStatus"] == "Completed"
    assert [metric["Value"] for metric in job["FinalMetricDataList"]] == [0.5]


def test_a_script_may_remove_its_output_folder(lab: Lab):
    job = lab.train("import os, shutil; shutil.rmtree(os.environ['SM_OUTPUT_DATA_DIR'])")
    assert job["TrainingJobStatus"] == "Completed"


def test_a_script_that_raises_leaves_its_last_lines_as_the_reason(lab: Lab):
    job = lab.train("raise ValueError('no such column: item')")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: Traceback")
    assert job["FailureReason"].endswith("ValueError: no such column: item, exit code: 1")


def test_what_a_script_writes_to_the_failure_file_is_the_reason(lab: Lab):
    script = "import os,sys; open(os.environ['SM_OUTPUT_DIR'] + '/failure','w').write('x' * 3000); sys.exit(7)"
    reason = lab.train(script)["FailureReason"]
    assert reason.startswith("AlgorithmError: xxx")
    assert reason.endswith("exit code: 7")
    assert len(reason) == 1024


def test_absent_data_fails_the_job_before_it_trains(lab: Lab):
    job = lab.train("print('never')", InputDataConfig=channel(f"s3://{lab.bucket}/nothing/"))
    assert job["TrainingJobStatus"] == "Failed"
    assert "No S3 objects found under S3 URL" in job["FailureReason"]
    assert "Training" not in [row["Status"] for row in job["SecondaryStatusTransitions"]]


def test_a_manifest_lists_the_files_of_a_channel(lab: Lab):
    lab.put("raw/week=1/part.csv", "1")
    lab.put("raw/week=2/part.csv", "2")
    listing = lab.put("manifest", json.dumps([{"prefix": f"s3://{lab.bucket}/raw/"}, "week=2/part.csv"]))
    script = "import os; print([f for _, _, fs in os.walk(os.environ['SM_CHANNEL_TRAIN']) for f in fs])"
    job = lab.train(script, InputDataConfig=channel(listing, "ManifestFile"))
    assert lab.log("/aws/sagemaker/TrainingJobs", job["TrainingJobName"]) == ["['part.csv']"]


def test_f55_an_archive_that_leads_outside_its_folder_is_refused(lab: Lab):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("../../escaped.py"))
    code = lab.put("code/bad.tar.gz", buffer.getvalue())
    job = lab.train("", HyperParameters={"sagemaker_submit_directory": code})
    assert job["TrainingJobStatus"] == "Failed"
    assert "a path outside the archive's folder" in job["FailureReason"]


def test_checkpoints_come_back_and_output_data_is_packed(lab: Lab):
    lab.put("checkpoints/epoch", "4")
    script = """
import os
base = os.environ["SAGEMAKER_BASE_DIR"]
epoch = int(open(base + "/checkpoints/epoch").read())
open(base + "/checkpoints/epoch", "w").write(str(epoch + 1))
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/report.txt", "w").write("fine")
"""
    job = lab.train(script, CheckpointConfig={"S3Uri": f"s3://{lab.bucket}/checkpoints"})
    assert lab.read(f"s3://{lab.bucket}/checkpoints/epoch") == b"5"
    output = lab.read(f"s3://{lab.bucket}/models/{job['TrainingJobName']}/output/output.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(output)) as packed:
        assert packed.getnames() == ["report.txt"]


def test_a_job_over_its_time_is_stopped_with_what_it_has(lab: Lab):
    script = "import os,time; open(os.environ['SM_MODEL_DIR'] + '/m','w').write('1'); time.sleep(60)"
    job = lab.train(script, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert lab.read(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_stop_ends_a_running_job_and_refuses_a_finished_one(lab: Lab):
    request = lab.training("import time; print('on', flush=True); time.sleep(60)")
    name = request["TrainingJobName"]
    lab.sagemaker.create_training_job(**request)
    until(lambda: lab.sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training")
    lab.sagemaker.stop_training_job(TrainingJobName=name)
    assert lab.trained(name)["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="in status Stopped"):
        lab.sagemaker.stop_training_job(TrainingJobName=name)


SEVERAL = {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1}}


def test_several_instances_know_each_other_and_one_model_comes_of_them(lab: Lab):
    script = """
import json, os
host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
base = os.environ["SAGEMAKER_BASE_DIR"]
assert json.load(open(base + "/input/config/resourceconfig.json"))["current_host"] == host
open(os.environ["SM_MODEL_DIR"] + "/" + host, "w").write(os.environ["MASTER_PORT"])
open(os.environ["SM_MODEL_DIR"] + "/shared", "w").write(host)
print(hosts.index(host), "of", len(hosts))
"""
    job = lab.train(script, **SEVERAL)
    assert job["TrainingJobStatus"] == "Completed"
    with tarfile.open(fileobj=io.BytesIO(lab.read(job["ModelArtifacts"]["S3ModelArtifacts"]))) as packed:
        content = {name: packed.extractfile(name).read() for name in packed.getnames()}
    assert sorted(content) == ["127.0.0.1", "127.0.0.2", "127.0.0.3", "shared"]
    assert content["shared"] == b"127.0.0.1"
    assert content["127.0.0.1"] == content["127.0.0.3"]
    for number in (1, 2, 3):
        stream = f"{job['TrainingJobName']}/algo-{number}-"
        assert lab.log("/aws/sagemaker/TrainingJobs", stream) == [f"{number - 1} of 3"]


def test_when_an_instance_fails_the_job_fails_with_its_reason_and_the_others_are_ended(lab: Lab):
    script = """
import os, sys, time
if os.environ["SM_CURRENT_HOST"] == "127.0.0.2":
    sys.exit("the second one broke")
time.sleep(600)
"""
    job = lab.train(script, **SEVERAL)
    assert job["TrainingJobStatus"] == "Failed"
    assert "the second one broke" in job["FailureReason"]


def test_several_instances_get_no_shards(lab: Lab):
    (sharded,) = channel(f"s3://{lab.bucket}/data")
    sharded["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    with pytest.raises(ClientError, match="ShardedByS3Key over several instances; use FullyReplicated"):
        lab.sagemaker.create_training_job(**lab.training("", InputDataConfig=[sharded], **SEVERAL))


def test_a_name_is_used_once(lab: Lab):
    request = lab.training("print(1)")
    lab.sagemaker.create_training_job(**request)
    with pytest.raises(lab.sagemaker.exceptions.ResourceInUse, match="must be unique"):
        lab.sagemaker.create_training_job(**request)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 9, "VolumeSizeInGB": 1}}, "InstanceCount"),
        ({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}, "VpcConfig"),
    ],
)
def test_what_localcloud_does_not_do_is_refused_by_name(lab: Lab, changes: dict, message: str):
    with pytest.raises(ClientError, match=message) as refusal:
        lab.sagemaker.create_training_job(**lab.training("", **changes))
    assert refusal.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_values_are_held_to_sagemakers_patterns_and_enumerations(lab: Lab):
    with pytest.raises(ClientError, match="failed to satisfy constraint: Member must satisfy regular expression"):
        lab.sagemaker.create_training_job(**lab.training("", TrainingJobName="no_underscores"))
    bad = {"TrainingImage": "i", "TrainingInputMode": "Carrier pigeon"}
    with pytest.raises(ClientError, match="enum value set"):
        lab.sagemaker.create_training_job(**lab.training("", AlgorithmSpecification=bad))


def test_jobs_are_listed_by_name_and_status(lab: Lab):
    job = lab.train("print(1)")
    found = lab.sagemaker.list_training_jobs(NameContains=job["TrainingJobName"], StatusEquals="Completed")
    assert [row["TrainingJobArn"] for row in found["TrainingJobSummaries"]] == [job["TrainingJobArn"]]
    assert not lab.sagemaker.list_training_jobs(NameContains="nobody")["TrainingJobSummaries"]


def test_an_unknown_job_is_sagemakers_own_error(lab: Lab):
    with pytest.raises(ClientError) as refusal:
        lab.sagemaker.describe_training_job(TrainingJobName="nobody")
    assert refusal.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Requested resource not found.",
    }


def test_each_status_is_told_on_the_default_bus(lab: Lab):
    read = lab.watch(["SageMaker Training Job State Change"])
    job = lab.train("print(1)")

    def mine() -> list[str]:
        details = [event["detail"] for event in read()]
        found = [detail for detail in details if detail["TrainingJobName"] == job["TrainingJobName"]]
        return [detail["SecondaryStatus"] for detail in found]

    until(lambda: "Completed" in mine())
    assert set(mine()) >= {"Starting", "Downloading", "Training", "Uploading", "Completed"}
