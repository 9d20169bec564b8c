"""Small compiled definitions: a Prepare, a Train that reads it, and a Gate."""

from typing import Any

BUCKET = "s3://bucket"


def definition(
    epochs: int = 10, lock: str = "a", code: str = "a", rules: tuple[str, ...] = ("absolute.ndcg@10.min=0.02",)
):
    """Two cached steps and a condition; `lock` and `code` are digits that digests are made of."""
    prepare: dict[str, Any] = {
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}},
        "AppSpecification": {
            "ImageUri": "image",
            "ContainerArguments": ["--min-item-users", "50", "--gate", *rules, "b=1"],
        },
        "ProcessingInputs": [
            {"InputName": "code", "S3Input": {"S3Uri": f"{BUCKET}/code/processing_code/{code * 64}/"}},
            {"InputName": "lock", "S3Input": {"S3Uri": f"{BUCKET}/locks/{lock * 64}/lock.json"}},
            {"InputName": "champion", "S3Input": {"S3Uri": {"Get": "Parameters.ChampionUri"}}},
        ],
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": f"{BUCKET}/steps/Prepare/{code * 64}/train"}}]
        },
    }
    train = {
        "HyperParameters": {"epochs": str(epochs)},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3Uri": {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"}
                },
            }
        ],
        "ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 2},
        "OutputDataConfig": {"S3OutputPath": f"{BUCKET}/steps/Train/{'f' * 64}/model"},
    }
    cached = {"CacheConfig": {"Enabled": True}}
    return {
        "Steps": [
            {"Name": "Prepare", "Type": "Processing", "Arguments": prepare, **cached},
            {"Name": "Train", "Type": "Training", "Arguments": train, **cached},
            {"Name": "Gate", "Type": "Condition", "Arguments": {"IfSteps": [{"Name": "Register"}], "ElseSteps": []}},
        ]
    }
