"""The cases of gRPC's interoperability tests by grpcio, and its own clients of health and reflection.

Takes the address of a server, the descriptor set of the test service, `all` or `cases` (which a server
that is not ours passes too) and, for TLS, a root.
"""

import sys
import threading

import grpc
from grpc import _channel
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from messages import AS_THEY_CAME, SERVICE, Messages, Stub

SECONDS = 20
# GRPC_WRITE_NO_COMPRESS of gRPC's C core.
WRITE_NO_COMPRESS = 2
REQUESTS, RESPONSES = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
ECHOED = (
    ("x-grpc-test-echo-initial", "test_initial_metadata_value"),
    ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"),
)
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"


def fails(code, call, text=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        assert text is None or error.details() == text, error.details()
        return
    raise AssertionError(f"{code} was expected")


def payload(m, size):
    return m.Payload(body=bytes(size))


def asking(m, response, request=0, **more):
    parameters = [m.ResponseParameters(size=response, **more)]
    return m.StreamingOutputCallRequest(
        response_parameters=parameters, payload=payload(m, request)
    )


def empty_unary(stub, m):
    assert stub.EmptyCall(m.Empty(), timeout=SECONDS) == m.Empty()


def large_unary(stub, m):
    asked = m.SimpleRequest(response_size=314159, payload=payload(m, 271828))
    assert len(stub.UnaryCall(asked, timeout=SECONDS).payload.body) == 314159


def client_streaming(stub, m):
    requests = [m.StreamingInputCallRequest(payload=payload(m, size)) for size in REQUESTS]
    answer = stub.StreamingInputCall(iter(requests), timeout=SECONDS)
    assert answer.aggregated_payload_size == 74922


def server_streaming(stub, m):
    parameters = [m.ResponseParameters(size=size) for size in RESPONSES]
    asked = m.StreamingOutputCallRequest(response_parameters=parameters)
    sizes = [len(it.payload.body) for it in stub.StreamingOutputCall(asked, timeout=SECONDS)]
    assert sizes == list(RESPONSES), sizes


def ping_pong(stub, m):
    answered = []

    def requests():
        for number, (request, response) in enumerate(zip(REQUESTS, RESPONSES)):
            # The one before has been answered, since grpcio asks for the next one then.
            assert len(answered) <= number
            yield asking(m, response, request)

    for response in stub.FullDuplexCall(requests(), timeout=SECONDS):
        answered.append(len(response.payload.body))
    assert answered == list(RESPONSES), answered


def empty_stream(stub, m):
    assert list(stub.FullDuplexCall(iter(()), timeout=SECONDS)) == []


def cancel_after_begin(stub, m):
    call = stub.StreamingInputCall.future(iter(lambda: m.StreamingInputCallRequest(), None))
    call.cancel()
    assert call.cancelled() and call.code() == grpc.StatusCode.CANCELLED


def cancel_after_first_response(stub, m):
    over = threading.Event()

    def requests():
        yield asking(m, 31415, 27182)
        # The server would end the call if these ended.
        over.wait(SECONDS)

    call = stub.FullDuplexCall(requests(), timeout=SECONDS)
    assert len(next(call).payload.body) == 31415
    call.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: list(call))
    over.set()


def timeout_on_sleeping_server(stub, m):
    asked = asking(m, 31415, 27182, interval_us=10_000_000)
    call = stub.FullDuplexCall(iter([asked]), timeout=0.05)
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(call))


def custom_metadata(stub, m):
    asked = m.SimpleRequest(response_size=314159, payload=payload(m, 271828))
    _, unary = stub.UnaryCall.with_call(asked, metadata=ECHOED, timeout=SECONDS)
    stream = stub.FullDuplexCall(iter([asking(m, 314159, 271828)]), metadata=ECHOED, timeout=SECONDS)
    assert len(list(stream)) == 1
    for call in (unary, stream):
        assert dict(call.initial_metadata())[ECHOED[0][0]] == ECHOED[0][1]
        assert dict(call.trailing_metadata())[ECHOED[1][0]] == ECHOED[1][1]


def status_code_and_message(stub, m):
    status = m.EchoStatus(code=2, message="test status message")
    asked = m.SimpleRequest(response_status=status)
    unknown = grpc.StatusCode.UNKNOWN
    fails(unknown, lambda: stub.UnaryCall(asked, timeout=SECONDS), status.message)
    asked = m.StreamingOutputCallRequest(response_status=status)
    stream = stub.FullDuplexCall(iter([asked]), timeout=SECONDS)
    fails(unknown, lambda: list(stream), status.message)


def special_status_message(stub, m):
    asked = m.SimpleRequest(response_status=m.EchoStatus(code=2, message=SPECIAL))
    fails(grpc.StatusCode.UNKNOWN, lambda: stub.UnaryCall(asked, timeout=SECONDS), SPECIAL)


def unimplemented_method(stub, m):
    call = lambda: stub.UnimplementedCall(m.Empty(), timeout=SECONDS)
    fails(grpc.StatusCode.UNIMPLEMENTED, call)


def truth(m, value):
    return m.BoolValue(value=value)


def client_compressed_unary(stub, m):
    def asked(compressed):
        return m.SimpleRequest(
            expect_compressed=truth(m, compressed),
            response_size=314159,
            payload=payload(m, 271828),
        )

    invalid = grpc.StatusCode.INVALID_ARGUMENT
    fails(invalid, lambda: stub.UnaryCall(asked(True), timeout=SECONDS))
    for compressed, compression in ((True, grpc.Compression.Gzip), (False, None)):
        answer, _ = stub.UnaryCall(asked(compressed), compression=compression, timeout=SECONDS)
        assert len(answer.payload.body) == 314159


def server_compressed_unary(stub, m):
    for compressed in (True, False):
        asked = m.SimpleRequest(
            response_compressed=truth(m, compressed),
            response_size=314159,
            payload=payload(m, 271828),
        )
        answer, was_compressed = stub.UnaryCall(asked, timeout=SECONDS)
        assert was_compressed == compressed
        assert len(answer.payload.body) == 314159


def client_compressed_streaming(stub, m):
    def asked(compressed, size):
        return m.StreamingInputCallRequest(
            expect_compressed=truth(m, compressed), payload=payload(m, size)
        )

    def requests():
        yield asked(True, 27182)
        # A client of grpcio says no more of single messages than that.
        _channel._EMPTY_FLAGS = WRITE_NO_COMPRESS
        yield asked(False, 45904)
        _channel._EMPTY_FLAGS = 0

    invalid, probe = grpc.StatusCode.INVALID_ARGUMENT, iter([asked(True, 27182)])
    fails(invalid, lambda: stub.StreamingInputCall(probe, timeout=SECONDS))
    gzip = grpc.Compression.Gzip
    answer, _ = stub.StreamingInputCall(requests(), compression=gzip, timeout=SECONDS)
    assert answer.aggregated_payload_size == 73086


def server_compressed_streaming(stub, m):
    wanted = [(31415, True), (92653, False)]
    parameters = [m.ResponseParameters(size=size, compressed=truth(m, it)) for size, it in wanted]
    asked = m.StreamingOutputCallRequest(response_parameters=parameters)
    answers = stub.StreamingOutputCall(asked, timeout=SECONDS)
    assert [(len(answer.payload.body), it) for answer, it in answers] == wanted


COMPRESSED = (
    client_compressed_unary,
    server_compressed_unary,
    client_compressed_streaming,
    server_compressed_streaming,
)
CASES = (
    empty_unary,
    large_unary,
    client_streaming,
    server_streaming,
    ping_pong,
    empty_stream,
    cancel_after_begin,
    cancel_after_first_response,
    timeout_on_sleeping_server,
    custom_metadata,
    status_code_and_message,
    special_status_message,
    unimplemented_method,
)


def unimplemented_service(channel, m):
    stub = Stub(channel, m, "grpc.testing.UnimplementedService")
    call = lambda: stub.UnimplementedCall(m.Empty(), timeout=SECONDS)
    fails(grpc.StatusCode.UNIMPLEMENTED, call)


def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest
    serving = health_pb2.HealthCheckResponse.SERVING
    for service in ("", SERVICE):
        assert stub.Check(request(service=service), timeout=SECONDS).status == serving
    fails(grpc.StatusCode.NOT_FOUND, lambda: stub.Check(request(service="a.B"), timeout=SECONDS))
    watching = stub.Watch(request(service=SERVICE))
    assert next(watching).status == serving
    watching.cancel()


class ByVersion:
    """A channel on which the reflection that grpcio knows is that of another version, which it equals."""

    def __init__(self, channel, version):
        self.channel, self.version = channel, version

    def stream_stream(self, path, *options, **more):
        assert ".v1alpha." in path, path
        path = path.replace(".v1alpha.", f".{self.version}.")
        return self.channel.stream_stream(path, *options, **more)


def reflection(channel, m):
    for version in ("v1", "v1alpha"):
        database = ProtoReflectionDescriptorDatabase(ByVersion(channel, version))
        services = set(database.get_services())
        assert {SERVICE, "grpc.health.v1.Health"} <= services, services
        found = DescriptorPool(database).FindServiceByName(SERVICE)
        names = [method.name for method in found.methods]
        assert names == [name for name, *_ in m.methods()], names


def connect(address, root, options=()):
    if root is None:
        return grpc.insecure_channel(address, options)
    with open(root, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(address, credentials, options)


def main(address, descriptors, what, root=None):
    m = Messages(descriptors)
    channel = connect(address, root)
    stub = Stub(channel, m)
    as_they_came = connect(address, root, options=[AS_THEY_CAME])
    flags = Stub(as_they_came, m, tells_compressed=True)
    for case in CASES + COMPRESSED:
        case(flags if case in COMPRESSED else stub, m)
        print(f"{case.__name__}: ok")
    as_they_came.close()
    unimplemented_service(channel, m)
    if what == "all":
        health(channel)
        reflection(channel, m)
    channel.close()


main(*sys.argv[1:])
