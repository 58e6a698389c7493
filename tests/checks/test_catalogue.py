"""The catalogue, linted: whoever adds a fault learns here what is missing from it."""

from __future__ import annotations

import importlib
import re
from graphlib import TopologicalSorter

import pytest

from reid_smoke.checks.catalogue import Check, catalogue, find_check
from reid_smoke.errors import UsageError

CHECKS = catalogue()
each_check = pytest.mark.parametrize("check", CHECKS, ids=[check.code for check in CHECKS])


def test_codes_and_slugs_are_unique() -> None:
    assert CHECKS
    assert len({check.code for check in CHECKS}) == len({check.slug for check in CHECKS}) == len(CHECKS)


@each_check
def test_code_is_of_a_family_and_of_its_packages(check: Check) -> None:
    assert re.fullmatch(r"RS[1-8]\d\d", check.code)
    family = importlib.import_module(check.judge.__module__.rpartition(".")[0])
    assert (family.__doc__ or "").startswith(f"{check.code[:3]}: ")


@each_check
def test_slug_is_kebab_case(check: Check) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.slug)


@each_check
def test_documentation_has_its_sections(check: Check) -> None:
    assert check.title
    assert not check.documentation.splitlines()[0].endswith(":")
    for heading in ("What it means", "Why it stops learning", "Mend"):
        assert check.section(heading), f"{check.code} lacks the section `{heading}:`"


@each_check
def test_documentation_can_be_rendered(check: Check) -> None:
    """`explain` wraps prose and leaves code alone: a paragraph is either, with a blank line between them."""
    for block in check.documentation.split("\n\n"):
        lines = block.splitlines()
        below = lines[1:] if lines[0].endswith(":") and not lines[0].startswith(" ") else lines
        indents = [len(line) - len(line.lstrip(" ")) for line in below]
        assert indents, f"{check.code}: a blank line after {lines[0]}"
        assert len(set(indents)) == 1 or indents[0] > 4, f"{check.code}: prose and code without a blank line: {lines}"


@each_check
def test_it_reads_facts_and_explains_other_faults(check: Check) -> None:
    assert check.needs or check.uses
    assert set(check.explains) <= {other.code for other in CHECKS} - {check.code}


def test_no_fault_explains_itself_by_way_of_others() -> None:
    """The ranking has a first cause only where `explains` has no cycle; graphlib raises CycleError on one."""
    list(TopologicalSorter({check.code: check.explains for check in CHECKS}).static_order())


def test_a_check_is_found_by_code_and_by_slug() -> None:
    first = CHECKS[0]
    assert find_check(first.code.lower()) is find_check(f" {first.slug} ") is first


def test_an_unknown_check_names_the_nearest() -> None:
    first = CHECKS[0]
    with pytest.raises(UsageError, match=first.slug):
        find_check(first.slug[:-1])
