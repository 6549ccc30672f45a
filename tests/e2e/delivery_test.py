# SPDX-License-Identifier: Apache-2.0
"""However and whenever facts and files reach the archive, the same recording comes out."""
import unittest

from harness import PORT_BASE, LabTest, scenarios
from relay import Relay


class Delivery(LabTest):
    def play(self):
        stage = scenarios.Stage(self.world)
        try:
            scenarios.single_step_transfer(stage)
        finally:
            stage.close()
        return stage

    def assert_judged(self, stage):
        recording, problems, _ = scenarios.judge(stage, scenarios.oracle_of("single-step-transfer"))
        self.assertEqual(problems, [], recording)
        self.assertEqual(len(self.world.recordings()), 1)
        return recording

    def play_behind_a_relay(self):
        """A conversation of which everything is at the relay, and nothing at the archive."""
        relay = Relay(PORT_BASE + 85, f"http://127.0.0.1:{PORT_BASE + 80}", seed=20260105)
        self.addCleanup(relay.close)
        self.make_world(site_archive_url=f"http://127.0.0.1:{PORT_BASE + 85}")
        stage = self.play()

        def both_files():
            with relay.lock:
                return sum(1 for method, *_ in relay.kept if method == "PUT") == 2

        self.world.wait_for("both files at the relay", both_files)
        self.assertEqual(self.world.recordings(), [])
        for name in ("london-switch", "paris-switch", "london-media", "paris-media"):
            self.world.processes[name].stop()   # so that their last facts are out
        return relay, stage

    def test_random_order_and_everything_twice(self):
        relay, stage = self.play_behind_a_relay()
        relay.deliver()
        self.assert_judged(stage)

    def test_files_that_overtake_the_facts_of_their_ends_leave_the_recording_open(self):
        relay, stage = self.play_behind_a_relay()
        relay.deliver(without="segment.sealed")
        recording = self.world.recording(self.world.recordings()[0]["id"])
        self.assertEqual([(s["state"], s["ended_at"]) for s in recording["segments"]], [("stored", None)] * 2)
        self.assertTrue(all(call["ended_at"] for call in recording["calls"]))
        self.assertEqual(recording["state"], "open")
        relay.deliver()
        self.assert_judged(stage)

    def test_archive_away_for_the_whole_call_and_every_site_killed_after_it(self):
        world = self.make_world(start=False)
        sites = [name for name in world.processes if name != "archive"]
        world.start(*sites)
        stage = self.play()
        for name in sites:
            world.processes[name].kill()
        world.start(*sites)
        world.start("archive")
        self.assert_judged(stage)


if __name__ == "__main__":
    unittest.main(verbosity=2)
