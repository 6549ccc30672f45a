# SPDX-License-Identifier: Apache-2.0
"""What is refused, and how: strangers and forged headers join nothing; what is broken gets a proper answer and a log line."""
import pathlib
import sqlite3
import subprocess
import tempfile
import time
import unittest

from harness import ADDRESSES, BUILD, NUMBERS, PORT_BASE, LabTest, People, scenarios
from sip_probe import Probe, link_header


class Refusals(LabTest):
    def probe(self, address, port, site="london", user="probe"):
        probe = Probe(address, port, (ADDRESSES[site], PORT_BASE), user)
        self.addCleanup(probe.close)
        return probe

    def log_lines(self, process, words):
        text = pathlib.Path(self.world.processes[process].log).read_text(errors="replace")
        return [line for line in text.splitlines() if words in line]

    def secret(self, name):
        return (self.world.folder / "secrets" / name).read_text().strip()

    # ---- who may join what --------------------------------------------------------------------------------------
    def ended_calls(self):
        path = self.world.folder / "archive" / "archive.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            rows = [str(row) for table in self.tables(database) for row in database.execute(f"SELECT * FROM {table}")]
        return [row for row in rows if "call.ended" in row]

    @staticmethod
    def tables(database):
        return [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]

    def fact_text(self):
        path = self.world.folder / "archive" / "archive.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return " ".join(str(row) for table in self.tables(database) for row in database.execute(f"SELECT * FROM {table}"))

    def try_header(self, header_of, address, port):
        before = len(self.ended_calls())
        probe = self.probe(address, port, "paris", "+447700900123")
        answer = probe.invite(NUMBERS["paris"], [("X-Sheaf-Link", header_of(probe))])
        self.assertIsNotNone(answer)
        self.assertEqual(answer.status, 200, answer.text)
        self.assertEqual(probe.bye(NUMBERS["paris"]).status, 200)
        probe.close()
        self.world.wait_for("the call's end in the archive", lambda: len(self.ended_calls()) > before)

    def test_a_header_counts_only_signed_fresh_and_from_the_peer(self):
        # london itself is not running: its address is free for a forger, or for an honest test.
        world = self.make_world(start=False)
        world.start("archive", "paris-media", "paris-switch")
        secret = self.secret("site-london-paris")
        london, carrier, stranger = ADDRESSES["london"], ADDRESSES["carrier"], "127.0.0.77"

        def forged(name, key=secret, **more):
            return lambda probe: link_header(key, probe.call_id, probe.tag, link=f"link-{name}", call=f"call-{name}",
                                             root=f"root-{name}", **more)

        self.try_header(forged("wrongmac", key="not the secret"), london, PORT_BASE)
        self.try_header(lambda probe: forged("nomac")(probe).rpartition(";mac=")[0], london, PORT_BASE)
        self.try_header(forged("fromtrunk"), carrier, PORT_BASE)
        self.try_header(forged("stranger"), stranger, PORT_BASE + 1)
        self.try_header(forged("old", at_ms=int((time.time() - 7200) * 1000)), london, PORT_BASE)
        self.try_header(lambda probe: link_header(secret, "another-call-id", probe.tag, call="call-moved"), london, PORT_BASE)
        once = {}
        self.try_header(lambda probe: once.setdefault("h", forged("honest", nonce="ab" * 16)(probe)), london, PORT_BASE)
        facts = self.fact_text()
        for name in ("wrongmac", "nomac", "fromtrunk", "stranger", "old", "moved"):
            self.assertNotIn(f"call-{name}", facts, f"the header '{name}' joined calls")
        # The same way of asking, done right, does join: the test above looks at the right thing.
        self.assertIn("call-honest", facts)
        self.assertTrue(self.log_lines("paris-switch", "link"), "no log line says that a header was not believed")

    # ---- what is broken -----------------------------------------------------------------------------------------
    def test_wrong_password_unknown_number_and_strangers(self):
        world = self.make_world(start=False)
        world.start("archive", "london-media", "london-switch")
        phone = self.probe("127.0.0.5", PORT_BASE + 60, user="1001")
        self.assertIn(phone.register("1001", "wrong"), (401, 403))
        self.assertTrue(self.log_lines("london-switch", "1001"))
        self.assertEqual(phone.register("1001", world.passwords["1001"]), 200)
        self.assertIn(self.probe("127.0.0.5", PORT_BASE + 61, user="9999").register("9999", "x"), (401, 403, 404))
        carrier = self.probe(ADDRESSES["carrier"], PORT_BASE, user="+447700900123")
        self.assertEqual(carrier.invite("+440000000000").status, 404)
        self.assertTrue(self.log_lines("london-switch", "+440000000000") or self.log_lines("london-switch", "404"))
        # A stranger reaches routing points, never a trunk.
        stranger = self.probe("127.0.0.77", PORT_BASE + 62, user="somebody")
        self.assertIn(stranger.invite("9123456").status, (403, 404))
        self.assertEqual(stranger.invite(NUMBERS["london"]).status, 200)
        stranger.bye(NUMBERS["london"])

    def test_dead_media_server_is_503_within_seconds_and_back_when_it_is_back(self):
        world = self.make_world(start=False)
        world.start("archive", "london-switch")
        carrier = self.probe(ADDRESSES["carrier"], PORT_BASE)
        began = time.monotonic()
        answer = carrier.invite(NUMBERS["london"])
        self.assertEqual(answer.status, 503, answer.text)
        self.assertLess(time.monotonic() - began, 6)
        self.assertTrue(self.log_lines("london-switch", "media"))
        world.start("london-media")

        def answered():
            again = carrier.invite(NUMBERS["london"])
            return again if again is not None and again.status == 200 else None

        world.wait_for("the media server to be used again", answered, 20)
        carrier.bye(NUMBERS["london"])

    def test_no_free_rtp_port_is_503_and_calls_in_progress_go_on(self):
        world = self.make_world(start=False, rtp={"london": (PORT_BASE + 100, PORT_BASE + 101)})
        world.start("archive", "london-media", "london-switch")
        first = self.probe(ADDRESSES["carrier"], PORT_BASE)
        self.assertEqual(first.invite(NUMBERS["london"]).status, 200)
        second = self.probe("127.0.0.77", PORT_BASE + 63)
        self.assertEqual(second.invite(NUMBERS["london"]).status, 503)
        self.assertTrue(self.log_lines("london-media", "port") or self.log_lines("london-switch", "503"))
        self.assertEqual(first.bye(NUMBERS["london"]).status, 200)

        # The BYE is answered before the media server has given the port back.
        def answered():
            again = second.invite(NUMBERS["london"])
            return again is not None and again.status == 200

        world.wait_for("the only RTP port to be used again", answered, 5)
        second.bye(NUMBERS["london"])

    def test_dead_agent_phone_passes_the_call_to_the_next_agent(self):
        world = self.make_world(start=False, ready_on_register=True)
        world.start("archive", "london-media", "london-switch")
        people = People(world)
        self.addCleanup(people.close)
        phone = self.probe("127.0.0.5", PORT_BASE + 64, user="1001")
        self.assertEqual(phone.register("1001", world.passwords["1001"], 600), 200)
        phone.close()   # registered, ready, and gone
        people.customer()
        since = people.call("C", NUMBERS["london"], "london")
        people.wait("C", "established", since)
        people.phone("A1", "london", "1002", 619, password=world.passwords["1002"], display="Alan")
        people.wait("A1", "established", since, timeout=40)
        people.wait("A1", "hears", since, where=lambda e: e["tones"] == [467])
        self.assertTrue(self.log_lines("london-switch", "1001"))
        people.send(cmd="hangup", phone="C")
        people.wait("A1", "ended", since)

    def test_media_server_killed_in_mid_call_loses_no_begun_recording(self):
        world = self.make_world()
        stage = scenarios.Stage(world)
        try:
            scenarios.head(stage)
            scenarios.talk()
            world.processes["london-media"].kill()
            world.start("london-media")
            stage.people.send(cmd="hangup", phone="C")
            stage.people.wait("C", "ended")
        finally:
            stage.close()

        def stored():
            items = world.recordings()
            recording = world.recording(items[0]["id"]) if len(items) == 1 else None
            return recording and [s for s in recording["segments"] if s["state"] == "stored"]

        segment = world.wait_for("the begun segment", stored, 30)[0]
        self.assertGreater(segment["duration_ms"], 1500, segment)


class Configuration(unittest.TestCase):
    def check(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as file:
            file.write(text)
        self.addCleanup(pathlib.Path(file.name).unlink)
        ran = subprocess.run([str(BUILD / "sheaf"), "check", "--config", file.name], capture_output=True, text=True,
                             timeout=20, check=False)
        return ran.returncode, ran.stdout + ran.stderr, file.name

    def test_errors_name_file_line_and_key(self):
        good = '[node]\nsite="london"\nname="london-1"\ndata="/tmp/x"\n\n[media]\nsip=["udp:127.0.0.1:0"]\n' \
               'rtp="127.0.0.1:20000-20100"\nformat="wav"\n'
        code, output, _ = self.check(good)
        self.assertEqual(code, 0, output)
        for text, line, key in ((good + 'colour="red"\n', 10, "colour"),
                                (good.replace('"wav"', '"opus"'), 9, "format"),
                                (good.replace("20000-20100", "20100-20000"), 8, "rtp")):
            code, output, name = self.check(text)
            self.assertNotEqual(code, 0, text)
            self.assertIn(f"{name}:{line}", output)
            self.assertIn(key, output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
