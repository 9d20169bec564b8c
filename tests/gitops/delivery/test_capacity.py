"""Instances and weights changed on a running endpoint: put back, proposed or said, on a real localcloud."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gitops import deployment
from gitops.delivery import autoscaling
from gitops.delivery.capacity import drift, edits, restored
from gitops.errors import GitopsError
from tests.gitops.delivery.test_writers import Counting
from tests.gitops.team import FILE

CONFIG = {"ProductionVariants": [{"VariantName": "main", "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}]}
LIVE = [{"VariantName": "main", "DesiredInstanceCount": 3, "DesiredWeight": 0.5}]
SHADOWED = {**CONFIG, "ShadowProductionVariants": [{**CONFIG["ProductionVariants"][0], "VariantName": "shadow"}]}


def test_what_differs_is_drift_unless_it_is_delegated():
    count, weight = drift(CONFIG, LIVE, ())
    assert str(count) == "main: DesiredInstanceCount is 3, git asks for 1"
    assert str(weight) == "main: DesiredWeight is 0.5, git asks for 1"
    assert drift(CONFIG, LIVE, autoscaling.DELEGATED) == [weight]
    assert restored([count, weight]) == [{"VariantName": "main", "DesiredInstanceCount": 1, "DesiredWeight": 1.0}]


def test_a_weight_that_came_back_as_a_float_of_32_bits_is_no_drift():
    assert drift(CONFIG, [{"VariantName": "main", "DesiredWeight": 1.0000001}], ()) == []


def test_nobody_scales_a_shadow_so_its_instances_stay_gits():
    live = [{"VariantName": "shadow", "DesiredInstanceCount": 2}]
    assert [one.variant for one in drift(SHADOWED, live, autoscaling.DELEGATED)] == ["shadow"]


def test_a_weight_is_written_as_the_share_it_gives():
    live = [{**LIVE[0], "DesiredWeight": 3.0}, {"VariantName": "challenger", "DesiredWeight": 1.0}]
    config = {"ProductionVariants": [*CONFIG["ProductionVariants"]]}
    config["ProductionVariants"].append({**config["ProductionVariants"][0], "VariantName": "challenger"})
    assert edits(drift(config, live, ()), live) == {"serving": {"instances": 3}, "challenger": {"share": 0.25}}


def changed(team, registry, **lines: str):
    """A release in service, and then somebody gave its main variant two instances."""
    release = registry.release()
    team.write(release, **lines)
    assert team.reconcile() == []
    by_hand(team, "main", DesiredInstanceCount=2)
    return release


def by_hand(team, variant: str, **values) -> None:
    name = team.endpoint()["EndpointName"]
    rows = [{"VariantName": variant, **values}]
    team.clients.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=rows)
    while team.endpoint()["EndpointStatus"] != "InService":
        time.sleep(0.05)


def instances(team) -> int:
    return team.endpoint()["ProductionVariants"][0]["CurrentInstanceCount"]


class Adjusting(Counting):
    """Counts what is put back; `refused` is what SageMaker then says of it, as it does where instances are short."""

    refused = False

    def update_endpoint_weights_and_capacities(self, **request):
        self.calls.append("adjust")
        if self.refused:  # the endpoint goes through Updating and comes back as it was
            request["DesiredWeightsAndCapacities"] = [{"VariantName": "main", "DesiredInstanceCount": 2}]
        return self.sagemaker.update_endpoint_weights_and_capacities(**request)


def test_instances_changed_by_hand_are_put_back_once(team, registry):
    changed(team, registry)
    counting = Adjusting(team.clients.sagemaker)
    again = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=counting))
    assert again.all() == []
    assert any("main: DesiredInstanceCount is 2, git asks for 1; putting it back" in line for line in team.said)
    assert (instances(team), again.all(), counting.calls) == (1, [], ["adjust"])
    by_hand(team, "main", DesiredInstanceCount=2)  # another time, the same change is a new one
    assert (again.all(), instances(team)) == ([], 1)


@pytest.mark.heavy
def test_weights_changed_by_hand_are_put_back(team, registry):
    challenger = json.dumps({"release": registry.release().model_dump(), "share": 0.25})
    team.write(registry.release(), challenger=challenger)
    assert team.reconcile() == []
    by_hand(team, "challenger", DesiredWeight=0.9)
    assert team.reconcile() == []
    assert {one["VariantName"]: one["CurrentWeight"] for one in team.endpoint()["ProductionVariants"]} == {
        "main": 0.75,
        "challenger": 0.25,
    }


@pytest.mark.heavy
def test_what_could_not_be_put_back_is_tried_once_and_then_only_said(team, registry):
    release = changed(team, registry)
    short = Adjusting(team.clients.sagemaker)
    short.refused = True

    def reconcile() -> str:
        (failure,) = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=short)).all()
        return failure

    assert "it was put back and is not as asked" in reconcile()
    assert "was tried and did not hold" in reconcile()
    assert short.calls == ["adjust"]
    team.write(release, retry="1")
    assert "it was put back and is not as asked" in reconcile()
    assert team.reconcile() != []  # and that attempt too is one
    team.write(release, retry="2")
    assert (team.reconcile(), instances(team)) == ([], 1)


def test_drift_that_is_proposed_is_what_git_says_once_it_is_merged(team, registry):
    changed(team, registry)
    team.policy("drift: propose\n")
    assert (team.reconcile(), team.reconcile()) == ([], [])
    (request,) = team.host.every
    assert (request.branch[:18], team.host.changed_by(request)) == ("drift/staging/ncf-", [FILE["staging"]])
    assert instances(team) == 2
    team.host.merge(request)
    assert deployment.load(team.repository.root / FILE["staging"]).serving.instances == 2
    assert (team.reconcile(), instances(team)) == ([], 2)
    assert len(team.host.every) == 1


@pytest.mark.heavy
def test_a_proposal_that_was_closed_is_not_made_again_and_one_overtaken_is_closed(team, registry):
    changed(team, registry)
    team.policy("drift: propose\n")
    assert team.reconcile() == []
    by_hand(team, "main", DesiredInstanceCount=3)
    assert team.reconcile() == []
    assert [request.state for request in team.host.every] == ["closed", "opened"]
    team.host.close(team.host.every[1], "no")
    assert "and is closed" in team.reconcile()[0]
    assert len(team.host.every) == 2


def test_what_a_deploy_file_has_no_word_for_is_not_proposed():
    with pytest.raises(GitopsError, match="no word for the weight"):
        edits(drift(CONFIG, LIVE, ()), LIVE)


WEDNESDAY = datetime(2026, 11, 18, 12, tzinfo=UTC)


def test_what_is_only_reported_frozen_or_paused_stays(team, registry):
    changed(team, registry)
    team.policy("drift: report\n")
    (failure,) = team.reconcile()
    assert "DesiredInstanceCount is 2, git asks for 1" in failure
    for policy in (
        "freeze: {zone: UTC, weekly: [{start: wed 00:00, end: thu 00:00}]}\n",
        "paused: true\nreason: an incident\n",
    ):
        team.policy(policy)
        team.said.clear()
        assert team.reconciler_at(WEDNESDAY).all() == []
        assert any("not done: heal" in line for line in team.said)
    assert instances(team) == 2


@pytest.mark.heavy
def test_a_build_that_lost_its_lease_puts_nothing_back(team, registry):
    changed(team, registry)

    class Overtaken(Adjusting):
        """While it looks, another build takes the lease."""

        def describe_endpoint(self, **request):
            answer = self.sagemaker.describe_endpoint(**request)
            if any("verified" in line for line in team.said):
                name = request["EndpointName"]
                text = json.dumps({"holder": "another", "number": 9, "seconds": 60.0, "held": True})
                team.clients.s3.put_object(Bucket="images-bucket", Key=f"leases/{name}.json", Body=text.encode())
            return answer

    team.said.clear()
    overtaken = Overtaken(team.clients.sagemaker)
    (failure,) = replace(team.reconciler(), cloud=replace(team.clients, sagemaker=overtaken)).all()
    assert "another build took over" in failure
    assert (overtaken.calls, instances(team)) == ([], 2)
