from gitops.planning import steps
from tests.gitops.planning.definitions import definition


def planned(before, after, values=({}, {})) -> dict[str, tuple[bool, str]]:
    return {one.name: (one.runs, one.why) for one in steps.compare(before, after, values)}


def test_what_is_asked_for_the_same_is_cached():
    assert planned(definition(), definition()) == {"Prepare": (False, ""), "Train": (False, "")}


def test_a_hyperparameter_runs_its_step_and_is_named_with_both_values():
    found = planned(definition(), definition(epochs=20))
    assert found == {"Prepare": (False, ""), "Train": (True, "hyperparameters.epochs 10 -> 20")}


def test_a_step_runs_when_one_that_it_reads_from_runs():
    assert planned(definition(), definition(lock="b")) == {
        "Prepare": (True, "data lock changed"),
        "Train": (True, "Prepare runs"),
    }


def test_code_is_named_by_its_folder_and_never_by_a_digest():
    assert planned(definition(), definition(code="b"))["Prepare"] == (True, "processing_code changed")


def test_one_rule_of_many_is_named_alone():
    found = planned(definition(), definition(rules=("absolute.ndcg@10.min=0.01",)))
    assert found["Prepare"] == (True, "gate.absolute.ndcg@10.min 0.02 -> 0.01")


def test_a_parameter_of_the_execution_that_a_step_reads_runs_it():
    found = planned(definition(), definition(), ({"ChampionUri": "a"}, {"ChampionUri": "b"}))
    assert found["Prepare"] == (True, "ChampionUri a -> b")


def test_a_pipeline_that_is_new_runs_every_step():
    assert {why for _, why in planned(None, definition()).values()} == {"it is new", "it is new; Prepare runs"}


def test_an_identity_that_differs_for_no_reason_seen_runs_too():
    other = definition()
    other["Steps"][1]["Arguments"]["OutputDataConfig"]["S3OutputPath"] = f"s3://bucket/steps/Train/{'e' * 64}/model"
    assert planned(definition(), other)["Train"] == (True, "its identity differs")


def test_many_reasons_are_counted():
    before, after = definition(), definition()
    after["Steps"][1]["Arguments"]["HyperParameters"] |= {f"h{number}": "1" for number in range(9)}
    assert planned(before, after)["Train"][1].endswith("; and 3 more")


def test_machines_and_steps_that_are_always_carried_out_are_known():
    found = steps.compare(None, definition(), ({}, {}))
    assert [(one.instance_type, one.instances) for one in found] == [("ml.m5.xlarge", 1), ("ml.m5.2xlarge", 2)]
    assert steps.others(definition()) == ["Gate", "Register"]


def test_an_address_that_is_put_together_from_another_steps_output_is_that_steps():
    joined = {"Std:Join": {"On": "/", "Values": ["s3:/", "steps/Tune", {"Get": "Steps.Prepare.Name"}]}}
    after = definition()
    after["Steps"][1]["Arguments"]["InputDataConfig"][0]["DataSource"]["S3Uri"] = joined
    assert planned(definition(), after)["Train"] == (False, "")
    after["Steps"][0]["Arguments"]["ProcessingInputs"][1]["S3Input"]["S3Uri"] = (
        f"s3://bucket/locks/{'b' * 64}/lock.json"
    )
    assert planned(definition(), after)["Train"] == (True, "Prepare runs")


def test_a_search_is_on_as_many_machines_as_it_has_jobs_at_once():
    from gitops.planning.steps import machine

    limits = {"ResourceLimits": {"MaxNumberOfTrainingJobs": 8, "MaxParallelTrainingJobs": 2}}
    training = {"ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 3}}
    arguments = {"HyperParameterTuningJobConfig": limits, "TrainingJobDefinition": training}
    assert machine({"Arguments": arguments}) == ("ml.m5.xlarge", 3, 2)
