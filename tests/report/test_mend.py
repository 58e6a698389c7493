from __future__ import annotations

from reid_smoke.report.mend import blocks


def test_prose_is_joined_by_paragraph() -> None:
    assert list(blocks("Lower the lr,\nor clip.\n\nThen run again.")) == [
        (None, "Lower the lr, or clip."),
        (None, "Then run again."),
    ]


def test_fenced_code_keeps_its_language_and_shape() -> None:
    assert list(blocks("Write\n```toml\na = 1\n\n[b]\n```\ninstead.")) == [
        (None, "Write"),
        ("toml", "a = 1\n\n[b]"),
        (None, "instead."),
    ]


def test_indented_code_with_and_without_a_line_before_it() -> None:
    assert list(blocks("Write\n    for p in head:\n        p.grad\n\n    step()\n\nThen go on.")) == [
        (None, "Write"),
        ("python", "for p in head:\n    p.grad\n\nstep()"),
        (None, "Then go on."),
    ]


def test_yaml_is_told_from_python() -> None:
    assert list(blocks("    optimizer:\n      # the head's own\n      head_lr: 1e-2\n      - match: x")) == [
        ("yaml", "optimizer:\n  # the head's own\n  head_lr: 1e-2\n  - match: x")
    ]
    assert [language for language, _ in blocks("    with torch.no_grad():\n        pass")] == ["python"]


def test_nothing_to_say() -> None:
    assert list(blocks("")) == []
