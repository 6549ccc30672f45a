# SPDX-License-Identifier: Apache-2.0
"""Stands in front of one switch: a SIP wire that loses what a test wants lost, and a door to its HTTP API that can be shut."""
import selectors
import socket
import threading


class Wire:
    """Takes datagrams at `here` and hands them on to `switch`, each sender's from the sender's own address, by which it is
    known; and back. `loses` is asked of each message's text on its way there."""

    def __init__(self, here, switch, loses=lambda text: False):
        self.switch, self.loses, self.lost = switch, loses, []
        self.front = self._bound(here)
        self.senders = {}   # address of a sender -> its socket towards the switch
        self.waiting = selectors.DefaultSelector()
        self.waiting.register(self.front, selectors.EVENT_READ)
        self.wakes, self.waker = socket.socketpair()
        self.waiting.register(self.wakes, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @staticmethod
    def _bound(address):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(address)
        return made

    def _run(self):
        while True:
            for key, _ in self.waiting.select():
                if key.fileobj is self.wakes:
                    return
                data, sender = key.fileobj.recvfrom(65536)
                if key.fileobj is self.front:
                    self._there(data, sender)
                else:
                    self.front.sendto(data, key.data)

    def _there(self, data, sender):
        text = data.decode(errors="replace")
        if self.loses(text):
            self.lost.append(text)
            return
        if sender not in self.senders:
            self.senders[sender] = self._bound((sender[0], 0))
            self.waiting.register(self.senders[sender], selectors.EVENT_READ, sender)
        self.senders[sender].sendto(data, self.switch)

    def close(self):
        self.waker.send(b"x")
        self.thread.join()
        for used in (self.front, self.wakes, self.waker, *self.senders.values()):
            used.close()
        self.waiting.close()


class Door:
    """Hands connections at `here` on to `there` while it is open, each from the address it came from."""

    def __init__(self, here, there):
        self.there, self.is_open = there, True
        self.front = socket.create_server(here)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                near, sender = self.front.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.there, source_address=(sender[0], 0)) if self.is_open else None
            except OSError:
                far = None   # whoever is behind the door is not there yet
            if far is None:
                near.close()
                continue
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while data := source.recv(65536) if self.is_open else b"":
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        source.close()

    def close(self):
        self.front.shutdown(socket.SHUT_RDWR)
        self.front.close()
        self.thread.join()
