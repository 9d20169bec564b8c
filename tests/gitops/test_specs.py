"""From a deploy file to SageMaker's requests."""

import dataclasses
from pathlib import Path

import pytest
from botocore.session import get_session
from botocore.validate import validate_parameters

from gitops import deployment, specs
from gitops.errors import GitopsError
from tests.gitops.test_deployment import RELEASE

PLACE = specs.Place("shop", "staging", "arn:aws:iam::123456789012:role/serving")
OTHER = RELEASE.model_copy(update={"id": "ncf-0123456789ab", "archive_sha256": "2" * 64})
FACTS = {RELEASE.id: specs.Facts("9c41", "a" * 64), OTHER.id: specs.Facts("0123", "b" * 64)}
SERVING = {"instance_type": "ml.c6i.large", "instances": 2}


def spec(**more) -> specs.Spec:
    asked = deployment.Deployment.model_validate(
        {"model": "ncf", "release": RELEASE.model_dump(), "serving": SERVING, **more}
    )
    return specs.spec(asked, PLACE, FACTS)


def second(**more) -> dict:
    return {"release": OTHER.model_dump(), **more}


CASES = {
    "plain": {},
    "challenger": {"challenger": second(share=0.2)},
    "shadow": {"shadow": second(share=0.5)},
    "capture": {"capture": {"sampling_percent": 5}},
}


@pytest.mark.parametrize("case", CASES)
def test_every_request_is_one_that_sagemaker_takes(case):
    found = spec(**CASES[case])
    service = get_session().get_service_model("sagemaker")
    for model in found.models:
        validate_parameters(model, service.operation_model("CreateModel").input_shape)
    validate_parameters(found.config, service.operation_model("CreateEndpointConfig").input_shape)


def test_the_container_learns_its_release_variant_and_manifest():
    (model,) = spec().models
    assert model["PrimaryContainer"]["Environment"] == {
        "MODEL_NAME": "ncf", "MODEL_VERSION": "3", "RUN_ID": "9c41",
        "MANIFEST_SHA256": "a" * 64, "VARIANT_NAME": "main",
    }  # fmt: skip


def test_a_challenger_shares_the_traffic_with_its_own_model():
    found = spec(challenger=second(share=0.2, instances=1))
    main, challenger = found.config["ProductionVariants"]
    assert (main["InitialVariantWeight"], challenger["InitialVariantWeight"]) == (0.8, 0.2)
    assert (main["InitialInstanceCount"], challenger["InitialInstanceCount"]) == (2, 1)
    assert [model["ModelName"] for model in found.models] == [main["ModelName"], challenger["ModelName"]]
    assert found.models[1]["PrimaryContainer"]["Environment"]["VARIANT_NAME"] == "challenger"


def test_a_shadow_is_no_production_variant():
    found = spec(shadow=second(share=0.5))
    assert [one["VariantName"] for one in found.config["ProductionVariants"]] == ["main"]
    (shadow,) = found.config["ShadowProductionVariants"]
    assert (shadow["VariantName"], shadow["InitialVariantWeight"]) == ("shadow", 0.5)


def test_capture_goes_to_the_bucket_of_the_archive():
    config = spec(capture={"sampling_percent": 5}).config["DataCaptureConfig"]
    assert config["DestinationS3Uri"] == "s3://film-recommender-123456789012-eu-west-1/capture"
    assert config["InitialSamplingPercentage"] == 5


def test_whatever_differs_gives_another_config_and_another_digest():
    found = [spec(**CASES[case]) for case in CASES]
    assert len({one.config["EndpointConfigName"] for one in found}) == len({one.digest for one in found}) == len(CASES)
    assert spec() == spec()
    other = dataclasses.replace(FACTS[RELEASE.id], manifest_sha256="c" * 64)
    asked = deployment.Deployment.model_validate({"model": "ncf", "release": RELEASE.model_dump(), "serving": SERVING})
    assert specs.spec(asked, PLACE, {RELEASE.id: other}).config != spec().config


def test_a_challenger_and_a_shadow_at_once_are_refused():
    text = "model: ncf\nrelease: null\nserving: {instance_type: ml.c6i.large}\n"
    one = RELEASE.model_dump_json()
    both = f"{text}challenger: {{release: {one}, share: 0.5}}\nshadow: {{release: {one}, share: 0.5}}\n"
    with pytest.raises(GitopsError, match="one of them at a time"):
        deployment.load(Path("deploy/staging/ncf.yml"), both)
