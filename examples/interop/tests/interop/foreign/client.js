// The cases of gRPC's interoperability tests by grpc-js.
//
// Takes the address of a server, the directory of the test service's `.proto` files and, for TLS, a root.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const { load } = require("./service.js");

const MILLISECONDS = 20_000;
const REQUESTS = [27182, 8, 1828, 45904];
const RESPONSES = [31415, 9, 2653, 58979];
const INITIAL = "x-grpc-test-echo-initial";
const TRAILING = "x-grpc-test-echo-trailing-bin";
const SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n";
// What grpc-js calls WriteFlags.NoCompress, which it does not export.
const NO_COMPRESS = 2;

const options = () => ({ deadline: Date.now() + MILLISECONDS });
const payload = (size) => ({ body: Buffer.alloc(size) });
const truth = (value) => ({ value });
const sizeOf = (message) => message.payload.body.length;

/** A call with one response: that, and all that came with it. */
function unary(client, name, request, metadata = new grpc.Metadata(), more = options()) {
  return new Promise((resolve, reject) => {
    const came = {};
    const call = client[name](request, metadata, more, (error, response) => {
      if (error) reject(error);
      else came.response = response;
    });
    call.on("metadata", (initial) => (came.initial = initial));
    call.on("status", (status) => status.code === 0 && resolve({ ...came, status }));
  });
}

/** The rest of a stream of responses. */
function all(call) {
  return new Promise((resolve, reject) => {
    const came = { responses: [] };
    call.on("metadata", (initial) => (came.initial = initial));
    call.on("data", (response) => came.responses.push(response));
    call.on("error", reject);
    call.on("status", (status) => status.code === 0 && resolve({ ...came, status }));
  });
}

/** A call with many requests and one response; `send` sends them. */
function recorded(client, send) {
  return new Promise((resolve, reject) => {
    const call = client.StreamingInputCall(new grpc.Metadata(), options(), (error, response) =>
      error ? reject(error) : resolve(response),
    );
    send(call);
  });
}

async function fails(code, promise, details) {
  await assert.rejects(promise, (error) => {
    assert.strictEqual(error.code, code, error.message);
    if (details !== undefined) assert.strictEqual(error.details, details);
    return true;
  });
}

const large = (more) => ({ response_size: 314159, payload: payload(271828), ...more });
const asking = (response, request, more) => ({
  response_parameters: [{ size: response, ...more }],
  payload: payload(request),
});

const CASES = {
  async empty_unary({ client }) {
    const { response } = await unary(client, "EmptyCall", {});
    assert.deepStrictEqual(response, {});
  },
  async large_unary({ client }) {
    const { response } = await unary(client, "UnaryCall", large());
    assert.strictEqual(sizeOf(response), 314159);
  },
  async client_streaming({ client }) {
    const response = await recorded(client, (call) => {
      for (const size of REQUESTS) call.write({ payload: payload(size) });
      call.end();
    });
    assert.strictEqual(response.aggregated_payload_size, 74922);
  },
  async server_streaming({ client }) {
    const asked = { response_parameters: RESPONSES.map((size) => ({ size })) };
    const { responses } = await all(client.StreamingOutputCall(asked, options()));
    assert.deepStrictEqual(responses.map(sizeOf), RESPONSES);
  },
  async ping_pong({ client }) {
    const call = client.FullDuplexCall(options());
    const next = (index) => {
      if (index === REQUESTS.length) call.end();
      else call.write(asking(RESPONSES[index], REQUESTS[index]));
    };
    let answered = 0;
    call.on("data", () => next(++answered));
    next(0);
    const { responses } = await all(call);
    assert.deepStrictEqual(responses.map(sizeOf), RESPONSES);
  },
  async empty_stream({ client }) {
    const call = client.FullDuplexCall(options());
    call.end();
    assert.deepStrictEqual((await all(call)).responses, []);
  },
  async cancel_after_begin({ client }) {
    await fails(
      grpc.status.CANCELLED,
      recorded(client, (call) => call.cancel()),
    );
  },
  async cancel_after_first_response({ client }) {
    const call = client.FullDuplexCall(options());
    let answered = 0;
    call.on("data", (response) => {
      assert.strictEqual(sizeOf(response), RESPONSES[0]);
      answered += 1;
      call.cancel();
    });
    call.write(asking(RESPONSES[0], REQUESTS[0]));
    await fails(grpc.status.CANCELLED, all(call));
    assert.strictEqual(answered, 1);
  },
  async timeout_on_sleeping_server({ client }) {
    const call = client.FullDuplexCall({ deadline: Date.now() + 50 });
    call.write(asking(31415, 27182, { interval_us: 10_000_000 }));
    await fails(grpc.status.DEADLINE_EXCEEDED, all(call));
  },
  async custom_metadata({ client }) {
    const metadata = new grpc.Metadata();
    metadata.set(INITIAL, "test_initial_metadata_value");
    metadata.set(TRAILING, Buffer.from([0xab, 0xab, 0xab]));
    const call = client.FullDuplexCall(metadata, options());
    call.write(asking(314159, 271828));
    call.end();
    const both = [unary(client, "UnaryCall", large(), metadata), all(call)];
    for (const { initial, status } of await Promise.all(both)) {
      assert.deepStrictEqual(initial.get(INITIAL), ["test_initial_metadata_value"]);
      assert.deepStrictEqual(status.metadata.get(TRAILING), [Buffer.from([0xab, 0xab, 0xab])]);
    }
  },
  async status_code_and_message({ client }) {
    const response_status = { code: 2, message: "test status message" };
    const expected = [grpc.status.UNKNOWN, response_status.message];
    const asked = unary(client, "UnaryCall", { response_status });
    await fails(expected[0], asked, expected[1]);
    const call = client.FullDuplexCall(options());
    call.write({ response_status });
    call.end();
    await fails(expected[0], all(call), expected[1]);
  },
  async special_status_message({ client }) {
    const asked = unary(client, "UnaryCall", { response_status: { code: 2, message: SPECIAL } });
    await fails(grpc.status.UNKNOWN, asked, SPECIAL);
  },
  async unimplemented_method({ client }) {
    await fails(grpc.status.UNIMPLEMENTED, unary(client, "UnimplementedCall", {}));
  },
  async unimplemented_service({ missing }) {
    await fails(grpc.status.UNIMPLEMENTED, unary(missing, "UnimplementedCall", {}));
  },
  async client_compressed_unary({ client, compressing }) {
    const asked = (value) => large({ expect_compressed: truth(value) });
    await fails(grpc.status.INVALID_ARGUMENT, unary(client, "UnaryCall", asked(true)));
    for (const [by, value] of [[compressing, true], [client, false]]) {
      const { response } = await unary(by, "UnaryCall", asked(value));
      assert.strictEqual(sizeOf(response), 314159);
    }
  },
  // It does not tell which messages were compressed.
  async server_compressed_unary({ client }) {
    for (const value of [true, false]) {
      const { response } = await unary(client, "UnaryCall", large({ response_compressed: truth(value) }));
      assert.strictEqual(sizeOf(response), 314159);
    }
  },
  async client_compressed_streaming({ client, compressing }) {
    const asked = (value, size) => ({ expect_compressed: truth(value), payload: payload(size) });
    const probe = recorded(client, (call) => call.write(asked(true, 27182)));
    await fails(grpc.status.INVALID_ARGUMENT, probe);
    const response = await recorded(compressing, (call) => {
      call.write(asked(true, 27182));
      call.write(asked(false, 45904), NO_COMPRESS);
      call.end();
    });
    assert.strictEqual(response.aggregated_payload_size, 73086);
  },
  async server_compressed_streaming({ client }) {
    const wanted = [{ size: 31415, compressed: truth(true) }, { size: 92653, compressed: truth(false) }];
    const call = client.StreamingOutputCall({ response_parameters: wanted }, options());
    const { responses } = await all(call);
    assert.deepStrictEqual(responses.map(sizeOf), [31415, 92653]);
  },
};

async function main(address, protos, root) {
  const { TestService, UnimplementedService } = load(protos);
  const credentials = root
    ? grpc.credentials.createSsl(fs.readFileSync(root))
    : grpc.credentials.createInsecure();
  const gzip = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };
  const clients = {
    client: new TestService(address, credentials),
    compressing: new TestService(address, credentials, gzip),
    missing: new UnimplementedService(address, credentials),
  };
  for (const [name, run] of Object.entries(CASES)) {
    await run(clients);
    console.log(`${name}: ok`);
  }
  Object.values(clients).forEach((client) => client.close());
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
