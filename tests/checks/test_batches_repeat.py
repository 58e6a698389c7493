"""RS110 says so where the labels look as a batch numbers them by itself."""

import pytest

from reid_smoke.checks.catalogue import rank
from tests.checks.examples.batches_repeat import KeepsItsFirstBatch, NumberedAnewInEachBatch
from tests.checks.tiny import TinyTraining, run_tiny


@pytest.mark.parametrize(("training", "told"), [(NumberedAnewInEachBatch, True), (KeepsItsFirstBatch, False)])
def test_labels_that_each_batch_numbers_anew(training: type[TinyTraining], told: bool) -> None:
    _, judgement = run_tiny(training())
    first = rank(judgement.results)[0]
    assert first.check.code == "RS110"
    assert ("0 to 3: as if each batch were numbered anew" in first.finding.evidence) == told
