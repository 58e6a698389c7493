"""The catalogue's page is what the docstrings say today."""

from __future__ import annotations

from pathlib import Path

from reid_smoke.checks.catalogue import catalogue
from reid_smoke.checks.page import blocks, catalogue_page

PAGE = Path(__file__).resolve().parents[2] / "reid_smoke" / "checks" / "README.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == catalogue_page(), "run: python scripts/make_catalogue_page.py"


def test_every_check_says_what_it_means_why_and_how_to_mend_it() -> None:
    for check in catalogue():
        headings = [text for kind, text in blocks(check) if kind == "heading"]
        assert headings == ["What it means", "Why it stops learning", "Mend", "Seen in"], check.code


def test_what_a_check_is_named_before_exists() -> None:
    codes = {check.code for check in catalogue()}
    assert not {code for check in catalogue() for code in check.explains} - codes
