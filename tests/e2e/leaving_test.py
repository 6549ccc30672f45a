# SPDX-License-Identifier: Apache-2.0
"""london leaves the loop however it hears that it may: by the NOTIFY, by the BYE of the replaced dialog, or late."""
import unittest

from between import Wire
from harness import ADDRESSES, PORT_BASE
from lanes import Lanes

from lab import scenarios
from lab.scenarios import a2_answers, complete, consult, hang_up, has_left, head, talk
from lab.stage import Stage, dn_for

# What the switches advertise, so that requests within their dialogs come by a wire.
WIRED = {"london": "127.0.0.11", "paris": "127.0.0.12"}
MOVED = "SIP/2.0 200 OK"   # a NOTIFY's body: RFC 3420


def is_moved(text):
    return text.startswith("NOTIFY ") and text.partition("\r\n\r\n")[2].startswith(MOVED)


def is_from(site, text):
    return f"Via: SIP/2.0/UDP {WIRED.get(site, ADDRESSES[site])}" in text


def leave(stage):
    people = stage.people
    head(stage)
    talk()
    consult(stage, "cti")
    people.hears("A1", "A2", since=a2_answers(stage, ["A1"]))
    talk()
    mark = complete(stage, "cti")
    stage.at("t5", people.wait("A1", "ended", mark))
    people.hears("A2", "C", since=mark)
    people.hears("C", "A2", since=mark)
    has_left(stage, "t5x", mark)
    talk()
    hang_up(stage, "t6")


def play(world, lane):
    stage = Stage(world, lane)
    try:
        leave(stage)
    finally:
        stage.close()
    return scenarios.judge(stage, scenarios.oracle_of("consult-transfer"))


class Leaving(Lanes):
    plays = {"notified": play, "replaced": play, "unacknowledged": play}
    options = {"switch": {site: [f'advertise="{address}:{PORT_BASE}"'] for site, address in WIRED.items()}}

    @classmethod
    def setUpClass(cls):
        cls.wires = {site: Wire((address, PORT_BASE), (ADDRESSES[site], PORT_BASE), getattr(cls, f"lost_to_{site}"))
                     for site, address in WIRED.items()}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            for wire in cls.wires.values():
                wire.close()

    @classmethod
    def is_of(cls, play_, text):
        """By whom a message names: the lane's customer, or its A1, who began the consult."""
        lane = list(cls.plays).index(play_)
        return f"+4477009{lane:05d}" in text or f"sip:{dn_for('A1', 'london', lane)}@" in text

    @classmethod
    def lost_to_london(cls, text):
        """Of one call all that paris ends, so that only the NOTIFY says it; of the next all NOTIFYs of success, and what paris
        ends before there is one: it comes again."""
        ends = text.startswith("BYE ") and is_from("paris", text)
        if cls.is_of("notified", text):
            return ends
        return cls.is_of("replaced", text) and (is_moved(text) or ends and not cls.lost_moved())

    @classmethod
    def lost_moved(cls):
        return [text for text in cls.wires["london"].lost if is_moved(text)]

    @classmethod
    def lost_to_paris(cls, text):
        """Of the last the first ACK of C's new call, so that london hears of success before paris does."""
        is_first = text.startswith("ACK ") and is_from("carrier", text) and not cls.wires["paris"].lost
        return is_first and cls.is_of("unacknowledged", text)

    def assert_transferred(self, play_):
        recording = self.played(play_)
        self.assertEqual(recording["calls"][0]["cause"], "transferred")

    def test_by_the_notify(self):
        self.assert_transferred("notified")

    def test_by_the_bye_of_the_replaced_dialog(self):
        self.assert_transferred("replaced")
        self.assertTrue(self.lost_moved())

    def test_before_the_other_site_knows_that_it_has_the_customer(self):
        self.assert_transferred("unacknowledged")
        self.assertEqual(len(self.wires["paris"].lost), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
