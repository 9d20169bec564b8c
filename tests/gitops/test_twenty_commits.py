"""Twenty commits of every kind through the whole loop: git push, event, rule, build, pipeline, merge request, endpoint.

Each step says beforehand which builds it starts, how many trainings and how many deployments come of it. In the end
both endpoints serve what git says, and a client that never stopped asking has not seen one failed request.
"""

import re
import subprocess
import sys

import pytest

from demo import stages
from demo.team import environment
from demo.world import MODEL, PARAMS
from tests.gitops.loop import STAGING, Script, hammer

pytestmark = pytest.mark.heavy
OK, NO = "SUCCEEDED", "FAILED"
NEW = {"retrain": OK, "propose": OK, "deploy_staging": OK, "trainings": 1, "staging": 1}  # a commit that trains


def test_twenty_commits_end_where_git_says_with_the_predicted_work_and_no_failed_request(script: Script):
    script.hyperparameter(200.0)
    script.expect("1 params", **NEW)
    first = script.asked_for("staging")
    clients = [hammer(script, "staging")]
    script.edit("docs/notes.md", lambda text: text + "A note.\n")
    script.expect("2 docs")
    script.edit(PARAMS, lambda text: text + "# the same, said again\n")
    script.expect("3 params that say the same", retrain=OK)
    script.promote()
    script.expect("4 promotion", deploy_production=OK, production=1)
    clients.append(hammer(script, "production"))
    params_and_their_reverts(script)
    two_at_once(script)
    deploys_and_poison(script)
    new_week(script)
    script.expect("18 new data", **NEW)
    newest = script.asked_for("staging")
    merge = script.promote()
    script.expect("19 promotion", deploy_production=OK, production=1)
    assert script.served("production") == newest
    script.revert(merge, "--mainline", "1")
    script.expect("20 revert of the promotion", deploy_production=OK, production=1)
    rollback(script)
    script.expect("and the rollback command", deploy_staging=OK, staging=1)

    assert script.asked_for("production") == first
    assert script.asked_for("staging") not in {first, newest}
    for name in ("staging", "production"):
        assert script.served(name) == script.asked_for(name)
    for client in clients:
        client.stop()
        assert client.failures == []
        assert client.answers > 100
    print(f"{script.trainings} trainings, {script.deployments}, {[client.answers for client in clients]} answers")


def params_and_their_reverts(script: Script) -> None:
    commit = script.hyperparameter(150.0)
    script.expect("5 params", **NEW)
    script.edit("tests/notes.txt", lambda text: text + "Not a test.\n")
    script.expect("6 tests")
    back = script.revert(commit)
    script.expect("7 revert of params: trained before", retrain=OK)
    script.revert(back)
    script.expect("8 revert of the revert: trained before", retrain=OK)
    script.edit(PARAMS, lambda text: text.replace("min_users: 20", "min_users: 30"))
    script.expect("9 another gate: judged again, not trained", retrain=OK, propose=OK)


def deploys_and_poison(script: Script) -> None:
    commit = script.edit(STAGING, lambda text: text.replace("instances: 1", "instances: 2"))
    script.expect("12 more instances", deploy_staging=OK, staging=1)
    script.revert(commit)
    script.expect("13 revert of that", deploy_staging=OK, staging=1)
    commit = script.edit(PARAMS, lambda text: text + "nonsense: true\n")
    script.expect("14 poisoned params", retrain=NO)
    script.revert(commit)
    script.expect("15 revert of that: trained before", retrain=OK)
    commit = script.edit(STAGING, lambda text: re.sub(r"archive_sha256: .*", f"archive_sha256: {'0' * 63}a", text))
    script.expect("16 a release nobody registered", deploy_staging=NO)
    script.revert(commit)
    script.expect("17 revert of that", deploy_staging=OK)


def two_at_once(script: Script) -> None:
    """Two pushes before anything has happened: both train, each proposes, and the later one is what staging serves."""
    script.hyperparameter(120.0)
    script.hyperparameter(100.0)
    script.expect(
        "10, 11 two at once",
        retrain=f"{OK} {OK}",
        propose=f"{OK} {OK}",
        deploy_staging=f"{OK} {OK}",
        trainings=2,
        staging=2,
    )
    described = script.world.cloud.proposals(MODEL)[-1]["CustomerMetadataProperties"]
    assert script.asked_for("staging") == f"{MODEL}-{described['run_id'][:12]}"


def new_week(script: Script) -> None:
    world = script.world
    world.team.pull()
    ((key, body),) = world.data.partitions(range(12, 13))
    world.cloud.client("s3").put_object(Bucket=world.cloud.bucket, Key=key, Body=body)
    stages.lock_data(world, [key])
    world.team.push("A new week", f"params/{MODEL}.data.yml")


def rollback(script: Script) -> None:
    """As the person on call types it."""
    world = script.world
    world.team.pull()
    exports = world.cloud.exports
    variables = {**environment(exports), "GIT_URL": exports["GIT_URL"], "GIT_TOKEN": exports["GIT_TOKEN"]}
    command = [sys.executable, "-m", "gitops", "rollback", "staging", MODEL]
    done = subprocess.run(command, cwd=script.clone, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "merged as" in done.stdout
