"""The spine in figures: `gridgis build` on the sample, `gridgis --help`, and what the map page sends.

Run with ``make bench``, or ``python benchmarks/build.py``. CPU seconds are of the child processes; memory is the peak
resident set. The targets stand beside the figures; nothing fails when one is missed.
"""

from __future__ import annotations

import gzip
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(*command: str) -> tuple[float, float, float]:
    """Run a command of gridgis; wall seconds, CPU seconds, peak memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "gridgis", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"gridgis {' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, usage.ru_maxrss / 1024


def page(store: Path) -> list[tuple[str, int]]:
    """What the map page asks for when it is first opened, and how many bytes each answer has, compressed."""
    from webmap import create_app

    client = create_app({"STORE": str(store)}).test_client()
    sent: dict[str, int] = {}
    wanted = ["/"]
    while wanted:
        url = wanted.pop(0)
        answer = client.get(url, headers={"Accept-Encoding": "gzip"})
        if answer.status_code != 200:
            raise SystemExit(f"{url} answered {answer.status}")
        sent[url] = len(answer.data)
        text = answer.data if "gzip" not in answer.headers.get("Content-Encoding", "") else gzip.decompress(answer.data)
        if url == "/" or url.startswith("/map.js"):
            found = re.findall(r'(?:src|href)="(/(?:static|leaflet|map)[^"]*)"|"(/layers/[^"]+)"', text.decode())
            wanted += [u for u in dict.fromkeys(a or b for a, b in found) if u not in sent and u not in wanted]
    return list(sent.items())


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'':28}{'wall s':>8}{'CPU s':>8}{'MB':>8}   target")
        for label, command, target in (
            ("gridgis --help", ("--help",), "0.5 s"),
            ("gridgis sample", ("sample", str(folder)), "10 s"),
            ("gridgis build (sample)", ("build", str(folder / "project.toml")), "20 s, 1,000 MB"),
            ("gridgis build, once more", ("build", str(folder / "project.toml")), "20 s, 1,000 MB"),
        ):
            wall, cpu, memory = measure(*command)
            print(f"{label:28}{wall:8.2f}{cpu:8.2f}{memory:8.0f}   {target}")
        sent = page(next(folder.glob("**/*.sqlite")))
        for url, size in sent:
            print(f"  {url:40}{size / 1000:8.1f} kB")
        print(f"map page, first load: {sum(size for _, size in sent) / 1000:.0f} kB   target 300 kB")


if __name__ == "__main__":
    main()
