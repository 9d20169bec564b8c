"""A multi-model endpoint over HTTP. Every customer's items have that customer's mark, so a mixed-up answer shows."""

import json
import random
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from checkerboard import ARCHIVE
from customers import pack, write_customer
from endpoint import JSON, Server, start, stop

TAKES = 2**18 + sum(path.stat().st_size for path in ARCHIVE.iterdir()) + 4096  # a little more than one model
QUESTION = {"operation": "getRecommendations", "userId": "u04", "numResults": 3}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder for temporary files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> Iterator[Server]:
    """Room for three models."""
    folder, room = tmp_path_factory.mktemp("multi"), str(3 * TAKES)
    running = start(folder, SAGEMAKER_MULTI_MODEL="true", MODEL_CACHE_BYTES=room, TMPDIR=str(scratch))
    running.wait(until=200)
    yield running
    said = stop(running)
    assert (running.process.returncode, said) == (0, "")
    assert not list(scratch.iterdir())


@pytest.fixture
def customer(tmp_path: Path) -> Any:
    """Writes a customer's archive: its folder."""
    return lambda mark: str(write_customer(tmp_path / "models" / mark / "model", mark))


def ask(server: Server, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    status, answer, _ = server.ask(method, path, content, {"Content-Type": JSON})
    return status, json.loads(answer)


def load(server: Server, name: str, url: str) -> tuple[int, Any]:
    return ask(server, "POST", "/models", {"model_name": name, "url": url})


def unload(server: Server, name: str) -> int:
    return ask(server, "DELETE", f"/models/{quote(name, safe='')}")[0]


def marks(server: Server, name: str, user: str = "u04") -> tuple[int, Any]:
    """Whose items a model recommends."""
    status, found = ask(server, "POST", f"/models/{quote(name, safe='')}/invoke", {**QUESTION, "userId": user})
    return status, {one["itemId"].partition(":")[0] for one in found["itemList"]} if status == 200 else found["error"]


def test_f47_it_is_ready_without_a_model_and_knows_only_what_was_loaded(server: Server, customer):
    assert ask(server, "GET", "/ping") == (200, {"models": 0})
    for method, path in [("GET", "/models/a"), ("DELETE", "/models/a"), ("POST", "/models/a/invoke")]:
        status, found = ask(server, method, path)
        assert (status, found["error"]["code"]) == (404, "ModelNotFound")
    url = customer("a")
    said = {"modelName": "a", "modelUrl": url}
    assert load(server, "a", url) == (200, said)
    assert (load(server, "a", url)[0], ask(server, "GET", "/models/a")) == (409, (200, said))
    assert ask(server, "GET", "/models") == (200, {"models": [said]})
    assert marks(server, "a") == (200, {"a"})
    assert (unload(server, "a"), unload(server, "a"), marks(server, "a")[0]) == (200, 404, 404)


def test_f47_an_unloaded_name_may_be_another_model_the_next_time(server: Server, customer):
    for mark in ("first", "second"):
        assert load(server, "name", customer(mark))[0] == 200
        assert marks(server, "name") == (200, {mark})
        assert unload(server, "name") == 200


NAMES = ["../../etc/passwd", "/", "a/b/invoke", "%2e%2e", "größe 模型 🎬", "x" * 1024, ".", "a?b#c", "a\nb", "{}"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_any_text_and_never_a_path(server: Server, customer, name: str):
    assert load(server, name, customer("odd"))[0] == 200
    assert ask(server, "GET", f"/models/{quote(name, safe='')}")[1]["modelName"] == name
    assert marks(server, name) == (200, {"odd"})
    assert unload(server, name) == 200


def test_a_name_is_found_by_any_way_of_writing_it_in_a_path(server: Server, customer):
    assert load(server, "a/b c", customer("odd"))[0] == 200
    for path in ("/models/a/b%20c/invoke", "/models/%61%2fb%20c/invoke"):
        assert ask(server, "POST", path, QUESTION)[0] == 200
    assert unload(server, "a/b c") == 200


WRONG_LOADS = [{}, [], None, {"model_name": "a"}, {"url": "/x"}, {"model_name": 1, "url": "/x"},
               {"model_name": "", "url": "/x"}, {"model_name": "x" * 1025, "url": "/x"},
               {"model_name": "a", "url": ["/x"]}, {"model_name": "a", "url": "/nowhere"},
               {"model_name": "a", "url": "relative"}, {"model_name": "a", "url": "/x\0y"},
               {"model_name": "a", "url": "/" + "x" * 5000}, {"model_name": "a", "url": "/etc/hostname"},
               {"model_name": "a", "url": "/dev/zero"}, {"model_name": "a", "url": "/tmp"}]  # fmt: skip


@pytest.mark.parametrize("body", WRONG_LOADS, ids=range(len(WRONG_LOADS)))
def test_a_wrong_load_is_refused_and_leaves_nothing(server: Server, body: Any):
    status, found = ask(server, "POST", "/models", body)
    assert (status, set(found["error"])) == (400, {"code", "message", "field", "requestId"})
    assert ask(server, "GET", "/models") == (200, {"models": []})


def test_f14_a_corrupt_model_is_refused_and_the_loaded_ones_still_serve(server: Server, customer):
    assert load(server, "good", customer("good"))[0] == 200
    url = customer("bad")
    (Path(url) / "score.onnx").write_bytes(b"x" * 100)
    status, found = load(server, "bad", url)
    assert (status, found["error"]["code"]) == (400, "InvalidModel")
    assert "score.onnx" in found["error"]["message"]
    assert (marks(server, "good"), marks(server, "bad")[0], unload(server, "good")) == ((200, {"good"}), 404, 200)


def test_more_models_than_there_is_room_for_are_all_answered(server: Server, customer):
    names = [f"m{number}" for number in range(7)]
    assert [load(server, name, customer(name))[0] for name in names] == [200] * 7
    for name in [*names, *reversed(names)]:
        assert marks(server, name) == (200, {name})
    found, token = [], ""
    while token is not None:
        _, page = ask(server, "GET", f"/models?limit=3&next_page_token={quote(token)}")
        assert len(page["models"]) <= 3
        found += [one["modelName"] for one in page["models"]]
        token = page.get("nextPageToken")
    assert found == names
    for wrong in ("limit=0", "limit=x", "next_page_token=%25"):
        assert ask(server, "GET", f"/models?{wrong}")[0] == 400
    assert [unload(server, name) for name in names] == [200] * 7


def test_f47_a_model_larger_than_all_room_is_507(server: Server, customer):
    url = customer("large")
    (Path(url) / "notes.txt").write_bytes(b" " * 3 * TAKES)
    status, found = load(server, "large", url)
    assert (status, found["error"]["code"]) == (507, "InsufficientMemory")


def test_a_model_whose_folder_was_changed_after_its_loading_is_not_served_as_the_old_one(server: Server, customer):
    names = [f"n{number}" for number in range(4)]
    urls = [customer(name) for name in names]
    for name, url in zip(names, urls, strict=True):
        assert load(server, name, url)[0] == 200
    shutil.rmtree(urls[0])
    for restored in (False, True):  # the files of n0, which has made way for n3
        if restored:
            write_customer(Path(urls[0]), "stranger")
        status, error = marks(server, "n0")
        assert (status, error["code"]) == (503, "ModelNotReady")
    assert [unload(server, name) for name in names] == [200] * 4


def test_a_tar_is_unpacked_into_a_folder_of_its_own_that_goes_with_the_model(
    server: Server, scratch: Path, customer, tmp_path: Path
):
    path = pack(Path(customer("tar")), tmp_path / "tar.tar.gz")
    assert load(server, "tar", str(path))[0] == 200
    assert [one.stat().st_mode & 0o777 for one in scratch.iterdir()] == [0o700]
    assert marks(server, "tar") == (200, {"tar"})
    assert unload(server, "tar") == 200
    assert not list(scratch.iterdir())


def test_f55_of_a_hostile_tar_nothing_is_written_and_nothing_is_loaded(server: Server, scratch: Path, tmp_path: Path):
    path = tmp_path / "hostile.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(ARCHIVE / "manifest.json", "manifest.json")
        tar.add(ARCHIVE / "users.json", "../users.json")
    status, found = load(server, "hostile", str(path))
    assert (status, found["error"]["code"]) == (400, "InvalidModel")
    assert "'../users.json' is not a plain file name" in found["error"]["message"]
    assert not list(scratch.iterdir())


def test_f47_fifty_callers_get_their_own_models_answers_while_models_come_and_go(server: Server, tmp_path: Path):
    """Each customer has two models, with marks c0.0 and c0.1, that take turns under one name."""
    urls = {
        f"c{number}": [str(write_customer(tmp_path / f"c{number}.{turn}", f"c{number}.{turn}")) for turn in (0, 1)]
        for number in range(8)
    }

    def work(seed: int) -> Counter[Any]:
        chance, seen = random.Random(seed), Counter[Any]()
        for _ in range(14):
            name = chance.choice(list(urls))
            what = chance.random()
            if what < 0.12:
                seen["unload", unload(server, name)] += 1
            elif what < 0.3:
                seen["load", load(server, name, chance.choice(urls[name]))[0]] += 1
            else:
                status, found = marks(server, name, f"u{chance.randrange(40):02}")
                seen["ask", status] += 1
                if status == 200:
                    assert len(found) == 1
                    assert found <= {f"{name}.0", f"{name}.1"}
        return seen

    for name, (url, _) in urls.items():
        assert load(server, name, url)[0] == 200
    with ThreadPoolExecutor(50) as pool:
        seen = sum(pool.map(work, range(50)), Counter[Any]())
    assert set(seen) <= {
        ("unload", 200), ("unload", 404), ("load", 200), ("load", 409), ("load", 507),
        ("ask", 200), ("ask", 404), ("ask", 507),
    }  # fmt: skip
    assert seen["ask", 200] > 100
    for name in urls:
        unload(server, name)
    assert ask(server, "GET", "/models") == (200, {"models": []})


def test_a_multi_model_endpoint_refuses_settings_that_cannot_hold_for_all_models(tmp_path: Path):
    for name, value in {"SAGEMAKER_MODEL_SERVER_WORKERS": "2", "MANIFEST_SHA256": "0" * 64}.items():
        running = start(tmp_path, SAGEMAKER_MULTI_MODEL="true", **{name: value})
        _, said = running.process.communicate(timeout=30)
        assert (running.process.returncode, said.startswith(f"error: {name}: ")) == (1, True)
