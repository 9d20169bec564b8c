"""The stages of the demo in order; each function is one stage and checks its own claims."""

import sys
import time
from collections.abc import Callable
from typing import Any

from demo import team as git
from demo.data import curious
from demo.world import MODEL, PARAMS, World, serving_archive

FIRST = range(12)  # weeks known at the start; week 12 arrives later


def deploy_infrastructure(world: World) -> None:
    """1. The CloudFormation stack of infra/, on the local cloud."""
    cloud, story = world.cloud, world.story
    story.say(f"localcloud answers at {cloud.exports['AWS_ENDPOINT_URL']}")
    secret = cloud.client("secretsmanager").create_secret(
        Name=f"{cloud.project}-git-token", SecretString=cloud.exports["GIT_TOKEN"]
    )
    digest, archive = serving_archive(world.root)
    account = cloud.client("sts").get_caller_identity()["Account"]
    registry = f"{account}.dkr.ecr.{cloud.exports['AWS_DEFAULT_REGION']}.amazonaws.com/{cloud.project}"
    parameters = {
        "ProjectName": cloud.project,
        "GitUrl": cloud.exports["GIT_URL"],
        "GitProject": cloud.git_project,
        "Branch": "main",
        "GitTokenSecretArn": secret["ARN"],
        "TrainingImage": f"{registry}/training:laptop",
        "ProcessingImage": f"{registry}/processing:laptop",
        "ServingImage": f"{registry}/serving@sha256:{digest}",
        "ImageStore": "archive",
    }
    words = [word for name, value in parameters.items() for word in ("--parameter", f"{name}={value}")]
    git.run([sys.executable, "-m", "infra", "deploy", *words], world.root, git.environment(cloud.exports))
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=f"images/serving/{digest}.tar.gz", Body=archive)
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=cloud.project)["StackResources"]
    states = {row["ResourceStatus"] for row in resources}
    story.claim(states == {"CREATE_COMPLETE"}, f"{len(resources)} resources of infra/template.yml are deployed")


def found_team(world: World) -> None:
    """2. A bare origin, a clone, and twelve weeks of purchases."""
    story, cloud, team = world.story, world.cloud, world.team
    s3 = cloud.client("s3")
    keys = []
    for key, body in world.data.partitions(FIRST):
        s3.put_object(Bucket=cloud.bucket, Key=key, Body=body)
        keys.append(key)
    story.say(f"{len(keys)} weekly partitions of {world.data.name} in s3://{cloud.bucket}/raw/")
    (team.clone / "params" / f"{MODEL}.data.yml").unlink(missing_ok=True)
    lock_data(world, keys)
    team.git("add", "--all")
    commit = team.push(f"Start {cloud.project}", ".")
    origin = world.home / "git" / f"{cloud.git_project}.git"
    named = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    variables = {name: cloud.exports[name] for name in named}
    git.install_hook(origin, world.root, {**variables, "ARTIFACT_BUCKET": cloud.bucket, "EVENT_BUS": cloud.project})
    story.claim(git.run(["git", "rev-parse", "main"], origin) == commit, f"origin has main at {commit[:7]}")


def push_to_retrain(world: World) -> None:
    """3. A changed hyperparameter is pushed, and a model is trained and registered."""
    team, story = world.team, world.story
    path = team.clone / PARAMS
    text = path.read_text()
    path.write_text(text.replace("seed: 1", "seed: 2"))
    story.claim(path.read_text() != text, f"{PARAMS}: seed 1 -> 2")
    commit = team.push("Train with another seed", PARAMS)
    story.say(f"git push of {commit[:7]}: event, rule, CodeBuild, pipeline")
    retrained(world, 1)


def serve_staging(world: World) -> None:
    """4. The registered model is in deploy/staging and the endpoint serves it."""
    version = staged(world, 1)
    world.story.facts["recommendations"] = show_answers(world, "staging", len(FIRST) - 1)
    world.story.facts.setdefault("versions", {})["staging"] = version


def promote(world: World) -> None:
    """5. The reviewer merges the promotion request, and production serves exactly that version."""
    promoted(world, 1)


def new_week(world: World) -> None:
    """6a. A new partition arrives: its data lock is a commit, and the new version is promoted the same way."""
    team, cloud, story = world.team, world.cloud, world.story
    team.pull()
    (key, body), *_ = world.data.partitions(range(len(FIRST), len(FIRST) + 1))
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=body)
    lock_data(world, [key])
    commit = team.push(f"Add {key.split('/')[2]}", f"params/{MODEL}.data.yml")
    story.say(f"git push of {commit[:7]}: one new partition in the data lock")
    retrained(world, 2)
    world.story.facts["versions"]["staging"] = staged(world, 2)
    promoted(world, 2)


def push_nothing_new(world: World) -> None:
    """6b. Docs start no build; the same inputs again start a build that trains nothing."""
    team, cloud, story = world.team, world.cloud, world.story
    team.pull()
    builds, jobs = cloud.all_builds(), cloud.training_jobs()
    notes = team.clone / "docs" / "notes.md"
    notes.write_text("The second version went out after week one.\n")
    team.push("Note the second version", "docs/notes.md")
    path = team.clone / PARAMS
    path.write_text(path.read_text() + "# the same parameters, said again\n")
    team.push("Say the same parameters again", PARAMS)
    build = cloud.wait_for_build("retrain", 3)
    story.claim("already succeeded" in cloud.log_of(build), "the same content pushed again: its run already succeeded")
    story.claim(cloud.all_builds() == builds + 1, "of the two pushes only the one to params/ started a build")
    story.claim(cloud.training_jobs() == jobs, "nothing was trained")


def revert(world: World) -> None:
    """7. `git revert` of the second promotion brings the first version back, without training."""
    team, cloud, story = world.team, world.cloud, world.story
    jobs = cloud.training_jobs()
    team.pull()
    merge = world.story.facts.pop("promotion")
    team.git("revert", "--no-edit", "--mainline", "1", merge)
    commit = team.publish()
    story.say(f"git revert {merge[:7]}, pushed as {commit[:7]}")
    cloud.wait_for_build("deploy-production", 3)
    story.facts["versions"]["production"] = check_serving(world, "production", 1)
    story.claim(cloud.training_jobs() == jobs, "no training ran")


STAGES: tuple[tuple[str, Callable[[World], None], str], ...] = (
    ("deploy infra/ to the local cloud", deploy_infrastructure, "infra/template.yml"),
    ("create origin, clone and data", found_team, ".demo/clone"),
    ("push a parameter: retrain", push_to_retrain, "buildspec.yml, pipelines/ncf.py"),
    ("staging serves the new model", serve_staging, "deploy/staging/ncf.yml in .demo/clone"),
    ("merge the promotion: production", promote, "deploy/production/ncf.yml, releases/ in .demo/clone"),
    ("a new week arrives: retrain and promote", new_week, "params/ncf.data.yml in .demo/clone"),
    ("docs and repeated content train nothing", push_nothing_new, "infra/template.yml, rule retrain"),
    ("git revert rolls production back", revert, "git log in .demo/clone"),
)


def lock_data(world: World, keys: list[str]) -> None:
    """Write these partitions into the data lock, as a person would."""
    environment = {**git.environment(world.cloud.exports), "ARTIFACT_BUCKET": world.cloud.bucket}
    words = [word for key in keys for word in ("--add", key)]
    git.run(
        [sys.executable, "-m", "gitops", "data", PARAMS, "--dataset", world.data.name, *words],
        world.team.clone,
        environment,
    )


def retrained(world: World, number: int) -> None:
    """Wait for the number-th retrain build and tell what its pipeline did."""
    cloud, story = world.cloud, world.story
    cloud.wait_for_build("retrain", number)
    execution = cloud.executions(MODEL)[0]
    story.claim(execution["PipelineExecutionStatus"] == "Succeeded", "the pipeline execution succeeded")
    for step in cloud.steps(execution["PipelineExecutionArn"]):
        cached = ", from cache" if "CacheHitResult" in step else ""
        took = (step["EndTime"] - step["StartTime"]).total_seconds()
        story.say(f"  {step['StepName']:<9} {step['StepStatus']} {took:5.1f} s{cached}")
    story.claim(cloud.training_jobs() == number, f"{number} training job(s) so far")


def staged(world: World, number: int) -> int:
    """Wait until staging serves the number-th proposal; its version."""
    cloud = world.cloud
    cloud.wait_for_build("propose", number)
    cloud.wait_for_build("deploy-staging", number)
    return check_serving(world, "staging", number)


def promoted(world: World, number: int) -> None:
    """Play the reviewer: read the open promotion, approve, merge, and check what production serves."""
    cloud, story = world.cloud, world.story
    requests = cloud.reviewer().mergerequests
    (request,) = [row for row in requests.list(state="opened", get_all=True) if row.title.startswith("Promote")]
    story.say(f"!{request.iid} {request.title}")
    unfolded = request.description.partition("<details>")[0]
    for line in [line for line in unfolded.splitlines() if line.startswith("|")]:
        story.say(f"  {line}")
    changed = [change["new_path"] for change in request.changes()["changes"]]
    story.claim(changed == [f"deploy/production/{MODEL}.yml"], f"it changes exactly {changed[0]}")
    report = linked_report(world, request.description)
    whole = b"<h2>Run</h2>" in report and b"Known after the run" not in report
    story.claim(whole, f"the report it names is one HTML file of {len(report) // 1024} KiB, with its run")
    request.approve()
    request.merge()
    merge = requests.get(request.iid).merge_commit_sha
    story.facts["promotion"] = merge
    story.say(f"the reviewer approved and merged it as {merge[:7]}")
    cloud.wait_for_build("deploy-production", number)
    story.facts["versions"]["production"] = check_serving(world, "production", number)


def linked_report(world: World, text: str) -> bytes:
    """The report that a request's text names."""
    bucket, _, key = text.partition("Report: `s3://")[2].partition("`")[0].partition("/")
    body: bytes = world.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def check_serving(world: World, environment: str, number: int) -> int:
    """Claim that the endpoint answers with the number-th proposal and that the registry agrees; its version."""
    cloud, story = world.cloud, world.story
    household, _ = curious(world.data, len(FIRST) - 1)
    answer = cloud.ask(environment, MODEL, {"operation": "getRecommendations", "userId": household, "numResults": 10})
    package = cloud.proposals(MODEL)[number - 1]
    version, metadata = int(package["ModelPackageVersion"]), package["CustomerMetadataProperties"]
    same = (answer["model"]["version"], answer["model"]["runId"]) == (str(version), metadata["run_id"])
    story.claim(same, f"{environment} serves version {version} ({metadata['model']}) of run {metadata['run_id'][:12]}")
    if environment == "production":
        status = package["ModelApprovalStatus"]
        story.claim(status == "Approved", f"the registry has version {version} as {status}")
    return version


def show_answers(world: World, environment: str, week: int) -> list[dict[str, Any]]:
    """Print the top 10 for a household beside what it bought for the first time in the week held back; the rows."""
    cloud, story, names = world.cloud, world.story, world.data.products
    household, really = curious(world.data, week)
    began = time.monotonic()
    answer = cloud.ask(environment, MODEL, {"operation": "getRecommendations", "userId": household, "numResults": 10})
    took = (time.monotonic() - began) * 1000
    items = [row["itemId"] for row in answer["itemList"]]
    personal = answer["strategy"] == "personalized"
    story.claim(personal and len(items) == 10, f"a personalized top 10 for household {household} in {took:.1f} ms")
    hits = [item for item in items if item in really]
    others = hits + sorted(really - set(hits), key=int)
    story.say(f"  {'recommended':<34}  first bought in the week the model had not seen")
    for item, other in zip(items, others + [""] * 10, strict=False):
        mark = "*" if item in really else " "
        story.say(f"  {mark} {names.get(item, f'product {item}'):<32}  {names.get(other, other)}")
    story.say(f"  * {len(hits)} of the 10 are among its {len(really)} first-time purchases of that week")
    return [{"itemId": item, "name": names.get(item, item), "bought": item in really} for item in items]
