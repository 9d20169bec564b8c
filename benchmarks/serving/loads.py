"""Load on servers over HTTP: every subject in turn, round by round, each start a process of its own."""

import http.client
import json
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import BenchmarkError
from ..trials import Run, say, task
from .client import HOST
from .servers import Server, running
from .subjects import Ids, Subject, equal_work, ids_of, python_of, requests, scores_in

COST = ("wall_seconds", "cpu_seconds", "peak_mib", "warmed")  # of the client's whole process, start included
COMPARED = 20  # users whose answers every subject must give alike


Seated = tuple[Subject, Path | None]  # a subject with the Python that it runs in, if that is not this one


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    rounds: int = 3
    seconds: float = 2.0
    warmup: float = 0.5
    connections: tuple[int, ...] = (1, 8)


@dataclass
class Measured:
    """`runs` has one entry for each load, `processes` one for each start of a server."""

    runs: list[Run] = field(default_factory=list)
    processes: list[Run] = field(default_factory=list)

    def __add__(self, more: "Measured") -> "Measured":
        return Measured(self.runs + more.runs, self.processes + more.processes)


def measure(model: str, folder: Path, subjects: Mapping[str, Seated], plan: Plan) -> Measured:
    """Every subject once a round on one model.

    Raises BenchmarkError if one fails, or if the subjects do not answer known users alike.
    """
    ids, found = ids_of(folder), Measured()
    answers: dict[str, list[list[float]]] = {}
    for number in range(1, plan.rounds + 1):
        for name, (subject, python) in subjects.items():
            about = {"contender": name, "model": model, "round": number}
            with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
                log = Path(scratch) / "log"
                with running(command(subject, python), filled(subject, folder), subject.ready, log) as server:
                    if number == 1 and "itemList" in probe(server, subject, ids):
                        answers[name] = [scores_in(json.loads(one)) for one in sampled(server, subject, ids)]
                    own = [{**about, **one} for one in loads(server, subject, ids, (Path(scratch), plan))]
                    found.processes.append({**about, "start_seconds": round(server.start_seconds, 3), **server.weigh()})
            found.runs += own
            say(f"{model}, round {number} of {plan.rounds}, {name}: {shortly(own)}")
    if len(answers) > 1 and not equal_work(answers):
        raise BenchmarkError(f"{model}: {', '.join(answers)} answer the same users differently; they must agree")
    return found


def command(subject: Subject, python: Path | None) -> list[str]:
    """The words that start it."""
    return [python_of(subject, python), "-m", *subject.words]


def filled(subject: Subject, folder: Path) -> dict[str, str]:
    """Its environment for a model's folder."""
    return {name: value.replace("{folder}", str(folder)) for name, value in subject.environment.items()}


def loads(server: Server, subject: Subject, ids: Ids, how: tuple[Path, Plan]) -> list[Run]:
    """One server under each kind of load."""
    scratch, plan = how
    found = []
    for kind, one in subject.kinds.items():
        (scratch / "requests.json").write_text(json.dumps(requests(one, ids)), encoding="utf-8")
        for connections in plan.connections:
            settings = {
                "port": server.port, "path": subject.path, "connections": connections, "seconds": plan.seconds,
                "warmup": plan.warmup,
            }  # fmt: skip
            before = server.cpu_seconds()
            run = task("http_load", scratch, settings)
            answered = run["warmed"] + run["requests"] + sum(run["errors"].values())
            spent = round((server.cpu_seconds() - before) / max(1, answered) * 1e6, 1)
            kept = {name: value for name, value in run.items() if name not in COST}
            found.append({"kind": kind, "connections": connections, **kept, "server_cpu_us": spent})
    return found


def sampled(server: Server, subject: Subject, ids: Ids) -> list[bytes]:
    """Answers to the first known users, to be compared between subjects."""
    asked = requests(subject.kinds["known user"], ids)[:COMPARED]
    return [post(server, subject, body) for body, _ in asked]


def probe(server: Server, subject: Subject, ids: Ids) -> str:
    """The first of them as text: an echo has nothing to compare."""
    return post(server, subject, requests(subject.kinds["known user"], ids)[0][0]).decode()


def post(server: Server, subject: Subject, body: str) -> bytes:
    """One answer. Raises BenchmarkError unless it is 200."""
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        connection.request("POST", subject.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise BenchmarkError(f"POST {subject.path}: {answer.status} {content[:300]!r}; 200 would be right")
    return content


def shortly(runs: list[Run]) -> str:
    """Progress in one line."""
    return ", ".join(f"{one['kind']} at {one['connections']}: {one['rps']:,.0f}/s" for one in runs)
