from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lgc.backbones import Absent
from lgc.metrics.identity import Embedding, IdentitySimilarity, embedding_facts, make_identity

COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "white": (1.0, 1.0, 1.0)}


def write_network(path: Path, shape: tuple[Any, ...] = ("N", 3, 16, 16), inputs: int = 1) -> Path:
    """An embedding network: the mean of each channel, times (1, 2, 3)."""
    onnx = pytest.importorskip("onnx", reason="the onnx package is not installed (pip install 'lgc[dev]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'lgc[identity]')")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = onnx.numpy_helper.from_array(np.array([1, 2, 3], np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["picture"], ["mean"]),
         helper.make_node("Flatten", ["mean"], ["flat"]),
         helper.make_node("Mul", ["flat", "weights"], ["embedding"])],
        "embedding",
        [helper.make_tensor_value_info("picture", kind, shape),
         *(helper.make_tensor_value_info(f"other{n}", kind, [1]) for n in range(inputs - 1))],
        [helper.make_tensor_value_info("embedding", kind, [shape[0], 3])],
        [weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def metric(path: Path, **wants: Any) -> IdentitySimilarity:
    made = make_identity(Embedding(str(path), **wants))
    assert isinstance(made, IdentitySimilarity), made
    return made


def plain(*names: str) -> torch.Tensor:
    return torch.stack([torch.tensor(COLOURS[name])[:, None, None].expand(3, 40, 40) for name in names])


@pytest.mark.parametrize("shape", [("N", 3, 16, 16), (1, 3, 16, 16), (None, 3, None, None)])
def test_known_values(tmp_path: Path, shape: tuple[Any, ...]) -> None:
    """Red goes in as (1, -1, -1) and comes out as (1, -2, -3), green as (-1, 2, -3), white as (1, 2, 3)."""
    identity = metric(write_network(tmp_path / "tiny.onnx", shape))
    values = identity(plain("red", "green", "white"), plain("red", "red", "red"))
    assert values.tolist() == pytest.approx([1.0, (-1 - 4 + 9) / 14, (1 - 4 - 9) / 14], abs=1e-6)
    assert (identity.info.name, identity.info.better, identity.info.low) == ("identity", "higher", -1.0)
    assert identity.info.label == "identity similarity (tiny)"


def test_settings_reach_the_network(tmp_path: Path) -> None:
    path = write_network(tmp_path / "tiny.onnx")
    turned = metric(path, channels="bgr")(plain("green", "white"), plain("red", "red"))
    assert turned.tolist() == pytest.approx([(1 - 4 - 9) / 14, (-1 - 4 + 9) / 14], abs=1e-6)  # red: (-1, -2, 3)
    only_positive = metric(path, mean=0.0, scale=255.0)(plain("white"), plain("red"))
    assert only_positive.tolist() == pytest.approx([1 / 14**0.5], abs=1e-6)


def test_the_crop_is_central(tmp_path: Path) -> None:
    path = write_network(tmp_path / "tiny.onnx")
    framed = plain("green")
    framed[:, :, 10:30, 10:30] = plain("red")[:, :, 10:30, 10:30]
    assert metric(path, crop=0.5)(framed, plain("red")).item() == pytest.approx(1.0, abs=1e-6)
    assert metric(path)(framed, plain("red")).item() < 0.9


def test_another_picture_is_less_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 32, 32)
    identity = metric(write_network(tmp_path / "tiny.onnx"), mean=0.0)
    assert identity(x, x).tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    assert (identity(x * torch.tensor([0.2, 1, 1])[:, None, None], x) < 0.999).all()


def reason(wants: Embedding | None) -> str:
    made = make_identity(wants)
    assert isinstance(made, Absent)
    assert made.name == "identity similarity"
    return made.reason


def test_absence_has_a_reason(tmp_path: Path) -> None:
    assert "evaluate.identity.model" in reason(None)
    assert "evaluate.identity.model" in reason(Embedding())
    many = write_network(tmp_path / "many.onnx", inputs=2)
    assert "has 2 inputs" in reason(Embedding(str(many)))
    grey = write_network(tmp_path / "grey.onnx", ("N", 1, 16, 16))
    assert "float pictures (N, 3, S, S)" in reason(Embedding(str(grey)))
    assert "no file" in reason(Embedding(str(tmp_path / "none.onnx")))
    (tmp_path / "text.onnx").write_text("no model")
    assert "no ONNX model" in reason(Embedding(str(tmp_path / "text.onnx")))


def test_the_content_of_the_file_decides_not_its_place(tmp_path: Path) -> None:
    one = Embedding(str(write_network(tmp_path / "one.onnx")))
    two = replace(one, model=str(write_network(tmp_path / "two.onnx")))
    assert embedding_facts(one) == embedding_facts(two)
    write_network(tmp_path / "two.onnx", (1, 3, 16, 16))
    assert embedding_facts(one) != embedding_facts(two)
    assert embedding_facts(one) != embedding_facts(replace(one, crop=0.5))
    assert embedding_facts(Embedding())["model"] is None
