from __future__ import annotations

from pathlib import Path

import pytest

from lgc.errors import LgcError
from lgc.launch.report import markdown_of, run_report


def test_page_and_markdown(evaluated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(evaluated)
    page = run_report(tmp_path / "report")
    assert page.read_text().startswith("<!doctype html>")
    assert page.stat().st_size < 15e6
    text = (tmp_path / "report" / "report.md").read_text()
    assert "### Every codec at every setting" in text
    assert "### 6. Task-agnosticism" in text


def test_an_earlier_report_is_replaced(evaluated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(evaluated)
    (tmp_path / "report").mkdir()
    run_report(tmp_path / "report")
    (tmp_path / "report" / "index.html").write_text("old")
    assert run_report(tmp_path / "report").read_text() != "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


class TestWhatIsThereAndNoReport:
    """The folder is replaced as a whole: anything of the user's in it would be lost."""

    @pytest.mark.parametrize("extra", ["notes.txt", "index.html", "report.md"])
    def test_a_folder_stays(
        self, extra: str, evaluated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(evaluated)
        (tmp_path / extra).write_text("mine")
        with pytest.raises(LgcError, match="exists and is no earlier report"):
            run_report(tmp_path)
        assert (tmp_path / extra).read_text() == "mine"

    def test_a_folder_of_the_same_names_stays(
        self, evaluated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(evaluated)
        for name in ("index.html", "report.md"):
            (tmp_path / name).write_text("mine")
        with pytest.raises(LgcError, match="exists and is no earlier report"):
            run_report(tmp_path)

    def test_a_file_and_a_link_stay(self, evaluated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(evaluated)
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "link").symlink_to(tmp_path / "away")
        for name in ("notes.txt", "link"):
            with pytest.raises(LgcError, match=f"{name}: exists and is no earlier report"):
                run_report(tmp_path / name)
        assert (tmp_path / "notes.txt").read_text() == "mine"

    @pytest.mark.parametrize("out", [".", "outputs/..", ".."])
    def test_the_project_stays(self, out: str, evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(evaluated)
        with pytest.raises(LgcError, match="exists and is no earlier report"):
            run_report(Path(out))
        assert (evaluated / "outputs").is_dir()


@pytest.mark.parametrize("out", ["/proc/report", "file/report", "n" * 300])
def test_where_nothing_can_be_written(
    out: str, evaluated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(evaluated)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LgcError, match="cannot be written") as error:
        run_report(tmp_path / out)
    assert len(str(error.value).splitlines()) == 1


def test_single_tables(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(evaluated)
    assert markdown_of("paper").count("### ") == 7
    assert markdown_of("absent").count("### ") == 1
    with pytest.raises(LgcError, match="no table 'nonsense'; there are codecs, paired"):
        markdown_of("nonsense")
