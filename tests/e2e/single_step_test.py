# SPDX-License-Identifier: Apache-2.0
"""Scenario 1 from phones and from CTI: one recording, two files, edges on the signalling, no packet missing."""
import json
import statistics
import subprocess
import unittest

from harness import BUILD, LabTest

RUNS = 5


class SingleStepTransfer(LabTest):
    def test_five_transfers_by_phone_have_their_edges_on_the_signalling(self):
        world = self.make_world()
        deltas = []
        for _ in range(RUNS):
            recording, edges = self.assert_scenario(by="phone")
            deltas += [abs(delta) * 1000 for _, delta in edges]
            self.assertEqual(len({s["calluuid"] for s in recording["segments"]}), 2)
        print(f"edges: median {statistics.median(deltas):.0f} ms, worst {max(deltas):.0f} ms of {len(deltas)}")
        self.assertLessEqual(statistics.median(deltas), 100)
        self.assertLessEqual(max(deltas), 250)
        self.verify_files(world)
        self.assertEqual(world.stop(), [])
        self.replay_journals(world)

    def verify_files(self, world):
        """Every packet that reached the media servers while recording is in the segment files."""
        channels = 0
        for site in self.sites:
            ran = subprocess.run([str(BUILD / "sheaf"), "verify", str(world.folder / f"{site}-media"), "--json"],
                                 capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            report = json.loads(ran.stdout)
            segments = report["segments"]
            self.assertEqual(len(segments), RUNS, report)
            for segment in segments:
                for channel in segment["channels"]:
                    channels += 1
                    self.assertGreater(channel["received"], 50, segment)
                    self.assertEqual(channel["received"], channel["stored"] + channel["duplicate"] + channel["excluded"],
                                     segment)
                    self.assertEqual(channel["lost"], 0, segment)
        self.assertEqual(channels, len(self.sites) * RUNS * 2)

    def replay_journals(self, world):
        """What the switches journalled has the same effects when it is run again."""
        for site in self.sites:
            journals = sorted((world.folder / f"{site}-switch").glob("switch-journal-*.jsonl"))
            self.assertTrue(journals, f"{site} has no journal")
            for journal in journals:
                ran = subprocess.run([str(BUILD / "sheaf"), "replay", str(journal)], capture_output=True, text=True,
                                     timeout=60, check=False)
                self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            # A journal that was tampered with must not pass: the digest of the first step with effects is changed.
            lines = journals[0].read_text().splitlines()
            self.assertGreater(len(lines), 10)
            touched = world.folder / "touched.jsonl"
            touched.write_text("\n".join([lines[0]] + [self.other_digest(line) for line in lines[1:]]) + "\n")
            ran = subprocess.run([str(BUILD / "sheaf"), "replay", str(touched)], capture_output=True, text=True,
                                 timeout=60, check=False)
            self.assertNotEqual(ran.returncode, 0, "a changed journal replays as if nothing were wrong")

    @staticmethod
    def other_digest(line):
        record = json.loads(line)
        record["effects"] = ("0" if record["effects"][0] != "0" else "1") + record["effects"][1:]
        return json.dumps(record, separators=(",", ":"))

    def test_a_transfer_by_cti_gives_the_same(self):
        self.make_world()
        recording, _ = self.assert_scenario(by="cti")
        link = recording["links"][0]
        self.assertTrue(any("CTI" in e["source"] for e in link["evidence"]), link)


if __name__ == "__main__":
    unittest.main(verbosity=2)
