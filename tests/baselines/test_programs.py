"""Codecs of the command line, with programs of our own in their place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lgc.backbones import Absent
from lgc.baselines.make import make_codec
from lgc.baselines.programs import ProgramCodec
from lgc.errors import LgcError

PROGRAM = """#!{python}
import shutil, sys
if sys.argv[1:] == ["-h"]:
    print("BPG Image Encoder version 0.0.0")
elif "broken" in open(__file__ + ".mode").read():
    sys.exit("no such colour")
else:
    shutil.copy(sys.argv[-1], sys.argv[sys.argv.index("-o") + 1])
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """bpgenc and bpgdec that copy their input."""
    for name in ("bpgenc", "bpgdec"):
        file = tmp_path / name
        file.write_text(PROGRAM.format(python=sys.executable))
        file.chmod(0o755)
        Path(f"{file}.mode").write_text("copy")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_there_and_back(programs: Path) -> None:
    codec = make_codec("bpg")
    assert isinstance(codec, ProgramCodec)
    face = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(codec.decode(codec.encode(face, 20)), face)
    about = codec.describe(20)
    assert about["library"] == "BPG Image Encoder version 0.0.0"
    assert "-q 31" in about["command"]


def test_a_failing_program_is_one_line(programs: Path) -> None:
    codec = make_codec("bpg")
    assert isinstance(codec, ProgramCodec)
    (programs / "bpgenc.mode").write_text("broken")
    with pytest.raises(LgcError, match=r"^bpg: bpgenc failed \(no such colour\)$"):
        codec.encode(np.zeros((4, 4, 3), np.uint8), 0)


def test_a_file_that_is_none_is_not_counted(programs: Path) -> None:
    codec = make_codec("bpg")
    assert isinstance(codec, ProgramCodec)
    with pytest.raises(LgcError, match=r"^bpg: not a whole file of that format"):
        codec.coded_bytes(codec.encode(np.zeros((4, 4, 3), np.uint8), 0))  # the program in its place copies PNG


def test_vvc_is_intra_only_and_not_tuned_to_the_eye(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command alone: see there for its source."""
    file = tmp_path / "ffmpeg"
    file.write_text("#!/bin/sh\necho ' V..... libvvenc'\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    codec = make_codec("vvc")
    assert isinstance(codec, ProgramCodec)
    assert " -qp 53 -qpa 0 -g 1 -f vvc " in codec.describe(10)["command"]
    assert codec.coded_bytes(b"\0\0\0\1stream") == 10


@pytest.mark.parametrize(("name", "program"), [("bpg", "bpgdec and bpgenc"), ("vvc", "ffmpeg")])
def test_programs_that_are_not_installed(name: str, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert make_codec(name) == Absent(name, f"{program} not found among the installed programs")
