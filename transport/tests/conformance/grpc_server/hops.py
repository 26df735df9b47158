"""Calls by grpcio to a service that makes them to another one, which answers what it was told of them."""

import sys

import grpc
from foreign import UNARY, ask, fails

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
METADATA = (
    ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),
    ("dreammesh-priority", "2"),
)


def main():
    with grpc.insecure_channel(sys.argv[1]) as channel:
        unary = channel.unary_unary(UNARY)
        told = unary(ask("next", b"context"), metadata=METADATA, timeout=20)
        assert told == ask(f"{TRACE} 2"), told
        told = unary(ask("next", b"remaining"), timeout=20)
        assert told == ask("some"), told
        assert unary(ask("next", b"remaining")) == ask("none")
        never = ask("next", b"never")
        fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: unary(never, timeout=0.5))
        future = unary.future(never)
        future.cancel()
        assert future.cancelled()


main()
