# SPDX-License-Identifier: Apache-2.0
"""SIPp as somebody's trunk or phone: scenarios written down as what is said and what is expected, and run."""
import os
import subprocess
from xml.sax.saxutils import quoteattr

SDP = """v=0
o=sipp 1 1 IN IP[local_ip_type] {address}
s=-
c=IN IP[local_ip_type] {address}
t=0 0
m=audio [media_port] RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a={direction}
"""
IDENTITY = """Call-ID: [call_id]
Max-Forwards: 70
Contact: <sip:[$me]@[local_ip]:[local_port];transport=[transport]>
"""
VIAS = "Via: [^[:cntrl:]]+([[:cntrl:]]+Via: [^[:cntrl:]]+)*"   # all of a message, one after the other
ROUTE = "[[:cntrl:]]+Record-Route: [^[:cntrl:]]+"   # with the line end before it: there may be none


class Side:
    """One end of a scenario: its steps become SIPp's XML. `me` is the user part that it calls itself."""

    def __init__(self, name, me, address):
        self.name, self.me, self.address, self.steps = name, me, address, []
        self.variables = {"me"}

    def xml(self):
        begin = f'<nop><action><assignstr assign_to="me" value={quoteattr(self.me)} /></action></nop>'
        # A variable that nobody reads is an error to SIPp, but for these.
        read = f'<Reference variables="{",".join(sorted(self.variables))}" />'
        return (f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<scenario name={quoteattr(self.name)}>\n{begin}\n'
                + "\n".join(self.steps) + f"\n{read}\n</scenario>\n")

    def sdp(self, direction="sendrecv"):
        return SDP.format(address=self.address, direction=direction)

    # ---- what is said -------------------------------------------------------------------------------------------
    def _send(self, text, body, retrans):
        kind = "Content-Type: application/sdp\n" if body.startswith("v=0") else ""
        text = text.rstrip("\n") + f"\n{kind}Content-Length: [len]\n\n{body}"
        self.steps.append(f'<send{" retrans=" + quoteattr("500") if retrans else ""}>\n<![CDATA[\n{text}\n]]>\n</send>')
        return self

    def begin(self, method, user, cseq=1, headers=(), body="", to=None):
        """A request outside of any dialog."""
        target = f"sip:{user + '@' if user else ''}[remote_ip]:[remote_port];transport=[transport]"
        lines = "".join(f"{line}\n" for line in headers)
        return self._send(f"{method} {target} SIP/2.0\n"
                          "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
                          "From: <sip:[$me]@[local_ip]:[local_port]>;tag=[pid]s[call_number]\n"
                          f"To: <{to or target}>\nCSeq: {cseq} {method}\n{IDENTITY}{lines}", body, method != "ACK")

    def within(self, method, cseq, headers=(), body=""):
        """A request in the dialog that the last 2xx (`rrs`) has made."""
        lines = "".join(f"{line}\n" for line in headers)
        return self._send(f"{method} [next_url] SIP/2.0\n"
                          "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n[routes]\n"
                          "From: <sip:[$me]@[local_ip]:[local_port]>;tag=[pid]s[call_number]\n"
                          f"To: [$to]\nCSeq: {cseq} {method}\n{IDENTITY}{lines}", body, method != "ACK")

    def answer(self, status, headers=(), body="", tag=True, to_invite=False):
        """To the last request; `to_invite`: to the INVITE before it, whose dialog that was in or whose end it asked for."""
        lines = "".join(f"{line}\n" for line in headers)
        via, cseq = ("[$via]", "CSeq: [$cseq] INVITE[$route]") if to_invite else ("[last_Via:]", "[last_CSeq:]")
        return self._send(f"SIP/2.0 {status}\n{via}\n[last_From:]\n"
                          f"[last_To:]{';tag=[pid]a[call_number]' if tag else ''}\n[last_Call-ID:]\n{cseq}\n"
                          f"{'' if to_invite else '[last_Record-Route:]' + chr(10)}Contact: <sip:[$me]@[local_ip]:[local_port];transport=[transport]>\n{lines}",
                          body, False)

    def refused(self, status, user, *checks):
        """A final answer other than 2xx to an INVITE, and its ACK: in the INVITE's transaction (RFC 3261 §17.1.1.3)."""
        self.expect(status, *checks)
        target = f"sip:{user}@[remote_ip]:[remote_port];transport=[transport]"
        return self._send(f"ACK {target} SIP/2.0\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: 1 ACK\n"
                          "Max-Forwards: 70\n", "", False)

    # ---- what is expected ---------------------------------------------------------------------------------------
    def _expect(self, what, is_optional, checks, attributes=""):
        """`checks`: header (with its colon) -> regular expression; a third part names a variable that keeps the match, which
        then need not be there when a fourth says so."""
        actions = ""
        for header, expression, *keep in checks:
            where = 'search_in="msg"' if header == "*" else f'search_in="hdr" header={quoteattr(header)}'
            name = keep[0] if keep else f"c{len(self.variables)}"
            self.variables.add(name)
            must = str(len(keep) < 2).lower()
            actions += f'<ereg regexp={quoteattr(expression)} {where} check_it="{must}" assign_to="{name}" />'
        optional = ' optional="true"' if is_optional else ""
        self.steps.append(f"<recv {what}{optional}{attributes}><action>{actions}</action></recv>" if actions
                          else f"<recv {what}{optional}{attributes} />")
        return self

    def expect(self, status, *checks, optional=False):
        """Of an answer that makes a dialog it is kept where that is, and with whom."""
        makes_dialog = not optional and (200 <= status < 300 or any("rseq" in check for check in checks))
        keep = (("To:", ".*", "to"),) if makes_dialog else ()
        return self._expect(f'response="{status}"', optional, (*keep, *checks), ' rrs="true"' if makes_dialog else "")

    def trying(self):
        return self.expect(100, optional=True)

    def request(self, method, *checks, optional=False):
        """Of an INVITE what its final answer repeats is kept: other requests may come first."""
        keep = (("CSeq:", "[0-9]+", "cseq"), ("*", VIAS, "via"), ("*", ROUTE, "route", "optional"))
        keep = keep if method == "INVITE" else ()
        return self._expect(f'request="{method}"', optional, (*keep, *checks), ' rrs="true"')

    def pause(self, ms):
        self.steps.append(f'<pause milliseconds="{ms}" />')
        return self


class Run:
    """SIPp playing one side. As a caller it begins at once; whoever waits is stopped when its one call is over."""

    def __init__(self, side, folder, here, port, remote, transport="udp"):
        folder.mkdir(parents=True, exist_ok=True)
        self.side, self.folder = side, folder
        file = folder / f"{side.name}.xml"
        file.write_text(side.xml())
        self.messages = folder / f"{side.name}.messages"
        command = ["sipp", remote, "-i", here, "-p", str(port), "-sf", str(file), "-m", "1", "-nostdin", "-nd",
                   "-t", {"udp": "u1", "tcp": "t1"}[transport], "-mi", here, "-mp", str(port + 100),
                   "-trace_msg", "-message_file", str(self.messages), "-trace_err", "-error_file",
                   str(folder / f"{side.name}.errors"), "-timeout", "40", "-timeout_error", "-recv_timeout", "20000"]
        self.log = open(folder / f"{side.name}.out", "ab")
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder,
                                      env={**os.environ, "TERM": "dumb"})

    def problem(self, timeout=45):
        """Empty, or what went wrong."""
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.close()
            return f"{self.side.name}: SIPp did not end"
        if code == 0:
            return ""
        errors = self.folder / f"{self.side.name}.errors"
        said = errors.read_text(errors="replace")[-1500:] if errors.exists() else ""
        trace = self.messages.read_text(errors="replace")[-3000:] if self.messages.exists() else ""
        return f"{self.side.name}: SIPp ended with {code}\n{said}\n{trace}"

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        self.log.close()
