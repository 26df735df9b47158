// The server of gRPC's interoperability tests on grpc-js; says on which port it listens.
//
// Takes the directory of the test service's `.proto` files and, for TLS, a certificate with its key and the
// root that it leads to, which it does no more with than to say where it is.
"use strict";

const fs = require("node:fs");
const { setTimeout: pause } = require("node:timers/promises");
const grpc = require("@grpc/grpc-js");
const { load } = require("./service.js");

const INITIAL = "x-grpc-test-echo-initial";
const TRAILING = "x-grpc-test-echo-trailing-bin";

/** Sends back what is to come before the answers, and gives what is to follow them. */
function echo(call) {
  const [initial] = call.metadata.get(INITIAL);
  if (initial !== undefined) {
    const metadata = new grpc.Metadata();
    metadata.set(INITIAL, initial);
    call.sendMetadata(metadata);
  }
  const trailing = new grpc.Metadata();
  for (const value of call.metadata.get(TRAILING)) trailing.add(TRAILING, value);
  return trailing;
}

function failure({ response_status: asked }, metadata) {
  return asked?.code ? { code: asked.code, details: asked.message, metadata } : null;
}

/** Sends what a request asks for, unless the call is over. */
async function answer(call, request) {
  for (const { size, interval_us } of request.response_parameters ?? []) {
    if (interval_us) await pause(interval_us / 1000);
    if (call.cancelled) return;
    call.write({ payload: { body: Buffer.alloc(size ?? 0) } });
  }
}

function unary(call, callback) {
  const trailing = echo(call);
  const body = Buffer.alloc(call.request.response_size ?? 0);
  callback(failure(call.request, trailing), { payload: { body } }, trailing);
}

const service = {
  EmptyCall: (_, callback) => callback(null, {}),
  UnaryCall: unary,
  CacheableUnaryCall: unary,
  async StreamingOutputCall(call) {
    const trailing = echo(call);
    await answer(call, call.request);
    call.end(trailing);
  },
  StreamingInputCall(call, callback) {
    let sum = 0;
    call.on("data", (request) => (sum += request.payload?.body?.length ?? 0));
    call.on("end", () => callback(null, { aggregated_payload_size: sum }));
    call.on("error", () => {});
  },
  FullDuplexCall(call) {
    const trailing = echo(call);
    let last = Promise.resolve();
    call.on("data", (request) => {
      const failed = failure(request, trailing);
      last = last.then(() => (failed ? call.emit("error", failed) : answer(call, request)));
    });
    call.on("end", () => last.then(() => call.end(trailing)));
    call.on("error", () => {});
  },
};

function main(protos, certificate, key, root) {
  const server = new grpc.Server();
  server.addService(load(protos).TestService.service, service);
  const credentials = certificate
    ? grpc.ServerCredentials.createSsl(null, [
        { cert_chain: fs.readFileSync(certificate), private_key: fs.readFileSync(key) },
      ])
    : grpc.ServerCredentials.createInsecure();
  server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
    if (error) throw error;
    console.log(`listening on 127.0.0.1:${port}${root ? `, root in ${root}` : ""}`);
  });
}

main(...process.argv.slice(2));
