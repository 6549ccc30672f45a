# SPDX-License-Identifier: Apache-2.0
"""Many conversations beside each other in one world: each has a lane of its own, and is one test."""
import concurrent.futures
import sys
import unittest

from harness import BUILD, PORT_BASE, World

AT_ONCE = 4


class Lanes(unittest.TestCase):
    """A class lists `plays`: name -> function of (world, lane) that gives (recording, problems, …). All are played when the class is
    set up; a test then asserts the outcome of one. A failing class leaves its world's folder."""

    maxDiff = None
    sites = ("london", "paris")
    options = {}
    plays = {}

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.world = World(BUILD, port_base=PORT_BASE, sites=cls.sites, options={**cls.options, "lanes": len(cls.plays)})
        try:
            cls.world.start()
        except Exception:
            cls.world.close(failed=True)
            raise
        cls.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        cls.outcomes = {name: cls.pool.submit(play, cls.world, lane)
                        for lane, (name, play) in enumerate(cls.plays.items())}

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown(cancel_futures=True)
        problems = cls.world.stop()
        if cls.failed or problems:
            print(f"\nkept for looking at: {cls.world.folder}", file=sys.stderr)
        cls.world.close(failed=cls.failed or bool(problems))
        if problems:
            raise AssertionError(problems)

    def played(self, name):
        """The outcome of one play; it must have found nothing wrong."""
        type(self).failed, before = True, type(self).failed
        found = self.outcomes[name].result()
        recording, problems = found[:2]
        self.assertEqual(problems, [], f"{name}, recording {recording and recording['id']}")
        type(self).failed = before
        return recording
