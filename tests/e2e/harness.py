# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a lab of their own on ports of their own, kept when they fail."""
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from lab import scenarios  # noqa: E402
from lab.people import People  # noqa: E402
from lab.world import ADDRESSES, NUMBERS, World  # noqa: E402

__all__ = ["ADDRESSES", "NUMBERS", "BUILD", "LabTest", "People", "PORT_BASE", "ROOT", "World", "scenarios"]

BUILD = pathlib.Path(os.environ.get("SHEAF_BUILD", ROOT / "build/release"))
PORT_BASE = int(os.environ.get("SHEAF_PORT_BASE", "12000"))


class LabTest(unittest.TestCase):
    """`self.world` lives for one test. A failing test leaves its folder (logs, configurations, data) and says where."""

    maxDiff = None
    sites = ("london", "paris")

    def make_world(self, start=True, **options):
        self.world = World(BUILD, port_base=PORT_BASE, sites=self.sites, options=options)
        self.addCleanup(self._close)
        if start:
            self.world.start()
        return self.world

    def _close(self):
        result = self._outcome.result
        failed = any(test is self for test, _ in result.failures + result.errors)
        if failed:
            print(f"\nkept for looking at: {self.world.folder}", file=sys.stderr)
            for process in self.world.processes.values():
                print(f"--- {process.name}\n{process.tail(8)}", file=sys.stderr)
        self.world.close(failed=failed)

    def assert_scenario(self, scenario="single-step-transfer", **how):
        recording, problems, edges = scenarios.play(self.world, scenario, **how)
        self.assertEqual(problems, [], f"{scenario}: {recording}")
        return recording, edges
