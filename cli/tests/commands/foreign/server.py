"""A server on grpcio with reflection and health; says on which port it listens.

Takes the descriptor set of its service and, for TLS, a certificate and its key.
"""

import sys
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

SERVICE = "foreign.v1.Echo"


def get(request, context):
    if not request.text:
        context.abort(grpc.StatusCode.NOT_FOUND, "no text")
    return request


def repeat(request, context):
    for _ in range(3):
        yield request


def last(requests, context):
    return list(requests)[-1]


def chat(requests, context):
    yield from requests


def main(descriptors, chain=None, key=None):
    files = descriptor_pb2.FileDescriptorSet()
    with open(descriptors, "rb") as file:
        files.ParseFromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    text = message_factory.GetMessageClass(pool.FindMessageTypeByName("foreign.v1.Text"))
    kinds = {
        "Get": (grpc.unary_unary_rpc_method_handler, get),
        "Repeat": (grpc.unary_stream_rpc_method_handler, repeat),
        "Last": (grpc.stream_unary_rpc_method_handler, last),
        "Chat": (grpc.stream_stream_rpc_method_handler, chat),
    }
    handlers = {
        name: kind(function, text.FromString, text.SerializeToString)
        for name, (kind, function) in kinds.items()
    }
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    reflection.enable_server_reflection([SERVICE], server, pool=pool)
    states = health.HealthServicer()
    states.set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    if chain is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        with open(chain, "rb") as public, open(key, "rb") as private:
            credentials = grpc.ssl_server_credentials([(private.read(), public.read())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


main(*sys.argv[1:])
