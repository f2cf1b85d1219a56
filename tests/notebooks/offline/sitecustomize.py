"""Imported by every Python with this folder on its PYTHONPATH: no connection leaves the machine."""

import socket

LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0")
connect, connect_ex, getaddrinfo = (
    socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo)


def check(host) -> None:
    if host is not None and str(host) not in LOCAL:
        raise OSError(f"the network is off in this test: something wanted {host}")


def local_only(call):
    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        return call(self, address)

    return guarded


def resolve(host, *rest, **named):
    check(host.decode() if isinstance(host, bytes) else host)
    return getaddrinfo(host, *rest, **named)


socket.socket.connect = local_only(connect)
socket.socket.connect_ex = local_only(connect_ex)
socket.getaddrinfo = resolve
