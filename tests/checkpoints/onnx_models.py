"""Small ONNX files that fill a hole with the mean of what is known, each in the way of some published model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save

OPSET, IR = 17, 9
"""Old enough for every ONNX Runtime that the product allows."""


@dataclass(frozen=True)
class Way:
    """How a model wants its inputs and gives its answer.

    Attributes:
        values: (lowest, highest) of the picture that goes in.
        answer: the same of what comes out.
        one_is_hole: whether the mask's highest value is the hole.
        mask_highest: 1 or 255.
        picture_type, mask_type, answer_type: ONNX element types.
        side: fixed, or None for any.
        last: channels as the last axis.
        packed: "", "migan" (0.5 - hole, then colours) or "lama" (colours, then hole).
        names: of picture, mask and answer.
        gives_all: whether the known part is answered too; if not it is black.
    """

    values: tuple[float, float] = (0, 1)
    answer: tuple[float, float] = (0, 1)
    one_is_hole: bool = True
    mask_highest: int = 1
    picture_type: int = TensorProto.FLOAT
    mask_type: int = TensorProto.FLOAT
    answer_type: int = TensorProto.FLOAT
    side: int | None = None
    last: bool = False
    packed: str = ""
    names: tuple[str, str, str] = ("image", "mask", "output")
    gives_all: bool = True


LAMA = Way(answer=(0, 255), side=512)
"""`lama_fp32.onnx` of Carve, and OpenCV's `inpainting_lama`."""
MIGAN_PIPELINE = Way(
    values=(0, 255),
    answer=(0, 255),
    one_is_hole=False,
    mask_highest=255,
    picture_type=TensorProto.UINT8,
    mask_type=TensorProto.UINT8,
    answer_type=TensorProto.UINT8,
    names=("image", "mask", "result"),
)
"""`migan_pipeline_v2.onnx` of MI-GAN's authors."""
MIGAN_BARE = Way(values=(-1, 1), answer=(-1, 1), side=512, packed="migan", names=("input", "", "output"))


class _Graph:
    """Nodes one after the other; every method gives the name of a result."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def put(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"r{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def number(self, *values: float) -> str:
        name = f"c{len(self.constants)}"
        array = np.array(values, np.float32) if len(values) > 1 else np.float32(values[0])
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def indices(self, *values: int) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def affine(self, x: str, into: tuple[float, float], out: tuple[float, float]) -> str:
        """Values of `into` as values of `out`."""
        gain = (out[1] - out[0]) / (into[1] - into[0])
        return self.put("Add", self.put("Mul", x, self.number(gain)), self.number(out[0] - gain * into[0]))

    def channels(self, x: str, first: int, end: int) -> str:
        return self.put("Slice", x, self.indices(first), self.indices(end), self.indices(1))


def mean_fill(way: Way) -> ModelProto:
    """A model that works as `way` says."""
    graph = _Graph()
    picture, mask, result = way.names

    def taken(name: str) -> str:
        x = graph.put("Cast", name, to=TensorProto.FLOAT)
        return graph.put("Transpose", x, perm=[0, 3, 1, 2]) if way.last else x

    if way.packed:
        first = way.packed == "migan"
        colours = graph.channels(taken(picture), int(first), int(first) + 3)
        extra = graph.channels(taken(picture), 0 if first else 3, 1 if first else 4)
        hole = graph.put("Sub", graph.number(0.5), extra) if first else extra
    else:
        colours = taken(picture)
        share = graph.put("Div", taken(mask), graph.number(way.mask_highest))
        hole = share if way.one_is_hole else graph.put("Sub", graph.number(1), share)
    unit = graph.affine(colours, way.values, (0, 1))
    known = graph.put("Sub", graph.number(1), hole)
    seen = graph.put("Mul", unit, known)
    total = graph.put("ReduceSum", seen, graph.indices(2, 3))
    count = graph.put("ReduceSum", known, graph.indices(2, 3))
    fill = graph.put("Mul", graph.put("Div", total, count), hole)
    whole = graph.put("Add", fill, seen) if way.gives_all else fill
    out = graph.affine(whole, (0, 1), way.answer)
    if way.answer_type == TensorProto.UINT8:
        out = graph.put("Round", out)
    if way.last:
        out = graph.put("Transpose", out, perm=[0, 2, 3, 1])
    graph.nodes.append(helper.make_node("Cast", [out], [result], to=way.answer_type))
    inputs = [_value(picture, way.picture_type, 4 if way.packed else 3, way)]
    if not way.packed:
        inputs.append(_value(mask, way.mask_type, 1, way))
    outputs = [_value(result, way.answer_type, 3, way)]
    return _model(graph.nodes, inputs, outputs, graph.constants)


def _value(name: str, kind: int, channels: int, way: Way):
    sides = [way.side or "height", way.side or "width"]
    shape = ["batch", *sides, channels] if way.last else ["batch", channels, *sides]
    return helper.make_tensor_value_info(name, kind, shape)


def _model(nodes, inputs, outputs, constants) -> ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def write(path: Path, model: ModelProto) -> Path:
    save(model, path)
    return path


def slow(layers: int) -> ModelProto:
    """Lama's inputs, 512 x 512; convolutions of 24 channels, one after the other."""
    generator = np.random.default_rng(0)
    weights = numpy_helper.from_array(generator.normal(0, 0.05, (24, 24, 3, 3)).astype(np.float32), "w")
    first = numpy_helper.from_array(generator.normal(0, 0.05, (24, 4, 3, 3)).astype(np.float32), "first")
    last = numpy_helper.from_array(generator.normal(0, 0.05, (3, 24, 3, 3)).astype(np.float32), "last")
    nodes = [helper.make_node("Concat", ["image", "mask"], ["both"], axis=1)]
    x = "both"
    for k, w in enumerate(("first", *["w"] * layers, "last")):
        nodes.append(helper.make_node("Conv", [x, w], [f"x{k}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Sigmoid", [f"x{k}"], [f"y{k}"]))
        x = f"y{k}"
    nodes.append(helper.make_node("Identity", [x], ["output"]))
    inputs = [_value("image", TensorProto.FLOAT, 3, LAMA), _value("mask", TensorProto.FLOAT, 1, LAMA)]
    return _model(nodes, inputs, [_value("output", TensorProto.FLOAT, 3, LAMA)], [first, weights, last])


def with_tensor_elsewhere(location: str) -> ModelProto:
    """Adds to the picture a number that lies in the file `location`."""
    tensor = TensorProto(name="shade", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    nodes = [
        helper.make_node("Mul", ["mask", "shade"], ["shaded"]),
        helper.make_node("Add", ["image", "shaded"], ["output"]),
    ]
    way = Way()
    inputs = [_value("image", TensorProto.FLOAT, 3, way), _value("mask", TensorProto.FLOAT, 1, way)]
    return _model(nodes, inputs, [_value("output", TensorProto.FLOAT, 3, way)], [tensor])


def foreign() -> ModelProto:
    """Takes a picture and a number."""
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 64, "w"])
    number = helper.make_tensor_value_info("scale", TensorProto.INT64, [1])
    answer = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Cast", ["scale"], ["factor"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["input", "factor"], ["output"]),
    ]
    return _model(nodes, [picture, number], [answer], [])
