"""score.onnx as nodes and constants, read in place: protobuf's wire format with every length checked.

Field numbers are those of onnx.proto (ONNX IR 8). Constants stay where they are in the file: a name, a type, a shape
and a place. A length that does not fit, a graph within a graph, or a constant in another file is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import ArchiveError
from .members import Content

MAX_FIELDS = 100_000  # of a graph that training writes there are some hundreds
MAX_NAME = 256
TYPES: Mapping[int, np.dtype[Any]] = {1: np.dtype("<f4"), 7: np.dtype("<i8")}
Span = tuple[int, int]  # where a part begins and ends


class Node(NamedTuple):
    """One step of the graph; an attribute's value is an integer, or a small tensor's (type, shape, bytes)."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: tuple[tuple[str, Any], ...] = ()


class Tensor(NamedTuple):
    """A constant's type (0 if unknown), shape and place in the file; `place` is None where it is not raw bytes."""

    type: int
    shape: tuple[int, ...]
    place: Span | None


@dataclass(frozen=True)
class Graph:
    """What score.onnx computes."""

    content: Content
    opset: tuple[tuple[str, int], ...]
    nodes: list[Node]
    constants: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def array(self, name: str) -> npt.NDArray[Any] | None:
        """A constant in place, perhaps unaligned; None if there is none, or its type is not float32 or int64."""
        found = self.constants.get(name)
        if found is None or found.place is None or found.type not in TYPES:
            return None
        flat = np.frombuffer(self.content, TYPES[found.type], prod(found.shape), found.place[0])
        return np.reshape(flat, found.shape)


class Wire:
    """Protobuf's wire format over a file."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.left = MAX_FIELDS

    def fields(self, span: Span) -> Iterator[tuple[int, int | Span]]:
        """(number, value) of a message's fields; a value is an integer, or where its bytes are."""
        at, end = span
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise ArchiveError(f"score.onnx has more than {MAX_FIELDS} fields")
            key, at = self.varint(at, end)
            kind = key & 7
            if kind == 0:
                value, at = self.varint(at, end)
                yield key >> 3, value
                continue
            if kind not in {1, 2, 5}:
                raise ArchiveError(f"score.onnx is not protobuf: wire type {kind}")
            size, at = self.varint(at, end) if kind == 2 else (8 if kind == 1 else 4, at)
            if size > end - at:
                raise ArchiveError(f"score.onnx ends within a field: {size} bytes are said, {end - at} are there")
            yield key >> 3, (at, at + size)
            at += size

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """An integer of at most 64 bits, and where it ends."""
        value = 0
        for place in range(10):
            if at + place >= end:
                break
            byte = self.content[at + place]
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return value & (2**64 - 1), at + place + 1
        raise ArchiveError("score.onnx ends within a number")

    def text(self, value: int | Span) -> str:
        """A name."""
        start, end = spanned(value)
        if end - start > MAX_NAME:
            raise ArchiveError(f"score.onnx has a name longer than {MAX_NAME} bytes")
        return bytes(self.content[start:end]).decode("utf-8")

    def integers(self, value: int | Span) -> list[int]:
        """A repeated integer, packed or not."""
        if isinstance(value, int):
            return [value]
        found, (at, end) = [], value
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise ArchiveError(f"score.onnx has more than {MAX_FIELDS} fields")
            one, at = self.varint(at, end)
            found.append(one)
        return found


def read(content: Content) -> Graph:
    """The graph in a file. Raises ArchiveError."""
    wire = Wire(content)
    opset, graphs = [], []
    for number, value in wire.fields((0, len(content))):
        if number == 8:
            found = dict(wire.fields(spanned(value)))
            opset.append((wire.text(found.get(1, (0, 0))), plain(found.get(2, 0))))
        elif number == 7:
            graphs.append(spanned(value))
        elif number in {20, 25}:
            raise ArchiveError("score.onnx holds functions or training steps; a score needs none")
    if len(graphs) != 1:
        raise ArchiveError("score.onnx is not an ONNX model with one graph")
    return read_graph(wire, graphs[0], tuple(opset))


def read_graph(wire: Wire, span: Span, opset: tuple[tuple[str, int], ...]) -> Graph:
    """GraphProto: node 1, initializer 5, input 11, output 12, sparse_initializer 15."""
    nodes, names = [], {11: list[str](), 12: list[str]()}
    constants: dict[str, Tensor] = {}
    for number, value in wire.fields(span):
        if number == 1:
            nodes.append(read_node(wire, spanned(value)))
        elif number == 5:
            name, tensor = read_tensor(wire, spanned(value))
            if name in constants:
                raise ArchiveError(f"score.onnx has the constant {name!r} twice")
            constants[name] = tensor
        elif number in names:
            names[number].append(wire.text(dict(wire.fields(spanned(value))).get(1, (0, 0))))
        elif number == 15:
            raise ArchiveError("score.onnx has sparse constants; right are dense ones")
    return Graph(wire.content, opset, nodes, constants, tuple(names[11]), tuple(names[12]))


def read_node(wire: Wire, span: Span) -> Node:
    """NodeProto: input 1, output 2, op_type 4, attribute 5, domain 7."""
    inputs, outputs, kind, domain = [], [], "", ""
    attributes: list[tuple[str, Any]] = []
    for number, value in wire.fields(span):
        if number == 1:
            inputs.append(wire.text(value))
        elif number == 2:
            outputs.append(wire.text(value))
        elif number == 4:
            kind = wire.text(value)
        elif number == 5:
            attributes.append(read_attribute(wire, spanned(value)))
        elif number == 7:
            domain = wire.text(value)
    return Node(f"{domain}:{kind}" if domain else kind, tuple(inputs), ",".join(outputs), tuple(sorted(attributes)))


def read_attribute(wire: Wire, span: Span) -> tuple[str, Any]:
    """AttributeProto: name 1, i 3, t 5, g 6, graphs 11; of other kinds only that they are there."""
    name = ""
    found: tuple[str, int, tuple[int, ...], bytes] = ("other", 0, (), b"")
    for number, value in wire.fields(span):
        if number == 1:
            name = wire.text(value)
        elif number == 3:
            found = ("i", plain(value), (), b"")
        elif number == 5:
            _, tensor = read_tensor(wire, spanned(value))
            start, end = tensor.place or (0, 0)
            found = ("t", tensor.type, tensor.shape, bytes(wire.content[start : min(end, start + 64)]))
        elif number in {6, 11}:
            raise ArchiveError("score.onnx has a graph within its graph; a score needs none")
    return name, found


def read_tensor(wire: Wire, span: Span) -> tuple[str, Tensor]:
    """TensorProto: dims 1, data_type 2, name 8, raw_data 9, external_data 13, data_location 14."""
    name, kind, place = "", 0, None
    shape: list[int] = []
    for number, value in wire.fields(span):
        if number == 1:
            shape += wire.integers(value)
        elif number == 2:
            kind = plain(value)
        elif number == 8:
            name = wire.text(value)
        elif number == 9:
            place = spanned(value)
        elif number in {13, 14} and value != 0:
            raise ArchiveError(f"score.onnx keeps the constant {name!r} in another file; it must be self-contained")
    if place is not None and kind in TYPES and prod(shape) * TYPES[kind].itemsize != place[1] - place[0]:
        raise ArchiveError(f"score.onnx lies about the constant {name!r}: shape {shape}, {place[1] - place[0]} bytes")
    return name, Tensor(kind, tuple(shape), place)


def spanned(value: int | Span) -> Span:
    """A field that must be bytes."""
    if isinstance(value, int):
        raise ArchiveError("score.onnx is not an ONNX model: a number where a message belongs")
    return value


def plain(value: int | Span) -> int:
    """A field that must be an integer."""
    if not isinstance(value, int):
        raise ArchiveError("score.onnx is not an ONNX model: a message where a number belongs")
    return value
