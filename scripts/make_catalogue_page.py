"""Write reid_smoke/checks/README.md, the catalogue of faults, from the checks' docstrings.

    python scripts/make_catalogue_page.py

The tests fail where the page is not what this writes.
"""

from __future__ import annotations

from pathlib import Path

from reid_smoke.checks.page import catalogue_page

PAGE = Path(__file__).resolve().parents[1] / "reid_smoke" / "checks" / "README.md"

if __name__ == "__main__":
    PAGE.write_text(catalogue_page(), encoding="utf-8")
