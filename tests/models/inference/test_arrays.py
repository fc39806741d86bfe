from __future__ import annotations

import numpy as np
import pytest

from models.inference.arrays import percentile


@pytest.mark.parametrize("count", [1, 2, 7, 400])
@pytest.mark.parametrize("percent", [0, 37, 50, 70, 100])
def test_percentiles_are_numpys(count: int, percent: float) -> None:
    rows = np.random.default_rng(count).random((count, 3), dtype=np.float32)

    expected = np.percentile(rows, percent, axis=0)

    np.testing.assert_allclose(percentile(rows, percent), expected, rtol=1e-6)
