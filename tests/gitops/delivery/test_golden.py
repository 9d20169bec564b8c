import base64
import gzip
import hashlib
import io
import json
import tarfile
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gitops.delivery import golden
from gitops.delivery.golden import Golden
from gitops.errors import GitopsError

LINE = {"request": {"operation": "getRecommendations", "userId": "u", "numResults": 3}}
GOLDEN = Golden(LINE["request"], ("a", "b", "c"), (0.9, 0.5, 0.1))


def answer(*items: tuple[str, float]) -> dict:
    return {"itemList": [{"itemId": item, "score": score} for item, score in items]}


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def stored(localcloud):
    """Puts bytes into a bucket: (client, uri, sha256)."""
    s3, name = localcloud.client("s3"), f"golden-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})

    def store(data: bytes) -> tuple:
        key = f"{uuid.uuid4().hex}/model.tar.gz"
        s3.put_object(Bucket=name, Key=key, Body=data)
        return s3, f"s3://{name}/{key}", hashlib.sha256(data).hexdigest()

    return store


def test_golden_requests_are_read_out_of_the_archive(stored):
    line = json.dumps({**LINE, "itemIds": ["a", "b", "c"], "scores": [0.9, 0.5, 0.1]}).encode()
    found = golden.read(*stored(archive({"manifest.json": b"{}", "golden.jsonl": line})))
    assert found == golden.Contents([GOLDEN], hashlib.sha256(b"{}").hexdigest())


def test_f14_an_archive_of_another_digest_is_refused(stored):
    s3, uri, _ = stored(archive({"golden.jsonl": b"{}"}))
    with pytest.raises(GitopsError, match="changed since"):
        golden.read(s3, uri, "0" * 64)


def lacking(text: bytes) -> bytes:
    return archive({"manifest.json": b"{}", "golden.jsonl": text})


WRONG = {
    "no manifest": (archive({"golden.jsonl": b"{}"}), "holds no manifest.json"),
    "no golden": (archive({"manifest.json": b"{}"}), "holds no golden.jsonl"),
    "empty": (lacking(b""), "is empty"),
    "no json": (lacking(b"{\n"), "line 1 is not"),
    "lengths": (lacking(b'{"request": {}, "itemIds": ["a"], "scores": []}'), "one score per item"),
    "no archive": (b"hello", "not a readable tar.gz"),
    "cut off": (archive({"a": b"x" * 100_000, "golden.jsonl": b"{}"})[:-60], "not a readable tar.gz"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_archive_that_cannot_prove_itself_is_refused(stored, case):
    data, sentence = WRONG[case]
    with pytest.raises(GitopsError, match=sentence):
        golden.read(*stored(data))


def hostile(kind: bytes, content: bytes = b"", times: int = 1) -> bytes:
    """A whole archive but for its golden.jsonl."""
    buffer = io.BytesIO(archive({"manifest.json": b"{}"}))
    with tarfile.open(fileobj=buffer, mode="r:gz") as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]
    odd = tarfile.TarInfo("golden.jsonl")
    odd.type, odd.size, odd.linkname = kind, len(content), "manifest.json" if kind != tarfile.REGTYPE else ""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, data in [*members, *[(odd, content)] * times]:
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def chained(times: int) -> bytes:
    """A tar whose one member has so many headers, each an extension of the next."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, tarfile.BLOCKSIZE
    end = tarfile.TarInfo("golden.jsonl").tobuf() + b"\0" * 1024
    return gzip.compress((entry.tobuf() + b"9 a=bcde\n" * 56 + b"\n" * 8) * times + end, 1)


def test_f55_a_thousand_extensions_of_one_header_are_no_archive(stored):
    with pytest.raises(GitopsError, match=r"not a readable tar\.gz"):
        golden.read(*stored(chained(1000)))


HOSTILE = {
    "symbolic link": hostile(tarfile.SYMTYPE),
    "hard link": hostile(tarfile.LNKTYPE),
    "device": hostile(tarfile.CHRTYPE),
    "huge": hostile(tarfile.REGTYPE, b"\n" * (17 * 2**20)),
    "twice": hostile(tarfile.REGTYPE, b"{}", times=2),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_f55_a_member_that_is_not_one_regular_file_of_a_bounded_size_is_refused(stored, case):
    with pytest.raises(GitopsError, match=r"golden\.jsonl is not one regular file of at most 16 MiB"):
        golden.read(*stored(HOSTILE[case]))


KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed(text: bytes | None) -> bytes:
    members = {"manifest.json": b"{}", "golden.jsonl": json.dumps({**LINE, "itemIds": ["a"], "scores": [1]}).encode()}
    return archive(members if text is None else {**members, "manifest.sig": text})


def test_a_signature_by_the_trusted_key_is_taken(stored):
    assert golden.read(*stored(signed(base64.b64encode(KEY.sign(b"{}")))), PUBLIC).requests


UNTRUSTED = {
    "none": (None, "is not signed"),
    "another key's": (base64.b64encode(OTHER.sign(b"{}")), "not by the key"),
    "of another manifest": (base64.b64encode(KEY.sign(b"{ }")), "not by the key"),
    "no base64": (b"\xff\xff", "not by the key"),
}


@pytest.mark.parametrize("case", UNTRUSTED)
def test_f52_an_archive_that_is_not_signed_by_the_trusted_key_is_refused(stored, case):
    signature, sentence = UNTRUSTED[case]
    with pytest.raises(GitopsError, match=sentence):
        golden.read(*stored(signed(signature)), PUBLIC)


def test_a_public_key_that_is_none_is_refused_by_name(stored):
    with pytest.raises(GitopsError, match=r"verify\.public_key"):
        golden.read(*stored(signed(None)), "no key")


def test_a_missing_archive_is_refused(stored):
    s3, uri, sha = stored(b"x")
    with pytest.raises(GitopsError, match="cannot be read"):
        golden.read(s3, uri + ".gone", sha)


def test_the_promised_answer_is_right():
    assert golden.mismatch(GOLDEN, answer(("a", 0.9), ("b", 0.5), ("c", 0.1))) == ""


def test_items_within_a_tie_may_change_places_also_with_the_one_beyond_the_end():
    tied = Golden({}, ("a", "b", "c"), (0.9, 0.50005, 0.5))
    assert golden.mismatch(tied, answer(("a", 0.9), ("c", 0.50005), ("b", 0.5))) == ""
    assert golden.mismatch(tied, answer(("a", 0.9), ("b", 0.50005), ("z", 0.5))) == ""


BAD = [
    answer(("b", 0.9), ("a", 0.5), ("c", 0.1)),
    answer(("a", 0.9), ("z", 0.5), ("c", 0.1)),
    answer(("a", 0.9), ("b", 0.5)),
    answer(("a", 0.9), ("b", 0.5), ("c", 0.2)),
    answer(("a", 0.9), ("b", float("nan")), ("c", 0.1)),
    answer(("c", 0.9), ("c", 0.5), ("c", 0.1)),
    {"itemList": [{"itemId": "a"}, {"itemId": "b"}, {"itemId": "c"}]},
    {"itemList": "abc"},
    {"error": {"code": "x"}},
    [],
    None,
]


@pytest.mark.parametrize("given_answer", BAD)
def test_any_other_answer_is_wrong(given_answer):
    assert golden.mismatch(GOLDEN, given_answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["itemList", "itemId", "score"]), inner)
    ),
    max_leaves=10,
)


@given(json_values)
def test_no_answer_makes_the_comparison_itself_fail(value):
    assert golden.mismatch(GOLDEN, value)


@given(st.lists(st.floats(0, 10), max_size=300))
def test_p99_is_one_of_the_slowest(seconds):
    assert golden.p99(seconds) == (0.0 if not seconds else sorted(seconds)[-(len(seconds) // 100) - 1])
