"""`make test-quick` trains nothing."""

import pytest
from transformers import Trainer


def test_no_test_trains_that_is_not_marked_slow():
    with pytest.raises(pytest.fail.Exception, match="a test that trains must be marked slow"):
        Trainer.train(None)


@pytest.mark.slow
def test_a_slow_test_may_train():
    assert Trainer.train.__module__ == "transformers.trainer"
