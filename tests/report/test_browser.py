"""report.html as a browser shows it: headless Chromium by playwright, and axe for what people cannot read.

Needs the extra `browser` and a Chromium: the one that CHROMIUM names, one on the PATH, or playwright's own. Without it
each of these tests is skipped, with the reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from reid_smoke.facts import (
    BaselineFacts,
    LabelFacts,
    ParameterFacts,
    ParameterRecord,
    TrialFacts,
    UnreadableFacts,
)
from reid_smoke.ledger import Ledger
from reid_smoke.report.building import build_report
from reid_smoke.report.comparing.document import compare
from reid_smoke.report.comparing.html import to_page
from reid_smoke.report.document import Report
from reid_smoke.report.html import to_html
from reid_smoke.report.past import PastRun
from reid_smoke.verdict import judge
from tests.report.ledgers import CASES, CHANCE, dataset_facts, end_facts, run_facts, step_facts

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is absent: pip install 'reid-smoke[browser]'"
)
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is absent, see the extra `browser`")

ROOT = Path(__file__).parents[2]
LAPTOP, PHONE = (1280, 800), (375, 812)  # CSS pixels, width and height
HOSTILE = '<script>document.title="broken in"</script><img src=x onerror="document.title=1">'
UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"
RECIPE = (
    "optimizer.lr=1.0e-05",
    "optimizer.groups=[{match: '^bn_neck\\.classifier', lr: 0.01}]",
    "schedule.name=constant",
    "schedule.warmup=0",
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as browsers:
        try:
            started = browsers.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
        except playwright.Error as error:
            pytest.skip(f"no Chromium: install one, name it in CHROMIUM, or `playwright install chromium` ({error})")
        yield started
        started.close()


Show = Callable[..., Any]


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Show]:
    """`show(html, size)` opens the text as a file; the console must have stayed silent at the end of the test."""
    said: list[str] = []

    def open_page(html: str, size: tuple[int, int] = LAPTOP, scheme: str = "light", **options: Any) -> Any:
        path = tmp_path / "report.html"
        path.write_text(html, encoding="utf-8")
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **options)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        contexts.append(context)
        return page

    contexts: list[Any] = []
    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def whole_run(folder: Path) -> tuple[Report, Ledger]:
    """A run of configs/stuck.yaml with everything in it that a page can show, judged by the checks themselves."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_bytes((ROOT / "configs" / "stuck.yaml").read_bytes())
    Image.new("RGB", (1400, 300), "teal").save(folder / "contact-sheet.jpg")
    head = ParameterRecord(
        name="bn_neck.classifier.weight", shape=(400, 512), role="head", requires_grad=True, group=0, lr=1.04e-5,
        lr_initial=1.04e-3, reached=True,
    )  # fmt: skip
    run = run_facts(way_in="run", config="configs/stuck.yaml", ignored={"RS103": "a file of the second camera"})
    ledger = Ledger.of([run, BaselineFacts(file="ci/baseline.json", findings={"RS202": "fail"}), dataset_facts()])
    ledger.add(UnreadableFacts(path="a.jpg", reason="truncated"))
    ledger.add(ParameterFacts(step=1, optimizer="AdamW", parameters=(head,), optimizer_holds_head=True))
    for n in range(1, 301):
        ledger.add(
            step_facts(
                n, CHANCE - 3e-5 * n, logit_std=0.02, head_update=2.2e-3, head_moved=0.37, lr_head=1.04e-5,
                lr_backbone=1.04e-5, amp_scale=65536.0 if n < 100 else 32768.0, events="zbk" if n == 100 else "zbs",
                head_grad=2.0, head_grad_applied=0.5,
            )
        )  # fmt: skip
    times = ((0, 2), (3, 40), (17, 200), (61, 158))
    ledger.add(
        LabelFacts(
            step=300, num_classes=400, images=2400, seen=398, draws=2400, unseen_examples=(7, 9), most_frequent=3,
            most_frequent_images=61, histogram=times,
        )
    )  # fmt: skip
    for name, end, settings in (("nothing", 5.98, ()), ("the recipe's lr", 0.2, RECIPE)):
        ledger.add(
            TrialFacts(
                name=name, settings=settings, together=min(1, len(settings)), batches="few", distinct_batches=4,
                num_classes=400, ce=tuple(CHANCE + (end - CHANCE) * n / 60 for n in range(61)), seconds=4.2,
            )
        )  # fmt: skip
    ledger.add(end_facts(300))
    judgement = judge(ledger, ended=True)
    return build_report(ledger, judgement.results, judgement.verdict), ledger


@pytest.fixture(scope="module")
def page_of_whole_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("whole")
    report, ledger = whole_run(folder)
    assert report.primary is not None
    assert report.primary.code == "RS401"
    return to_html(report, ledger, folder)


def hostile(report: Report) -> Report:
    """With markup at the end of each text that a run can bring."""

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poison(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(v, key) for v in value]
        free = key in {"name", "reason", "command", "title", "evidence", "mend", "python", "device", "notes", "error"}
        return value + HOSTILE if free and isinstance(value, str) else value

    return Report.model_validate(poison(report.model_dump(mode="json")))


def overflows(page: Any) -> list[str]:
    """What reaches beyond the right edge, but for what scrolls by itself."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter(e => !e.closest('pre, .scroll, svg') && e.getBoundingClientRect().right > innerWidth + 0.5)
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    return found + (["the page scrolls"] if page.evaluate("document.documentElement.scrollWidth > innerWidth") else [])


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
def test_the_first_screen_says_what_is_wrong_and_what_to_change(
    show: Show, page_of_whole_run: str, size: tuple[int, int]
) -> None:
    page = show(page_of_whole_run, size)
    for what in (".verdict", ".reason", "#cause", ".cause .evidence", ".cause pre"):
        box = page.locator(what).first.bounding_box()
        assert box is not None, what
        assert box["y"] >= 0, what
        assert box["y"] + box["height"] <= size[1], what
    mend = page.locator(".cause pre").first.inner_text()
    assert "-   lr: 0.00104" in mend
    assert "+     lr: 0.01" in mend


@pytest.mark.parametrize("name", ["crash", "healthy", "nothing_seen", "not_a_number", "whole"])
def test_nothing_overflows_on_a_phone(show: Show, page_of_whole_run: str, name: str) -> None:
    made = CASES[name]() if name != "whole" else None
    page = show(to_html(made.report, made.ledger, None) if made else page_of_whole_run, PHONE)
    page.evaluate(UNFOLD)
    assert overflows(page) == []


def test_long_names_do_not_overflow_either(show: Show, tmp_path: Path) -> None:
    report, ledger = whole_run(tmp_path)
    long = "backbone.layer4.1.conv2.parametrizations.weight.original0" * 4
    changed = report.model_dump(mode="json") | {"name": long, "reason": long, "environment": {long: long}}
    changed["findings"][0]["evidence"] = long
    page = show(to_html(Report.model_validate(changed), ledger, tmp_path), PHONE)
    assert overflows(page) == []


def test_markup_in_names_stays_text(show: Show, tmp_path: Path) -> None:
    report, ledger = whole_run(tmp_path)
    ledger.add(dataset_facts(source=HOSTILE))
    page = show(to_html(hostile(report), ledger, tmp_path))
    assert page.locator("script").count() == 0
    assert page.locator("img").count() == 1  # the contact sheet
    for place in ("h1", ".run", ".cause .evidence", "dl", "table", "pre"):
        assert any(HOSTILE[:8] in text for text in page.locator(place).all_inner_texts()), place
    assert page.title().startswith("NO-GO")


@pytest.mark.parametrize(("size", "scheme"), [(LAPTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing_serious(show: Show, page_of_whole_run: str, size: tuple[int, int], scheme: str) -> None:
    page = show(page_of_whole_run, size, scheme, bypass_csp=True)  # the page's policy would keep axe out as well
    page.evaluate(UNFOLD)
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 10
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"] if v["impact"] != "minor"] == []


def test_dark_is_dark(show: Show, page_of_whole_run: str) -> None:
    def brightness(scheme: str) -> int:
        page = show(page_of_whole_run, scheme=scheme)
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))

    assert brightness("dark") < 150 < 600 < brightness("light")


def test_the_evidence_is_marked_where_it_shows(show: Show, page_of_whole_run: str) -> None:
    page = show(page_of_whole_run)
    titles = page.locator(".plot.shows h3").all_inner_texts()
    assert titles == ["Learning rate as applied", "Update of the head, |dw|/|w| a step"]
    plain, marked = (
        page.locator(f".plot{which} .curve.one path").first.evaluate("e => getComputedStyle(e).stroke")
        for which in (":not(.shows)", ".shows")
    )
    assert plain != marked


def test_what_follows_is_folded_and_the_rest_is_there(show: Show, page_of_whole_run: str) -> None:
    page = show(page_of_whole_run)
    assert page.locator("details[open]").count() == 0
    text = page.inner_text("body")
    for words in (
        "Follows from it", "· known", "Ignored, for a reason", "a file of the second camera", "RS202 known; RS401 new",
        "Trials", "the recipe's lr", "Labels", "The first batch", "2.14.1", "300",
    ):  # fmt: skip
        assert words in text
    assert "1 of 300 steps skipped: 100." in text
    assert page.locator("pre", has_text="reid-smoke run configs/stuck.yaml").is_visible()


@pytest.mark.parametrize(("size", "scheme"), [(LAPTOP, "light"), (PHONE, "dark")])
def test_a_comparison_is_as_good_a_page(show: Show, tmp_path: Path, size: tuple[int, int], scheme: str) -> None:
    report, ledger = whole_run(tmp_path / "a")
    most = islice(CASES.items(), 7)  # with the one above as many as are compared
    cases = [PastRun(tmp_path / name, case().report, case().ledger, 1) for name, case in most]
    runs = [PastRun(tmp_path / "a", hostile(report), ledger, 1), *cases]
    page = show(to_page(compare(runs), runs), size, scheme, bypass_csp=True)
    assert page.locator("script, img").count() == 0
    assert any(HOSTILE[:8] in text for text in page.locator(".one-run").all_inner_texts())
    assert overflows(page) == []
    assert page.locator(".plot svg:visible").count() > 8
    strokes = page.locator(".plot.big [class*='curve run-'] path")
    assert len({strokes.nth(n).evaluate("e => getComputedStyle(e).stroke") for n in range(strokes.count())}) > 5
    for what in (".verdict", ".reason"):
        assert page.locator(what).bounding_box()["y"] < 300
    found = axe.Axe().run(page).response
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"] if v["impact"] != "minor"] == []
