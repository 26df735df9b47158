// The same in a browser, by its own `fetch`.

import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { cases, run, schema } from "./cases.mjs";

const makers = { connect: createConnectTransport, "gRPC-Web": createGrpcWebTransport };

export async function all(baseUrl) {
  const response = await fetch("/descriptors");
  const known = schema(new Uint8Array(await response.arrayBuffer()));
  const results = [];
  for (const [protocol, make] of Object.entries(makers)) {
    for (const useBinaryFormat of [true, false]) {
      for (const useHttpGet of protocol === "connect" ? [false, true] : [false]) {
        const transport = make({ baseUrl, useBinaryFormat, useHttpGet });
        const form = `${useBinaryFormat ? "protobuf" : "JSON"}${useHttpGet ? ", GET" : ""}`;
        const name = `${protocol} in ${form}`;
        // A browser sends no request in pieces.
        const can = { clientStreaming: false, bidi: false };
        if (protocol === "connect" && useBinaryFormat) can.tooLarge = 1 << 24;
        const list = cases(known, transport, can);
        results.push({ name, ...(await run(name, list)) });
      }
    }
  }
  return results;
}

// What a script of an origin sees that may not call.
export async function refused(baseUrl) {
  const url = `${baseUrl}/grpc.testing.TestService/EmptyCall`;
  const headers = { "content-type": "application/json" };
  try {
    const answer = await fetch(url, { method: "POST", headers, body: "{}" });
    return `it was answered: ${answer.status}`;
  } catch (error) {
    return error instanceof TypeError ? "refused" : String(error);
  }
}
