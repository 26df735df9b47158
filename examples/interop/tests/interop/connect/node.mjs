// Clients of Connect, gRPC-Web and gRPC in node: every transport, version of HTTP and codec.
// Arguments: the server's address, the file of descriptors, and the root of its certificate, if any.

import { readFileSync } from "node:fs";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { cases, run, schema } from "./cases.mjs";

const [address, descriptors, root] = process.argv.slice(2);
const known = schema(readFileSync(descriptors));
const baseUrl = `${root ? "https" : "http"}://${address}`;
// For HTTP/1.1, node names no protocol in the handshake unless it is told to.
const nodeOptions = (version) =>
  root ? { ca: readFileSync(root), ALPNProtocols: [version === "2" ? "h2" : "http/1.1"] } : {};

const makers = {
  connect: [createConnectTransport, ["1.1", "2"]],
  "gRPC-Web": [createGrpcWebTransport, ["1.1", "2"]],
  gRPC: [createGrpcTransport, ["2"]],
};
const forms = {
  protobuf: { useBinaryFormat: true },
  JSON: { useBinaryFormat: false },
  "protobuf, gzip": {
    useBinaryFormat: true,
    sendCompression: compressionGzip,
    acceptCompression: [compressionGzip],
    compressMinBytes: 0,
  },
  "JSON, GET": { useBinaryFormat: false, useHttpGet: true },
  "protobuf, GET": { useBinaryFormat: true, useHttpGet: true },
};

const failed = [];
let passed = 0;
for (const [protocol, [make, versions]] of Object.entries(makers)) {
  for (const httpVersion of versions) {
    for (const [form, options] of Object.entries(forms)) {
      if (options.useHttpGet && protocol !== "connect") continue;
      // Messages of gRPC itself are protobuf here.
      if (protocol === "gRPC" && form === "JSON") continue;
      const transport = make({
        baseUrl,
        httpVersion,
        nodeOptions: nodeOptions(httpVersion),
        ...options,
      });
      const bidi = httpVersion === "2" ? true : "refused";
      // gRPC's prefix has such a request refused at once, while node still sends it; and to write
      // it as JSON keeps node from seeing for seconds which connections were closed meanwhile.
      const tooLarge = protocol === "connect" && options.useBinaryFormat ? 1 << 24 : undefined;
      const list = cases(known, transport, { clientStreaming: true, bidi, tooLarge });
      const name = `${protocol} over HTTP/${httpVersion} in ${form}`;
      const result = await run(name, list);
      console.log(`${name}: ${result.passed} of ${Object.keys(list).length}`);
      passed += result.passed;
      failed.push(...result.failed);
    }
  }
}
console.log(`${passed} passed, ${failed.length} failed`);
process.exit(failed.length === 0 && passed > 0 ? 0 : 1);
