"""A catalog on grpcio that answers with its own name; says when it listens.

Takes its name, the descriptor set of the catalog, and the port.
"""

import sys
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health, health_pb2_grpc

SERVICE = "shop.v1.Catalog"


def main(name, descriptors, port):
    files = descriptor_pb2.FileDescriptorSet()
    with open(descriptors, "rb") as file:
        files.ParseFromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    item = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.v1.Item"))

    def get_item(request, context):
        return item(title=name)

    handler = grpc.unary_unary_rpc_method_handler(get_item, item.FromString, item.SerializeToString)
    server = grpc.server(futures.ThreadPoolExecutor(8))
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"GetItem": handler})
    server.add_generic_rpc_handlers((handlers,))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


main(*sys.argv[1:])
