# SPDX-License-Identifier: Apache-2.0
"""What else can happen in a consult: given up, toggled, rejected, completed early, not recorded, a trunk that will not move."""
import dataclasses
import json
import re
import sqlite3
import unittest

from lanes import Lanes
from oracles import CONSULT, F1, HEAD, QUEUED, ROUTE, U1, U1C, U2, changed, gap, on_hold, part, segment

from lab import scenarios
from lab.scenarios import QUEUE_S, complete, consult, hang_up, has_left, head, oracle_of, take_call, talk
from lab.stage import Stage, dn_for
from lab.world import ADDRESSES


# ---- parts of the plays ---------------------------------------------------------------------------------------------
def to_consult(stage, by="cti"):
    """Up to t4: C on hold, A1 and A2 talk."""
    head(stage)
    talk()
    consult(stage, by)
    talk(0.6)
    stage.people.hears("A1", "A2", since=scenarios.a2_answers(stage, ["A1"]))
    talk()


def finish(stage, by="cti"):
    """From t5 to the end: completed, and london out of the loop where it may."""
    people = stage.people
    mark = complete(stage, by)
    stage.at("t5", people.wait("A1", "ended", mark))
    people.hears("A2", "C", since=mark)
    if stage.leaves:
        has_left(stage, "t5x", mark)
    talk()
    hang_up(stage, "t6")


# ---- the plays ------------------------------------------------------------------------------------------------------
def given_up(stage, by="cti"):
    to_consult(stage, by)
    mark = stage.people.mark()
    if by == "cti":
        stage.cti("A1", "reconnect")
    else:
        stage.people.send(cmd="hangup", phone="A1", call="consult")
        stage.people.send(cmd="retrieve", phone="A1", call="1")
    stage.at("t5", stage.people.wait("A2", "ended", mark))
    stage.people.hears("A1", "C", since=mark)
    talk()
    hang_up(stage, "t6", "A1")


GIVEN_UP = changed(
    calls=[U1, U1C, U2], links=[CONSULT, ROUTE], gaps=[QUEUED, gap("t2", "t5", "hold")],
    segments=[segment("F1", "london", "A1", "U1", HEAD, on_hold("t2", "t5", "C"), part("t5", "t6", ["A1"], ["C"])),
              segment("F2", "paris", "A2", "U2", part("t4", "t5", ["A2"], ["A1"]))])


def toggled(stage, by="cti"):
    people = stage.people
    to_consult(stage, by)
    for name, who, call in (("t4a", "C", "1"), ("t4b", "A2", "consult")):
        mark = people.mark()
        if by == "cti":
            stage.cti("A1", "alternate")
            stage.now(name)
        else:
            stage.at(name, people.wait("A1", "retrieved", people.tell("A1", "switch", call=call)))
        people.hears("A1", who, since=mark)
        people.hears(who, "A1", since=mark)
        talk(1.6)
    finish(stage, by)


TOGGLED = changed(
    gaps=[QUEUED, gap("t2", "t4a", "hold"), gap("t4b", "t5", "hold")],
    segments=[segment("F1", "london", "A1", "U1", HEAD, on_hold("t2", "t4a", "C"), part("t4a", "t4b", ["A1"], ["C"]),
                      on_hold("t4b", "t5", "C")),
              segment("F2", "paris", "A2", "U2", part("t4", "t4a", ["A2"], ["A1"]), on_hold("t4a", "t4b", "A1"),
                      part("t4b", "t5", ["A2"], ["A1"]), part("t5", "t6", ["A2"], ["C"]))])


def rejected(stage):
    people = stage.people
    people.send(cmd="answer-mode", phone="A2", mode="reject")
    head(stage)
    talk()
    stage.ready("A2")
    mark = people.mark()
    stage.cti("A1", "consultation", to=stage.dns["A2"])
    stage.now("t2")
    stage.at("t3", people.wait("A2", "rejecting", mark))
    # Too short a hold for A1 to notice; the file tells.
    stage.times["t5"] = stage.times["t3"]
    talk()
    hang_up(stage, "t6", "A1")


REJECTED = changed(
    calls=[U1, U1C, U2], links=[CONSULT, ROUTE], gaps=[QUEUED],
    segments=[segment("F1", "london", "A1", "U1", HEAD, part("t5", "t6", ["A1"], ["C"]))])


def completed_while_ringing(stage):
    people = stage.people
    people.send(cmd="answer-mode", phone="A2", mode="manual")
    head(stage)
    talk()
    consult(stage, "cti")
    talk(QUEUE_S)
    mark = people.mark()
    stage.ready("A2")
    stage.at("t3", people.wait("A2", "ringing", mark))
    talk(QUEUE_S)
    complete(stage, "cti")
    stage.at("t5", people.wait("A1", "ended", mark))
    stage.not_ready("A2")
    talk(QUEUE_S)
    people.send(cmd="answer", phone="A2")
    stage.at("t4", people.wait("A2", "established", mark))
    people.hears("A2", "C", since=mark)
    has_left(stage, "t5x", mark)
    if people.wait("C", "referred", mark)["at_ms"] / 1000 < stage.times["t4"]:
        raise RuntimeError("london left before A2 answered")
    talk()
    hang_up(stage, "t6")


WHILE_RINGING = changed(
    gaps=[QUEUED, gap("t2", "t5", "hold"), gap("t5", "t4", "queue")],
    segments=[F1, segment("F2", "paris", "A2", "U2", part("t4", "t6", ["A2"], ["C"]))])


def completed_while_queued(stage):
    people = stage.people
    head(stage)
    talk()
    consult(stage, "cti")
    talk(QUEUE_S)
    mark = complete(stage, "cti")
    stage.at("t5", people.wait("A1", "ended", mark))
    talk(QUEUE_S)
    scenarios.a2_answers(stage, ["C"])
    talk()
    hang_up(stage, "t6")


WHILE_QUEUED = changed(
    ends={"U1": {"to": "t6"}}, gaps=[QUEUED, gap("t2", "t5", "hold"), gap("t5", "t4", "queue")],
    links=[{**CONSULT, "ended": "t5"}, {"link": "L1", "from_call": "U1", "to_call": "U2", "kind": "transfer", "at": "t3"}],
    segments=[F1, segment("F2", "paris", "A2", "U2", part("t4", "t6", ["A2"], ["C"]))])


def customer_gone(stage):
    """C hangs up on hold; A1 and A2 go on talking until A1 hangs up."""
    people = stage.people
    to_consult(stage)
    mark = people.tell("C", "hangup")
    stage.at("t5", people.wait("C", "ended", mark))
    talk(QUEUE_S)
    people.send(cmd="hangup", phone="A1")
    stage.at("t6", people.wait("A2", "ended", mark))


CUSTOMER_GONE = changed(
    calls=[{**U1, "to": "t5"}, {**U1C, "to": "t6"}, {**U2, "to": "t6"}], links=[CONSULT, ROUTE],
    gaps=[QUEUED, gap("t2", "t5", "hold")],
    segments=[F1, segment("F2", "paris", "A2", "U2", part("t4", "t6", ["A2"], ["A1"]))])


def back_at_london(stage):
    """london to paris and back: A2 transfers to A1, who is free again."""
    people = stage.people
    since = head(stage)
    talk()
    people.send(cmd="refer", phone="A1", to=stage.queue_uri())
    stage.at("t2", people.wait("A1", "ended", since))
    scenarios.a2_answers(stage, ["C"])
    talk()
    stage.ready("A1")
    mark = people.tell("A2", "refer", to=stage.uri("A1", at="paris"))
    stage.at("t5", people.wait("A2", "ended", mark))
    stage.at("t6", people.wait("A1", "established", mark))
    people.hears("A1", "C", since=mark)
    scenarios.shows(stage, "C", "A1", mark)
    talk()
    hang_up(stage, "t7", "A1")


BACK_AT_LONDON = changed(
    calls=[{**U1, "to": "t7"}, {**U2, "to": "t7"}, {"call": "U3", "site": "london", "from": "t5", "to": "t7"}],
    links=[{"link": "L1", "from_call": "U1", "to_call": "U2", "kind": "transfer", "at": "t3"},
           {"link": "L2", "from_call": "U2", "to_call": "U3", "kind": "transfer", "at": "t5"}],
    gaps=[QUEUED, gap("t2", "t4", "queue"), gap("t5", "t6", "queue")],
    segments=[segment("F1", "london", "A1", "U1", HEAD), segment("F2", "paris", "A2", "U2", part("t4", "t5", ["A2"], ["C"])),
              segment("F3", "london", "A1", "U3", part("t6", "t7", ["A1"], ["C"]))])


@dataclasses.dataclass
class Play:
    script: object
    oracle: dict
    unrecorded: tuple = ()
    a2: str = "paris"
    stage: dict = dataclasses.field(default_factory=dict)

    def __call__(self, world, lane):
        stage = Stage(world, lane, self.a2, **self.stage)
        try:
            self.script(stage)
            if self.stage.get("carrier") == "keeper":
                assert not stage.people.seen("C", "referred"), "a trunk was asked that may not be asked"
            if self.stage.get("refer_policy"):
                assert stage.people.seen("C", "referred"), "no trunk was asked"
            if self.stage.get("carrier") == "keeper" or self.stage.get("refer_policy") in ("refuse", "accept-then-fail"):
                scenarios.shows(stage, "C", "A2", 0)
        finally:
            stage.close()
        if len(self.unrecorded) == 2:
            return kept_though_not_listed(stage, self.oracle)
        return scenarios.judge(stage, self.oracle)


def kept_though_not_listed(stage, oracle):
    """Nothing was recorded: nothing is listed, but who asks for one of its calls is told all that was, and why there is no file."""
    call = next(fact["data"]["calluuid"] for fact in facts_of(stage.world)
                if fact["type"] == "call.started" and fact["data"]["ani"] == stage.number)

    def complete():
        recording = stage.world.recording(call)
        return recording if recording and recording["state"] == "complete" else None

    recording, problems, _ = scenarios.held_against(stage, oracle, stage.world.wait_for("its last fact", complete))
    calls = {recording["id"], *recording["aliases"]}
    problems += [f"{fact['type']} of {fact['data']['calluuid']}" for fact in facts_of(stage.world)
                 if fact["type"].startswith("segment.") and fact["data"].get("calluuid") in calls]
    return recording, problems + [f"listed: {item['id']}" for item in stage.recordings()]


def facts_of(world):
    path = world.folder / "archive" / "archive.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return [{"type": kind, "data": json.loads(data)} for kind, data in database.execute("SELECT type, data FROM facts")]


def consult_transfer(**how):
    return lambda stage: scenarios.consult_transfer(stage, **how)


class Variations(Lanes):
    plays = {
        "toggled by CTI": Play(toggled, TOGGLED),
        "toggled by phone": Play(lambda stage: toggled(stage, "phone"), TOGGLED),
        "completed while ringing": Play(completed_while_ringing, WHILE_RINGING),
        "completed while queued": Play(completed_while_queued, WHILE_QUEUED, stage={"refer_policy": "refuse"}),
        "A2 not recorded": Play(consult_transfer(), changed(gaps=[*oracle_of("consult-transfer")["gaps"],
                                                                 gap("t5", "t6", "not-selected")]), ("A2",)),
        "neither recorded": Play(consult_transfer(), changed(gaps=[QUEUED, gap("t1", "t2", "not-selected"), gap("t2", "t5", "hold"),
                                                                   gap("t5", "t6", "not-selected")]), ("A1", "A2")),
        "given up by CTI": Play(given_up, GIVEN_UP),
        "given up by phone": Play(lambda stage: given_up(stage, "phone"), GIVEN_UP),
        "A2 rejects": Play(rejected, REJECTED),
        "C hangs up on hold": Play(customer_gone, CUSTOMER_GONE),
        "back at london": Play(back_at_london, BACK_AT_LONDON),
        "local by CTI": Play(consult_transfer(), oracle_of("consult-transfer-local"), a2="london"),
        "local by phone": Play(consult_transfer(by="phone", hold="zero"), oracle_of("consult-transfer-local"), a2="london"),
        "trunk not asked": Play(consult_transfer(by="phone"), changed(), stage={"carrier": "keeper"}),
        "trunk refuses": Play(consult_transfer(), changed(), stage={"refer_policy": "refuse"}),
        "trunk fails": Play(consult_transfer(), changed(), stage={"refer_policy": "accept-then-fail"}),
        "trunk silent": Play(consult_transfer(), changed(), stage={"refer_policy": "silent"}),
        "trunk forgets": Play(consult_transfer(), changed(), stage={"refer_policy": "accept-then-silent"}),
    }
    options = {"record": {dn_for(who, play.a2 if who == "A2" else "london", lane): "never"
                          for lane, play in enumerate(plays.values()) for who in play.unrecorded}}

    def test_a_toggle_by_cti_is_two_holds(self):
        self.played("toggled by CTI")

    def test_a_toggle_by_phone_is_two_holds(self):
        self.played("toggled by phone")

    def test_completed_while_a2_rings(self):
        recording = self.played("completed while ringing")
        self.assertIn("ringing", [gap["reason"] for gap in recording["gaps"][-2:]], recording["gaps"])
        plays = [(fact["type"], fact["data"]["calluuid"]) for fact in facts_of(self.world)
                 if fact["data"].get("treatment") == "music:ringback" and fact["data"]["calluuid"] == recording["id"]]
        self.assertEqual([kind for kind, _ in plays], ["treatment.started", "treatment.ended"])

    def test_completed_while_still_queued(self):
        self.played("completed while queued")

    def test_a2_not_recorded_leaves_one_file_and_the_whole_chain(self):
        self.played("A2 not recorded")

    def test_neither_recorded_is_not_listed_has_no_file_and_every_moment_says_why(self):
        recording = self.played("neither recorded")
        self.assertEqual(recording["segments"], [])
        self.assertEqual(self.media_that_name([recording["id"], *recording["aliases"]]), [])
        self.assertNotEqual(self.media_that_name([self.played("A2 rejects")["id"]]), [])

    def media_that_name(self, calls):
        """Journals and segments at the media servers in which one of these calls is named."""
        names = [call.encode() for call in calls]
        return [str(path) for path in self.world.folder.glob("*-media/**/*")
                if path.is_file() and any(name in path.read_bytes() for name in names)]

    def test_a_consult_given_up_by_cti_is_the_same_recording(self):
        self.played("given up by CTI")

    def test_a_consult_given_up_by_phone_is_the_same_recording(self):
        self.played("given up by phone")

    def test_a2_rejects_and_a1_has_the_customer_again(self):
        self.played("A2 rejects")

    def test_the_customer_hangs_up_on_hold(self):
        self.played("C hangs up on hold")

    def test_back_at_a_site_already_visited(self):
        self.played("back at london")

    def test_consult_inside_one_site_by_cti(self):
        self.played("local by CTI")

    def test_consult_inside_one_site_by_a_phone_that_holds_by_zero_address(self):
        self.played("local by phone")

    def test_a_trunk_that_may_not_be_asked_is_not_asked(self):
        self.assert_media_passes(self.played("trunk not asked"), "keeper")

    def test_a_trunk_that_refuses_changes_nothing(self):
        self.assert_media_passes(self.played("trunk refuses"))

    def assert_media_passes(self, recording, carrier="carrier"):
        """Where london cannot leave its media server has: paris is told to talk with the customer's carrier, and that with
        paris."""
        _, ladder = self.world.cti("london", "GET", f"/v1/calls/{recording['id']}/messages")
        sent = [(m["remote"].split(":")[1], m["message"]) for m in ladder["messages"] if m["direction"] == "sent"]
        offered = [(to, re.search(r"\nc=IN IP4 (\S+)", text)[1]) for to, text in sent
                   if text.startswith("INVITE ") and "\nc=IN IP4 " in text]
        paris, carrier = ADDRESSES["paris"], ADDRESSES[carrier]
        self.assertIn((paris, carrier), offered)
        self.assertIn((carrier, paris), offered)

    def test_a_trunk_that_accepts_and_fails_changes_nothing(self):
        self.played("trunk fails")

    def test_a_trunk_that_never_answers_changes_nothing(self):
        self.played("trunk silent")

    def test_a_trunk_that_accepts_and_forgets_changes_nothing(self):
        self.played("trunk forgets")


if __name__ == "__main__":
    unittest.main(verbosity=2)
