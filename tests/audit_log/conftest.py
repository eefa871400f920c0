"""Logs go to standard output here, whatever an earlier test has configured in this process."""

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def default_logs():
    structlog.reset_defaults()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
