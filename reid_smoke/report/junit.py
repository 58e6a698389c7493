"""junit.xml: a test case per check, and one for the verdict, as CI servers show them.

The elements and attributes are those of Jenkins' and Maven surefire's schemas, which GitLab, Azure and GitHub's actions
read as well.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reid_smoke.checks.catalogue import catalogue
from reid_smoke.checks.page import family
from reid_smoke.ledger import Ledger
from reid_smoke.report import prose
from reid_smoke.report.document import CheckEntry, FindingEntry, IgnoredEntry, Report

# What XML 1.0 has no word for, not even escaped (a file name, a message of somebody's model).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(report: Report, ledger: Ledger | None = None, folder: object = None) -> str:
    """The report as JUnit XML. A warning passes, with what it saw as its output; what is ignored or known is skipped,
    with the reason."""
    seconds = f"{(report.timing.startup_s or 0) + (report.timing.train_s or 0):.3f}"
    suites = Element("testsuites", name="reid-smoke", time=seconds)
    suite = SubElement(suites, "testsuite", name=_clean(report.name or "reid-smoke"))
    properties = SubElement(suite, "properties")
    for name, value in {"command": report.command, **report.environment}.items():
        SubElement(properties, "property", name=_clean(name), value=_clean(value))
    _verdict(suite, report, seconds)
    by_code = {check.code: family(check) for check in catalogue()}
    findings = {finding.code: finding for finding in (*report.findings, *report.ignored)}
    for entry in report.checks.results:
        _check(suite, entry, findings.get(entry.code), by_code.get(entry.code, "checks"))
    for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        number = str(sum(1 for _ in suite.iter(tag)))
        suite.set(count, number)
        if count != "skipped":  # the root has no such attribute
            suites.set(count, number)
    suite.set("time", seconds)
    if report.started:
        suite.set("timestamp", report.started.removesuffix("+00:00").removesuffix("Z"))
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _verdict(suite: Element, report: Report, seconds: str) -> None:
    case = SubElement(suite, "testcase", classname="reid-smoke", name="verdict", time=seconds)
    if report.verdict == "NO-GO" and not (report.baseline and report.baseline.excused):
        SubElement(case, "failure", type="NO-GO", message=_clean(report.reason)).text = _clean(report.reason)
    elif report.verdict == "UNKNOWN":
        SubElement(case, "error", type="UNKNOWN", message=_clean(report.reason)).text = _clean(report.reason)
    else:
        known = f" ({prose.baseline(report)}.)" if report.baseline else ""
        SubElement(case, "system-out").text = _clean(f"{report.verdict}: {report.reason}{known}")


def _check(suite: Element, entry: CheckEntry, finding: FindingEntry | None, family: str) -> None:
    name = f"{entry.code} {entry.slug}"
    case = SubElement(suite, "testcase", classname=f"reid-smoke.{family}", name=name, time="0.000")
    if finding is not None:
        said = _clean(f"{finding.title}: {finding.evidence}\n\n{finding.mend}")
        if isinstance(finding, IgnoredEntry):
            SubElement(case, "skipped", message=_clean(f"ignored: {finding.reason}"))
            SubElement(case, "system-out").text = said
        elif entry.status == "fail" and finding.known:
            SubElement(case, "skipped", message="known: it stands in the baseline")
            SubElement(case, "system-out").text = said
        elif entry.status == "fail":
            SubElement(case, "failure", type=finding.severity, message=_clean(finding.title)).text = said
        else:
            SubElement(case, "system-out").text = said
    elif entry.status == "error":
        SubElement(case, "error", type="check crashed", message=_clean(entry.error)).text = _clean(entry.error)
    elif entry.status == "skipped":
        SubElement(case, "skipped", message="its facts are absent")


def _clean(text: str) -> str:
    return _NO_XML.sub("�", text)
