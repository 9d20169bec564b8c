"""Candidates as a run leaves them: a package and its evidence."""

from datetime import UTC, datetime
from typing import Any

from gitops.promotion.candidate import Candidate, Execution

GROUP = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/film-recommender-ncf"
GATE = {
    "absolute": {"ndcg@10": {"min": 0.02}},
    "relative": {"metric": "ndcg@10", "interval": 0.95, "max_drop": 0.001},
    "sanity": {"beat_popularity": True, "min_users": 200},
}


def decision(verdict: str = "pass", **more: Any) -> dict[str, Any]:
    """decision.json, as processing_code/evaluate.py writes it."""
    interval = {"value": 0.0312, "low": 0.0301, "high": 0.0323}
    return {
        "verdict": verdict,
        "register": verdict != "fail",
        "reasons": ["ndcg@10 is 0.0312, within what is asked"],
        "findings": [
            {
                "verdict": "pass",
                "finding": "ndcg@10 is 0.0312, within what is asked",
                "rule": "ndcg@10 at least 0.02",
                **interval,
                "users": 801,
            },
            {
                "verdict": "pass",
                "finding": "801 holdout users",
                "rule": "at least 200 holdout users",
                "value": 801,
                "users": 801,
            },
            {"verdict": verdict, "finding": "ndcg@10 is 0.0312, popularity's 0.0201"},
        ],
        "model": "neumf",
        "models": {
            "neumf": {"archive_sha256": "a" * 64},
            "ease": {"metrics": {"ndcg@10": {**interval, "value": 0.0309}}},
        },
        "archive_sha256": "a" * 64,
        "metrics": {"ndcg@10": interval, "hr@10": {**interval, "value": 0.11}},
        "baselines": {"popularity": {"ndcg@10": {"value": 0.0201, "low": 0.019, "high": 0.021}}},
        "tuning": {"popularity": {"difference": {"ndcg@10": {"value": 0.0111, "low": 0.009, "high": 0.012}}}},
        "champion": None,
        "users": 801,
        "data": {"counts": {"rows": 156_058, "bad_rows": 12}, "quarantine": {"time is missing": 12}},
        "gate": GATE,
        **more,
    }


def candidate(version: int, verdict: str = "pass", **more: Any) -> Candidate:
    """Version `version` of ncf, made by the run whose digest begins with its number."""
    run_id = f"{version:012x}" + "f" * 52
    execution = Execution(
        arn=f"arn:aws:sagemaker:eu-west-1:123456789012:pipeline/film-recommender-ncf/execution/{version}",
        run_id=run_id,
        pipeline="film-recommender-ncf",
        status="Succeeded",
        version=2,
        started=datetime(2026, 11, 20, tzinfo=UTC),
        step_seconds={"Prepare": 1.5, "Train": 20.0},
    )
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/film-recommender/serving@sha256:" + "0" * 64
    archive = f"s3://film-recommender/steps/Train/{version}/model.tar.gz"
    package = {
        "ModelPackageArn": f"{GROUP}/{version}",
        "ModelPackageVersion": version,
        "InferenceSpecification": {"Containers": [{"Image": image, "ModelDataUrl": archive}]},
        "CreationTime": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "CustomerMetadataProperties": {
            "run_id": run_id,
            "commit": "c" * 40,
            "archive_sha256": "a" * 64,
            "data_lock_sha256": "d" * 64,
            "evaluation_uri": "s3://film-recommender/steps/Evaluate/1",
        },
    }
    return Candidate("ncf", execution, package, decision(verdict, **more))
