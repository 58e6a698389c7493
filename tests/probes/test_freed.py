"""What a probe meets a moment before the training itself crashes with it is no fault of the probe."""

from torch import Tensor

from reid_smoke.facts import CrashFacts, ProbeFault
from reid_smoke.report.notes import notes_on
from tests.checks.tiny import TinyTraining, run_tiny


class RunningTotal(TinyTraining):
    """`total += loss; total.backward()`."""

    total: Tensor | float = 0.0

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        self.total = self.total + super().loss(images, labels)
        return self.total


def test_their_own_crash_is_not_told_as_a_fault_of_the_probe() -> None:
    ledger, _ = run_tiny(RunningTotal())
    assert "second time" in ledger.all(CrashFacts)[-1].message
    assert ledger.all(ProbeFault)
    assert not any("probe" in note for note in notes_on(ledger))


def test_a_fault_of_the_probe_is_told_beside_another_crash() -> None:
    ledger, _ = run_tiny(RunningTotal())
    ledger.add(ProbeFault(step=1, probe="features", message="RuntimeError: out of cheese"))
    assert any("The probe features failed" in note for note in notes_on(ledger))
