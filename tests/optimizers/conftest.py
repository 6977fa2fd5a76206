import numpy as np
import pytest

from tests.support.family import FAMILY, Member, typical_members


@pytest.fixture(params=FAMILY)
def member(request):
    return Member(request.param)


@pytest.fixture(params=typical_members())
def typical(request):
    return Member(request.param)


@pytest.fixture
def gradients():
    """60 gradients of shape (4, 3), with a mean that drifts."""
    rng = np.random.default_rng(0)
    drift = np.linspace(-1, 1, 60)[:, None, None]
    return (rng.normal(size=(60, 4, 3)) + drift).astype("float32")


@pytest.fixture
def start():
    return np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
