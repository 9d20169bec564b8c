"""The Markdown tables of benchmarks.serving."""

from collections.abc import Iterable, Mapping
from typing import Any

from .. import results
from .many import KINDS
from .subjects import ECHO, OURS, OWN, SUBJECTS

NAIVE = (
    "FastAPI, MLflow and LitServe serve the network as it was trained, in onnxruntime on one thread a request, and "
    "sort all scores. "
)
WAYS = ("plain ONNX", "score.onnx in onnxruntime", "this project")  # of scoring.py, which loads more than a table needs
COLUMNS = ("rps", "p50_ms", "p99_ms", "p999_ms")


def table(found: Mapping[str, Any]) -> str:
    """All tables, each with what it is of."""
    settings = found["settings"]
    parts = [
        f"The endpoint under load: loopback, client and server on the same machine, {settings['rounds']} interleaved "
        f"round(s) of {settings['seconds']:g} s, medians over rounds; top-10 of one user a request. "
        f"{NAIVE if found['ratio'] else ''}{own_cost(found)}"
        f"Load average before: {settings['load_average'][0]:.1f}; {results.caption(found)}."
    ]
    parts += [f"{name}: {reason}." for name, reason in sorted(found["left_out"].items())]
    for model, medians in sorted(found["medians"].items()):
        parts += [f"{model} ({settings['models'][model]}):", loads(medians)]
    parts += [ratios(found)] if found["ratio"] else []
    parts += ["Processes: seconds from start to the first 200, and MiB of all its processes after the load "
              "(resident with shared pages counted each time, and once; pages of no file).",
              processes(found["processes"])]  # fmt: skip
    for model, own in sorted(found["scoring"].items()):
        parts += [f"Live top-10 of every item on one thread, without HTTP, {model}: medians over "
                  f"{own['users']} users scored in each way in turn.", scoring(own)]  # fmt: skip
    parts += [many(own) for own in found["many"]]
    return "\n\n".join(parts)


def own_cost(found: Mapping[str, Any]) -> str:
    """What the client itself costs: the fastest server there is, and that is most of what it waits for."""
    echoes = [own[ECHO]["known user"] for own in found["medians"].values() if ECHO in own]
    if not echoes:
        return ""
    costs = [
        f"{one['rps']:,.0f}/s and {one['p50_ms']:.3f} ms at {connections} connection(s), "
        f"{one['client_cpu_us']:.0f} µs of CPU a request"
        for connections, one in echoes[-1].items()
    ]  # fmt: skip
    return f"The client's own limit, against an asyncio server that only echoes: {'; '.join(costs)}. "


def loads(medians: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]) -> str:
    """Of one model: each contender's kinds of request, at each number of connections."""
    header = ["", "connections", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "server CPU µs", "errors"]
    rows = [
        [f"{contender}: {kind}", connections, *numbers(own), f"{own['errors']:.0f}"]
        for contender, kinds in ordered(medians, SUBJECTS)
        for kind, counts in ordered(kinds, OWN)
        for connections, own in counts.items()
    ]
    return results.table(header, rows)


def numbers(own: Mapping[str, float]) -> list[str]:
    """The cells of one load."""
    forms = (",.0f", ".3f", ".3f", ".3f")
    cells = [results.shown(own.get(name), form) for name, form in zip(COLUMNS, forms, strict=True)]
    return [*cells, results.shown(own.get("server_cpu_us"), ",.0f")]


def ratios(found: Mapping[str, Any]) -> str:
    """How many times each peer's requests this project answers, and in how much less of a server's CPU time."""
    header = [
        "times the requests/s (and less server CPU)",
        "connections",
        "known user, table",
        "live-scored, same work",
    ]
    rows = [
        [f"{contender}, {model}", connections, *(both(own[kind]) for kind in ("known user", "live-scored"))]
        for model, contenders in sorted(found["ratio"].items())
        for contender, counts in ordered(contenders, SUBJECTS)
        for connections, own in counts.items()
    ]
    return results.table(header, rows)


def ordered(found: Mapping[str, Any], registry: Iterable[str]) -> list[tuple[str, Any]]:
    """As a registry has them: JSON keeps no order."""
    return [(name, found[name]) for name in registry if name in found]


def both(own: Mapping[str, float]) -> str:
    """A ratio of requests per second, and that of CPU time."""
    return f"{results.shown(own.get('rps'))} ({results.shown(own.get('cpu'))})"


def processes(medians: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Starts and memory."""
    header = ["", "start s", "resident MiB", "shared once", "no file's", "processes"]
    names = ("start_seconds", "rss_mib", "pss_mib", "anonymous_mib", "processes")
    forms = (".2f", ",.0f", ",.0f", ",.0f", ".0f")
    rows = [
        [f"{contender}, {model}", *(format(own[name], form) for name, form in zip(names, forms, strict=True))]
        for model, contenders in sorted(medians.items())
        for contender, own in ordered(contenders, SUBJECTS)
    ]
    return results.table(header, rows)


def scoring(own: Mapping[str, Any]) -> str:
    """One thread, no HTTP."""
    header = ["", "ms", "best ms", "times faster, pair by pair"]
    rows = [[name, f"{ms:.3f}", f"{own['best_ms'][name]:.3f}", f"{own['times_faster'][name]:.2f}"]
            for name, ms in ordered(own["ms"], WAYS)]  # fmt: skip
    return results.table(header, rows)


def many(own: Mapping[str, Any]) -> str:
    """Many models behind one process."""
    room = f"room for {own['cached']} ({own['cache_bytes'] / 2**20:.0f} MiB)"
    title = (
        f"{OURS}, {own['model']} behind one process with {room}: each loaded once, then {own['asked']:,} requests by "
        f"Zipf's law over one connection; every answer was of the model asked; {own['hit_share']:.0%} found their "
        f"model open, {own['evictions']:,} evictions (by an LRU of that size), "
        f"{own['unloaded_by_the_platform']:,} models unloaded by the client after a 507."
    )
    rows = [[kind, *(results.shown(ms.get(name), ".3f") for name in ("p50", "p99")), f"{ms['count']:,}"]
            for kind, ms in ordered(own["ms"], KINDS)]  # fmt: skip
    return "\n\n".join([title, results.table(["", "p50 ms", "p99 ms", "count"], rows)])
