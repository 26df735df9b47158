"""The server of gRPC's interoperability tests on grpcio; says on which port it listens.

Takes the descriptor set of the test service and, for TLS, a certificate, its key, and the root that it leads
to, which it does no more with than to say where it is.
"""

import sys
import time
from concurrent import futures

import grpc
from messages import AS_THEY_CAME, Messages, reader

INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"


def echo(context):
    received = dict(context.invocation_metadata())
    if INITIAL in received:
        context.send_initial_metadata(((INITIAL, received[INITIAL]),))
    if TRAILING in received:
        context.set_trailing_metadata(((TRAILING, received[TRAILING]),))


def fail_as_asked(request, context):
    code = request.response_status.code
    if code:
        status = next(status for status in grpc.StatusCode if status.value[0] == code)
        context.abort(status, request.response_status.message)


def check_compression(request, compressed, context):
    if request.HasField("expect_compressed") and request.expect_compressed.value != compressed:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"compressed: {compressed}")


class Service:
    def __init__(self, messages):
        self.m = messages

    def answers(self, request, context):
        for parameters in request.response_parameters:
            time.sleep(parameters.interval_us / 1e6)
            if not parameters.compressed.value:
                context.disable_next_message_compression()
            payload = self.m.Payload(body=bytes(parameters.size))
            yield self.m.StreamingOutputCallResponse(payload=payload)

    def EmptyCall(self, request, context):
        return self.m.Empty()

    def UnaryCall(self, received, context):
        request, compressed = received
        check_compression(request, compressed, context)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        echo(context)
        fail_as_asked(request, context)
        return self.m.SimpleResponse(payload=self.m.Payload(body=bytes(request.response_size)))

    CacheableUnaryCall = UnaryCall

    def StreamingOutputCall(self, received, context):
        request, _ = received
        if any(asked.compressed.value for asked in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        echo(context)
        yield from self.answers(request, context)

    def StreamingInputCall(self, requests, context):
        size = 0
        for request, compressed in requests:
            check_compression(request, compressed, context)
            size += len(request.payload.body)
        return self.m.StreamingInputCallResponse(aggregated_payload_size=size)

    def FullDuplexCall(self, requests, context):
        echo(context)
        for request, _ in requests:
            fail_as_asked(request, context)
            yield from self.answers(request, context)


def listen(server, certificate, key, root):
    address = "127.0.0.1:0"
    if certificate is not None and certificate.startswith("unix:"):
        server.add_insecure_port(certificate)
        return certificate.removeprefix("unix:")
    if certificate is None:
        return f"127.0.0.1:{server.add_insecure_port(address)}"
    with open(certificate, "rb") as chain, open(key, "rb") as private:
        credentials = grpc.ssl_server_credentials([(private.read(), chain.read())])
    return f"127.0.0.1:{server.add_secure_port(address, credentials)}, root in {root}"


def main(descriptors, certificate=None, key=None, root=None):
    messages = Messages(descriptors)
    service, handlers = Service(messages), {}
    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    for name, request, response, requests, responses in messages.methods():
        # What the service does not have is unimplemented.
        if hasattr(service, name):
            handlers[name] = kinds[requests, responses](
                getattr(service, name), reader(request), response.SerializeToString
            )
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[AS_THEY_CAME])
    handler = grpc.method_handlers_generic_handler("grpc.testing.TestService", handlers)
    server.add_generic_rpc_handlers((handler,))
    print(f"listening on {listen(server, certificate, key, root)}", flush=True)
    server.start()
    server.wait_for_termination()


main(*sys.argv[1:])
