from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lgc.cli.files import Outcome, check_writable, plan, read_bytes, write_bytes
from lgc.errors import BitstreamError, LgcError


def is_picture(path: Path) -> bool:
    return path.suffix in {".png", ".jpg"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: a.png, b.jpg, notes.txt and sub/{a.png, deep/c.png}."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.jpg", "notes.txt", "sub/a.png", "sub/deep/c.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def planned(inputs: Sequence[str], out: str | None, suffix: str = ".lgc") -> list[tuple[str, str]]:
    items = plan([Path(name) for name in inputs], None if out is None else Path(out), suffix, is_picture)
    return [(str(item.source), str(item.target)) for item in items]


@pytest.mark.usefixtures("here")
class TestPlan:
    @pytest.mark.parametrize(
        ("inputs", "out", "expected"),
        [
            (["a.png"], None, [("a.png", "a.lgc")]),
            (["a.png"], "x.lgc", [("a.png", "x.lgc")]),
            (["a.png"], "x.odd", [("a.png", "x.odd")]),
            (["a.png"], "new", [("a.png", "new/a.lgc")]),
            (["a.png"], "sub", [("a.png", "sub/a.lgc")]),
            (["sub/deep/c.png"], "new", [("sub/deep/c.png", "new/c.lgc")]),
            (["a.png", "b.jpg"], None, [("a.png", "a.lgc"), ("b.jpg", "b.lgc")]),
            (["b.jpg", "a.png"], "new.d", [("b.jpg", "new.d/b.lgc"), ("a.png", "new.d/a.lgc")]),
            (["sub"], None, [("sub/a.png", "sub/a.lgc"), ("sub/deep/c.png", "sub/deep/c.lgc")]),
            (["sub"], "new", [("sub/a.png", "new/a.lgc"), ("sub/deep/c.png", "new/deep/c.lgc")]),
            (["sub/deep"], "x.y", [("sub/deep/c.png", "x.y/c.lgc")]),
            (["notes.txt"], None, [("notes.txt", "notes.lgc")]),
        ],
    )
    def test_where_outputs_go(self, inputs: list[str], out: str | None, expected: list[tuple[str, str]]) -> None:
        assert planned(inputs, out) == expected

    def test_folder_takes_only_what_fits(self) -> None:
        assert [source for source, _ in planned(["."], "new")] == ["a.png", "b.jpg", "sub/a.png", "sub/deep/c.png"]

    def test_suffix_of_two_parts(self) -> None:
        assert planned(["a.png"], None, ".base.lgc") == [("a.png", "a.base.lgc")]

    @pytest.mark.parametrize(
        ("inputs", "out", "told"),
        [
            (["none.png"], None, "none.png: no such file or folder"),
            (["a.png", "none"], None, "none: no such file or folder"),
            (["a.png", "sub/a.png"], "new", "a.png and sub/a.png would both be written to new/a.lgc"),
            (["a.png", "a.png"], None, "would both be written to a.lgc"),
        ],
    )
    def test_refuses(self, inputs: list[str], out: str | None, told: str) -> None:
        with pytest.raises(LgcError) as error:
            planned(inputs, out)
        assert told in str(error.value)

    def test_same_name_with_two_suffixes(self, here: Path) -> None:
        (here / "a.jpg").write_bytes(b"x")
        with pytest.raises(LgcError, match=r"a\.jpg and a\.png would both be written to a\.lgc"):
            planned(["a.jpg", "a.png"], None)

    def test_empty_folder(self, here: Path) -> None:
        (here / "empty").mkdir()
        with pytest.raises(LgcError, match="empty: nothing to do in this folder"):
            planned(["empty"], None)

    @pytest.mark.parametrize("out", [None, "a.png", "./sub/../a.png"])
    def test_output_over_input(self, out: str | None) -> None:
        with pytest.raises(LgcError, match=r"a\.png: input and output are the same file"):
            planned(["a.png"], out, suffix=".png")

    def test_no_inputs(self) -> None:
        assert plan([], None, ".lgc", is_picture) == []


class TestWriteBytes:
    def test_makes_folders(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "a" / "b.lgc", b"data", force=False)
        assert (tmp_path / "a" / "b.lgc").read_bytes() == b"data"

    def test_replaces_only_by_force(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lgc"
        path.write_bytes(b"old")
        with pytest.raises(LgcError, match=r"a\.lgc: exists; pass --force to replace it"):
            write_bytes(path, b"new", force=False)
        assert path.read_bytes() == b"old"
        write_bytes(path, b"new", force=True)
        assert path.read_bytes() == b"new"
        assert [file.name for file in tmp_path.iterdir()] == ["a.lgc"]

    def test_failure_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.lgc"
        path.write_bytes(b"old")

        def fill_up(self: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", fill_up)
        with pytest.raises(LgcError, match=r"a\.lgc: cannot be written \(No space left on device\)"):
            write_bytes(path, b"new", force=True)
        assert path.read_bytes() == b"old"
        assert [file.name for file in tmp_path.iterdir()] == ["a.lgc"]

    def test_target_is_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.lgc").mkdir()
        with pytest.raises(LgcError):
            write_bytes(tmp_path / "a.lgc", b"x", force=True)
        assert [file.name for file in tmp_path.iterdir()] == ["a.lgc"]

    def test_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(LgcError, match="cannot be written"):
            write_bytes(tmp_path / "file" / "a.lgc", b"x", force=False)

    def test_check_writable(self, tmp_path: Path) -> None:
        check_writable(tmp_path / "none", force=False)
        with pytest.raises(LgcError):
            check_writable(tmp_path, force=False)
        check_writable(tmp_path, force=True)


class TestReadBytes:
    def test_round_trip(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"data")
        assert read_bytes(tmp_path / "a") == b"data"

    def test_missing_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LgcError, match=r"cannot be read \(No such file or directory\)"):
            read_bytes(tmp_path / "none")
        with pytest.raises(LgcError, match=r"cannot be read \(Is a directory\)"):
            read_bytes(tmp_path)


class TestOutcome:
    def test_nothing_failed(self, capsys: pytest.CaptureFixture) -> None:
        assert Outcome(done=3).exit_code() == 0
        assert capsys.readouterr().err == ""

    def test_failures_are_noted_and_the_rest_goes_on(self, capsys: pytest.CaptureFixture) -> None:
        outcome = Outcome()
        for name in ("a.lgc", "b.lgc", "c.lgc"):
            with outcome.noting(Path(name)):
                if name == "b.lgc":
                    raise BitstreamError("offset 4: file ends inside the header")
                outcome.done += 1
        assert outcome.exit_code() == 1
        assert capsys.readouterr().err.splitlines() == [
            "error: b.lgc: offset 4: file ends inside the header",
            "2 done, 1 failed",
        ]

    def test_a_name_is_not_said_twice(self, capsys: pytest.CaptureFixture) -> None:
        outcome = Outcome()
        with outcome.noting(Path("a.lgc")):
            raise LgcError("a.lgc: exists; pass --force to replace it")
        assert outcome.exit_code() == 1
        assert capsys.readouterr().err == "error: a.lgc: exists; pass --force to replace it\n"

    def test_faults_of_the_program_are_not_hidden(self) -> None:
        outcome = Outcome()
        with pytest.raises(ZeroDivisionError), outcome.noting(Path("a.lgc")):
            _ = 1 / 0
        assert outcome.failures == []
