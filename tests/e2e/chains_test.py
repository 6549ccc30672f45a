# SPDX-License-Identifier: Apache-2.0
"""Calls that go on and on: three sites, agents who never answer, queues that overflow, and requests that are refused."""
import unittest

from lanes import Lanes
from oracles import CONSULT, F1, HEAD, QUEUED, ROUTE, U1, U1C, U2, changed, gap, on_hold, part, segment
from sip_probe import Probe

from lab import scenarios
from lab.scenarios import QUEUE_S, a2_answers, complete, consult, hang_up, has_left, head, take_call, talk
from lab.stage import Stage, dn_for
from lab.world import ADDRESSES

RING_MS = 2000        # how long a phone rings here before its switch gives it up
OVERFLOW_MS = 2000


def first_point(lane):
    return f"88{lane:02}"


def second_point(lane):
    return f"89{lane:02}"


# ---- three sites ----------------------------------------------------------------------------------------------------
def on_to_a3(stage):
    """A2 at paris gives C to A3 at the hub, who is the last."""
    people = stage.people
    stage.ready("A3")
    mark = people.tell("A2", "refer", to=stage.uri("A3", at="paris"))
    stage.at("t7", people.wait("A2", "ended", mark))
    stage.at("t8", people.wait("A3", "established", mark))
    people.hears("A3", "C", since=mark)
    people.hears("C", "A3", since=mark)
    talk()
    hang_up(stage, "t9", "A3")


def three_sites(stage):
    """london to paris by a consult, after which london leaves; paris to the hub in a single step."""
    people = stage.people
    head(stage)
    talk()
    consult(stage, "cti")
    people.hears("A1", "A2", since=a2_answers(stage, ["A1"]))
    talk()
    mark = complete(stage, "cti")
    stage.at("t5", people.wait("A1", "ended", mark))
    people.hears("A2", "C", since=mark)
    has_left(stage, "t5x", mark)
    talk()
    on_to_a3(stage)


THREE_SITES = changed(
    calls=[{**U1, "to": "t5x"}, {**U1C, "merged_into": "U1"}, {**U2, "to": "t9"},
           {"call": "U3", "site": "hub", "from": "t7", "to": "t9"}],
    links=[*scenarios.oracle_of("consult-transfer")["links"],
           {"link": "L3", "from_call": "U2", "to_call": "U3", "kind": "transfer", "at": "t7"}],
    gaps=[QUEUED, gap("t2", "t5", "hold"), gap("t7", "t8", "queue")],
    segments=[F1, segment("F2", "paris", "A2", "U2", part("t4", "t5", ["A2"], ["A1"]), part("t5", "t7", ["A2"], ["C"])),
              segment("F3", "hub", "A3", "U3", part("t8", "t9", ["A3"], ["C"]))])


def middle_not_recorded(stage):
    """london to paris to the hub, each in a single step; of A2 there is no file."""
    people = stage.people
    since = head(stage)
    talk()
    people.send(cmd="refer", phone="A1", to=stage.queue_uri())
    stage.at("t2", people.wait("A1", "ended", since))
    a2_answers(stage, ["C"])
    talk()
    on_to_a3(stage)


MIDDLE_NOT_RECORDED = changed(
    calls=[{"call": name, "site": site, "from": first, "to": "t9"}
           for name, site, first in (("U1", "london", "t0"), ("U2", "paris", "t3"), ("U3", "hub", "t7"))],
    links=[{"link": "L1", "from_call": "U1", "to_call": "U2", "kind": "transfer", "at": "t3"},
           {"link": "L2", "from_call": "U2", "to_call": "U3", "kind": "transfer", "at": "t7"}],
    gaps=[QUEUED, gap("t2", "t4", "queue"), gap("t4", "t7", "not-selected"), gap("t7", "t8", "queue")],
    segments=[segment("F1", "london", "A1", "U1", HEAD), segment("F3", "hub", "A3", "U3", part("t8", "t9", ["A3"], ["C"]))])


# ---- nobody answers -------------------------------------------------------------------------------------------------
def rings_in_vain(stage, mark):
    """A2's phone rings until it is given up."""
    stage.at("t3", stage.people.wait("A2", "ringing", mark))
    stage.at("t4", stage.people.wait("A2", "ended", mark, timeout=RING_MS / 1000 + 5))


def consult_in_vain(stage):
    people = stage.people
    people.send(cmd="answer-mode", phone="A2", mode="manual")
    head(stage)
    talk()
    stage.ready("A2")
    mark = people.mark()
    stage.cti("A1", "consultation", to=stage.dns["A2"])
    stage.now("t2")
    rings_in_vain(stage, mark)
    people.hears("C", "A1", since=mark)
    people.hears("A1", "C", since=mark)
    stage.times["t5"] = stage.times["t4"]
    talk()
    hang_up(stage, "t6", "A1")


CONSULT_IN_VAIN = changed(
    calls=[U1, U1C, U2], links=[CONSULT, ROUTE], gaps=[QUEUED, gap("t2", "t5", "hold")],
    segments=[segment("F1", "london", "A1", "U1", HEAD, on_hold("t2", "t5", "C"), part("t5", "t6", ["A1"], ["C"]))])


def transfer_in_vain(stage):
    """C is given to A2, who does not answer, waits again, and has A1 once more."""
    people = stage.people
    people.send(cmd="answer-mode", phone="A2", mode="manual")
    head(stage)
    talk()
    stage.ready("A2")
    mark = people.tell("A1", "refer", to=stage.uri("A2", at="london"))
    stage.at("t2", people.wait("A1", "ended", mark))
    rings_in_vain(stage, mark)
    talk(QUEUE_S)
    mark = people.mark()
    _, established = take_call(stage, "A1", mark)
    stage.at("t5", established)
    people.hears("A1", "C", since=mark)
    talk()
    hang_up(stage, "t6", "A1")


TRANSFER_IN_VAIN = changed(
    calls=[U1, {**U2, "to": "t4"}], links=[{"link": "L1", "from_call": "U1", "to_call": "U2", "kind": "transfer", "at": "t3"}],
    gaps=[QUEUED, gap("t2", "t5", "queue")],
    segments=[segment("F1", "london", "A1", "U1", HEAD), segment("F2", "london", "A1", "U1", part("t5", "t6", ["A1"], ["C"]))])


def gone_while_a2_rings(stage):
    """C hangs up on hold while A2's phone rings; A1 still has A2."""
    people = stage.people
    people.send(cmd="answer-mode", phone="A2", mode="manual")
    head(stage)
    talk()
    consult(stage, "cti")
    talk(QUEUE_S)
    mark = people.mark()
    stage.ready("A2")
    stage.at("t3", people.wait("A2", "ringing", mark))
    mark = people.tell("C", "hangup")
    stage.at("t5", people.wait("C", "ended", mark))
    people.send(cmd="answer", phone="A2")
    stage.at("t4", people.wait("A2", "established", mark))
    people.hears("A2", "A1", since=mark)
    talk()
    people.send(cmd="hangup", phone="A1")
    stage.at("t6", people.wait("A2", "ended", mark))


GONE_WHILE_A2_RINGS = changed(
    calls=[{**U1, "to": "t5"}, {**U1C, "to": "t6"}, {**U2, "to": "t6"}], links=[CONSULT, ROUTE],
    gaps=[QUEUED, gap("t2", "t5", "hold")],
    segments=[segment("F1", "london", "A1", "U1", HEAD, on_hold("t2", "t5", "C")),
              segment("F2", "paris", "A2", "U2", part("t4", "t6", ["A2"], ["A1"]))])


# ---- a phone by itself, in an early dialog --------------------------------------------------------------------------
def named_while_it_rings(stage):
    """A1's phone calls A2's directly, and asks to put C in the place of that call while it rings."""
    people = stage.people
    people.send(cmd="answer-mode", phone="A2", mode="manual")
    head(stage)
    talk()
    people.wait("A1", "held", people.tell("A1", "hold"))
    stage.ready("A2")
    mark = people.tell("A1", "call", to=stage.uri("A2", at="london"), call="consult")
    stage.at("t2", people.wait("A1", "calling", mark))
    stage.at("t3", people.wait("A2", "ringing", mark))
    people.wait("A1", "progress", mark)
    talk(1.0)
    mark = complete(stage, "phone")
    stage.at("t5", people.wait("A1", "ended", mark))
    talk(0.3)
    people.send(cmd="answer", phone="A2")
    stage.at("t4", people.wait("A2", "established", mark))
    people.hears("A2", "C", since=mark)
    people.hears("C", "A2", since=mark)
    has_left(stage, "t5x", mark)
    talk()
    hang_up(stage, "t6")


NAMED_WHILE_IT_RINGS = changed(
    gaps=[QUEUED, gap("t2", "t5", "hold"), gap("t5", "t4", "queue")],
    segments=[F1, segment("F2", "paris", "A2", "U2", part("t4", "t6", ["A2"], ["C"]))])


# ---- a queue that overflows -----------------------------------------------------------------------------------------
def overflow_lines(site, lane):
    """A queue for A1 alone; whoever waits there too long goes to another one, for A3 at the hub alone."""
    if site != "london":
        return []
    return ["[[switch.routing_point]]", f'dn="{first_point(lane)}"', 'treatment=["music:default"]',
            f'targets=["agent:{dn_for("A1", "london", lane)}"]', f'overflow="routing_point:{second_point(lane)}"',
            f"overflow_after_ms={OVERFLOW_MS}", "",
            "[[switch.routing_point]]", f'dn="{second_point(lane)}"', 'treatment=["music:default"]',
            f'targets=["agent:{dn_for("A3", "hub", lane)}@hub"]', ""]


def overflown(stage):
    """A1 is not ready, and A3 is."""
    people = stage.people
    stage.ready("A3")
    since = people.call("C", first_point(stage.lane), "london")
    stage.at("t0", people.wait("C", "established", since))
    stage.at("t3", people.wait("A3", "ringing", since, timeout=OVERFLOW_MS / 1000 + 5))
    if not OVERFLOW_MS - 300 < 1000 * (stage.times["t3"] - stage.times["t0"]) < OVERFLOW_MS + 1500:
        raise RuntimeError(f"overflowed after {stage.times['t3'] - stage.times['t0']:.2f} s")
    stage.at("t4", people.wait("A3", "established", since))
    people.hears("A3", "C", since=since)
    talk()
    hang_up(stage, "t6", "A3")


OVERFLOWN = changed(
    calls=[U1, {"call": "U2", "site": "hub", "from": "t3", "to": "t6"}],
    links=[{"link": "L1", "from_call": "U1", "to_call": "U2", "kind": "route", "at": "t3"}], gaps=[gap("t0", "t4", "queue")],
    segments=[segment("F1", "hub", "A3", "U2", part("t4", "t6", ["A3"], ["C"]))])


# ---- what is refused ------------------------------------------------------------------------------------------------
GONE = "Replaces=gone%40nowhere%3Bto-tag%3Da%3Bfrom-tag%3Db"


def refused_refers(stage):
    """A1's phone asks for what cannot be, and a stranger asks at all."""
    people = stage.people
    london = f"{ADDRESSES['london']}:{stage.world.ports.sip}"
    for to, status in ((f"sip:5999@{london}", 404), (stage.uri("A1"), 403), (f"sip:{london}?{GONE}", 404),
                       (f"sip:{dn_for('A2', 'london', stage.lane)}@{london}", 480), ("mailto:a@b", 416), (f"sip:{london}", 404)):
        mark = people.tell("A1", "refer", to=to)
        people.wait("A1", "refer-failed", mark, where=lambda e, status=status: e["status"] == status)
    mark = people.tell("C", "refer", to=stage.queue_uri())
    people.wait("C", "refer-failed", mark, where=lambda e: e["status"] == 403)
    stranger = Probe("127.0.0.77", 0, (ADDRESSES["london"], stage.world.ports.sip), "stranger")
    stranger.request("REFER", stage.dns["A1"], [("Refer-To", f"<{stage.queue_uri()}>")])
    answer = stranger.final("REFER")
    stranger.close()
    if answer is None or answer.status not in (405, 481):
        raise RuntimeError(f"a stranger's REFER outside of any call: {answer and answer.text}")


def refused_services(stage, call):
    """By CTI: in the wrong state, for another's call, a call that is gone, unknown fields and services."""
    stage.cti("A1", "retrieve", call, want=409)
    stage.cti("A1", "answer", call, want=409)
    stage.cti("A1", "transfer", call, want=409)
    stage.cti("A1", "recording/resume", call, want=409)
    stage.cti("A2", "clear", call, want=404)
    stage.cti("A1", "clear", "gone", want=404)
    stage.cti("A1", "single-step-transfer", call, to="5999", want=404)
    stage.cti("A1", "single-step-transfer", call, want=400)
    answer = stage.cti("A1", "clear", call, colour="red", want=400)
    if "colour" not in str(answer):
        raise RuntimeError(f"the field is not named: {answer}")
    stage.cti("A1", "sing", call, want=404)


def refused(stage):
    """Whatever is refused is as if it had not been asked; what is asked twice is done once."""
    people = stage.people
    head(stage)
    talk()
    call = stage.calls("A1")[0]
    since = people.mark()
    refused_refers(stage)
    refused_services(stage, call)
    if [e for e in people.events[since:] if e["event"] in ("hears", "ended", "was-held", "identity")]:
        raise RuntimeError("something refused was noticed by somebody in the call")
    if stage.calls("A1") != [call]:
        raise RuntimeError("the calls are not what they were")
    talk()
    mark = people.mark()
    stage.cti("A1", "hold", call)
    stage.now("t2")
    people.hears("C", since=mark)
    stage.cti("A1", "hold", call, want=409)
    talk()
    mark = people.mark()
    stage.cti("A1", "retrieve", call)
    stage.now("t3")
    people.hears("C", "A1", since=mark)
    talk()
    mark = people.mark()
    stage.cti("A1", "clear", call)
    stage.at("t6", people.wait("C", "ended", mark))
    people.wait("A1", "ended", mark)
    stage.cti("A1", "clear", call, want=404)


REFUSED = changed(
    calls=[U1], links=[], gaps=[QUEUED, gap("t2", "t3", "hold")],
    segments=[segment("F1", "london", "A1", "U1", HEAD, on_hold("t2", "t3", "C"), part("t3", "t6", ["A1"], ["C"]))])


def play(script, oracle, **how):
    def run(world, lane):
        stage = Stage(world, lane, **how)
        try:
            script(stage)
        finally:
            stage.close()
        return scenarios.judge(stage, oracle)
    return run


class Chains(Lanes):
    sites = ("london", "paris", "hub")
    plays = {
        "three sites": play(three_sites, THREE_SITES, a3="hub"),
        "the middle not recorded": play(middle_not_recorded, MIDDLE_NOT_RECORDED, a3="hub"),
        "refused": play(refused, REFUSED),
        "transfer in vain": play(transfer_in_vain, TRANSFER_IN_VAIN),
        "consult in vain": play(consult_in_vain, CONSULT_IN_VAIN),
        "gone while A2 rings": play(gone_while_a2_rings, GONE_WHILE_A2_RINGS),
        "named while it rings": play(named_while_it_rings, NAMED_WHILE_IT_RINGS),
        "overflown": play(overflown, OVERFLOWN, a3="hub"),
    }
    options = {"names": {"hub": ("Grace",)}, "switch": {site: [f"ring_timeout_ms={RING_MS}"] for site in ("london", "paris")},
               "record": {dn_for("A2", "paris", list(plays).index("the middle not recorded")): "never"},
               "further_points": overflow_lines}

    def test_three_sites_in_a_chain_of_which_the_first_has_left(self):
        recording = self.played("three sites")
        self.assertEqual([s["site"] for s in recording["segments"]], ["london", "paris", "hub"])

    def test_a_site_that_records_nothing_does_not_part_those_before_and_after_it(self):
        self.played("the middle not recorded")

    def test_who_consults_somebody_who_never_answers_has_the_customer_again(self):
        self.played("consult in vain")

    def test_a_customer_given_to_somebody_who_never_answers_waits_in_the_queue_again(self):
        self.played("transfer in vain")

    def test_the_customer_hangs_up_while_the_consulted_phone_rings(self):
        self.played("gone while A2 rings")

    def test_a_phone_refers_to_its_own_call_that_still_rings(self):
        self.played("named while it rings")

    def test_a_call_that_has_waited_too_long_goes_to_another_queue_and_to_its_agent(self):
        self.played("overflown")

    def test_what_is_refused_changes_nothing_and_what_is_asked_twice_is_done_once(self):
        self.played("refused")


if __name__ == "__main__":
    unittest.main(verbosity=2)
