# SPDX-License-Identifier: Apache-2.0
"""Media servers and switches killed with -9 at random instants of calls: no begun recording is lost. Long; --deep only."""
import os
import random
import unittest

from harness import NUMBERS, LabTest, scenarios

ROUNDS = int(os.environ.get("SHEAF_KILL_ROUNDS", "20"))


class KillLoop(LabTest):
    def one_call(self, victim, after_s):
        """A call to A1 during which `victim` dies and comes back; true when A1 was being recorded by then."""
        world = self.world
        stage = scenarios.Stage(world)
        people = stage.people
        try:
            since = people.call("C", NUMBERS["london"], "london")
            people.wait("C", "established", since)
            world.set_agent("london", "1001", "ready")
            people.wait("A1", "established", since)
            world.set_agent("london", "1001", "not-ready")
            people.wait("A1", "hears", since, where=lambda e: e["tones"] == [467])
            scenarios.talk(after_s)
            world.processes[victim].kill()
            world.start(victim)
        finally:
            stage.close()

    def test_no_begun_recording_is_lost(self):
        world = self.make_world()
        chance = random.Random(int(os.environ.get("SHEAF_SEED", "1")))
        for number in range(ROUNDS):
            victim = chance.choice(["london-media", "london-switch"])
            after_s = chance.uniform(0.2, 2.5)
            with self.subTest(round=number, victim=victim, after_s=round(after_s, 2)):
                known = {item["id"] for item in world.recordings()}
                self.one_call(victim, after_s)
                if victim == "london-switch":
                    # Its media server still holds the call; ended here so that the segment is sealed.
                    world.processes["london-media"].stop()
                    world.start("london-media")

                def stored():
                    new = [i["id"] for i in world.recordings() if i["id"] not in known]
                    recording = world.recording(new[0]) if len(new) == 1 else None
                    return recording and [s for s in recording["segments"] if s["state"] == "stored"]

                segment = world.wait_for("the begun segment", stored, 30)[0]
                # At most one journal sync (1 s) of what had arrived may be missing.
                self.assertGreaterEqual(segment["duration_ms"], after_s * 1000 - 1000, segment)
        print(f"{ROUNDS} kills, every begun segment stored")


if __name__ == "__main__":
    unittest.main(verbosity=2)
