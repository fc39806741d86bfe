"""A live service for what needs no worker, as the tests of the service have it."""

from tests.service.conftest import live

__all__ = ["live"]
