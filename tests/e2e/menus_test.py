# SPDX-License-Identifier: Apache-2.0
"""A central queue that asks first: digits, branches, positions, and the way back to it by a consult; feature codes."""
import pathlib
import unittest

from lanes import Lanes

from lab import scenarios
from lab.scenarios import QUEUE_S, hang_up, take_call, talk
from lab.stage import Stage
from lab.world import ADDRESSES, PREFIX

POSITION_MS = 1000


def service_point(lane):
    return f"39{lane:02}"


def menu_lines(site, lane):
    if site != "hub":
        return []
    return ['menu=["say:menu"]', 'menu_invalid=["say:invalid"]', "menu_timeout_ms=500", "menu_repeats=1",
            f'menu_choices=["1=queue", "2=routing_point:{service_point(lane)}"]']


def service_lines(site, lane):
    if site != "hub":
        return []
    agents = [f"agent:{PREFIX[at]}{lane:02}1@{at}" for at in ("london", "paris")]
    return ["[[switch.routing_point]]", f'dn="{service_point(lane)}"', 'treatment=["music:default"]',
            "targets=[" + ", ".join(f'"{a}"' for a in agents) + "]", 'record="always"', f"position_ms={POSITION_MS}", ""]


def call_the_hub(stage):
    people = stage.people
    since = people.call("C", stage.queue("hub")[1], "hub")
    stage.at("t0", people.wait("C", "established", since))
    return since


def press(stage, digits):
    stage.people.send(cmd="dtmf", phone="C", digits=digits)


def events(recording, event):
    return [e for e in recording["events"] if e["event"] == event]


# ---- the plays ------------------------------------------------------------------------------------------------------
def qualified_and_back(stage):
    """C chooses service while the menu is said; A1 takes the call, consults the hub's service queue and completes."""
    people = stage.people
    since = call_the_hub(stage)
    talk(QUEUE_S)
    press(stage, "72")   # the first is no choice
    talk(POSITION_MS / 1000 + 1)
    ringing, established = take_call(stage, "A1", since)
    stage.at("t3", ringing)
    stage.at("t4", established)
    people.hears("A1", "C", since=since)
    stage.not_ready("A1")
    talk()
    stage.cti("A1", "consultation", to=service_point(stage.lane))
    stage.now("t4a")
    talk(QUEUE_S)
    mark = people.mark()
    stage.cti("A1", "transfer")
    stage.at("t5", people.wait("A1", "ended", mark))
    talk(QUEUE_S)
    scenarios.a2_answers(stage, ["C"], rings="t6", answered="t7")
    talk()
    hang_up(stage, "t8")


def nothing_pressed(stage):
    """C presses nothing: the menu twice, then its own queue."""
    people = stage.people
    since = call_the_hub(stage)
    talk(10 + QUEUE_S)   # twice the menu and half a second each
    ringing, established = take_call(stage, "A1", since)
    stage.at("t3", ringing)
    stage.at("t4", established)
    people.hears("A1", "C", since=since)
    talk()
    stage.now("t4a")
    press(stage, "1")    # to A1, and to nobody else
    talk(0.8)
    stage.now("t4b")
    talk()
    mark = people.tell("C", "hangup")
    stage.at("t8", people.wait("C", "ended", mark))
    people.wait("A1", "ended", mark)


def feature_codes(stage):
    """A1's phone makes itself ready, takes a call, and makes itself not ready."""
    people, world = stage.people, stage.world
    dn = stage.dns["A1"]

    def dial(code, state):
        mark = people.tell("A1", "call", to=f"sip:{code}@{ADDRESSES['london']}:{world.ports.sip}", call="code")
        people.wait("A1", "established", mark)
        ended = people.wait("A1", "ended", mark)
        assert ended["by"] == "them", ended
        world.wait_for(f"{dn} {state}", lambda: world.agent_state("london", dn) == state)

    dial("*11", "ready")
    since = people.call("C", stage.queue()[1], "london")
    people.wait("A1", "established", since)
    people.hears("A1", "C", since=since)
    mark = people.tell("C", "hangup")
    people.wait("A1", "ended", mark)
    world.wait_for("wrap-up", lambda: world.agent_state("london", dn) == "wrap-up")
    dial("*13", "ready")
    dial("*12", "not-ready")
    mark = people.call("C", "*11", "london")
    failed = people.wait("C", "failed", mark)
    assert failed["status"] == 404, failed


def part(first, last, said=(), heard=(), **more):
    return {"from": first, "to": last, "said": list(said), "heard": list(heard), **more}


QUALIFIED = {
    "calls": [{"call": "UQ", "site": "hub", "from": "t0", "to": "t8"},
              {"call": "UA", "site": "london", "from": "t3", "to": "t5"},
              {"call": "UAc", "site": "london", "from": "t4a", "to": "t5", "consult_of": "UA"},
              {"call": "UQc", "site": "hub", "from": "t4a", "to": "t5", "merged_into": "UQ"},
              {"call": "UA2", "site": "paris", "from": "t6", "to": "t8"}],
    "links": [{"link": "L1", "from_call": "UQ", "to_call": "UA", "kind": "route", "at": "t3"},
              {"link": "LC", "from_call": "UA", "to_call": "UAc", "kind": "consult", "at": "t4a"},
              {"link": "L3", "from_call": "UAc", "to_call": "UQc", "kind": "route", "at": "t4a"},
              {"link": "L4", "from_call": "UQ", "to_call": "UQc", "kind": "transfer", "at": "t5"},
              {"link": "L2", "from_call": "UQ", "to_call": "UA2", "kind": "route", "at": "t6"}],
    "gaps": [{"from": "t0", "to": "t4", "reason": "queue"}, {"from": "t4a", "to": "t5", "reason": "hold"},
             {"from": "t5", "to": "t7", "reason": "queue"}],
    "segments": [{"segment": "F1", "site": "hub", "recorded": "A1", "call": "UQ", "from": "t4", "to": "t5",
                  "voices": [part("t4", "t4a", ["A1"], ["C"]), part("t4a", "t5", label="hold", held=["A1"])]},
                 {"segment": "F2", "site": "hub", "recorded": "A2", "call": "UQ", "from": "t7", "to": "t8",
                  "voices": [part("t7", "t8", ["A2"], ["C"])]}],
}
NOTHING = {
    "calls": [{"call": "UQ", "site": "hub", "from": "t0", "to": "t8"}, {"call": "UA", "site": "london", "from": "t3", "to": "t8"}],
    "links": [{"link": "L1", "from_call": "UQ", "to_call": "UA", "kind": "route", "at": "t3"}],
    "gaps": [{"from": "t0", "to": "t4", "reason": "queue"}],
    "segments": [{"segment": "F1", "site": "hub", "recorded": "A1", "call": "UQ", "from": "t4", "to": "t8",
                  "voices": [part("t4", "t4a", ["A1"], ["C"]), part("t4b", "t8", ["A1"], ["C"])]}],
}


def play(script, oracle=None):
    def run(world, lane):
        stage = Stage(world, lane)
        try:
            script(stage)
        finally:
            stage.close()
        return scenarios.judge(stage, oracle) if oracle else (None, [])
    return run


class Menus(Lanes):
    sites = ("london", "paris", "hub")
    plays = {"qualified": play(qualified_and_back, QUALIFIED), "nothing": play(nothing_pressed, NOTHING),
             "codes": play(feature_codes)}
    options = {"routing_point": menu_lines, "further_points": service_lines,
               "switch": {"london": ['ready_code="*11"', 'not_ready_code="*12"', 'wrap_up_done_code="*13"',
                                     "wrap_up_ms=60000"]},
               "record": {"1021": "never"}}

    def test_a_caller_chooses_and_comes_back_to_the_hubs_queue_by_a_consult(self):
        recording = self.played("qualified")
        # The menu, the words for a wrong digit and a position, each heard by C.
        self.assertGreaterEqual(len(events(recording, "announcement-played")), 3, recording["events"])
        self.no_digit_but_in_the_journal()

    def no_digit_but_in_the_journal(self):
        """Only what a menu has asked for: three digits were pressed in it by all callers, one was pressed to an agent."""
        for play_ in self.outcomes.values():
            play_.result()
        folder = pathlib.Path(self.world.folder)
        digits = [line for path in folder.glob("*-switch/switch-journal-*.jsonl") for line in path.read_text().splitlines()
                  if '"LegDigit"' in line]
        self.assertEqual(len(digits), 2, digits)
        for log in folder.glob("*.log"):
            if not log.name.startswith("lab"):
                self.assertNotIn("digit", log.read_text(errors="replace").lower(), log)

    def test_who_presses_nothing_waits_in_the_menus_own_queue(self):
        recording = self.played("nothing")
        self.assertGreaterEqual(len(events(recording, "announcement-played")), 2, recording["events"])

    def test_a_phone_says_by_codes_that_its_agent_is_ready(self):
        self.played("codes")


if __name__ == "__main__":
    unittest.main(verbosity=2)
