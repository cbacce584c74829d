from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lgc.cli.files import Item, Outcome, check_can_write, check_writable, plan, read_bytes, write_bytes
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


def planned(
    inputs: Sequence[str], out: str | None, suffix: str = ".lgc", outcome: Outcome | None = None
) -> list[tuple[str, str]]:
    items = plan([Path(name) for name in inputs], out, suffix, is_picture, outcome or Outcome(), {".kind"})
    return [(str(item.source), str(item.target)) for item in items]


@pytest.mark.usefixtures("here")
class TestPlan:
    @pytest.mark.parametrize(
        ("inputs", "out", "expected"),
        [
            (["a.png"], None, [("a.png", "a.lgc")]),
            (["a.png"], "x.lgc", [("a.png", "x.lgc")]),
            (["a.png"], "x.LGC", [("a.png", "x.LGC")]),
            (["a.png"], "x.kind", [("a.png", "x.kind")]),
            (["a.png"], "new", [("a.png", "new/a.lgc")]),
            (["a.png"], "sub", [("a.png", "sub/a.lgc")]),
            (["a.png"], "new.d/", [("a.png", "new.d/a.lgc")]),
            (["a.png"], "x.lgc/", [("a.png", "x.lgc/a.lgc")]),
            (["a.png", "b.jpg"], "x.lgc/", [("a.png", "x.lgc/a.lgc"), ("b.jpg", "x.lgc/b.lgc")]),
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
            (["a.png", "a.png"], None, "would both be written to a.lgc; rename one, or write it with -o elsewhere"),
            (["a.png"], "-", "-o -: outputs are files, standard output takes none"),
            (
                ["a.png"],
                "x.png",
                "x.png: no folder, and the output would be a .lgc file; name it so that it ends in .lgc",
            ),
            (["a.png"], "coded.v2", "coded.v2: no folder, and the output would be a .lgc file"),
            (["sub"], "all.lgc", "all.lgc: the name of a file, and the outputs of several inputs need a folder"),
            (["a.png", "b.jpg"], "all.kind", "all.kind: the name of a file"),
            (["sub"], "notes.txt", "notes.txt: the name of a file"),
            (["a.png/b.png"], None, "a.png/b.png: no such file or folder"),
            (["n" * 300], None, "cannot be read (File name too long)"),
            (["s3:/b/x.lgc"], None, "s3://b/x.lgc: only lgc analyze reads addresses; fetch the file first"),
            (["https:/h/x.lgc"], None, "https://h/x.lgc: only lgc analyze reads addresses"),
            (
                ["/dev/null"],
                None,
                "/dev/null: nothing goes beside a pipe, a device or an open file; name the output with",
            ),
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

    def test_a_photograph_kept_in_two_formats_does_not_stop_its_folder(self, here: Path) -> None:
        (here / "sub/a.jpg").write_bytes(b"x")
        outcome = Outcome()
        expected = [("sub/a.jpg", "new/a.lgc"), ("sub/deep/c.png", "new/deep/c.lgc")]
        assert planned(["sub"], "new", outcome=outcome) == expected
        told = "sub/a.jpg and sub/a.png would both be written to new/a.lgc; rename one, or write it with -o elsewhere"
        assert outcome.failures == [told]

    def test_empty_folder(self, here: Path) -> None:
        (here / "empty").mkdir()
        with pytest.raises(LgcError, match="empty: nothing to do in this folder"):
            planned(["empty"], None)

    @pytest.mark.parametrize("out", [None, "a.png", "./sub/../a.png"])
    def test_output_over_input(self, out: str | None) -> None:
        with pytest.raises(LgcError, match=r"a\.png: input and output are the same file"):
            planned(["a.png"], out, suffix=".png")

    def test_no_inputs(self) -> None:
        assert plan([], None, ".lgc", is_picture, Outcome()) == []

    def test_what_cannot_be_read_is_not_left_out_without_a_word(self, here: Path) -> None:
        (here / "gone.png").symlink_to("nowhere.png")
        outcome = Outcome()
        assert len(planned(["."], "new", outcome=outcome)) == 4
        assert outcome.failures == ["gone.png: cannot be read (No such file or directory)"]

    def test_nothing_goes_beside_an_open_file(self, here: Path) -> None:
        """The system's name for it says that it is a regular one."""
        with (here / "a.png").open("rb") as file:
            name = f"/dev/fd/{file.fileno()}"
            with pytest.raises(LgcError, match=f"{name}: nothing goes beside"):
                planned([name], None)
            assert planned([name], "x.lgc") == [(name, "x.lgc")]

    def test_what_is_left_out_is_told_by_suffix(self, here: Path, capsys: pytest.CaptureFixture) -> None:
        names = ("c.MOV", "d.mov", "Makefile", "a.lgc", ".DS_Store", *(f"x.{kind}" for kind in "abcdef"))
        for name in ("._a.png", *names):
            (here / name).write_bytes(b"x")
        items = plan([Path()], "new", ".lgc", is_picture, Outcome(), tell_left_out=True)
        assert [str(item.source) for item in items] == ["a.png", "b.jpg", "sub/a.png", "sub/deep/c.png"]
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("note: .: left out 2 .mov, 1 ")
        assert line.endswith(", 3 of other kinds")
        planned(["."], "new")
        assert plan([Path("sub")], "new", ".lgc", is_picture, Outcome(), tell_left_out=True)
        assert capsys.readouterr().err == ""

    def test_linked_folders_are_not_left_out_without_a_word(self, here: Path, capsys: pytest.CaptureFixture) -> None:
        (here / "sub" / "link").symlink_to(here)
        (here / "elsewhere").symlink_to("sub/deep", target_is_directory=True)
        outcome = Outcome()
        assert len(planned(["."], "new", outcome=outcome)) == 4
        assert outcome.failures == []
        assert capsys.readouterr().err.splitlines() == [
            f"note: {name}: a link to a folder is not followed; name it for what is in it"
            for name in ("elsewhere", "sub/link")
        ]
        assert planned(["elsewhere"], "new") == [("elsewhere/c.png", "new/c.lgc")]

    def test_a_folder_that_cannot_be_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root may read all, so the refusal is made up."""
        scan = os.scandir

        def refuse(path: str) -> Any:
            if str(path).endswith("deep"):
                raise PermissionError(13, "Permission denied", path)
            return scan(path)

        monkeypatch.setattr(os, "scandir", refuse)
        outcome = Outcome()
        assert len(planned(["."], "new", outcome=outcome)) == 3
        assert outcome.failures == ["sub/deep: cannot be read (Permission denied)"]
        assert planned(["sub/deep"], None, outcome=Outcome()) == []

    def test_a_file_below_a_folder_that_cannot_be_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path, **_: Any) -> Any:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(Path, "stat", refuse)
        with pytest.raises(LgcError, match=r"a\.png: cannot be read \(Permission denied\)"):
            planned(["a.png"], None)


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
        for name in ("a.lgc", "deep/a.lgc"):
            with pytest.raises(LgcError, match=r"a\.lgc: cannot be written \(.*file is a file, not a folder\)"):
                write_bytes(tmp_path / "file" / name, b"x", force=False)

    def test_name_that_is_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(LgcError, match=r"cannot be written \(File name too long\)"):
            write_bytes(tmp_path / ("n" * 300), b"x", force=False)

    def test_check_writable(self, tmp_path: Path) -> None:
        check_writable(tmp_path / "none", force=False)
        with pytest.raises(LgcError):
            check_writable(tmp_path, force=False)
        check_writable(tmp_path, force=True)


class TestCheckCanWrite:
    def test_what_can_be_written_is_not_made_yet(self, tmp_path: Path) -> None:
        check_can_write(None)
        check_can_write(tmp_path / "new" / "deep" / "a.json")
        assert list(tmp_path.iterdir()) == []

    def test_refuses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("x")
        for path, told in (
            (tmp_path, "is a folder; name a file"),
            (tmp_path / "file/new/a", "file is a file, not a"),
        ):
            with pytest.raises(LgcError, match=told):
                check_can_write(path)
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        with pytest.raises(LgcError, match=r"new/a: cannot be written \(.*: Permission denied\)"):
            check_can_write(tmp_path / "new" / "a")


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

    @pytest.fixture
    def items(self, tmp_path: Path) -> list[Item]:
        """Five; the outputs of the first two exist."""
        items = [Item(Path(f"{n}.png"), tmp_path / f"{n}.lgc") for n in range(5)]
        for item in items[:2]:
            item.target.write_bytes(b"")
        return items

    def test_existing_outputs_are_one_line(self, items: list[Item], capsys: pytest.CaptureFixture) -> None:
        outcome = Outcome()
        assert outcome.still_to_do(items, force=False, skip=False) == items[2:]
        outcome.done = 3
        assert outcome.exit_code() == 1
        told = "pass --skip-existing to leave them or --force to replace them"
        assert capsys.readouterr().err.splitlines() == [
            f"error: 2 of 5 outputs exist already, e.g. {items[0].target}; {told}",
            "3 done, 2 failed",
        ]

    def test_existing_outputs_are_replaced_or_skipped(self, items: list[Item], capsys: pytest.CaptureFixture) -> None:
        outcome = Outcome()
        assert outcome.still_to_do(items, force=True, skip=False) == items
        assert outcome.still_to_do(items, force=False, skip=True) == items[2:]
        assert capsys.readouterr().out == "2 of 5 exist already and are skipped\n"
        assert outcome.exit_code() == 0

    def test_replacing_and_leaving_at_once_is_refused(self, items: list[Item]) -> None:
        with pytest.raises(LgcError, match="--force replaces what --skip-existing leaves; pass only one of them"):
            Outcome().still_to_do(items, force=True, skip=True)

    @pytest.mark.parametrize(
        ("done", "force", "told"),
        [
            (0, False, "nothing was written"),
            (2, False, "2 of 5 are done and kept; run it again with --skip-existing for the rest"),
            (0, True, "nothing was written"),
            (2, True, "2 of 5 are done and kept; run it again with --force for all of them"),
        ],
    )
    def test_an_interrupt_says_what_is_kept(self, done: int, force: bool, told: str) -> None:
        outcome = Outcome(done=done)
        with pytest.raises(KeyboardInterrupt, match=told), outcome.kept_of(5, force):
            raise KeyboardInterrupt

    def test_faults_of_the_program_are_not_hidden(self) -> None:
        outcome = Outcome()
        with pytest.raises(ZeroDivisionError), outcome.noting(Path("a.lgc")):
            _ = 1 / 0
        assert outcome.failures == []
