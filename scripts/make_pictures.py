"""Make the pictures that the README shows, from real runs of configs/stuck.yaml and configs/demo.yaml.

    python scripts/make_pictures.py [--runs runs]

The two runs are those called `stuck` and `demo` in the folder of runs; one that is not there is run first (a minute or
two each on two cores). Their pages are opened in a headless Chromium (the extra `browser`; CHROMIUM names another than
the one on the PATH), their terminal reports are drawn by rich. Everything goes to .github/pictures.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.document import Report
from reid_smoke.report.formats import FORMATS
from reid_smoke.report.terminal import render_terminal
from reid_smoke.verdict import judge

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / ".github" / "pictures"
LAPTOP, PHONE = (1280, 800), (375, 812)  # CSS pixels, width and height
PAGES = (  # name, run, size, colour scheme
    ("stuck-page", "stuck", LAPTOP, "light"),
    ("stuck-phone", "stuck", PHONE, "dark"),
    ("demo-page", "demo", LAPTOP, "dark"),
)
MOST_BYTES = 600_000  # of all of them
COLOURS = 128  # of a picture's palette: text and plots have few


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of runs  [default: runs]")
    runs: Path = parser.parse_args().runs
    reports = {name: report_of(runs / name, name) for name in ("stuck", "demo")}
    PICTURES.mkdir(exist_ok=True)
    for name, (report, _) in reports.items():
        (PICTURES / f"{name}-terminal.svg").write_text(drawn(report, runs / name, name), encoding="utf-8")
    with sync_playwright() as browsers:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture, name, size, scheme in PAGES:
            shot = photographed(browser, reports[name][1], size, scheme)
            (PICTURES / f"{picture}.png").write_bytes(small(shot))
        browser.close()
    sizes = {path.name: path.stat().st_size for path in sorted(PICTURES.iterdir())}
    print("\n".join(f"{size / 1000:6.0f} kB  {name}" for name, size in sizes.items()))
    if sum(sizes.values()) > MOST_BYTES:
        sys.exit(f"{sum(sizes.values()):,} bytes in all: at most {MOST_BYTES:,} are wanted")


def report_of(folder: Path, name: str) -> tuple[Report, Path]:
    """The report of the run in `folder`, which is run first where it is not there, and its page, made anew."""
    if not (folder / "facts.jsonl").exists():
        command = (sys.executable, "-m", "reid_smoke", "run", f"configs/{name}.yaml", "--out", str(folder.absolute()))
        subprocess.run(command, cwd=ROOT, check=False)  # its exit code is the verdict's
    ledger = Ledger.read(folder / "facts.jsonl")
    judgement = judge(ledger, ended=True)
    report = build_report(ledger, judgement.results, judgement.verdict)
    page = folder / "report.html"
    page.write_text(FORMATS["html"](report, ledger, folder), encoding="utf-8")
    return report, page


def drawn(report: Report, folder: Path, name: str) -> str:
    """The terminal report as an SVG that asks for nothing from the network."""
    console = Console(record=True, width=100, file=StringIO(), force_terminal=True, color_system="truecolor")
    render_terminal(report, console, folder=folder)
    svg = console.export_svg(title=report.command, unique_id=name)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # rich would fetch its font


def photographed(browser: Browser, page: Path, size: tuple[int, int], scheme: str) -> bytes:
    """The page's first screen as a PNG."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if scheme == "dark" else "light"
    )
    tab = context.new_page()
    tab.goto(page.absolute().as_uri())
    shot = tab.screenshot()
    context.close()
    return shot


def small(png: bytes) -> bytes:
    """The same picture with a palette."""
    with Image.open(BytesIO(png)) as picture:
        reduced = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = BytesIO()
    reduced.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
