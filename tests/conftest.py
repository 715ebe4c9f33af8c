"""Where the real places are, and what may be skipped: nothing, in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from postgres import Server, programs, server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from gridgis.store import Store

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
CI = os.environ.get("CI") == "true"
CHROMIUM = Path("/usr/bin/chromium")

# In CI the laws are tried with the same examples each time; elsewhere every run looks further.
settings.register_profile("ci", derandomize=True)
if CI:
    settings.load_profile("ci")


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        reason = f"the folder ../shared/{name} is not beside the project"
        if CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def places() -> Path:
    """The real places (../shared/data)."""
    return _shared("data")


@pytest.fixture(scope="session")
def cases() -> Path:
    """The checks written by others (../shared/cases)."""
    return _shared("cases")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A throw-away PostgreSQL with PostGIS."""
    found = programs()
    if found is None:
        reason = "no PostgreSQL server is installed (make system installs one)"
        if CI:
            pytest.fail(reason)
        pytest.skip(reason)
    with server(found) as running:
        yield running


@pytest.fixture(params=["file", "postgis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store may be: a file, or a database of PostgreSQL."""
    if request.param == "file":
        yield str(tmp_path / "place.gpkg")
        return
    with request.getfixturevalue("postgres").database() as address:
        yield address


@pytest.fixture(params=["file", "postgis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: in a file, and in a database."""
    from gridgis.store import open_store

    if request.param == "file":
        with open_store(tmp_path / "place.gpkg", create=True) as opened:
            yield opened
        return
    with request.getfixturevalue("postgres").database(store=True) as address, open_store(address) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, which reaches this machine and nothing else."""
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is not installed: apt-get install chromium fonts-noto-cjk"
        pytest.fail(reason) if CI else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    nowhere = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic", nowhere]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The invented sub-district, freshly written; tests do not change it."""
    from gridgis.sample import write_sample

    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def built(sample: Path) -> Path:
    """The results of building the sample: the folder ``out`` with the store in it; tests do not change it."""
    from gridgis.pipeline import build
    from gridgis.project import Project

    return build(Project.load(sample / "project.toml")).out
