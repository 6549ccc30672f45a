# SPDX-License-Identifier: Apache-2.0
"""The lab's phones with nobody between them: hold in its spellings, two calls, digits, REFER with and without Replaces."""
import pathlib
import shutil
import tempfile
import types
import unittest

from harness import ADDRESSES, BUILD, PORT_BASE, People
from lab.world import Ports


class LabPhones(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-phones-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.people = People(types.SimpleNamespace(build=BUILD, folder=folder, ports=Ports(PORT_BASE), passwords={}))
        self.addCleanup(self.people.close)
        self.uris = {}
        self.mark = 0

    def phone(self, name, site, tone_hz, **more):
        self.people.phone(name, site, name.lower(), tone_hz, answer_after_ms=50, **more)
        ready = self.people.wait(name, "ready")
        self.uris[name] = f"sip:{name.lower()}@{ADDRESSES[site]}:{ready['sip_port']}"

    def three(self, **customer):
        self.phone("C", "carrier", 467, **customer)
        self.phone("A1", "london", 619, second_calls=True)
        self.phone("A2", "paris", 853)

    def tell(self, phone, cmd, **more):
        self.mark = self.people.tell(phone, cmd, **more)

    def hears(self, phone, *tones):
        return self.people.wait(phone, "hears", self.mark, where=lambda e: e["tones"] == list(tones))

    def talk(self, caller, callee, **more):
        self.tell(caller, "call", to=self.uris[callee], **more)
        self.people.wait(callee, "established", self.mark)
        self.hears(callee, self.people.phones[caller]["tone_hz"])

    def test_hold_in_three_spellings_silences_both_ways(self):
        self.three()
        self.talk("C", "A1")
        for mode in ("sendonly", "inactive", "zero"):
            self.tell("A1", "hold", mode=mode)
            self.people.wait("C", "was-held", self.mark)
            self.hears("C")
            self.hears("A1")
            self.tell("A1", "retrieve")
            self.people.wait("C", "was-retrieved", self.mark)
            self.hears("C", 619)
            self.hears("A1", 467)

    def test_of_two_calls_one_speaks(self):
        self.three()
        self.talk("C", "A1")
        self.talk("A1", "A2", call="consult")
        self.hears("C")
        self.tell("A1", "switch", call="1")
        self.hears("C", 619)
        self.hears("A2")
        self.tell("A1", "hangup", call="consult")
        self.people.wait("A2", "ended", self.mark)
        self.people.wait("A1", "ended", self.mark, where=lambda e: e["call"] == "consult")

    def test_a_second_caller_is_busy_unless_the_phone_takes_two(self):
        self.three()
        self.talk("C", "A2")
        self.tell("A1", "call", to=self.uris["A2"])
        self.people.wait("A1", "failed", self.mark, where=lambda e: e["status"] == 486)
        self.tell("A2", "call", to=self.uris["A1"])
        self.people.wait("A2", "established", self.mark)
        self.people.wait("C", "was-held", self.mark)

    def attended_transfer(self):
        self.talk("C", "A1")
        self.talk("A1", "A2", call="consult")
        for phone in ("C", "A2"):
            self.people.send(cmd="mark", phone=phone)
        self.tell("A1", "refer", call="1", replaces="consult")

    def test_refer_with_replaces_moves_the_customer(self):
        self.three(refer_policy="accept")
        self.attended_transfer()
        self.people.wait("A1", "notify", self.mark, where=lambda e: e["status"] == 200)
        self.people.wait("C", "moved", self.mark)
        self.people.wait("A2", "moved", self.mark)
        self.hears("C", 853)
        self.hears("A2", 467)
        # Nobody ends the old dialog, so the customer does after two seconds; to the person it is no end.
        old = self.people.wait("C", "replaced-ended", self.mark, timeout=4)
        self.assertEqual(old["by"], "us")
        self.people.wait("A1", "ended", self.mark, where=lambda e: e["call"] == "1")
        for phone, speaker in (("C", "A2"), ("A2", "C")):
            report = self.people.frames(phone)[speaker]
            self.assertGreater(report["heard"], 50)
            self.assertLessEqual(report["longest_run"], 10, report)
        self.tell("C", "hangup")
        self.people.wait("A2", "ended", self.mark)

    def test_who_will_not_be_moved_stays(self):
        self.three()
        self.talk("C", "A1")
        for policy, status in (("refuse", 603), ("accept-then-fail", 503), ("accept-then-silent", 100), ("silent", None)):
            self.people.send(cmd="refer-policy", phone="C", mode=policy)
            self.tell("A1", "refer", to=self.uris["A2"])
            self.people.wait("C", "referred", self.mark)
            if policy == "refuse":
                self.people.wait("A1", "refer-failed", self.mark, where=lambda e: e["status"] == status)
            elif status:
                self.people.wait("A1", "notify", self.mark, where=lambda e: e["status"] == status)
        self.tell("C", "hangup")
        self.people.wait("A1", "ended", self.mark)

    def test_an_offered_call_says_who_and_is_answered_when_told_to(self):
        self.three()
        self.people.send(cmd="answer-mode", phone="A2", mode="manual")
        self.tell("C", "call", to=self.uris["A2"])
        identity = self.people.wait("A2", "identity", self.mark)
        self.assertEqual(identity["number"], "c")
        self.tell("A2", "answer")
        self.hears("A2", 467)
        self.tell("C", "dtmf", digits="12#")
        self.people.wait("A2", "digit", self.mark, where=lambda e: e["digit"] == "#")
        self.assertEqual("".join(e["digit"] for e in self.people.events if e["event"] == "digit"), "12#")
        self.tell("C", "dtmf", digits="x")
        self.people.wait("", "refused", self.mark)


if __name__ == "__main__":
    unittest.main(verbosity=2)
