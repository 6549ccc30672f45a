# SPDX-License-Identifier: Apache-2.0
"""Sites whose clocks are ten minutes apart: the same recording, on one time line."""
import glob
import unittest

from harness import LabTest, scenarios

# The program itself, without faketime's wrapper, whose child would outlive it.
AHEAD = {"LD_PRELOAD": glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")[0], "FAKETIME": "+10m",
         "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Clocks(LabTest):
    def test_ten_minutes_apart(self):
        self.make_world(environment={"paris-switch": AHEAD, "paris-media": AHEAD})
        recording, problems, edges = scenarios.play(self.world, "single-step-transfer")
        self.assertEqual(problems, [], recording)
        link = next(iter(recording["links"]))
        self.assertTrue(link["evidence"])
        paris = [abs(delta) for what, delta in edges if what.startswith("F2")]
        self.assertEqual(len(paris), 2)
        # What the archive shows for paris is on london's clock, and close to what happened on the phones there.
        print(f"paris's edges on london's clock: {[round(d * 1000) for d in paris]} ms")
        events = [e for e in recording["events"] if e["claimed_at"] != e["at"]]
        self.assertTrue(events, "no event of paris keeps the time it claimed")
        self.assertLessEqual(max(paris), 0.050)


if __name__ == "__main__":
    unittest.main(verbosity=2)
