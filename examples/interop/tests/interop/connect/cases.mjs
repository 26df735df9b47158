// What a client of Connect or gRPC-Web does with our server, by whatever transport.

import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";

// The services and messages of a descriptor set.
export function schema(descriptors) {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors));
  const message = (name) => registry.getMessage(`grpc.testing.${name}`);
  const service = (name) => registry.getService(`grpc.testing.${name}`);
  return { message, service };
}

function same(found, wanted, what) {
  const text = (value) =>
    JSON.stringify(value, (_, it) => (typeof it === "bigint" ? String(it) : it));
  if (text(found) !== text(wanted)) {
    throw new Error(`${what}: ${text(found)} instead of ${text(wanted)}`);
  }
}

async function failure(call, code, what) {
  let result;
  try {
    result = await call();
  } catch (error) {
    const failed = ConnectError.from(error);
    same(Code[failed.code], Code[code], `${what} (${failed.message})`);
    return failed;
  }
  throw new Error(`${what}: it ended well with ${JSON.stringify(result)}`);
}

async function collected(stream) {
  const all = [];
  for await (const message of stream) all.push(message);
  return all;
}

const SIZES = [31415, 9, 2653, 58979];
const asked = () => SIZES.map((size) => ({ size }));
const sizes = (messages) => messages.map((it) => it.payload?.body?.length ?? 0);
async function* requests(list) {
  for (const it of list) yield it;
}

// All cases by name. `can` says what the transport and the version of HTTP can do.
export function cases({ message, service }, transport, can) {
  const client = createClient(service("TestService"), transport);
  const absent = createClient(service("UnimplementedService"), transport);
  const status = { code: Code.NotFound, message: 'none of "ä" \t and 100 %' };
  const list = {
    async unary() {
      const body = new Uint8Array(271828);
      const answer = await client.unaryCall({ responseSize: 314159, payload: { body } });
      same(answer.payload.body.length, 314159, "the size of the answer");
    },
    async "empty message"() {
      const answer = await client.emptyCall({});
      same(answer.$typeName, "grpc.testing.Empty", "the answer");
    },
    async "error with details"() {
      const call = () => client.unaryCall({ responseStatus: status });
      const error = await failure(call, Code.NotFound, "the code");
      same(error.rawMessage, status.message, "the message");
      const [detail] = error.findDetails(message("EchoStatus"));
      same([detail.code, detail.message], [status.code, status.message], "the detail");
    },
    async "metadata before and after"() {
      const headers = new Headers({ "x-grpc-test-echo-initial": "first" });
      headers.set("x-grpc-test-echo-trailing-bin", "q6ur");
      const seen = {};
      const options = {
        headers,
        onHeader: (it) => (seen.header = it.get("x-grpc-test-echo-initial")),
        onTrailer: (it) => (seen.trailer = it.get("x-grpc-test-echo-trailing-bin")),
      };
      await client.unaryCall({ responseSize: 1 }, options);
      same(seen, { header: "first", trailer: "q6ur" }, "what came back of a unary call");
      await collected(client.streamingOutputCall({ responseParameters: [{ size: 1 }] }, options));
      same(seen, { header: "first", trailer: "q6ur" }, "what came back of a stream");
    },
    async "metadata of an error"() {
      const headers = { "x-grpc-test-echo-trailing-bin": "q6ur" };
      const call = () => client.unaryCall({ responseStatus: status }, { headers });
      const error = await failure(call, Code.NotFound, "the code");
      same(error.metadata.get("x-grpc-test-echo-trailing-bin"), "q6ur", "its metadata");
    },
    async "server streaming"() {
      const answers = client.streamingOutputCall({ responseParameters: asked() });
      same(sizes(await collected(answers)), SIZES, "the sizes");
    },
    async "error behind a stream"() {
      const request = { responseParameters: asked(), responseStatus: status };
      let count = 0;
      const call = async () => {
        for await (const _ of client.streamingOutputCall(request)) count += 1;
      };
      const error = await failure(call, Code.NotFound, "the code");
      same([count, error.rawMessage], [SIZES.length, status.message], "what came before it");
      same(error.findDetails(message("EchoStatus")).length, 1, "its details");
    },
    async deadline() {
      const slow = { responseParameters: [{ size: 1, intervalUs: 10_000_000 }] };
      const call = () => collected(client.streamingOutputCall(slow, { timeoutMs: 100 }));
      await failure(call, Code.DeadlineExceeded, "a stream");
      const options = { headers: { "x-no": "1" }, timeoutMs: 60_000 };
      await client.unaryCall({ responseSize: 1 }, options);
    },
    async "cancelled after the first answer"() {
      const give = new AbortController();
      const slow = { responseParameters: [{ size: 1 }, { size: 1, intervalUs: 10_000_000 }] };
      const call = async () => {
        for await (const _ of client.streamingOutputCall(slow, { signal: give.signal })) {
          give.abort();
        }
      };
      await failure(call, Code.Canceled, "the code");
      await client.emptyCall({});
    },
    async "what is not there"() {
      await failure(() => client.unimplementedCall({}), Code.Unimplemented, "a method");
      await failure(() => absent.unimplementedCall({}), Code.Unimplemented, "a service");
    },
    async "no side effects"() {
      const answer = await client.cacheableUnaryCall({ responseSize: 7 });
      same(answer.payload.body.length, 7, "the size of the answer");
      const call = () => client.cacheableUnaryCall({ responseStatus: status });
      await failure(call, Code.NotFound, "its error");
    },
    async "many at once"() {
      const calls = Array.from({ length: 300 }, async (_, number) => {
        if (number % 3 === 0) {
          const answers = client.streamingOutputCall({ responseParameters: asked() });
          same(sizes(await collected(answers)), SIZES, `stream ${number}`);
        } else if (number % 3 === 1) {
          const answer = await client.unaryCall({ responseSize: number });
          same(answer.payload.body.length, number, `call ${number}`);
        } else {
          const call = () => client.unaryCall({ responseStatus: status });
          await failure(call, Code.NotFound, `error ${number}`);
        }
      });
      await Promise.all(calls);
    },
  };
  if (can.clientStreaming) {
    list["client streaming"] = async () => {
      const bodies = [27182, 8, 1828, 45904].map((size) => new Uint8Array(size));
      const answer = await client.streamingInputCall(
        requests(bodies.map((body) => ({ payload: { body } }))),
      );
      same(answer.aggregatedPayloadSize, 74922, "the sum");
      const none = await client.streamingInputCall(requests([]));
      same(none.aggregatedPayloadSize, 0, "the sum of nothing");
    };
  }
  if (can.tooLarge) {
    list["too large a request"] = async () => {
      // Of what such a request goes on with, the server takes no more than a little.
      const body = new Uint8Array(can.tooLarge);
      const call = () => client.unaryCall({ payload: { body } });
      await failure(call, Code.ResourceExhausted, "a unary call");
      await client.emptyCall({});
    };
  }
  if (can.bidi === true) {
    list["both ways in turn"] = async () => {
      let next;
      const turn = () => new Promise((resolve) => (next = resolve));
      const found = [];
      let waiting = turn();
      async function* ping() {
        for (const size of SIZES) {
          yield { responseParameters: [{ size }] };
          await waiting;
          waiting = turn();
        }
      }
      for await (const answer of client.fullDuplexCall(ping())) {
        found.push(answer.payload.body.length);
        next();
      }
      same(found, SIZES, "the answers");
    };
    list["cancelled in the middle of both"] = async () => {
      const give = new AbortController();
      async function* endless() {
        yield { responseParameters: [{ size: 1 }] };
        await new Promise(() => {});
      }
      const call = async () => {
        const options = { signal: give.signal };
        for await (const _ of client.fullDuplexCall(endless(), options)) give.abort();
      };
      await failure(call, Code.Canceled, "the code");
    };
  } else if (can.bidi === "refused") {
    list["both ways over HTTP/1.1"] = async () => {
      const one = [{ responseParameters: [{ size: 1 }] }];
      const call = () => collected(client.fullDuplexCall(requests(one)));
      await failure(call, Code.Unknown, "the answer to what needs HTTP/2");
      await client.emptyCall({});
    };
  }
  return list;
}

// Runs all of them, and says which went wrong.
export async function run(name, list) {
  const failed = [];
  for (const [what, test] of Object.entries(list)) {
    const late = new Promise((_, reject) =>
      setTimeout(() => reject(new Error("no end in 30 s")), 30_000),
    );
    try {
      await Promise.race([test(), late]);
    } catch (error) {
      failed.push(`${name}: ${what}: ${error.stack ?? error}`);
      console.error(failed.at(-1));
    }
  }
  return { passed: Object.keys(list).length - failed.length, failed };
}
