# SPDX-License-Identifier: Apache-2.0
"""What is lost of what A2 and C hear while london leaves the loop, over many consult transfers in one world.

SHEAF_RUNS says how many (6 unless it is set); the distribution is printed. Frames carry numbers of their own, so a run of
frames missing or late is counted across dialogs, ports and SSRCs, by whoever listens.
"""
import collections
import concurrent.futures
import json
import os
import subprocess
import unittest

from harness import BUILD, LabTest, scenarios
from lab.stage import Stage

RUNS = int(os.environ.get("SHEAF_RUNS", "6"))
LANES = 2
BEFORE_S, AFTER_S = 0.5, 0.6


def one_transfer(stage):
    """C, A1, consult, A2, complete, london leaves: {listener: report of the other one's frames}."""
    people = stage.people
    since = people.call("C", stage.queue()[1], "london")
    people.wait("C", "established", since)
    scenarios.take_call(stage, "A1", since)
    stage.not_ready("A1")
    people.hears("C", "A1", since=since)
    scenarios.consult(stage, "cti")
    scenarios.a2_answers(stage, ["A1"])
    scenarios.talk(BEFORE_S)
    for who in ("C", "A2"):
        people.send(cmd="mark", phone=who)
    mark = scenarios.complete(stage, "cti")
    scenarios.has_left(stage, "t5x", mark)
    scenarios.talk(AFTER_S)
    reports = {"A2": people.frames("A2").get("C"), "C": people.frames("C").get("A2")}
    scenarios.hang_up(stage, "t6")
    people.wait("A1", "ended", mark)
    return reports


class Continuity(LabTest):
    def test_leaving_the_loop_is_hardly_heard(self):
        world = self.make_world(lanes=LANES)

        def lane(number):
            stage = Stage(world, number, answer_after_ms=50)
            try:
                return [one_transfer(stage) for _ in range(number, RUNS, LANES)]
            finally:
                stage.close()

        with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
            runs = [run for runs in pool.map(lane, range(LANES)) for run in runs]
        worst = []
        for listener, speaker in (("A2", "C"), ("C", "A2")):
            reports = [run[listener] for run in runs]
            self.assertTrue(all(report and report["heard"] > 20 for report in reports), reports)
            found = collections.Counter(report["longest_run"] for report in reports)
            print(f"{listener} from {speaker}: runs by their longest stretch of frames missing or late: "
                  f"{dict(sorted(found.items()))}, longest gap {max(r['longest_gap_ms'] for r in reports)} ms")
            worst += [report["longest_run"] for report in reports]
        worst.sort()
        self.assertLessEqual(worst[-1], 10, worst)
        self.assertLessEqual(worst[int(len(worst) * 0.95) - 1], 3, worst)
        self.assertEqual(world.stop(), [])
        self.nothing_lost_at_paris(world)

    def nothing_lost_at_paris(self, world):
        """F2 lacks no packet that reached paris."""
        ran = subprocess.run([str(BUILD / "sheaf"), "verify", str(world.folder / "paris-media"), "--json"],
                             capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        segments = json.loads(ran.stdout)["segments"]
        self.assertEqual(len(segments), RUNS)
        for segment in segments:
            for channel in segment["channels"]:
                self.assertEqual(channel["received"], channel["stored"] + channel["duplicate"] + channel["excluded"], segment)


if __name__ == "__main__":
    unittest.main(verbosity=2)
