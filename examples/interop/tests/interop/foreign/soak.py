"""Many calls of mixed kinds by grpcio, none of which may end otherwise than it should.

Takes the address of a server, the descriptor set of the test service, and how many calls to make.
"""

import sys
import threading
from concurrent import futures

import grpc
from messages import Messages, Stub

CONNECTIONS, THREADS = 4, 8
SECONDS = 60


def ends_as(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return
    raise AssertionError(f"{code} was expected")


class Calls:
    def __init__(self, channel, m):
        self.stub, self.m = Stub(channel, m), m
        self.kinds = (
            self.small,
            self.large,
            self.compressed,
            self.recorded,
            self.listed,
            self.talked,
            self.failed,
            self.failed_stream,
            self.missing,
            self.cancelled,
            self.late,
        )

    def payload(self, size):
        return self.m.Payload(body=bytes(size))

    def asked(self, sizes, **more):
        parameters = [self.m.ResponseParameters(size=size, **more) for size in sizes]
        return self.m.StreamingOutputCallRequest(response_parameters=parameters)

    def unary(self, size, **more):
        asked = self.m.SimpleRequest(response_size=size, payload=self.payload(size))
        answer = self.stub.UnaryCall(asked, timeout=SECONDS, **more)
        assert len(answer.payload.body) == size

    def small(self):
        self.unary(16)

    def large(self):
        self.unary(200_000)

    def compressed(self):
        self.unary(20_000, compression=grpc.Compression.Gzip)

    def recorded(self):
        requests = [self.m.StreamingInputCallRequest(payload=self.payload(3_000))] * 5
        answer = self.stub.StreamingInputCall(iter(requests), timeout=SECONDS)
        assert answer.aggregated_payload_size == 15_000

    def listed(self):
        answers = self.stub.StreamingOutputCall(self.asked([10_000] * 5), timeout=SECONDS)
        assert [len(answer.payload.body) for answer in answers] == [10_000] * 5

    def talked(self):
        requests = iter([self.asked([100])] * 3)
        assert len(list(self.stub.FullDuplexCall(requests, timeout=SECONDS))) == 3

    def failed(self):
        status = self.m.EchoStatus(code=5, message="gone")
        asked = self.m.SimpleRequest(response_status=status)
        call = lambda: self.stub.UnaryCall(asked, timeout=SECONDS)
        ends_as(grpc.StatusCode.NOT_FOUND, call)

    def failed_stream(self):
        asked = self.asked([-1])
        call = lambda: list(self.stub.StreamingOutputCall(asked, timeout=SECONDS))
        ends_as(grpc.StatusCode.INVALID_ARGUMENT, call)

    def missing(self):
        call = lambda: self.stub.UnimplementedCall(self.m.Empty(), timeout=SECONDS)
        ends_as(grpc.StatusCode.UNIMPLEMENTED, call)

    def cancelled(self):
        # The second answer would come long after the test.
        parameters = [
            self.m.ResponseParameters(size=10),
            self.m.ResponseParameters(size=10, interval_us=1_000_000_000),
        ]
        asked = self.m.StreamingOutputCallRequest(response_parameters=parameters)
        call = self.stub.StreamingOutputCall(asked, timeout=SECONDS)
        assert len(next(call).payload.body) == 10
        call.cancel()
        ends_as(grpc.StatusCode.CANCELLED, lambda: list(call))

    def late(self):
        asked = self.asked([10], interval_us=1_000_000_000)
        call = lambda: list(self.stub.StreamingOutputCall(asked, timeout=0.02))
        ends_as(grpc.StatusCode.DEADLINE_EXCEEDED, call)


def main(address, descriptors, count):
    m = Messages(descriptors)
    # Channels to one address share a connection otherwise.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(address, options) for _ in range(CONNECTIONS)]
    calls = [Calls(channel, m) for channel in channels]
    done = {kind.__name__: 0 for kind in calls[0].kinds}
    lock = threading.Lock()

    def one(number):
        of = calls[number % CONNECTIONS]
        kind = of.kinds[number % len(of.kinds)]
        kind()
        with lock:
            done[kind.__name__] += 1

    with futures.ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(one, range(int(count))):
            pass
    for channel in channels:
        channel.close()
    assert sum(done.values()) == int(count), done
    print(f"{count} calls: {done}")


main(*sys.argv[1:])
