"""Calls of all four kinds by grpcio, which is gRPC's own C core, to the echo service at an address."""

import sys
import threading

import grpc

UNARY, LIST = "/test.Echo/Unary", "/test.Echo/List"
RECORD, CHAT = "/test.Echo/Record", "/test.Echo/Chat"


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def ask(what, value=b""):
    """A google.protobuf.Any."""
    out = b""
    for tag, content in ((b"\x0a", what.encode()), (b"\x12", value)):
        if content:
            out += tag + varint(len(content)) + content
    return out


def fails(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error
    raise AssertionError(f"{code} was expected")


def unary_calls(channel):
    unary = channel.unary_unary(UNARY)
    for size in (0, 1, 100, 10_000, 1_000_000, 4_000_000):
        large = ask("echo", bytes(size))
        assert unary(large, timeout=20) == large, size
    answer, call = unary.with_call(
        ask("metadata"), metadata=(("x-name", "a b"), ("x-bytes-bin", b"\x00\xff\x01")), timeout=20
    )
    assert dict(call.initial_metadata())["x-name"] == "a b"
    trailing = dict(call.trailing_metadata())
    assert trailing["x-after"] == "a b" and trailing["x-bytes-bin"] == b"\x00\xff\x01"
    futures = [unary.future(ask("echo", b"%d" % n), timeout=20) for n in range(500)]
    assert [it.result() for it in futures] == [ask("echo", b"%d" % n) for n in range(500)]


def failures(channel):
    unary = channel.unary_unary(UNARY)
    error = fails(grpc.StatusCode.FAILED_PRECONDITION, lambda: unary(ask("fail"), timeout=20))
    assert error.details() == "as asked"
    assert "grpc-status-details-bin" in dict(error.trailing_metadata())
    error = fails(grpc.StatusCode.UNIMPLEMENTED, lambda: unary(ask("\u00e9%"), timeout=20))
    assert error.details() == "no \u00e9%"
    for path in ("/test.Echo/Nothing", "/test.Nothing/Unary"):
        other = channel.unary_unary(path)
        fails(grpc.StatusCode.UNIMPLEMENTED, lambda: other(b"", timeout=20))
    fails(grpc.StatusCode.INTERNAL, lambda: unary(b"\xff\xff", timeout=20))
    too_large = ask("echo", bytes(5_000_000))
    fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: unary(too_large, timeout=20))
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: unary(ask("never"), timeout=0.2))


def streams(channel):
    for count in (0, 1, 1000):
        call = channel.unary_stream(LIST)(ask(str(count), bytes(1000)), timeout=20)
        items = list(call)
        expected = [ask(str(n), bytes(1000)) for n in range(count)]
        assert items == expected, count
        assert dict(call.initial_metadata())["x-count"] == str(count)
        assert dict(call.trailing_metadata())["x-sent"] == str(count)
        points = (ask("", bytes(10)) for _ in range(count))
        answer = channel.stream_unary(RECORD)(points, timeout=20)
        assert answer == ask(f"{count} of {count * 10}"), answer
    turn, answers = threading.Semaphore(1), []

    def notes():
        for n in range(50):
            turn.acquire()
            yield ask(str(n))

    for answer in channel.stream_stream(CHAT)(notes(), timeout=20):
        answers.append(answer)
        turn.release()
    assert answers == [ask(str(n)) for n in range(50)]


def cancellation(channel):
    call = channel.unary_stream(LIST)(ask("1000000", bytes(1000)), timeout=20)
    next(call)
    call.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: list(call))
    future = channel.unary_unary(UNARY).future(ask("never"), timeout=20)
    future.cancel()
    assert future.cancelled()


def main():
    target, options = sys.argv[1], []
    for compression in (
        grpc.Compression.NoCompression,
        grpc.Compression.Gzip,
        grpc.Compression.Deflate,
    ):
        with grpc.insecure_channel(target, options=options, compression=compression) as channel:
            unary_calls(channel)
            failures(channel)
            streams(channel)
            cancellation(channel)


if __name__ == "__main__":
    main()
