# SPDX-License-Identifier: Apache-2.0
"""Who plays a scenario: a customer, two agents, the switches' CTI, and the moments that the oracle speaks of."""
import time
import urllib.parse

from .people import People
from .world import ADDRESSES, dn_of, routing_point

TALK_S = 2.4   # how long people talk in each part: long enough for a listener to judge every second
QUEUE_S = 1.0


def talk(duration=TALK_S):
    """The people talk. Nothing is awaited here: this is the sound that the checker listens to later."""
    time.sleep(duration)


def dn_for(who, site, lane):
    """A2 at london is its lane's second agent there; otherwise both are their site's first."""
    return dn_of(site, lane, 2 if who == "A2" and site == "london" else 1)


class Stage:
    """The people of one lane: C at a carrier, A1 at london, A2 at paris (or wherever `a2` says), A3 only if `a3` names a site,
    all agents not ready. `phones`: who has one of the lab's phones; the others are somebody else's business."""

    def __init__(self, world, lane=0, a2="paris", carrier="carrier", refer_policy="accept", phones=("C", "A1", "A2", "A3"),
                 answer_after_ms=600, a3=None):
        self.world, self.lane = world, lane
        self.sites = {"A1": "london", "A2": a2, **({"A3": a3} if a3 else {})}
        self.dns = {who: dn_for(who, site, lane) for who, site in self.sites.items()}
        self.number = f"+4477009{lane:05d}"
        self.leaves = carrier == "carrier" and refer_policy == "accept"
        self.times = {}
        try:
            self.known = {item["id"] for item in self.recordings()}
        except OSError:
            self.known = set()   # the archive is away, as some tests want it
        self.people = People(world, lane=lane)
        for who in self.dns:
            if who in phones:
                self.people.agent(who, self.sites[who], self.dns[who], talk=True, answer_after_ms=answer_after_ms)
                self.not_ready(who)
        if "C" in phones:
            self.people.customer(user=self.number, carrier=carrier, refer_policy=refer_policy)

    @property
    def users(self):
        return {"C": self.number, **self.dns}

    def at(self, name, event):
        self.times[name] = event["at_ms"] / 1000
        return event

    def now(self, name):
        self.times[name] = time.time()

    def queue(self, site="london"):
        return routing_point(site, self.lane)

    def queue_uri(self, site="london", at="london"):
        return f"sip:{self.queue(site)[0]}@{ADDRESSES[at]}:{self.world.ports.sip}"

    def uri(self, who, at=None):
        """Where `who` is called, by default at the own site."""
        return f"sip:{self.dns[who]}@{ADDRESSES[at or self.sites[who]]}:{self.world.ports.sip}"

    def ready(self, who):
        self.world.set_agent(self.sites[who], self.dns[who], "ready")

    def not_ready(self, who):
        """Takes no further call. After a registration the switch may need a moment to know the agent."""
        site, dn = self.sites[who], self.dns[who]
        self.world.wait_for(f"{dn} at {site}", lambda: self.world.agent_state(site, dn) not in (None, "logged-off"))
        self.world.set_agent(site, dn, "not-ready")

    # ---- CTI ----------------------------------------------------------------------------------------------------
    def calls(self, who):
        """Calluuids of the calls that `who`'s device is in at its site, the held and the talking one."""
        status, body = self.world.cti(self.sites[who], "GET", "/v1/calls")
        if status != 200:
            raise RuntimeError(f"calls: {status} {body}")
        items = body["items"] if isinstance(body, dict) else body
        return [c["calluuid"] for c in items if self.dns[who] in [p["device"] for p in c["parties"]]]

    def cti(self, who, service, call=None, want=200, **body):
        """Asks for a service on who's call (the only one, unless said) and gives the answer's body."""
        call = call or self.calls(who)[0]
        status, answer = self.world.cti(self.sites[who], "POST", f"/v1/calls/{call}/{service}",
                                        {"device": self.dns[who], **body})
        if status != want:
            raise RuntimeError(f"{service} for {who}: {status} {answer}")
        return answer

    # ---- the archive --------------------------------------------------------------------------------------------
    def recordings(self):
        """The archive's recordings that have this lane's customer in them."""
        party = urllib.parse.quote(self.number, safe="")
        return self.world.archive(f"/v1/recordings?limit=200&party={party}")[1]["items"]

    def new_recording(self, timeout=30):
        """The one complete recording that has come since the stage was set up."""

        def new_one():
            items = [item for item in self.recordings() if item["id"] not in self.known]
            recording = self.world.recording(items[0]["id"]) if len(items) == 1 else None
            return recording if recording and recording["state"] == "complete" else None

        return self.world.wait_for("one complete recording", new_one, timeout)

    def close(self):
        for who in self.dns:
            try:
                self.world.set_agent(self.sites[who], self.dns[who], "not-ready")
            except (RuntimeError, OSError):
                pass   # its site is gone already, as some tests want it
        self.people.close()
