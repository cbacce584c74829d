"""What tests share: one torch thread, tiny random networks as model files, a tiny data set and its shards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import lgc
from lgc.bitstream.codec import LayeredCodec
from lgc.data.synthetic import draw_face, write_dataset
from lgc.models.analysis import HEADS, AnalyzerConfig
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.models.reference import RGBAnalyzer
from lgc.models.transforms import Widths

if TYPE_CHECKING:
    from lgc.training.codec import TrainableCodec

PROJECT = Path(__file__).resolve().parents[1]
# as many tests as cores run at once, and threads that wait for a core wait for each other; also in what tests start
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# what users export for runs of theirs; here and not in a fixture, so that none of a session's has seen them
for _exported in ("LGC_MODEL", "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
    os.environ.pop(_exported, None)


def pytest_configure(config: pytest.Config) -> None:
    """A numeric warning out of our own code is a failure; other people's deprecations are not ours to show."""
    config.addinivalue_line("filterwarnings", "error::RuntimeWarning:lgc")
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore::FutureWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start engines take minutes: first, so that no worker is left alone with them at the end.

    xdist would start with the files of most tests, unless told --no-loadscope-reorder.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/pipeline", "tests/launch")))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests for GPUs say why they did not run."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of torch threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def real_faces() -> Path:
    """The real CelebAMask-HQ subset that lies beside some checkouts."""
    root = PROJECT.parent / "shared" / "data" / "celebamask-hq-subset"
    if not root.is_dir():
        pytest.skip(f"no real photographs at {root}")
    return root


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """This machine's Chromium without a window, driven by Playwright."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install 'lgc[dev]')")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium on this machine (on Debian: apt-get install chromium)")
    with driver.sync_playwright() as started:
        found = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"], timeout=3e5)
        yield found
        found.close()


@pytest.fixture(scope="session")
def lpips_weights() -> Path:
    """Folder with SqueezeNet weights for LPIPS."""
    configured = os.environ.get("LGC_WEIGHTS")
    if not configured:
        pytest.skip("LGC_WEIGHTS is not set: no LPIPS weights")
    if not Path(configured, "hub", "checkpoints", "squeezenet1_1-b8a52dc0.pth").is_file():
        pytest.skip(f"no SqueezeNet weights below {configured}")
    return Path(configured)


@pytest.fixture(scope="session")
def small_architecture() -> Architecture:
    """A codec that runs in milliseconds: factorised semantic layer, reconstruction conditioned on it."""
    return Architecture(
        widths=Widths((8, 12, 16), 1),
        semantic=LayerConfig(4, hidden=8),
        reconstruction=LayerConfig(6, hidden=8, context_channels=4),
        fusion="spatial",
    )


@pytest.fixture(scope="session")
def random_codec() -> Callable[..., TrainableCodec]:
    """``random_codec(architecture, seed=0)``: untrained, with symbols, means and scales that vary."""
    return _random_codec


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """``write_model(path, architecture, seed=0, heads=..., analyzer_seed=0)`` exports a random codec."""
    return _write_model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory, small_architecture: Architecture) -> Path:
    """The model file of :func:`small_architecture`, with both analyzers and all heads."""
    return _write_model(tmp_path_factory.mktemp("model") / "model.safetensors", small_architecture)


@pytest.fixture(scope="session")
def codec(model_file: Path) -> LayeredCodec:
    """The codec of :func:`model_file`."""
    return lgc.load(model_file, "cpu")


@pytest.fixture(scope="session")
def reference() -> RGBAnalyzer:
    """An untrained RGB reference with all heads."""
    torch.manual_seed(0)
    return RGBAnalyzer(Widths((8, 12, 16), 1), AnalyzerConfig(8, 1)).eval()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs, to be copied: making one takes seconds."""
    from lgc.tracking.mlflow import client

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Eight faces of 64 x 64."""
    return [draw_face(3, index, 64).image for index in range(8)]


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen synthetic faces of 64 x 64 in the official layout. Shared: copy before changing anything."""
    root = tmp_path_factory.mktemp("faces") / "set"
    write_dataset(root, 18, seed=5, size=64, splits=(0.5, 0.25, 0.25))
    return root


@pytest.fixture
def own_faces(faces: Path, tmp_path: Path) -> Path:
    """A copy of :func:`faces` that a test may damage."""
    return Path(shutil.copytree(faces, tmp_path / "own-faces"))


@pytest.fixture(scope="session")
def shards(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """:func:`faces` prepared at 32 x 32 with label maps of 16 x 16, four pictures a shard."""
    from lgc.data.prepare import prepare

    out = tmp_path_factory.mktemp("shards") / "data"
    prepare(faces, out, name="faces", licence="CC0-1.0", image_size=32, mask_size=16, shard_size=4)
    return out


@torch.no_grad()
def _random_codec(architecture: Architecture, seed: int = 0) -> TrainableCodec:
    if find_spec("compressai") is None:
        pytest.skip("no compressai: untrained models need the packages of training")
    from lgc.training.codec import TrainableCodec

    torch.manual_seed(seed)
    codec = TrainableCodec(architecture).eval()
    g_a = codec.compressor.g_a
    for branch in (g_a.semantic, g_a.reconstruction):
        branch[-1].weight.mul_(6)
    for layer in (codec.compressor.semantic, codec.compressor.reconstruction):
        networks = [*layer.refine.values(), *([layer.predict] if layer.predict is not None else [])]
        for network in networks:
            network.layers[-1].weight.mul_(10)
            network.layers[-1].bias.normal_(0, 0.5)
    for density in (codec.semantic_density, codec.reconstruction_density):
        if density.bottleneck is not None:
            density.bottleneck.quantiles[:, 0, 1].uniform_(-1.3, 1.3)
    return codec


def _write_model(
    path: Path,
    architecture: Architecture,
    seed: int = 0,
    heads: tuple[str, ...] = HEADS,
    analyzer_seed: int = 0,
) -> Path:
    codec = _random_codec(architecture, seed)
    from lgc.training.export import export_model
    from lgc.training.objectives import make_analyzers

    torch.manual_seed(analyzer_seed)
    config = AnalyzerConfig(8, 1, heads) if heads else None
    analyzers = make_analyzers(codec, config) if config else {}
    export_model(path, codec, analyzers, config, {"note": "random"})
    return path
