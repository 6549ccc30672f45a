# SPDX-License-Identifier: Apache-2.0
"""Plays the scenarios of tests/oracle/scenarios.json with simulated people and holds the archive against the oracle."""
import json
import pathlib
import time

from .checker import Check
from .people import People
from .world import NUMBERS

ORACLE = json.loads((pathlib.Path(__file__).resolve().parents[2] / "tests/oracle/scenarios.json").read_text())
TALK_S = 2.4   # how long people talk in each part: long enough for a listener to judge every second


def oracle_of(scenario):
    return next(s for s in ORACLE["scenarios"] + ORACLE["also"] if s["id"] == scenario)


def talk(duration=TALK_S):
    """The people talk. Nothing is awaited here: this is the sound that the checker listens to later."""
    time.sleep(duration)


class Stage:
    """The people of one scenario: C at the carrier, A1 at london, A2 at paris, both agents not ready."""

    def __init__(self, world):
        self.world = world
        self.people = People(world)
        self.times = {}
        self.people.agent("A1", "london", "1001")
        self.people.agent("A2", "paris", "2001")
        self.people.customer()
        for site, dn in (("london", "1001"), ("paris", "2001")):
            world.wait_for(f"{dn} at {site}", lambda s=site, d=dn: world.agent_state(s, d) == "not-ready")

    def at(self, name, event):
        self.times[name] = event["at_ms"] / 1000

    def close(self):
        self.people.close()


def head(stage):
    """C calls london's number and lands on the routing point (t0); A1 answers (t1)."""
    people = stage.people
    since = people.call("C", NUMBERS["london"], "london")
    stage.at("t0", people.wait("C", "established", since))
    talk(1.0)
    stage.world.set_agent("london", "1001", "ready")
    stage.at("t1", people.wait("A1", "established", since))
    people.wait("A1", "hears", since, where=lambda e: e["tones"] == [467])
    # A1 takes no further call after this one: the transfer must reach somebody else.
    stage.world.set_agent("london", "1001", "not-ready")
    return since


def single_step_transfer(stage, by="phone"):
    people, world = stage.people, stage.world
    since = head(stage)
    talk()
    if by == "phone":
        people.send(cmd="refer", phone="A1", to=f"sip:8000@127.0.0.1:{world.ports.sip}")
    else:
        calls = world.cti("london", "GET", "/v1/calls")[1]
        calls = calls["items"] if isinstance(calls, dict) else calls
        status, body = world.cti("london", "POST", f"/v1/calls/{calls[0]['calluuid']}/single-step-transfer",
                                 {"device": "1001", "to": "8000"})
        if status != 200:
            raise RuntimeError(f"single-step-transfer: {status} {body}")
    stage.at("t2", people.wait("A1", "ended", since))
    talk(1.0)
    mark = people.mark()
    world.set_agent("paris", "2001", "ready")
    ringing = people.wait("A2", "ringing", mark)
    stage.at("t3", ringing)
    stage.at("t4", people.wait("A2", "established", mark))
    people.wait("A2", "hears", mark, where=lambda e: e["tones"] == [467])
    world.set_agent("paris", "2001", "not-ready")
    talk()
    people.send(cmd="hangup", phone="C")
    stage.at("t5", people.wait("C", "ended", mark))
    people.wait("A2", "ended", mark)


PLAYERS = {"single-step-transfer": single_step_transfer}


def play(world, scenario, **how):
    """Plays one scenario in a world that is up; returns (recording or None, problems, edges)."""
    known = {item["id"] for item in world.recordings()}
    stage = Stage(world)
    try:
        PLAYERS[scenario](stage, **how)
    finally:
        stage.close()
    return judge(world, scenario, stage.times, known)


def judge(world, scenario, times, known=frozenset(), people=None):
    people = people or {"C": "+447700900123", "A1": "1001", "A2": "2001"}

    def new_one():
        items = [item for item in world.recordings() if item["id"] not in known]
        if len(items) != 1:
            return None
        recording = world.recording(items[0]["id"])
        return recording if recording and recording["state"] == "complete" else None

    try:
        recording = world.wait_for("one complete recording", new_one, 30)
    except TimeoutError as error:
        shown = [world.recording(i["id"]) for i in world.recordings() if i["id"] not in known]
        return None, [f"{error}: {len(shown)} recordings, {[r['state'] for r in shown if r]}"], []
    check = Check(oracle_of(scenario), times, people, recording, lambda url: world.archive(url, raw=True)[1])
    problems = check.run()
    return recording, problems, check.edges
