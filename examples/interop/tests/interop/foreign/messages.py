"""The messages of grpc.testing, made from a serialised descriptor set, and how they were sent."""

import gzip

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


# The flags of messages are nothing that grpcio tells. With this option it leaves them as they came, and
# one that was compressed is known by how it begins: no message of grpc.testing has a field of that tag.
AS_THEY_CAME = ("grpc.per_message_decompression", 0)
SERVICE = "grpc.testing.TestService"
GZIP = b"\x1f\x8b"


def reader(message):
    """What reads a message, and says whether it was compressed."""

    def read(data):
        compressed = data.startswith(GZIP)
        return message.FromString(gzip.decompress(data) if compressed else data), compressed

    return read


class Messages:
    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as file:
            files.ParseFromString(file.read())
        # In a pool of its own: the default one may have them from elsewhere.
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        self.pool = pool

    def __getattr__(self, name):
        found = self.pool.FindMessageTypeByName(f"grpc.testing.{name}")
        return message_factory.GetMessageClass(found)

    def methods(self):
        """Of the test service: name, request, response, and which of them stream."""
        service = self.pool.FindServiceByName(SERVICE)
        for method in service.methods:
            yield (
                method.name,
                message_factory.GetMessageClass(method.input_type),
                message_factory.GetMessageClass(method.output_type),
                method.client_streaming,
                method.server_streaming,
            )


class Stub:
    """A callable for each method, of the kind that it is."""

    def __init__(self, channel, messages, service=SERVICE, tells_compressed=False):
        kinds = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        for name, request, response, requests, responses in messages.methods():
            kind = kinds[requests, responses]
            read = reader(response) if tells_compressed else response.FromString
            method = kind(f"/{service}/{name}", request.SerializeToString, read)
            setattr(self, name, method)
