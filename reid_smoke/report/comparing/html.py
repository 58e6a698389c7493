"""The comparison as one page that opens from disk, in the style of report.html."""

from __future__ import annotations

from collections.abc import Sequence

from reid_smoke.report.comparing import words
from reid_smoke.report.comparing.curves import ce_plot, look, measured
from reid_smoke.report.comparing.document import Comparison
from reid_smoke.report.past import PastRun
from reid_smoke.report.template import template


def to_page(comparison: Comparison, runs: Sequence[PastRun]) -> str:
    """runs: those of the comparison, for the curves of what was measured at every step."""
    drawn, same = measured(comparison, runs)
    page: str = template("compare.html").render(
        comparison=comparison, words=words, look=look, ce=ce_plot(comparison), plots=drawn, same=same
    )
    return page
