"""What a push must start, told from the two trees alone: FORMATS of docs/delivery.md in forty lines, no code of ours.

Texts in, counts out. A file with POISON in it is one that no reader takes; YAML is read by PyYAML itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

POISON = "# poison"
OK, NO = "SUCCEEDED", "FAILED"
RETRAIN = ("params/", "pipelines/", "processing_code/", "training_code/")
ENVIRONMENTS = ("staging", "production")
# what of params has no part in what is trained; of these, what has none in how it is judged either
JUDGED, NEITHER = ("evaluate", "gate", "registry", "run"), ("release", "refresh", "build")
Tree = Mapping[str, str]


@dataclass
class Outcome:
    """Builds by project and their results in order, and the work they do."""

    builds: dict[str, list[str]] = field(default_factory=dict)
    trainings: int = 0
    deployments: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENVIRONMENTS, 0))
    candidates: int = 0  # versions that the staging file gets by a merge of the bot's


@dataclass
class Oracle:
    """What was computed and deployed so far."""

    trained: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    registered: set[str] = field(default_factory=set)  # archives by what they are made of
    released: set[str] = field(default_factory=set)  # archives by digest
    live: dict[str, str] = field(default_factory=dict)

    def push(self, before: Tree, after: Tree) -> Outcome:
        """The branch goes from one tree to another."""
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        outcome = Outcome()
        if any(path.startswith(RETRAIN) or path == "buildspec.yml" for path in changed):
            self.retrain(after, outcome)
        if any(path.startswith("serving_code/") for path in changed):
            outcome.builds["image"] = [OK]
        for environment in ENVIRONMENTS:
            if any(path.startswith(f"deploy/{environment}/") for path in changed):
                outcome.builds[f"deploy-{environment}"] = [self.reconcile(after, environment, outcome)]
        return outcome

    def retrain(self, tree: Tree, outcome: Outcome) -> None:
        """Every params file is read before any run starts; a run is started once."""
        found = [path for path in tree if path.startswith("params/") and path.endswith(".yml") and path.count("/") == 1]
        files = [path for path in found if not path.endswith(".data.yml")]
        sound = files and not any(POISON in tree[path] for path in found)
        if not sound or not all(yaml.safe_load(tree[path])["data"] in tree for path in files):
            outcome.builds["retrain"] = [NO]
            return
        outcome.builds["retrain"] = [OK]
        for path in files:
            self.run(tree, path, outcome)

    def run(self, tree: Tree, path: str, outcome: Outcome) -> None:
        params, model = yaml.safe_load(tree[path]), path.removeprefix("params/").removesuffix(".yml")
        code = {name: text for name, text in tree.items() if name.startswith(RETRAIN[2:])}
        lock = yaml.safe_load(tree[params["data"]])["partitions"]
        asked = {key: value for key, value in params.items() if key not in {*JUDGED, *NEITHER, "data"}}
        training = digest([model, asked, lock, code])
        run = digest([training, {key: params.get(key) for key in JUDGED}, tree["buildspec.yml"]])
        if run in self.succeeded:
            return
        self.succeeded.add(run)
        outcome.trainings += training not in self.trained
        self.trained.add(training)
        archive = digest([asked, lock])  # these scripts change comments of code only: the same bytes come of it
        new = archive not in self.registered
        self.registered.add(archive)
        slots = [tree.get(f"deploy/{environment}/{model}.yml", POISON) for environment in ENVIRONMENTS]
        staged = new and POISON not in slots[0]
        outcome.candidates += staged
        # what cannot be proposed everywhere is a failed build, after what could be was
        outcome.builds.setdefault("propose", []).append(NO if new and any(POISON in slot for slot in slots) else OK)

    def reconcile(self, tree: Tree, environment: str, outcome: Outcome) -> str:
        """Every file of the environment is tried; the result of the build."""
        folder = f"deploy/{environment}/"
        files = [path for path in tree if path.startswith(folder) and path.endswith(".yml")]
        files = [path for path in files if not path.removeprefix(folder).startswith("_")]
        results = [self.deploy(tree, path, environment, outcome) for path in files]
        return OK if results and all(results) else NO

    def deploy(self, tree: Tree, path: str, environment: str, outcome: Outcome) -> bool:
        if POISON in tree[path]:
            return False
        asked = yaml.safe_load(tree[path])
        model = path.rpartition("/")[2].removesuffix(".yml")
        if asked["model"] != model:
            return False
        if asked["release"] is None:
            return True
        if asked["release"]["archive_sha256"] not in self.released:
            return False
        spec = digest({key: asked.get(key) for key in ("release", "serving", "challenger", "shadow", "capture")})
        policy = yaml.safe_load(tree.get(f"deploy/{environment}/_policy.yml", "{}"))
        if self.live.get(f"{environment}/{model}") != spec and not policy.get("paused"):
            self.live[f"{environment}/{model}"] = spec
            outcome.deployments[environment] += 1
        return True


def digest(content: Any) -> str:
    """Equal contents, equal texts."""
    return json.dumps(content, sort_keys=True)
