# SPDX-License-Identifier: Apache-2.0
"""A pause over a conference of two sites: nothing of what is said meanwhile is left anywhere, however late a site hears of it."""
import hashlib
import json
import os
import signal
import subprocess
import time
import unittest

from between import Door, Wire
from harness import ADDRESSES, PORT_BASE, LabTest

from lab.checker import WINDOW, level_db, read_wav, seconds
from lab.scenarios import QUEUE_S, a2_answers, head, talk
from lab.stage import Stage

CONTROL = {"C": 1009, "A2": 1109}  # sung before the pause: what the search must find
SECRET = {"C": 2671, "A1": 2789, "A2": 2917}  # sung only while the recording is paused; no sums of the others
AFTER = {"C": 1213, "A2": 1319}  # sung after it: what must be there again, at every site
SANG_DB = -30.0
SILENT_DB = -40.0
LOCAL_S, REMOTE_S = 0.1, 0.5
BLOCK = 4096
PIECES = ((0, 32), (64, 96), (128, 160))  # of a frame: what an overwrite might have left of it


def stored_bytes(path):
    """A file's bytes without its empty blocks: a journal is mostly made of them."""
    try:
        data, blank = path.read_bytes(), bytes(BLOCK)
    except FileNotFoundError:   # freed since it was listed
        return b""
    return b"".join(data[i:i + BLOCK] for i in range(0, len(data), BLOCK) if data[i:i + BLOCK] != blank)


class PauseTest(LabTest):
    def conference(self, **options):
        """C, A1 at london and A2 at paris hear each other; recorded: C and A1 at london, A2 at paris."""
        self.make_world(record_trunk="always", **options)
        stage = self.stage = Stage(self.world)
        self.addCleanup(stage.close)
        head(stage)
        stage.cti("A1", "single-step-conference", to=stage.queue()[0])
        talk(QUEUE_S)
        stage.people.hears("C", "A1", "A2", since=a2_answers(stage, ["C", "A1"]))
        self.control = self.sing(CONTROL, 0.8)
        talk(1.0)
        return stage

    def start_singing(self, tones):
        for who, hz in tones.items():
            self.stage.people.wait(who, "sings", self.stage.people.tell(who, "sing", hz=hz))

    def stop_singing(self, tones):
        """Their own tones again; what they have sung, frame by frame."""
        people = self.stage.people
        marks = {who: people.tell(who, "sing", hz=people.phones[who]["tone_hz"]) for who in tones}
        frames = [bytes.fromhex(f) for who, mark in marks.items() for f in people.wait(who, "sang", mark)["frames"]]
        talk(0.5)   # the last of it has arrived everywhere
        return frames

    def sing(self, tones, duration):
        self.start_singing(tones)
        talk(duration)
        return self.stop_singing(tones)

    def pause(self):
        asked = time.time()
        self.stage.cti("A1", "recording/pause")
        return asked

    def resume(self):
        self.stage.cti("A1", "recording/resume")
        talk(0.8)   # every site has heard of it
        self.sing(AFTER, 0.8)

    def files(self):
        return [f for f in sorted(self.world.folder.rglob("*")) if f.is_file() and not f.name.startswith("lab")]

    def found(self, frames):
        """Where any piece of these frames stands, as it was sent or as text."""
        pieces = {frame[a:b] for frame in frames for a, b in PIECES}
        places = set()
        for path in self.files():
            data = stored_bytes(path)
            if any(piece in data or piece.hex().encode() in data for piece in pieces):
                places.add(str(path.relative_to(self.world.folder)))
        return sorted(places)

    def assert_gone(self, secret):
        self.assertGreater(len(secret), 100)
        self.assertEqual(self.found(secret), [], "pieces of what was said during the pause")

    def finish(self):
        """All hang up; the archive's recording, and its files as (segment, rate, channels)."""
        people = self.stage.people
        talk(1.5)
        mark = people.tell("C", "hangup")
        people.wait("C", "ended", mark)
        for who in ("A1", "A2"):
            people.tell(who, "hangup")
        recording = self.stage.new_recording()
        files = [(s, *read_wav(self.world.archive(s["media"]["url"], raw=True)[1])) for s in recording["segments"]]
        return recording, files

    def levels(self, files, hz):
        """The loudest 200 ms of a tone in any channel of each site's files. Where sound ends or begins at once every tone is in it:
        such windows are left to the search for bytes."""
        loudest = {}
        for segment, rate, channels in files:
            for channel in channels:
                for start in range(0, len(channel) - WINDOW, WINDOW // 4):
                    window = channel[start:start + WINDOW]
                    if not any(window[i:i + 40] == [0.0] * 40 for i in range(0, WINDOW, 40)):
                        level = level_db(window, rate, hz)
                    else:
                        level = -120.0
                    loudest[segment["site"]] = max(loudest.get(segment["site"], -120.0), level)
        return loudest

    def assert_unheard(self, files, ends=True):
        self.assertEqual(sorted(s["site"] for s, *_ in files), ["london", "london", "paris"])
        for when, tones in (("before", CONTROL), ("after", AFTER if ends else {})):
            for who, hz in tones.items():
                for site, level in self.levels(files, hz).items():
                    self.assertGreater(level, SANG_DB, f"{who} {when} the pause at {site}")
        for who, hz in SECRET.items():
            for site, level in self.levels(files, hz).items():
                self.assertLess(level, SILENT_DB, f"{who} during the pause at {site}")

    def silent_from(self, segment, rate, channels):
        """When the file's longest stretch of nothing begins, and how long it is."""
        loud = [i for i, samples in enumerate(zip(*channels)) if any(samples)]
        edges = [-1, *loud, len(channels[0])]
        gap, start = max((b - a - 1, a + 1) for a, b in zip(edges, edges[1:]))
        return seconds(segment["started_at"]) + start / rate, gap / rate

    def alarms(self, kind="pause-unconfirmed"):
        return [a for a in self.world.archive("/v1/alarms")[1]["items"] if a["kind"] == kind]

    def sites_of(self, frames):
        return {place.split("-")[0] for place in self.found(frames)}


class EverySiteTest(PauseTest):
    def test_nothing_said_during_a_pause_is_left_anywhere_and_it_takes_effect_at_once(self):
        self.conference()
        self.assertLessEqual({"london", "paris"}, self.sites_of(self.control))
        asked = self.pause()
        secret = self.sing(SECRET, 1.2)
        self.assert_gone(secret)
        self.resume()
        recording, files = self.finish()
        self.assert_unheard(files)
        self.assert_gone(secret)
        for segment, rate, channels in files:
            at, duration = self.silent_from(segment, rate, channels)
            most = LOCAL_S if segment["site"] == "london" else REMOTE_S
            print(f"{segment['site']}: silent {1000 * (at - asked):.0f} ms after it was asked for, for {duration:.2f} s")
            self.assertLess(at - asked, most)
            self.assertGreater(at - asked, -0.1)
            self.assertGreater(duration, 1.2)
            self.assertLess(duration, 1.2 + 1.5)
            self.assertIn("paused", [entry["label"] for entry in segment["timeline"]])
        self.assertIn("paused", [e["event"] for e in recording["events"]])
        self.assertEqual(self.alarms(), [])
        self.assert_named(["london-media", "paris-media"])

    def assert_named(self, folders):
        """Every segment file says of its stretch that it was paused, and by whom."""
        for folder in folders:
            report = json.loads(subprocess.run([str(self.world.program), "verify", "--json", str(self.world.folder / folder)],
                                               stdout=subprocess.PIPE, check=False).stdout)
            segments = [s for f in report["files"] if f["kind"] == "segment" for s in f["segments"]]
            self.assertTrue(segments)
            for segment in segments:
                paused = [s for s in segment["stretches"] if s["label"] == "paused"]
                self.assertEqual(len(paused), 1, segment)
                self.assertTrue(paused[0]["by"])


class LateTest(PauseTest):
    def stopped_switch(self):
        pid = self.world.processes["paris-switch"].popen.pid
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(lambda: self.world.processes["paris-switch"].running() and os.kill(pid, signal.SIGCONT))
        return pid

    def test_a_site_that_hears_late_of_a_pause_erases_back_and_is_an_alarm_until_then(self):
        self.conference()
        pid = self.stopped_switch()
        asked = self.pause()
        self.start_singing(SECRET)
        alarm = self.world.wait_for("the alarm", self.alarms, 5)
        self.assertEqual(len(alarm), 1)
        self.assertIn("paris", alarm[0]["text"])
        talk(max(0, 2 - (time.time() - asked)))
        os.kill(pid, signal.SIGCONT)
        self.world.wait_for("no alarm", lambda: not self.alarms(), 10)
        late = time.time() - asked
        secret = self.stop_singing(SECRET)
        self.assert_gone(secret)
        self.resume()
        _, files = self.finish()
        self.assert_unheard(files)
        self.assert_gone(secret)
        for segment, rate, channels in files:
            at, duration = self.silent_from(segment, rate, channels)
            print(f"{segment['site']}: confirmed {late:.2f} s late, silent {1000 * (at - asked):.0f} ms after it was asked for")
            self.assertLess(at - asked, LOCAL_S if segment["site"] == "london" else REMOTE_S)
            self.assertGreater(duration, late)

    def test_a_pause_that_was_over_before_a_site_heard_of_it_is_erased_there_too(self):
        self.conference()
        pid = self.stopped_switch()
        self.pause()
        secret = self.sing(SECRET, 1.2)
        self.assertEqual(self.sites_of(secret), {"paris"})
        self.stage.cti("A1", "recording/resume")
        os.kill(pid, signal.SIGCONT)
        self.world.wait_for("no alarm", lambda: not self.alarms(), 10)
        self.world.wait_for("an erased journal", lambda: not self.found(secret), 10)
        self.sing(AFTER, 0.8)
        _, files = self.finish()
        self.assert_unheard(files)
        self.assert_gone(secret)


class DeliveredTest(PauseTest):
    """paris is told of the pause neither in the dialog nor by HTTP, until everything has ended and its file is at the archive."""

    AT = "127.0.0.12"  # what paris advertises

    def test_a_pause_told_after_the_file_was_delivered_is_erased_there_too(self):
        wire = Wire((self.AT, PORT_BASE), (ADDRESSES["paris"], PORT_BASE), lambda text: text.startswith("INFO ") and '"by"' in text)
        self.addCleanup(wire.close)
        door = Door((self.AT, PORT_BASE + 30), (ADDRESSES["paris"], PORT_BASE + 30))
        self.addCleanup(door.close)
        self.conference(switch={"paris": [f'advertise="{self.AT}:{PORT_BASE}"']},
                        site_http={"paris": f"http://{self.AT}:{PORT_BASE + 30}"})
        door.is_open = False
        self.pause()
        secret = self.sing(SECRET, 1.2)
        self.resume()
        _, files = self.finish()
        self.assertTrue(wire.lost)
        self.assertIn("paris", self.sites_of(secret))
        for hz in SECRET.values():
            self.assertGreater(self.levels(files, hz)["paris"], SANG_DB, "it has been told already")
        self.assertEqual(len(self.alarms()), 1)
        delivered = next(s["media"]["sha256"] for s, *_ in files if s["site"] == "paris")
        self.assertNotEqual(self.with_digest(delivered), [])
        door.is_open = True
        self.world.wait_for("no alarm", lambda: not self.alarms(), 20)
        recording = self.world.wait_for("another file", lambda: self.redelivered(delivered), 20)
        self.assert_gone(secret)
        self.assertEqual(self.with_digest(delivered), [])
        self.assertEqual(self.alarms("segment-not-erased"), [])
        files = [(s, *read_wav(self.world.archive(s["media"]["url"], raw=True)[1])) for s in recording["segments"]]
        self.assert_unheard(files, ends=False)   # a site that is deaf to the end keeps nothing of its rest
        paris = next(s for s in recording["segments"] if s["site"] == "paris")
        self.assertIn("paused", [entry["label"] for entry in paris["timeline"]])

    def with_digest(self, digest):
        return [path for path in self.files() if hashlib.sha256(path.read_bytes()).hexdigest() == digest]

    def redelivered(self, former):
        recording = self.world.recording(self.stage.recordings()[0]["id"])
        paris = next(s for s in recording["segments"] if s["site"] == "paris")
        return recording if paris["media"] and paris["media"]["sha256"] != former else None


class RestartTest(PauseTest):
    def restarted(self, role):
        self.conference()
        self.assertIn("paris", self.sites_of(self.control))
        self.pause()
        self.start_singing(SECRET)
        talk(0.7)
        process = self.world.processes[f"paris-{role}"]
        process.kill()
        process.start()
        talk(1.5)
        secret = self.stop_singing(SECRET)
        self.assert_gone(secret)
        for who in ("C", "A1", "A2"):
            self.stage.people.tell(who, "hangup")
        self.world.wait_for("the files", lambda: any(self.recording_files()), 20)
        self.assertEqual(self.world.stop(), [])
        self.assert_gone(secret)

    def recording_files(self):
        items = self.stage.recordings()
        recording = self.world.recording(items[0]["id"]) if items else None
        return recording and [s for s in recording["segments"] if s["state"] == "stored" and s["site"] == "london"]

    def test_a_media_server_that_restarts_during_a_pause_brings_nothing_back_of_it(self):
        self.restarted("media")

    def test_a_switch_that_restarts_during_a_pause_lets_nothing_of_its_rest_be_recorded(self):
        self.restarted("switch")


if __name__ == "__main__":
    unittest.main()
